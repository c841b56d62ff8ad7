"""What counts as bootstrapped: what did not hold before any bootstrap of the session ran, in any order."""

from __future__ import annotations

import importlib.util
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project

pytestmark = pytest.mark.usefixtures("repo_checks_only")

BUILT_IN = [f"R{number}" for number in range(1, 10)]
IN_AN_EMPTY_PROJECT = {name: "bootstrapped" if name <= "R6" else "passed" for name in BUILT_IN}


def needs(plugin: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        importlib.util.find_spec(plugin) is None, reason=f"the pytest plugin {plugin} is not installed"
    )


def outcomes(project: Project) -> dict[str, str]:
    """Return the outcome of each check, as the artifact has it; and see to it that its counts agree."""
    artifact = project.artifact()
    found = {check["id"]: check["outcome"] for check in artifact["checks"]}
    counted = Counter(found.values())
    assert artifact["checks_summary"] == {
        "total": len(found),
        "passed": counted["passed"],
        "failed": counted["failed"],
        "bootstrapped": counted["bootstrapped"],
        "warnings": counted["warning"],
    }
    return found


def order(result: pytest.RunResult) -> list[str]:
    """Return the ids of the checks in the order in which a session with -v ran them."""
    return re.findall(r"^\S+::repo\[(\w+)\] [A-Z]", result.stdout.str(), re.MULTILINE)


@needs("random_order")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_six_are_bootstrapped_in_random_order(project: Project, seed: int) -> None:
    result = project.preflight(
        "-v", "--random-order-bucket=global", f"--random-order-seed={seed}", "--random-order"
    )
    assert result.ret == 0
    assert sorted(order(result)) == BUILT_IN != order(result)
    assert outcomes(project) == IN_AN_EMPTY_PROJECT


def test_six_are_bootstrapped_in_reverse_order(project: Project) -> None:
    project.write("conftest.py", "def pytest_collection_modifyitems(items):\n    items.reverse()\n")
    result = project.preflight("-v")
    assert result.ret == 0
    assert order(result) == BUILT_IN[::-1]
    assert outcomes(project) == IN_AN_EMPTY_PROJECT


@needs("xdist")
@pytest.mark.parametrize(
    "distribution",
    [
        # "load" is the default: the next test
        pytest.param(name, marks=pytest.mark.soak)
        for name in ("worksteal", "each", "loadscope", "loadfile", "loadgroup", "no")
    ],
)
def test_six_are_bootstrapped_however_the_work_is_distributed(project: Project, distribution: str) -> None:
    result = project.preflight("-n", "2", "--dist", distribution)
    assert result.ret == 0
    assert outcomes(project) == IN_AN_EMPTY_PROJECT
    assert project.artifact()["status"] == "READY"


@needs("xdist")
def test_six_are_bootstrapped_by_four_workers_and_none_the_next_time(project: Project) -> None:
    assert project.preflight("-n", "4", "-q").ret == 0
    assert outcomes(project) == IN_AN_EMPTY_PROJECT
    assert (project.path / ".gitignore").read_bytes() == b".ml-metaopt/\n"
    assert project.preflight("-q").ret == 0
    assert outcomes(project) == dict.fromkeys(BUILT_IN, "passed")


def test_each_project_of_a_session_has_a_first_evaluation_of_its_own(project: Project) -> None:
    names = ("one", "two")
    for name in names:
        project.write(f"{name}/{CAMPAIGN_NAME}", CAMPAIGN)
        (project.path / name / ".git").mkdir()
    assert project.pytest("-q", *(f"{name}/{CAMPAIGN_NAME}" for name in names)).ret == 0
    for name in names:
        artifact = json.loads((project.path / name / ".ml-metaopt/preflight-readiness.json").read_text())
        assert {check["id"]: check["outcome"] for check in artifact["checks"]} == IN_AN_EMPTY_PROJECT


