from __future__ import annotations

import os
from typing import Any

import pytest

from tests.support.project import CAMPAIGN_NAME, Project

pytestmark = pytest.mark.usefixtures("repo_checks_only")

EMPTY_PROJECT = {"total": 9, "passed": 3, "failed": 0, "bootstrapped": 6, "warnings": 0}
"""What an empty project counts, however it is looked at (campaign contract, "The readiness artifact")."""

ADVISORY = """
from pytest_metaopt import check

@check("gentle", group="own", severity="advisory")
def gentle():
    assert False, "never holds"
"""


def summary(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = project.artifact()["checks_summary"]
    return found


def queried(result: pytest.RunResult) -> list[str]:
    """The ids of the checks that ``-v`` shows, in the order in which they ran."""
    lines = [line for line in result.outlines if line.startswith(CAMPAIGN_NAME + "::repo[")]
    return [line.partition("[")[2].partition("]")[0] for line in lines]


def write_old_artifact(project: Project) -> str:
    text = '{"schema_version": 1, "status": "READY", "emitted_at": "2020-01-01T00:00:00Z"}'
    project.write(".ml-metaopt/preflight-readiness.json", text)
    return text


def break_r7(project: Project) -> None:
    project.edit("python train.py --smoke", "''")


def mend_r7(project: Project) -> None:
    project.edit("''", "python train.py --smoke")


def assert_ready_and_counted(project: Project, result: pytest.RunResult) -> None:
    assert result.ret == 0
    assert summary(project) == EMPTY_PROJECT
    artifact = project.artifact()
    assert artifact["status"] == "READY"
    words = {check["id"]: check["outcome"] for check in artifact["checks"]}
    assert words == {
        **{f"R{number}": "bootstrapped" for number in range(1, 7)},
        **{f"R{number}": "passed" for number in range(7, 10)},
    }


# -- pytest's own ways to select ------------------------------------------------------------------


def test_marker_expression_that_leaves_advisory_checks_out_is_a_full_look(project: Project) -> None:
    project.write("conftest.py", ADVISORY)
    result = project.preflight("-m", "not advisory")
    result.stdout.fnmatch_lines(["*3 passed, 1 deselected, 6 bootstrapped*"])
    assert_ready_and_counted(project, result)


@pytest.mark.parametrize(
    ("arguments", "unevaluated"),
    [
        (["-k", "R7"], "8 of 9 blocking checks were not evaluated: R1, R2, R3, R4, R5, R6, R8, R9."),
        (
            ["--deselect", f"{CAMPAIGN_NAME}::repo[R7]", f"--deselect={CAMPAIGN_NAME}::repo[R9]"],
            "2 of 9 blocking checks were not evaluated: R7, R9.",
        ),
        pytest.param(
            ["-n", "1", "-k", "R7 or R2"],
            "7 of 9 blocking checks were not evaluated: R1, R3, R4, R5, R6,",
            marks=pytest.mark.soak,
        ),
    ],
    ids=["-k", "--deselect", "xdist"],
)
def test_partial_look_without_a_failure_leaves_the_artifact_as_it_was_and_says_why(
    project: Project, arguments: list[str], unevaluated: str
) -> None:
    old = write_old_artifact(project)
    result = project.preflight(*arguments)
    assert result.ret == 0
    reported = " ".join(" ".join(result.outlines).split())
    assert f"{CAMPAIGN_NAME}: INCOMPLETE" in reported
    assert "artifact: left as it was (READY of 2020-01-01T00:00:00Z)" in reported
    assert unevaluated in reported
    assert project.artifact_path.read_text() == old


def test_partial_look_with_a_failure_writes_failed(project: Project) -> None:
    write_old_artifact(project)
    break_r7(project)
    result = project.preflight("-k", "R7 or R8")
    assert result.ret == 1
    assert project.artifact()["status"] == "FAILED"
    assert summary(project) == {"total": 2, "passed": 1, "failed": 1, "bootstrapped": 0, "warnings": 0}
    # Mended, but looked at in part only: that cannot raise what is known.
    mend_r7(project)
    assert project.preflight("-k", "R7 or R8").ret == 0
    assert project.artifact()["status"] == "FAILED"
    # The artifact of a partial look never says that the rest was looked at.
    assert {check["id"] for check in project.artifact()["checks"]} == {"R7", "R8"}


@pytest.mark.parametrize("stop", ["-x", "--maxfail=1"])
def test_session_that_stops_at_a_failure_says_what_it_saw(project: Project, stop: str) -> None:
    break_r7(project)
    result = project.preflight(stop, "-v")
    assert result.ret == 1
    assert queried(result) == [f"R{number}" for number in range(1, 8)]
    assert project.artifact()["status"] == "FAILED"
    assert summary(project) == {"total": 7, "passed": 0, "failed": 1, "bootstrapped": 6, "warnings": 0}


def test_session_that_stops_at_somebody_elses_failure_is_not_ready(project: Project) -> None:
    project.write("test_own.py", "def test_own():\n    assert False\n")
    result = project.pytest("test_own.py", CAMPAIGN_NAME, "-x")
    assert result.ret == 1
    assert not (project.path / ".ml-metaopt").exists()
    # Without -x everything is looked at, and the campaign is ready though the session failed.
    result = project.pytest("test_own.py", CAMPAIGN_NAME)
    assert result.ret == 1
    assert project.artifact()["status"] == "READY"
    assert summary(project) == EMPTY_PROJECT


def test_maxfail_that_is_not_reached_changes_nothing(project: Project) -> None:
    break_r7(project)
    assert project.preflight("--maxfail=2").ret == 1
    assert summary(project) == {"total": 9, "passed": 2, "failed": 1, "bootstrapped": 6, "warnings": 0}


def test_last_failed_and_failed_first(project: Project) -> None:
    break_r7(project)
    assert project.preflight("-q").ret == 1
    again = project.preflight("--ff", "-v")
    assert again.ret == 1
    assert queried(again) == ["R7", *(f"R{number}" for number in (1, 2, 3, 4, 5, 6, 8, 9))]
    assert summary(project) == {"total": 9, "passed": 8, "failed": 1, "bootstrapped": 0, "warnings": 0}
    mend_r7(project)
    last = project.preflight("--lf", "-v")
    assert last.ret == 0
    assert queried(last) == ["R7"]
    assert project.artifact()["status"] == "FAILED"
    # Nothing failed last: pytest runs all, which is a full look.
    full = project.preflight("--lf", "-v")
    assert full.ret == 0
    assert project.artifact()["status"] == "READY"
    assert summary(project)["passed"] == 9


def test_first_look_is_kept_out_of_the_cache(project: Project) -> None:
    assert project.preflight("-q").ret == 0
    result = project.preflight("--lf", "--lfnf=none")
    # R1 to R6 were bootstrapped, not failed: there is nothing to run again.
    assert result.ret == 5


def test_stepwise(project: Project) -> None:
    break_r7(project)
    first = project.preflight("--sw", "-v")
    assert first.ret == 2
    assert queried(first)[-1] == "R7"
    assert project.artifact()["status"] == "FAILED"
    mend_r7(project)
    second = project.preflight("--sw", "-v")
    assert second.ret == 0
    assert queried(second) == ["R7", "R8", "R9"]
    assert project.artifact()["status"] == "FAILED"


@pytest.mark.parametrize("plugin", ["cacheprovider", "xdist", "terminal", "junitxml", "pytest_jsonreport"])
def test_plugins_of_others_can_be_missing(project: Project, plugin: str) -> None:
    assert_ready_and_counted(project, project.preflight("-p", f"no:{plugin}"))


# A pytest-json-report whose hook has lost its argument: as pytest loads it, under the real one's name.
CHANGED_JSON_REPORT = """\
class Hooks:
    def pytest_json_modifyreport(self, document):
        pass

def pytest_addhooks(pluginmanager):
    pluginmanager.add_hookspecs(Hooks)
"""


def test_a_json_report_plugin_that_changed_costs_a_warning(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("changed_report/pytest_jsonreport/__init__.py", "")
    project.write("changed_report/pytest_jsonreport/plugin.py", CHANGED_JSON_REPORT)
    monkeypatch.setenv("PYTHONPATH", str(project.path / "changed_report"), prepend=os.pathsep)
    result = project.process("--metaopt-campaign", CAMPAIGN_NAME)
    assert_ready_and_counted(project, result)
    result.stdout.fnmatch_lines(
        ["*PytestWarning: the JSON report has no readiness: pytest-json-report changed:*"]
    )


# -- other people's plugins -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_order_does_not_change_the_counts(project: Project, seed: int) -> None:
    pytest.importorskip("random_order", reason="pytest-random-order is not installed")
    result = project.preflight("-v", "--random-order-bucket=global", f"--random-order-seed={seed}")
    assert queried(result) != sorted(queried(result))
    assert_ready_and_counted(project, result)


def test_random_order_without_more_is_content(project: Project) -> None:
    pytest.importorskip("random_order", reason="pytest-random-order is not installed")
    assert_ready_and_counted(project, project.preflight("--random-order"))


@pytest.mark.soak
def test_workers_with_a_random_order_do_not_change_the_counts(project: Project) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    pytest.importorskip("random_order", reason="pytest-random-order is not installed")
    result = project.preflight("-n", "2", "--random-order-bucket=global", "--random-order-seed=4")
    assert_ready_and_counted(project, result)


@pytest.mark.soak
def test_check_with_a_group_of_its_own_is_counted_with_loadgroup(project: Project) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    # With --dist loadgroup pytest-xdist adds "@<group>" to the node ids of marked items.
    project.write(
        "conftest.py",
        """
import pytest
from pytest_metaopt import check

@pytest.fixture
def mend(project_root):
    (project_root / "mended").touch()

@pytest.mark.xdist_group("ours")
@check("X", group="own", bootstrap="mend")
def x(project_root):
    assert (project_root / "mended").exists()

@check("Y", group="own")
@pytest.mark.xdist_group("ours")
def y():
    pass
""",
    )
    result = project.preflight("-n", "2", "--dist", "loadgroup")
    assert result.ret == 0
    assert project.artifact()["status"] == "READY"
    assert summary(project) == {"total": 11, "passed": 4, "failed": 0, "bootstrapped": 7, "warnings": 0}


@pytest.mark.soak
def test_failure_on_one_of_the_workers_that_each_run_all_is_counted_once(project: Project) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    project.write(
        "conftest.py",
        """
import os
from pytest_metaopt import check

for worker in ("gw0", "gw1"):
    @check(f"not_on_{worker}", group="own")
    def elsewhere(worker=worker):
        assert os.environ["PYTEST_XDIST_WORKER"] != worker, f"does not hold on {worker}"
""",
    )
    break_r7(project)
    result = project.preflight("-n", "2", "--dist", "each")
    assert result.ret == 1
    # R7 failed twice, the others once; the worst answer to a question is its answer.
    assert summary(project) == {"total": 11, "passed": 2, "failed": 3, "bootstrapped": 6, "warnings": 0}
    failures = [failure["check_id"] for failure in project.artifact()["failures"]]
    assert failures == ["R7", "not_on_gw0", "not_on_gw1"]


FLAKY = """
from pathlib import Path
import pytest
from pytest_metaopt import check

def second_time(name):
    marker = Path(name)
    if marker.exists():
        return True
    marker.touch()
    return False

@check("flaky", group="own")
def flaky():
    assert second_time("flaky.seen"), "not yet"

@pytest.fixture
def unsteady():
    assert second_time("unsteady.seen"), "not yet"

@check("unsteady", group="own")
def with_an_unsteady_fixture(unsteady):
    pass

@check("gentle", group="own", severity="advisory")
def gentle():
    assert False, "never holds"
"""


@pytest.mark.parametrize(
    "workers", [[], pytest.param(["-n", "1"], marks=pytest.mark.soak)], ids=["", "xdist"]
)
def test_checks_that_are_run_again_count_once(project: Project, workers: list[str]) -> None:
    pytest.importorskip("pytest_rerunfailures", reason="pytest-rerunfailures is not installed")
    project.write("conftest.py", FLAKY)
    break_r7(project)
    result = project.preflight("--reruns", "2", *workers)
    assert result.ret == 1
    # R7 twice, flaky and unsteady once each; an advisory failure is nothing to run again for.
    counts = {"failed": 1, "passed": 4, "bootstrapped": 6, "advisory": 1, "rerun": 4}
    assert result.parseoutcomes() == counts
    assert summary(project) == {"total": 12, "passed": 4, "failed": 1, "bootstrapped": 6, "warnings": 1}
    words = {check["id"]: check["outcome"] for check in project.artifact()["checks"]}
    assert (words["flaky"], words["unsteady"], words["gentle"]) == ("passed", "passed", "warning")
    assert [failure["check_id"] for failure in project.artifact()["failures"]] == ["R7"]


def test_reruns_alone_change_nothing(project: Project) -> None:
    pytest.importorskip("pytest_rerunfailures", reason="pytest-rerunfailures is not installed")
    result = project.preflight("--reruns", "2", "-v")
    result.stdout.no_fnmatch_line("*RERUN*")
    assert_ready_and_counted(project, result)
