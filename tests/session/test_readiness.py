from __future__ import annotations

import fcntl
import json
import os
import stat
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import pytest
from _pytest.pytester import RunResult
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_metaopt.core import locks
from pytest_metaopt.core.outcome import Word
from pytest_metaopt.results.ledger import Ledger, Plan, PlannedCheck
from pytest_metaopt.results.readiness import Readiness, judge
from pytest_metaopt.results.result import Result
from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project
from tests.support.scale import examples

pytestmark = pytest.mark.usefixtures("repo_checks_only")

ARTIFACT_FIELDS: dict[str, type | tuple[type, ...]] = {
    "schema_version": int,
    "status": str,
    "campaign_id": str,
    "campaign_identity_hash": str,
    "identity": dict,
    "runtime_config_hash": str,
    "emitted_at": str,
    "preflight_duration_seconds": float,
    "checks_summary": dict,
    "failures": list,
    "next_action": str,
    "diagnostics": (str, type(None)),
    "checks": list,
}
REPORTED_TO_HOOKS = {"campaign_path", "artifact_path", "complete", "written", "note", "nodes"}

# Leaves what the hook gets in a file, a line each time that it is called.
LISTENER = """\
import json

def pytest_metaopt_readiness(config, readiness):
    with open("reported.jsonl", "a") as file:
        file.write(json.dumps(readiness) + "\\n")
"""


def reported(project: Project) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (project.path / "reported.jsonl").read_text().splitlines()]


def require_contract(artifact: dict[str, Any]) -> None:
    """What the contract says of every artifact, whatever its verdict."""
    assert artifact.keys() == ARTIFACT_FIELDS.keys()
    for name, kind in ARTIFACT_FIELDS.items():
        assert isinstance(artifact[name], kind), name
    assert artifact["schema_version"] == 1
    assert artifact["preflight_duration_seconds"] >= 0
    summary = artifact["checks_summary"]
    assert summary.keys() == {"total", "passed", "failed", "bootstrapped", "warnings"}
    assert sum(summary.values()) == 2 * summary["total"]
    assert len(artifact["failures"]) == summary["failed"]
    assert artifact["status"] == ("FAILED" if artifact["failures"] else "READY")
    assert (artifact["next_action"] == "proceed") == (artifact["status"] == "READY")
    for failure in artifact["failures"]:
        assert failure.keys() == {"check_id", "category", "message", "remediation"}
        assert all(isinstance(value, str) for value in failure.values())
    for check in artifact["checks"]:
        assert {"id", "category", "severity", "outcome", "message", "seconds"} <= check.keys()


