from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from _pytest.pytester import RunResult

from tests.support.project import CAMPAIGN_NAME, Project

pytestmark = pytest.mark.usefixtures("repo_checks_only")

# One of each kind: R7 fails at line 5, "label" at line 7 with a value that would steer a terminal, "budget"
# is advisory, "gpu" does not apply, "licence" and the advisory "spare" break outside of the check.
OWN_CHECKS = """\
import pytest
from pytest_metaopt import check, fail, not_applicable

REMEDY = "Choose a label of letters and digits, as short as you can make it, such as 'demo'."

@check("label", group="own", remediation=REMEDY)
def label(campaign):
    value, line = campaign.get("wandb.entity"), campaign.line("wandb.entity")
    fail(f"wandb.entity is {value}\\nand the service takes letters and digits only", line=line)

@check("budget", group="own", severity="advisory", remediation="Ask for more, or plan for less.")
def budget(campaign):
    \"\"\"There is a comfortable amount of money in the account that the compute provider bills to.\"\"\"
    fail("only 1 USD is left, which is what a single agent uses up in a quarter of an hour of work", line=10)

@check("gpu", group="own")
def gpu(campaign):
    not_applicable(f"no GPU is requested by {campaign.get('wandb.entity')}")

@check("plain", group="own", severity="advisory")
def plain():
    assert 1 + 1 == 3

@pytest.fixture
def licence():
    raise RuntimeError("the licence server is down")

@check("licence", group="own", remediation="Wait for it.")
def licence_is_there(licence):
    pass

@check("spare", group="own", severity="advisory")
def second_licence_is_there(licence):
    pass
"""
# What the parser makes of YAML's escapes: ESC, BEL and a carriage return.
STEERING = r'"\e[31mred\a\rover"'
STEERING_SHOWN = r"\x1b[31mred\x07\rover"

OUTCOMES = {
    **{f"repo[R{number}]": "bootstrapped" for number in range(1, 7)},
    "repo[R7]": "failed",
    "repo[R8]": "passed",
    "repo[R9]": "passed",
    "own[label]": "failed",
    "own[budget]": "warning",
    "own[gpu]": "skipped",
    "own[plain]": "warning",
    "own[licence]": "failed",
    "own[spare]": "warning",
}
COUNTS = {"total": 14, "passed": 2, "failed": 3, "bootstrapped": 6, "warnings": 3}


@pytest.fixture
def mixed(project: Project) -> Project:
    """A project with checks that come out in every way."""
    project.write("conftest.py", OWN_CHECKS)
    project.edit("python train.py --smoke", "''")
    project.edit("entity: me", f"entity: {STEERING}")
    return project


def section(result: RunResult, title: str) -> list[str]:
    """The lines below the heading *title*, up to the next heading."""
    lines = result.outlines
    start = next(index for index, line in enumerate(lines) if line.startswith("=") and f" {title} " in line)
    end = next(index for index in range(start + 1, len(lines)) if lines[index].startswith("==="))
    return lines[start + 1 : end]


# -- the terminal ----------------------------------------------------------------------------------


def test_a_failed_check_shows_what_is_wrong_where_and_how_to_mend_it(project: Project) -> None:
    project.edit("python train.py --smoke", "''")
    result = project.preflight("--color=no")
    assert result.ret == 1
    _, *failure = section(result, "FAILURES")
    assert failure[0] == f"{CAMPAIGN_NAME}:5:3: R7: project.smoke_test_command is an empty string"
    fix = " ".join(" ".join(failure[1:]).split())
    assert fix.startswith("fix: Set project.smoke_test_command to a command")
    assert len([line for line in result.outlines if line.startswith("metaopt: ")]) == 1
    result.stdout.fnmatch_lines([f"metaopt: {CAMPAIGN_NAME} -> .ml-metaopt/preflight-readiness.json"])

    closing = section(result, "preflight readiness")
    assert closing[0] == f"{CAMPAIGN_NAME}: FAILED (9 checks: 2 passed, 6 bootstrapped, 1 failed)"
    assert "artifact: .ml-metaopt/preflight-readiness.json" in closing
    reported = " ".join(" ".join(closing).split())
    assert "R7: project.smoke_test_command is an empty string" in reported
    assert "Set project.smoke_test_command to a command that exercises the training script" in reported
    assert "created .ml-metaopt/" in reported
    assert "created .gitignore" in reported


