"""Looks that do not come to their end, and looks at a part: they can lower readiness, never raise it."""

from __future__ import annotations

import importlib.util
import json

import pytest

from tests.support.project import CAMPAIGN_NAME, Project

pytestmark = pytest.mark.usefixtures("repo_checks_only")

needs_xdist = pytest.mark.skipif(
    importlib.util.find_spec("xdist") is None, reason="the pytest plugin xdist is not installed"
)

DIRECTORIES = (
    "handoffs",
    "worker-results",
    "tasks",
    "executor-events",
    "artifacts/code",
    "artifacts/data",
    "artifacts/manifests",
    "artifacts/patches",
)
LEFT = "artifact: left as it was ({} of 2024-01-01T00:00:00Z)*"


def plant(project: Project, status: str) -> bytes:
    """Make the project as a session with a verdict leaves it, and return the artifact's bytes."""
    for name in DIRECTORIES:
        (project.path / ".ml-metaopt" / name).mkdir(parents=True)
    project.write(".gitignore", ".ml-metaopt/\n")
    text = json.dumps({"schema_version": 1, "status": status, "emitted_at": "2024-01-01T00:00:00Z"})
    project.artifact_path.write_text(text)
    return text.encode()


def add_check(project: Project, body: str, *, bootstrap: bool = False, test: str = "") -> None:
    """Declare a check of the project's own, which comes after the built-in ones; and a test beside it."""
    declared = ', bootstrap="mend"' if bootstrap else ""
    project.write(
        "conftest.py",
        f"""
import os
import signal
import sys
import time

import pytest
from pytest_metaopt import check


@pytest.fixture
def mend():
    return "mended"


@check("own", group="mine"{declared})
def own():
    {body}
""",
    )
    if test:
        project.write("test_beside.py", f"import os, pytest\n\ndef test_beside():\n    {test}\n")


def assert_left_alone(
    project: Project, result: pytest.RunResult, planted: bytes, status: str = "READY"
) -> None:
    """Check that the artifact is the planted one and that the session says so."""
    assert project.artifact_path.read_bytes() == planted
    result.stdout.fnmatch_lines([f"{CAMPAIGN_NAME}: INCOMPLETE*", LEFT.format(status)])


def assert_no_verdict(project: Project, result: pytest.RunResult) -> None:
    """Check that the planted READY is gone and that the session says why there is no new one."""
    assert not project.artifact_path.exists()
    result.stdout.fnmatch_lines([f"{CAMPAIGN_NAME}: INCOMPLETE*", "artifact: not written*"])


# -- workers that crash -----------------------------------------------------------------------


@needs_xdist
@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        pytest.param("os._exit(0)", (), id="exits"),
        pytest.param("os.kill(os.getpid(), signal.SIGSEGV)", ("--max-worker-restart=0",), id="segfaults"),
    ],
)
def test_a_worker_that_crashes_in_a_check_leaves_no_verdict_and_is_reported(
    project: Project, body: str, arguments: tuple[str, ...]
) -> None:
    plant(project, "READY")
    add_check(project, body)
    result = project.preflight("-n", "2", *arguments)
    assert result.ret == 1
    assert_no_verdict(project, result)
    result.stdout.fnmatch_lines(["*a worker crashed*", "FAILED*mine?own?*crashed*"])


@needs_xdist
def test_a_check_that_crashes_at_its_first_look_takes_only_one_worker_more_with_it(project: Project) -> None:
    plant(project, "READY")
    # By then xdist has handed out the work; a worker that dies while it does so breaks xdist itself.
    add_check(project, "time.sleep(1); os._exit(0)", bootstrap=True)
    result = project.preflight("-n", "1")
    assert result.ret == 1
    assert_no_verdict(project, result)
    # The first look comes before the check's turn, so xdist blames that crash on what is next in turn.
    blamed = [line for line in result.stdout.lines if line.startswith("FAILED")]
    assert len(blamed) == 2
    assert any("mine[own]" in line for line in blamed)


@needs_xdist
def test_a_crash_after_all_checks_have_passed_still_is_no_full_look(project: Project) -> None:
    add_check(project, "pass", test="os._exit(0)")
    result = project.preflight("test_beside.py", "-n", "1", "--max-worker-restart=0")
    assert result.ret == 1
    assert not project.artifact_path.exists()
    result.stdout.fnmatch_lines(
        [f"{CAMPAIGN_NAME}: INCOMPLETE (10 checks*", "artifact: not written*", "*a worker crashed*"]
    )