def test_ready_artifact_is_as_the_contract_says(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")  # emitted_at is UTC, wherever people are
    project.write("conftest.py", LISTENER)
    before = datetime.now(timezone.utc).replace(microsecond=0)
    assert project.preflight("-q").ret == 0
    after = datetime.now(timezone.utc)
    first = project.artifact()
    require_contract(first)
    assert first["status"] == "READY"
    assert first["campaign_id"] == "demo"
    emitted = datetime.strptime(first["emitted_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    assert before <= emitted <= after + timedelta(seconds=1)
    assert first["checks_summary"] == {
        "total": 9,
        "passed": 3,
        "failed": 0,
        "bootstrapped": 6,
        "warnings": 0,
    }
    outcomes = ["bootstrapped"] * 6 + ["passed"] * 3
    assert [(check["id"], check["outcome"]) for check in first["checks"]] == [
        (f"R{number}", outcome) for number, outcome in enumerate(outcomes, start=1)
    ]
    for check in first["checks"]:
        assert (check["category"], check["severity"]) == ("repo", "blocking")
        assert check["seconds"] >= 0
    assert ".gitignore" in first["diagnostics"]
    assert "handoffs" in first["diagnostics"]
    assert stat.S_IMODE(project.artifact_path.stat().st_mode) == 0o666 & ~current_umask()

    project.artifact_path.chmod(0o640)
    assert project.preflight("-q").ret == 0
    second = project.artifact()
    require_contract(second)
    assert second["checks_summary"]["passed"] == 9
    assert second["diagnostics"] is None
    assert stat.S_IMODE(project.artifact_path.stat().st_mode) == 0o640

    # The hook is reported once a session, with all of the artifact and how that was written.
    calls = reported(project)
    assert [{key: call[key] for key in ARTIFACT_FIELDS} for call in calls] == [first, second]
    for call in calls:
        assert call.keys() == ARTIFACT_FIELDS.keys() | REPORTED_TO_HOOKS
        assert call["campaign_path"] == str(project.campaign)
        assert call["artifact_path"] == str(project.artifact_path)
        assert (call["complete"], call["written"], call["note"]) == (True, True, None)


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


OWN_CHECKS = """\
import pytest
from pytest_metaopt import check, fail, not_applicable

@check("budget", group="money", severity="advisory", remediation="Ask for more.")
def budget():
    fail("only 1 USD is left")

@check("cheap", group="money", severity="advisory")
def cheap():
    pass

@check("gpu", group="hardware")
def gpu():
    not_applicable("the provider is local")

@pytest.fixture
def licence():
    yield
    raise RuntimeError("the licence was not given back")

@check("licence", group="money", remediation="Give it back.")
def licence_is_there(licence):
    pass

@check("broken", group="hardware", remediation="Mend it.")
def broken():
    raise KeyError("speed")
"""


def test_failed_artifact_holds_blocking_failures_only_and_says_what_to_do(project: Project) -> None:
    project.write("conftest.py", LISTENER + OWN_CHECKS)
    project.edit("python train.py --smoke", "''")
    result = project.preflight("-q")
    assert result.ret == 1
    artifact = project.artifact()
    require_contract(artifact)
    # gpu did not apply: it is not part of the total.
    assert artifact["checks_summary"] == {
        "total": 13,
        "passed": 3,
        "failed": 3,
        "bootstrapped": 6,
        "warnings": 1,
    }
    failures = {failure["check_id"]: failure for failure in artifact["failures"]}
    assert list(failures) == ["R7", "licence", "broken"]
    assert failures["R7"]["category"] == "repo"
    assert failures["R7"]["message"] == "project.smoke_test_command is an empty string"
    assert failures["R7"]["remediation"].startswith("Set project.smoke_test_command")
    assert failures["licence"]["category"] == "money"
    assert "the licence was not given back" in failures["licence"]["message"]
    assert "speed" in failures["broken"]["message"]

    assert artifact["next_action"].startswith("Fix 3 failure(s): [R7, licence, broken]")
    for remedy in ("Set project.smoke_test_command", "Give it back", "Mend it"):
        assert remedy in artifact["next_action"]
    assert "budget" in artifact["diagnostics"]
    assert "only 1 USD is left" in artifact["diagnostics"]
    assert "Ask for more." in artifact["diagnostics"]

    checks = {check["id"]: check for check in artifact["checks"]}
    outcomes = {name: checks[name]["outcome"] for name in ("budget", "cheap", "licence", "broken")}
    assert outcomes == {"budget": "warning", "cheap": "passed", "licence": "failed", "broken": "failed"}
    assert (checks["budget"]["severity"], checks["budget"]["category"]) == ("advisory", "money")
    assert checks["budget"]["message"] == "only 1 USD is left"
    assert checks.get("gpu", {"outcome": "skipped"})["outcome"] == "skipped"
    assert len(reported(project)) == 1


def test_an_advisory_failure_alone_leaves_the_campaign_ready(project: Project) -> None:
    project.write("pytest.ini", "[pytest]\nmetaopt_advisory = R7\n")
    project.edit("python train.py --smoke", "''")
    assert project.preflight("-q").ret == 0
    artifact = project.artifact()
    require_contract(artifact)
    assert (artifact["status"], artifact["checks_summary"]["warnings"]) == ("READY", 1)
    assert "R7" in artifact["diagnostics"]


# -- an incomplete look can lower readiness, never raise it ---------------------------------------


def test_a_partial_look_leaves_the_artifact_as_it_was_unless_it_finds_a_failure(project: Project) -> None:
    # No artifact yet: none is made.
    first = project.preflight("-k", "R7")
    assert not project.artifact_path.exists()
    first.stdout.fnmatch_lines(
        ["*8 of 9 blocking checks were not evaluated: R1, R2, R3, R4, R5, R6, R8, R9*"]
    )

    (project.path / ".ml-metaopt").mkdir()
    project.edit("python train.py --smoke", "''")
    assert project.preflight("-k", "R7 or R8").ret == 1
    failed = project.artifact()
    require_contract(failed)
    assert failed["status"] == "FAILED"
    assert failed["checks_summary"] == {
        "total": 2,
        "passed": 1,
        "failed": 1,
        "bootstrapped": 0,
        "warnings": 0,
    }

    # All that was wrong is mended, but the rest was not looked at: FAILED stays.
    project.edit("''", "python train.py")
    left = project.artifact_path.read_bytes()
    project.write("conftest.py", LISTENER)
    result = project.preflight("-k", "R7")
    assert project.artifact_path.read_bytes() == left
    result.stdout.fnmatch_lines([f"{CAMPAIGN_NAME}: INCOMPLETE*", "artifact: left as it was (FAILED of *"])
    (call,) = reported(project)
    assert (call["status"], call["complete"], call["written"]) == ("INCOMPLETE", False, False)
    assert "8 of 9 blocking checks" in call["note"]
    assert call["next_action"] != "proceed"


def test_leaving_out_advisory_checks_is_a_full_look(project: Project) -> None:
    project.write("conftest.py", OWN_CHECKS.split("@pytest.fixture")[0])
    assert project.preflight("-q", "-m", "not advisory").ret == 0
    artifact = project.artifact()
    require_contract(artifact)
    assert (artifact["status"], artifact["checks_summary"]["total"]) == ("READY", 9)


MARK_SKIP = """
def pytest_collection_modifyitems(items):
    for item in items:
        if item.name == "repo[R8]":
            item.add_marker(pytest.mark.skip(reason="not today"))
"""
INTERRUPT = """
def pytest_runtest_logfinish(nodeid):
    if nodeid.endswith("repo[R9]"):
        raise KeyboardInterrupt
"""
BREAK = """
def pytest_runtest_logfinish(nodeid):
    if nodeid.endswith("repo[R9]"):
        raise RuntimeError("a plugin of theirs broke")
"""
EXIT = """
def pytest_runtest_logfinish(nodeid):
    if nodeid.endswith("repo[R8]"):
        pytest.exit("enough", returncode=0)
"""
SKIP_INSIDE = """
from pytest_metaopt import check

@check("R7", group="repo")
def command_runs():
    pytest.skip("no time")
"""


@pytest.mark.parametrize(
    ("conftest", "arguments", "why"),
    [
        (MARK_SKIP, (), "R8"),
        (SKIP_INSIDE, (), "R7"),
        (INTERRUPT, (), "interrupted"),
        (BREAK, (), "internal error"),
        (EXIT, (), "R9"),
        ("", ("--deselect", f"{CAMPAIGN_NAME}::repo[R3]"), "R3"),
    ],
    ids=["skip mark", "pytest.skip", "interrupt", "internal error", "pytest.exit", "deselected"],
)
def test_a_session_that_did_not_evaluate_all_is_never_ready(
    project: Project, conftest: str, arguments: tuple[str, ...], why: str
) -> None:
    project.write("conftest.py", f"import pytest\n{LISTENER}{conftest}")
    result = project.preflight(*arguments)
    assert not project.artifact_path.exists()
    (call,) = reported(project)
    assert (call["status"], call["complete"], call["written"]) == ("INCOMPLETE", False, False)
    assert why in call["note"]
    if result.ret != pytest.ExitCode.INTERNAL_ERROR:  # then pytest prints no summary at all
        result.stdout.fnmatch_lines([f"{CAMPAIGN_NAME}: INCOMPLETE*"])


def test_stopping_at_the_first_failure_writes_failed(project: Project) -> None:
    (project.path / ".ml-metaopt").mkdir()
    assert project.preflight("-q", "-x", "--metaopt-no-bootstrap").ret == 1
    artifact = project.artifact()
    require_contract(artifact)
    assert artifact["checks_summary"]["total"] == 2
    assert [failure["check_id"] for failure in artifact["failures"]] == ["R2"]


def test_an_expected_failure_of_a_blocking_check_is_a_failure(project: Project) -> None:
    project.write("conftest.py", f"import pytest\n{MARK_SKIP.replace('skip(', 'xfail(')}")
    project.edit("objective:", "objectives:")
    assert project.preflight("-q").ret != 0
    assert project.artifact()["status"] == "FAILED"


# -- where the artifact goes, and when it cannot ---------------------------------------------------


def require_not_written(result: RunResult, *words: str) -> None:
    assert result.ret == 1
    output = " ".join(result.stdout.str().split())
    assert "the readiness artifact was not written" in output
    for word in words:
        assert word in output
    assert "Traceback" not in output


def test_an_artifact_that_is_a_directory_is_reported_and_the_exit_status_is_not_0(project: Project) -> None:
    project.write("conftest.py", LISTENER)
    project.artifact_path.mkdir(parents=True)
    result = project.preflight()
    require_not_written(result, str(project.artifact_path), "is a directory")
    assert list(project.artifact_path.iterdir()) == []
    (call,) = reported(project)
    assert (call["status"], call["written"]) == ("READY", False)
    assert "is a directory" in call["note"]


def test_without_bootstraps_a_missing_folder_is_reported_and_not_made(project: Project) -> None:
    result = project.preflight("-q", "--metaopt-no-bootstrap")
    require_not_written(result, ".ml-metaopt")
    assert {".ml-metaopt", ".gitignore"}.isdisjoint(project.tree())


def test_an_artifact_is_not_written_through_a_link_out_of_the_project(
    project: Project, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (project.path / ".ml-metaopt").symlink_to(outside)
    require_not_written(project.preflight("-q"), "leads out of the project")
    assert list(outside.iterdir()) == []


def test_the_artifact_can_be_written_to_a_new_folder_instead(project: Project) -> None:
    result = project.preflight("--metaopt-readiness", "out/a/ready.json")
    assert result.ret == 0
    require_contract(json.loads((project.path / "out/a/ready.json").read_text()))
    assert not project.artifact_path.exists()
    assert [path.name for path in (project.path / "out/a").iterdir()] == ["ready.json"]
    result.stdout.fnmatch_lines(["artifact: out/a/ready.json"])


def test_while_another_session_writes_beside_it_no_artifact_is_written(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project.preflight("-q").ret == 0
    monkeypatch.setattr(locks, "_NOTICE_AFTER", 0.05)
    monkeypatch.setattr(locks, "PATIENCE", 0.05)
    descriptor = os.open(project.artifact_path.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        result = project.preflight("-q")
    finally:
        os.close(descriptor)
    assert result.ret == 1
    folder = project.artifact_path.parent
    assert f"another preflight session has held {folder}" in " ".join(result.stdout.str().split())
    assert not project.artifact_path.exists()


def test_an_artifact_that_can_not_be_put_in_place_is_reported(project: Project) -> None:
    project.write("notes.txt", "mine")
    result = project.preflight("-q", "--metaopt-readiness", "notes.txt/ready.json")
    require_not_written(result, "notes.txt/ready.json")
    assert (project.path / "notes.txt").read_text() == "mine"
    assert not project.artifact_path.exists()


def test_when_the_disk_is_full_no_verdict_is_left(project: Project) -> None:
    assert project.preflight("-q").ret == 0
    old = project.artifact_path.read_bytes()
    # A limit on file size stands for the full disk: the write fails in the middle.
    project.write(
        "conftest.py",
        """
import resource
import pytest

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop():
    result = yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
    return result

def pytest_metaopt_readiness():
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
""",
    )
    project.edit("python train.py --smoke", "''")
    assert len(old) > 1024
    require_not_written(project.preflight("-q"), "preflight-readiness.json")
    assert not project.artifact_path.exists(), "its READY no longer holds"
    names = {path.name for path in project.artifact_path.parent.iterdir()}
    assert not [name for name in names if "readiness" in name and name != project.artifact_path.name]


def test_an_artifact_never_replaces_the_campaign_that_it_is_about(project: Project) -> None:
    result = project.preflight("-q", "--metaopt-readiness", CAMPAIGN_NAME)
    assert project.campaign.read_text() == CAMPAIGN
    assert result.ret == 4
    assert CAMPAIGN_NAME in result.stderr.str()


def test_an_artifact_never_replaces_what_is_no_regular_file(project: Project) -> None:
    # As root, a rename over /dev/null would take it from everybody; a FIFO stands for it here.
    path = project.path / "fifo.json"
    os.mkfifo(path)
    result = project.preflight("-q", "--metaopt-readiness", "fifo.json")
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert result.ret in {1, 4}
    assert "fifo.json" in result.stdout.str() + result.stderr.str()


def test_two_campaigns_outside_the_root_folder_are_judged_apart(project: Project) -> None:
    for name, text in {"good": CAMPAIGN, "bad": CAMPAIGN.replace("repo: .", "repo: ''")}.items():
        project.write(f"{name}/.git/config", "")
        project.write(f"{name}/campaign.yaml", text)
    (project.path / "elsewhere").mkdir()
    arguments = [part for name in ("good", "bad") for part in ("--metaopt-campaign", f"{name}/campaign.yaml")]
    result = project.pytest("-q", "--rootdir", "elsewhere", "--junitxml=junit.xml", *arguments)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAILED bad/campaign.yaml::repo[[]R9]*"])
    cases = ET.parse(project.path / "junit.xml").iter("testcase")
    repeated = Counter((case.get("classname"), case.get("name")) for case in cases)
    assert len(repeated) == 18
    assert set(repeated.values()) == {1}
    statuses = {
        name: json.loads((project.path / name / ".ml-metaopt" / project.artifact_path.name).read_text())[
            "status"
        ]
        for name in ("good", "bad")
    }
    assert statuses == {"good": "READY", "bad": "FAILED"}


# -- the verdict, for whatever comes ---------------------------------------------------------------

SEVEREST_FIRST = ("failed", "warning", "bootstrapped", "passed", "skipped")
OUTCOMES = {
    "blocking": ("failed", "bootstrapped", "passed", "skipped"),
    "advisory": ("warning", "bootstrapped", "passed", "skipped"),
}


def a_plan(severities: list[str], path: str = "/p/c.yaml") -> Plan:
    checks = tuple(
        PlannedCheck(f"c.yaml::g[C{index}]", f"C{index}", severity)
        for index, severity in enumerate(severities)
    )
    fields = {"campaign_id": "demo", "campaign_identity_hash": "sha256:1", "runtime_config_hash": "sha256:2"}
    return Plan(path, "c.yaml", checks, fields)


def a_result(check: PlannedCheck, outcome: str, number: int) -> Result:
    return Result(
        key=check.key,
        check_id=check.check_id,
        group="g",
        severity="blocking" if check.severity == "blocking" else "advisory",
        subject=None,
        outcome=cast("Word", outcome),
        message=None if outcome == "passed" else f"message {number}",
        remediation=f"remedy {number}",
        changes=(f"change {number}",) if outcome == "bootstrapped" else (),
        seconds=0.5,
    )


@st.composite
def sessions(draw: st.DrawFn) -> tuple[Plan, list[Result], dict[str, str]]:
    """A plan, results in the order that they come in (several for one check), and each check's worst."""
    plan = a_plan(draw(st.lists(st.sampled_from(["blocking", "blocking", "advisory"]), max_size=8)))
    results: list[Result] = []
    worst: dict[str, str] = {}
    for check in plan.checks:
        few = st.lists(st.sampled_from(OUTCOMES[check.severity]), max_size=3)
        for outcome in draw(few | st.just(["passed"])):
            results.append(a_result(check, outcome, len(results)))
            worst[check.key] = min(outcome, worst.get(check.key, outcome), key=SEVEREST_FIRST.index)
    return plan, draw(st.permutations(results)), worst


def judged(plan: Plan, results: list[Result], interruption: str | None) -> Readiness:
    ledger = Ledger()
    ledger.add_plan(plan)
    for result in results:
        ledger.add_result(result)
    stranger = PlannedCheck("other.yaml::g[X]", "X", "blocking")
    ledger.add_result(a_result(stranger, "failed", 0))
    return judge(ledger, plan, seconds=1.23456, interruption=interruption)


@settings(max_examples=examples(400), deadline=None)
@given(session=sessions(), interruption=st.none() | st.just("the session was interrupted"))
def test_the_verdict_follows_from_the_worst_outcome_of_every_check(
    session: tuple[Plan, list[Result], dict[str, str]], interruption: str | None
) -> None:
    plan, results, worst = session
    readiness = judged(plan, results, interruption)
    artifact = readiness.artifact.to_json()
    counts = dict(artifact["checks_summary"])
    assert counts.pop("total") == sum(counts.values())
    words = {"passed": "passed", "failed": "failed", "bootstrapped": "bootstrapped", "warnings": "warning"}
    outcomes = list(worst.values())
    assert counts == {name: outcomes.count(word) for name, word in words.items()}

    missing = {
        check.check_id for check in plan.checks if check.severity == "blocking" and check.key not in worst
    }
    failed = [check.check_id for check in plan.checks if worst.get(check.key) == "failed"]
    if failed:
        assert readiness.status == "FAILED"
    elif missing or interruption or not plan.checks:
        assert readiness.status == "INCOMPLETE"
    else:
        assert readiness.status == "READY"
    assert artifact["status"] == readiness.status
    assert readiness.complete == (bool(plan.checks) and not missing and interruption is None)
    assert (readiness.why_incomplete is None) == readiness.complete
    assert set(readiness.unevaluated) == missing
    assert [failure["check_id"] for failure in artifact["failures"]] == failed
    assert (artifact["next_action"] == "proceed") == (readiness.status == "READY")
    assert all(check_id in artifact["next_action"] for check_id in failed)
    assert {check["id"]: check["outcome"] for check in artifact["checks"]} == {
        check.check_id: worst[check.key] for check in plan.checks if check.key in worst
    }


@settings(max_examples=examples(100), deadline=None)
@given(session=sessions())
def test_workers_that_saw_different_campaigns_are_never_ready(
    session: tuple[Plan, list[Result], dict[str, str]],
) -> None:
    plan, results, _ = session
    ledger = Ledger()
    ledger.add_plan(plan)
    ledger.add_plan(replace(plan, fields={**plan.fields, "campaign_identity_hash": "sha256:3"}))
    for result in results:
        ledger.add_result(result)
    assert judge(ledger, plan, seconds=0, interruption=None).status != "READY"


@settings(max_examples=examples(100), deadline=None)
@given(session=sessions())
def test_a_plan_survives_the_way_from_a_worker(
    session: tuple[Plan, list[Result], dict[str, str]],
) -> None:
    plan, _, _ = session
    assert Plan.from_json(plan.to_json()) == plan
    ledger = Ledger()
    for _ in range(2):
        ledger.add_plan(Plan.from_json(plan.to_json()))
    assert ledger.conflicts == set()