def test_everything_fits_80_columns_without_colour_traceback_or_raw_control_characters(
    mixed: Project,
) -> None:
    result = mixed.preflight("--color=no")
    assert result.ret == 1
    text = result.stdout.str()
    assert [character for character in text if not character.isprintable() and character != "\n"] == []
    assert STEERING_SHOWN in text
    assert "Traceback" not in text
    ours = section(result, "FAILURES") + section(result, "preflight readiness")
    assert [line for line in ours if len(line) > 80] == []
    for words in ("fix: ", "to do:", "advisory", "only 1 USD is left"):
        assert any(words in line for line in ours), words
    counts = " ".join(" ".join(section(result, "preflight readiness")).split())
    assert f"{CAMPAIGN_NAME}: FAILED" in counts
    assert "14 checks: 2 passed, 6 bootstrapped, 3 advisory, 3 failed" in counts
    assert "2 failed, 2 passed, 1 skipped, 1 error, 6 bootstrapped, 3 advisory" in text


def test_errors_in_a_document_show_no_raw_control_characters(project: Project) -> None:
    texts = {
        "newline": 'compute:\n  "a\\nb": 2024-01-01\n',
        "key": f"compute:\n  {STEERING}: 2024-01-01\n",
        "inner": f"compute:\n  a: {{{STEERING}: .nan}}\n",
        "tag": "a: !%1B%5B31m x\n",
        "raw": "a: \x1b[31m\n",
        "directive": "%TAG !e! \x9b\n---\na: 1\n",
    }
    arguments = []
    for name, text in texts.items():
        project.write(f"{name}/.git/config", "")
        (project.path / name / "campaign.yaml").write_text(text, encoding="utf-8")
        arguments += ["--metaopt-campaign", f"{name}/campaign.yaml"]
    result = project.pytest("--color=no", *arguments)
    assert result.ret == 2
    text = result.stdout.str() + result.stderr.str()
    assert [character for character in text if not character.isprintable() and character != "\n"] == []
    for name in texts:
        (reported,) = [line for line in result.outlines if line.startswith(f"{name}/campaign.yaml:")]
        assert "quote it" in reported or name in {"tag", "raw", "directive"}


def test_a_check_that_does_not_apply_says_why_in_its_own_words(mixed: Project) -> None:
    result = mixed.preflight("-v", "--color=no", "-k", "gpu", "-rs", "--junitxml=j.xml")
    output = result.stdout.str()
    result.stdout.fnmatch_lines(["*own[[]gpu[]] SKIPPED (no GPU is requested by *"])
    assert f"no GPU is requested by {STEERING_SHOWN}" in output
    assert "NotApplicable" not in output
    (case,) = ET.parse(mixed.path / "j.xml").iter("testcase")
    skipped = case.find("skipped")
    assert skipped is not None
    assert skipped.get("message") == f"no GPU is requested by {STEERING_SHOWN}"


@pytest.mark.parametrize(
    ("option", "shown", "hidden"),
    [
        ("--tb=long", ["Traceback", "repo.py", ":5:3: R7: project.smoke", "fix: Set", "to do:"], []),
        (
            "--tb=line",
            [f"{CAMPAIGN_NAME}:5: project.smoke_test_command is an empty string", "to do:"],
            ["Traceback"],
        ),
        ("--tb=no", ["to do:", "R7: project.smoke"], ["FAILURES", "Traceback", "fix: Set"]),
        (
            "-q",
            [f"{CAMPAIGN_NAME}: FAILED (9 checks: ", "FAILURES"],
            ["preflight readiness", "to do:", "metaopt:"],
        ),
        (
            "-qq",
            ["FAILURES", ":5:3: R7: project.smoke"],
            ["preflight readiness", "to do:", "9 checks", "metaopt:"],
        ),
    ],
)
def test_how_much_is_shown_follows_pytests_own_options(
    project: Project, option: str, shown: list[str], hidden: list[str]
) -> None:
    project.edit("python train.py --smoke", "''")
    result = project.preflight(option)
    assert result.ret == 1
    output = result.stdout.str()
    for words in shown:
        assert words in output, words
    for words in hidden:
        assert words not in output, words


def test_a_ready_campaign_is_reported_in_one_line_with_q(project: Project) -> None:
    quiet = project.preflight("-q")
    assert [line for line in quiet.outlines if "READY" in line] == [
        f"{CAMPAIGN_NAME}: READY (9 checks: 3 passed, 6 bootstrapped)"
    ]
    assert len(quiet.outlines) == 3


def test_letters_and_words_of_the_progress_line(mixed: Project) -> None:
    letters = mixed.preflight("--tb=no")
    letters.stdout.fnmatch_lines([f"{CAMPAIGN_NAME} BBBBBBF..FAsAEA *"])
    mixed.write(".gitignore", "")
    words = mixed.preflight("--tb=no", "-v")
    for line in ("repo[[]R2[]] BOOTSTRAPPED *", "repo[[]R3[]] PASSED *", "own[[]budget[]] ADVISORY *"):
        words.stdout.fnmatch_lines([f"{CAMPAIGN_NAME}::{line}"])