def test_what_is_there_already_has_passed_and_only_the_rest_is_bootstrapped(project: Project) -> None:
    project.write(".gitignore", "/.ml-metaopt\n")
    for name in ("handoffs", "executor-events", "artifacts/code", "artifacts/data", "artifacts/manifests"):
        (project.path / ".ml-metaopt" / name).mkdir(parents=True)
    assert project.preflight("-q").ret == 0
    assert outcomes(project) == {
        **dict.fromkeys(BUILT_IN, "passed"),
        **dict.fromkeys(["R4", "R5", "R6"], "bootstrapped"),
    }
    assert (project.path / ".gitignore").read_bytes() == b"/.ml-metaopt\n"


SHARED_BOOTSTRAP = """
from pathlib import Path

import pytest
from pytest_metaopt import check

NAMES = ("a", "b", "c", "d")


@pytest.fixture{scope}
def lay_all():
    for name in NAMES:
        Path(name).touch()
    return "laid all"


def declare(name):
    @check(name, group="mine", bootstrap="lay_all")
    def is_there():
        assert Path(name).exists(), f"{{name}} is missing"


for name in NAMES:
    declare(name)
"""


@pytest.mark.parametrize(
    ("scope", "workers"),
    [
        pytest.param("", 0, id="made for each check"),
        pytest.param('(scope="session")', 0, id="made once"),
        pytest.param(
            "", 2, id="made for each check by two workers", marks=[needs("xdist"), pytest.mark.soak]
        ),
    ],
)
def test_checks_that_share_a_bootstrap_are_all_bootstrapped(
    project: Project, scope: str, workers: int
) -> None:
    project.write("conftest.py", SHARED_BOOTSTRAP.format(scope=scope))
    project.write("b", "")
    arguments = ("-n", str(workers)) if workers else ()
    assert project.preflight("-q", *arguments).ret == 0
    assert outcomes(project) == {
        **IN_AN_EMPTY_PROJECT,
        "a": "bootstrapped",
        "b": "passed",
        "c": "bootstrapped",
        "d": "bootstrapped",
    }


@needs("pytest_jsonreport")
@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=[needs("xdist"), pytest.mark.soak])])
def test_the_json_report_tells_the_same_of_each_check_and_of_the_campaign(
    project: Project, workers: int
) -> None:
    arguments = ("-n", str(workers)) if workers else ()
    result = project.preflight("-q", "--json-report", "--json-report-file=report.json", *arguments)
    assert result.ret == 0
    report = json.loads((project.path / "report.json").read_text())
    reported = {
        test["metadata"]["metaopt"]["check_id"]: test["metadata"]["metaopt"] for test in report["tests"]
    }
    assert len(report["tests"]) == len(reported)
    assert {name: entry["outcome"] for name, entry in reported.items()} == IN_AN_EMPTY_PROJECT
    assert report["readiness"]["checks_summary"] == project.artifact()["checks_summary"]
    assert outcomes(project) == IN_AN_EMPTY_PROJECT


FLAKY = """
from pathlib import Path

import pytest
from pytest_metaopt import check


def answer(name):
    # Count the times that a check was queried.
    with open(f"{name}.queried", "a") as file:
        file.write("x")
    return len(Path(f"{name}.queried").read_text())


@check("holds_in_the_end", group="mine")
def holds_in_the_end():
    assert answer("flaky") >= 2, "not yet"


@pytest.fixture
def mend_a_little():
    with open("mended", "a") as file:
        file.write("x")


@check("mended_in_the_end", group="mine", bootstrap="mend_a_little")
def mended_in_the_end():
    assert Path("mended").exists() and len(Path("mended").read_text()) >= 2, "still broken"


@check("never_holds", group="mine", severity="advisory")
def never_holds():
    assert not answer("never"), "no"
"""


@needs("pytest_rerunfailures")
def test_a_rerun_counts_a_check_once_and_by_its_last_outcome(project: Project) -> None:
    project.write("conftest.py", FLAKY)
    project.edit("python train.py --smoke", '""')
    result = project.preflight("--reruns", "1")
    assert result.ret == 1
    assert outcomes(project) == {
        **IN_AN_EMPTY_PROJECT,
        "R7": "failed",
        "holds_in_the_end": "passed",
        "mended_in_the_end": "bootstrapped",
        "never_holds": "warning",
    }
    assert (project.path / "flaky.queried").read_text() == "xx"
    project.edit('""', "python train.py --smoke")
    assert project.preflight("--reruns", "1").ret == 0
    assert project.artifact()["status"] == "READY"