@needs_xdist
def test_a_crash_beside_a_blocking_failure_writes_failed(project: Project) -> None:
    plant(project, "READY")
    project.edit("python train.py --smoke", '""')
    add_check(project, "os._exit(0)")
    assert project.preflight("-n", "2", "-q").ret == 1
    assert project.artifact()["status"] == "FAILED"
    assert [failure["check_id"] for failure in project.artifact()["failures"]] == ["R7"]


# -- interrupts, exits, internal errors -------------------------------------------------------


@pytest.mark.parametrize(
    ("bootstrap", "arguments", "why"),
    [
        pytest.param(False, (), "the session was interrupted", id="in its turn"),
        pytest.param(True, (), "the session was interrupted", id="at its first look"),
        pytest.param(False, ("-n", "1"), "a worker crashed", id="in a worker", marks=needs_xdist),
    ],
)
def test_an_interrupt_in_a_check_leaves_no_verdict_and_is_reported(
    project: Project, bootstrap: bool, arguments: tuple[str, ...], why: str
) -> None:
    plant(project, "READY")
    add_check(project, "raise KeyboardInterrupt", bootstrap=bootstrap)
    result = project.preflight(*arguments)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert_no_verdict(project, result)
    result.stdout.fnmatch_lines([f"*{why}*"])


def test_an_interrupt_after_a_blocking_failure_writes_failed(project: Project) -> None:
    plant(project, "READY")
    project.edit("python train.py --smoke", '""')
    add_check(project, "raise KeyboardInterrupt")
    assert project.preflight("-q").ret == pytest.ExitCode.INTERRUPTED
    assert project.artifact()["status"] == "FAILED"
    assert project.artifact()["checks_summary"] == {
        "total": 9,
        "passed": 8,
        "failed": 1,
        "bootstrapped": 0,
        "warnings": 0,
    }


@pytest.mark.parametrize("body", ["pytest.exit('enough')", "pytest.exit('enough', returncode=0)"])
def test_pytest_exit_in_a_check_leaves_no_verdict_and_is_reported(project: Project, body: str) -> None:
    plant(project, "READY")
    add_check(project, body)
    result = project.preflight()
    assert_no_verdict(project, result)
    result.stdout.fnmatch_lines(["*Exit: enough*"])


@pytest.mark.parametrize("bootstrap", [False, True], ids=["in its turn", "at its first look"])
def test_a_check_that_calls_sys_exit_fails_and_the_session_goes_on(project: Project, bootstrap: bool) -> None:
    plant(project, "READY")
    add_check(project, "sys.exit(0)", bootstrap=bootstrap)
    assert project.preflight("-q").ret == 1
    artifact = project.artifact()
    assert (artifact["status"], artifact["checks_summary"]["passed"]) == ("FAILED", 9)
    assert [failure["check_id"] for failure in artifact["failures"]] == ["own"]
    assert "SystemExit" in artifact["failures"][0]["message"]


@pytest.mark.parametrize(
    "arguments", [(), pytest.param(("-n", "1"), marks=needs_xdist)], ids=["one process", "a worker"]
)
def test_an_internal_error_leaves_no_verdict(project: Project, arguments: tuple[str, ...]) -> None:
    plant(project, "READY")
    project.write(
        "conftest.py",
        """
def pytest_runtest_logreport(report):
    if report.nodeid.endswith("[R9]") and report.when == "teardown":
        raise RuntimeError("a broken hook")
""",
    )
    result = project.preflight(*arguments)
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    assert not project.artifact_path.exists()
    output = result.stdout.str() + result.stderr.str()
    assert "a broken hook" in output


@needs_xdist
def test_an_internal_error_in_a_worker_leaves_no_verdict(project: Project) -> None:
    plant(project, "READY")
    project.write(
        "conftest.py",
        """
import os


def pytest_runtest_protocol(item):
    if "PYTEST_XDIST_WORKER" in os.environ and item.name.endswith("[R9]"):
        raise RuntimeError("a broken hook")
""",
    )
    result = project.preflight("-n", "1")
    assert result.ret != 0
    assert not project.artifact_path.exists()