def test_a_broken_check_shows_its_traceback_since_that_is_no_answer(project: Project) -> None:
    project.write(
        "conftest.py",
        "from pytest_metaopt import check\n"
        '@check("speed", group="own")\n'
        "def speed():\n"
        "    return {}['speed']\n",
    )
    result = project.preflight()
    assert result.ret == 1
    output = result.stdout.str()
    assert "KeyError" in output
    assert "conftest.py" in output
    assert "return {}['speed']" in output


# -- JUnit and the JSON report ---------------------------------------------------------------------


def cases(path: Path) -> dict[str, ET.Element]:
    found: dict[str, ET.Element] = {}
    for case in ET.parse(path).iter("testcase"):
        assert case.get("name") not in found, "one testcase a check"
        found[str(case.get("name"))] = case
    return found


def properties(element: ET.Element) -> dict[str, str]:
    found = [
        (str(entry.get("name")), str(entry.get("value"))) for entry in element.findall("properties/property")
    ]
    assert len(dict(found)) == len(found), "each property once"
    return dict(found)


def require_one_line(text: str | None) -> str:
    assert text
    assert text.isprintable()
    return text


@pytest.mark.parametrize("workers", ["0", "1"])
def test_junit_and_json_reports_tell_every_check_and_the_verdict(mixed: Project, workers: str) -> None:
    arguments = ("-q", "-n", workers, "--junitxml=j.xml", "--json-report", "--json-report-file=r.json")
    assert mixed.preflight(*arguments).ret == 1
    require_junit(mixed)
    require_json(mixed)


def require_junit(mixed: Project) -> None:
    (suite,) = ET.parse(mixed.path / "j.xml").iter("testsuite")
    assert suite.get("tests") == "15"
    assert suite.get("skipped") == "4"
    assert properties(suite) == {"readiness": "FAILED"}
    found = cases(mixed.path / "j.xml")
    assert found.keys() == OUTCOMES.keys()
    for name, case in found.items():
        assert case.get("classname") == CAMPAIGN_NAME
        reported = properties(case)
        assert list(reported) == ["check_id", "group", "severity", "outcome", "remediation", "bootstrap"]
        group, _, check_id = name.rstrip("]").partition("[")
        assert (reported["check_id"], reported["group"], reported["outcome"]) == (
            check_id,
            group,
            OUTCOMES[name],
        )
        children = {child.tag for child in case} - {"properties"}
        expected = {
            "failed": {"error"} if name == "own[licence]" else {"failure"},
            "warning": {"skipped"},
            "skipped": {"skipped"},
        }
        assert children == expected.get(OUTCOMES[name], set()), name

    r7 = properties(found["repo[R7]"])
    assert (r7["severity"], r7["bootstrap"]) == ("blocking", "")
    assert r7["remediation"].startswith("Set project.smoke_test_command")
    assert properties(found["repo[R2]"])["bootstrap"] == "bootstrap_gitignore"
    assert properties(found["own[budget]"])["severity"] == "advisory"
    assert properties(found["own[budget]"])["remediation"] == "Ask for more, or plan for less."

    def message(name: str, tag: str) -> str:
        element = found[name].find(tag)
        assert element is not None
        return require_one_line(element.get("message"))

    assert message("repo[R7]", "failure").startswith("project.smoke_test_command is an empty string")
    assert "Set project.smoke_test_command to a command" in message("repo[R7]", "failure")
    assert "letters and digits only" in message("own[label]", "failure")
    assert STEERING_SHOWN in message("own[label]", "failure")
    assert "the licence server is down" in message("own[licence]", "error")
    assert "the licence server is down" in message("own[spare]", "skipped")
    assert message("own[budget]", "skipped").startswith("only 1 USD is left")
    assert "Ask for more" in message("own[budget]", "skipped")
    text = found["repo[R7]"].findtext("failure")
    assert text is not None
    assert text.startswith(f"{CAMPAIGN_NAME}:5:3: R7: ")
    assert "Traceback" not in text


def require_json(mixed: Project) -> None:
    report = json.loads((mixed.path / "r.json").read_text())
    tests = {test["nodeid"].partition("::")[2]: test for test in report["tests"]}
    assert tests.keys() == OUTCOMES.keys()
    for name, outcome in OUTCOMES.items():
        reported = tests[name]["metadata"]["metaopt"]
        group, _, check_id = name.rstrip("]").partition("[")
        assert (reported["check_id"], reported["group"], reported["outcome"]) == (check_id, group, outcome)
    r2, r7 = (tests[f"repo[{check_id}]"]["metadata"]["metaopt"] for check_id in ("R2", "R7"))
    assert (r2["severity"], r2["bootstrap"]) == ("blocking", "bootstrap_gitignore")
    assert any(".gitignore" in change for change in r2["changes"])
    assert (r7["severity"], r7["bootstrap"], r7["line"]) == ("blocking", None, 5)
    assert r7["message"] == "project.smoke_test_command is an empty string"
    assert r7["remediation"].startswith("Set project.smoke_test_command")
    assert tests["own[budget]"]["metadata"]["metaopt"]["severity"] == "advisory"

    readiness = report["readiness"]
    assert readiness["checks_summary"] == COUNTS
    artifact = mixed.artifact()
    assert {key: readiness[key] for key in artifact} == artifact
    assert readiness["campaign_path"] == str(mixed.campaign)
    assert readiness["artifact_path"] == str(mixed.artifact_path)
    assert (readiness["complete"], readiness["written"]) == (True, True)