FRESH = """
from pathlib import Path

import pytest
from pytest_metaopt import check


@pytest.fixture
def content():
    # Read at set-up, unlike the fixtures of the plugin.
    path = Path("setting")
    return path.read_text() if path.exists() else None


@pytest.fixture
def doubled(content):
    return content and content * 2


@pytest.fixture
def write_setting(tmp_path):
    Path("setting").write_text("on")
    return f"wrote setting"


@check("alone", group="mine", bootstrap="write_setting")
def setting_is_on(content):
    assert content == "on", f"setting is {content}"


@check("derived", group="mine", bootstrap="write_setting")
def doubled_setting_is_on(doubled):
    assert doubled == "onon", f"doubled setting is {doubled}"
"""


def test_fixtures_of_a_check_are_set_up_anew_for_the_second_evaluation(project: Project) -> None:
    project.write("conftest.py", FRESH)
    assert project.preflight("-q").ret == 0
    found = outcomes(project)
    assert (found["alone"], found["derived"]) == ("bootstrapped", "bootstrapped")


LIFETIMES = """
import os

import pytest
from pytest_metaopt import check


def note(word):
    with open("notes.txt", "a") as file:
        file.write(f"{os.getpid()} {word}\\n")


@pytest.fixture(scope="session")
def expensive():
    note("session set-up")
    yield 1
    note("session clean-up")


@pytest.fixture
def cheap():
    note("function set-up")
    yield 1
    note("function clean-up")


@pytest.fixture
def mend():
    note("bootstrap")


@check("mended", group="mine", bootstrap="mend")
def mended(expensive, cheap):
    with open("notes.txt") as file:
        assert "bootstrap" in file.read(), "not mended"


@check("plain", group="mine")
def plain(expensive):
    pass
"""


def notes(path: Path) -> list[tuple[str, str]]:
    """Return (process, word) pairs in the order of writing."""
    return [
        (process, word)
        for process, _, word in (line.partition(" ") for line in path.read_text().splitlines())
    ]


def test_session_fixtures_are_set_up_once_and_every_set_up_is_cleaned_up(project: Project) -> None:
    project.write("conftest.py", LIFETIMES)
    assert project.preflight("-q").ret == 0
    words = [word for _, word in notes(project.path / "notes.txt")]
    assert words == [
        "session set-up",
        "function set-up",
        "function clean-up",
        "bootstrap",
        "function set-up",
        "function clean-up",
        "session clean-up",
    ]
    assert outcomes(project)["mended"] == "bootstrapped"


@needs("xdist")
def test_session_fixtures_are_set_up_at_most_once_in_each_worker(project: Project) -> None:
    project.write("conftest.py", LIFETIMES)
    assert project.preflight("-q", "-n", "2").ret == 0
    counted = Counter(notes(project.path / "notes.txt"))
    processes = {process for process, _ in counted}
    for process in processes:
        assert counted[process, "session set-up"] == counted[process, "session clean-up"] <= 1
        assert counted[process, "function set-up"] == counted[process, "function clean-up"]
    assert sum(count for (_, word), count in counted.items() if word == "bootstrap") == 1
    assert outcomes(project)["mended"] == "bootstrapped"


def test_a_selected_check_is_bootstrapped_and_a_later_session_finds_the_rest_done(project: Project) -> None:
    selected = project.preflight("-k", "repo and R3")
    assert selected.ret == 0
    selected.stdout.fnmatch_lines(["*1 bootstrapped*"])
    assert not project.artifact_path.exists()
    assert project.preflight("-q").ret == 0
    # B2 made the folders of R1 and R3 to R6 in the session before.
    assert outcomes(project) == {**dict.fromkeys(BUILT_IN, "passed"), "R2": "bootstrapped"}