def test_a_broken_test_file_beside_the_campaign_stops_everything_before_any_bootstrap(
    project: Project,
) -> None:
    project.write("test_broken.py", "import no_such_module_anywhere\n")
    before = {name for name in project.tree() if name.startswith(".")}
    result = project.preflight("test_broken.py")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert {name for name in project.tree() if name.startswith(".")} == before
    result.stdout.fnmatch_lines([f"{CAMPAIGN_NAME}: INCOMPLETE*", "artifact: not written*"])


# -- stopped early ----------------------------------------------------------------------------


def test_stopped_by_a_blocking_failure_writes_failed(project: Project) -> None:
    plant(project, "READY")
    project.edit("python train.py --smoke", '""')
    result = project.preflight("-x")
    assert result.ret == 1
    artifact = project.artifact()
    assert (artifact["status"], artifact["checks_summary"]["total"]) == ("FAILED", 7)
    assert [failure["check_id"] for failure in artifact["failures"]] == ["R7"]
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


def test_stopped_by_an_unrelated_failure_leaves_no_verdict_and_says_what_was_not_looked_at(
    project: Project,
) -> None:
    plant(project, "READY")
    project.write("test_beside.py", "def test_beside():\n    assert False\n")
    result = project.pytest("-x", "test_beside.py", CAMPAIGN_NAME)
    assert result.ret == 1
    assert_no_verdict(project, result)
    result.stdout.fnmatch_lines(["*9 of 9 blocking checks were not evaluated*R1, R2, R3*"])


def test_an_unrelated_failure_after_all_checks_does_not_hide_that_they_hold(project: Project) -> None:
    project.write("test_beside.py", "def test_beside():\n    assert False\n")
    assert project.preflight("-q", "test_beside.py").ret == 1
    assert project.artifact()["status"] == "READY"


# -- a part -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "selection",
    [
        ("--metaopt-campaign", CAMPAIGN_NAME, "-k", "repo and R7"),
        ("--metaopt-campaign", CAMPAIGN_NAME, "--deselect", f"{CAMPAIGN_NAME}::repo[R2]"),
        (f"{CAMPAIGN_NAME}::repo[R7]",),
    ],
    ids=["-k", "--deselect", "node id"],
)
@pytest.mark.parametrize("status", ["READY", "FAILED"])
def test_a_part_that_holds_leaves_the_artifact_alone_and_says_so(
    project: Project, selection: tuple[str, ...], status: str
) -> None:
    planted = plant(project, status)
    result = project.pytest(*selection)
    assert result.ret == 0
    assert_left_alone(project, result, planted, status)
    result.stdout.fnmatch_lines(["*blocking checks were not evaluated:*R2*"])


def test_a_part_that_does_not_hold_lowers_ready_to_failed(project: Project) -> None:
    plant(project, "READY")
    project.edit("python train.py --smoke", '""')
    assert project.preflight("-q", "-k", "repo and R7").ret == 1
    artifact = project.artifact()
    assert artifact["status"] == "FAILED"
    assert artifact["checks_summary"] == {
        "total": 1,
        "passed": 0,
        "failed": 1,
        "bootstrapped": 0,
        "warnings": 0,
    }
    assert artifact["next_action"].startswith("Fix 1 failure(s): [R7]")


def test_the_last_failed_check_alone_does_not_raise_failed_to_ready_but_a_full_look_does(
    project: Project,
) -> None:
    plant(project, "READY")
    project.edit("python train.py --smoke", '""')
    assert project.preflight("-q").ret == 1
    failed = project.artifact_path.read_bytes()
    project.edit('""', "python train.py --smoke")
    result = project.preflight("--lf")
    assert result.ret == 0
    assert project.artifact_path.read_bytes() == failed
    result.stdout.fnmatch_lines([f"{CAMPAIGN_NAME}: INCOMPLETE*", "artifact: left as it was (FAILED of *"])
    assert project.preflight("-q").ret == 0
    assert project.artifact()["status"] == "READY"


def test_an_advisory_failure_in_a_part_lowers_nothing(project: Project) -> None:
    planted = plant(project, "READY")
    project.edit("python train.py --smoke", '""')
    result = project.preflight("-o", "metaopt_advisory=R7", "-k", "repo and R7")
    assert result.ret == 0
    assert_left_alone(project, result, planted)