@pytest.mark.parametrize("workers", ["0", pytest.param("1", marks=pytest.mark.soak)])
def test_reports_of_two_campaigns_have_a_verdict_each_and_the_worse_on_top(
    project: Project, workers: str
) -> None:
    text = project.campaign.read_text()
    for name, command in {"good": "make smoke", "bad": "''"}.items():
        project.write(f"{name}/.git/config", "")
        project.write(f"{name}/campaign.yaml", text.replace("python train.py --smoke", command))
    arguments: list[str] = ["-n", workers, "--junitxml=j.xml", "--json-report", "--json-report-file=r.json"]
    for name in ("good", "bad"):
        arguments += ["--metaopt-campaign", f"{name}/campaign.yaml"]
    result = project.pytest(*arguments)
    assert result.ret == 1
    closing = section(result, "preflight readiness")
    assert "good/campaign.yaml: READY (9 checks: 3 passed, 6 bootstrapped)" in closing
    assert "bad/campaign.yaml: FAILED (9 checks: 2 passed, 6 bootstrapped, 1 failed)" in closing
    for name in ("good", "bad"):
        place = f"{name}/.ml-metaopt/preflight-readiness.json"
        assert f"artifact: {place}" in closing
        result.stdout.fnmatch_lines([f"metaopt: {name}/campaign.yaml -> {place}"])

    (suite,) = ET.parse(project.path / "j.xml").iter("testsuite")
    assert properties(suite) == {
        "readiness:good/campaign.yaml": "READY",
        "readiness:bad/campaign.yaml": "FAILED",
    }
    outcomes = {
        f"{case.get('classname')} {case.get('name')}": properties(case)["outcome"]
        for case in ET.parse(project.path / "j.xml").iter("testcase")
    }
    assert len(outcomes) == 18
    assert [name for name, outcome in outcomes.items() if outcome == "failed"] == [
        "bad.campaign.yaml repo[R7]"
    ]

    readiness: dict[str, Any] = json.loads((project.path / "r.json").read_text())["readiness"]
    assert readiness["status"] == "FAILED"
    statuses = {entry["campaign_path"]: entry["status"] for entry in readiness["campaigns"]}
    assert statuses == {
        str(project.path / "good/campaign.yaml"): "READY",
        str(project.path / "bad/campaign.yaml"): "FAILED",
    }


# -- the catalog -------------------------------------------------------------------------------------


def test_the_catalog_fits_80_columns_and_names_what_there_is_to_know_of_each_check(mixed: Project) -> None:
    before = mixed.campaign.read_bytes()
    result = mixed.preflight("--metaopt-checks", "--color=no")
    assert result.ret == 0
    start = next(index for index, line in enumerate(result.outlines) if line.startswith("---"))
    page = result.outlines[start:]
    assert "preflight readiness" not in result.stdout.str()
    assert [line for line in page if len(line) > 80] == []
    assert page[0].strip("- ") == "campaign: repo"
    flat = " ".join(" ".join(page).split())
    assert "R2 blocking bootstrap: bootstrap_gitignore .gitignore excludes .ml-metaopt/." in flat
    assert "fix: Add the line '.ml-metaopt/' to .gitignore in the project root." in flat
    assert "The top-level keys campaign, project, wandb, compute and objective are present." in flat
    assert "budget advisory -- conftest.py:" in flat
    assert "There is a comfortable amount of money" in flat
    assert "fix: Ask for more, or plan for less." in flat
    ids = [line.split()[0] for line in page if line.strip() and not line.startswith((" ", "-", "="))]
    assert ids == [
        *(f"R{number}" for number in range(1, 10)),
        "label",
        "budget",
        "gpu",
        "plain",
        "licence",
        "spare",
    ]
    assert {".ml-metaopt", ".gitignore"}.isdisjoint(mixed.tree())
    assert mixed.campaign.read_bytes() == before


def test_a_list_of_fixtures_holds_no_verdict(project: Project) -> None:
    result = project.preflight("--fixtures")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["bootstrap_gitignore -- *", "campaign [[]module scope[]] -- *"])
    assert "preflight readiness" not in result.stdout.str()
    assert {".ml-metaopt", ".gitignore"}.isdisjoint(project.tree())
