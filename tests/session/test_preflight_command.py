from __future__ import annotations

import subprocess

import pytest

import pytest_metaopt
from tests.support.project import CAMPAIGN_NAME, Project

pytestmark = pytest.mark.usefixtures("repo_checks_only")


def everything(project: Project) -> list[str]:
    """Every file and folder below the project, pytest's caches too."""
    return sorted(str(path.relative_to(project.path)) for path in project.path.rglob("*"))


def last_lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    lines = done.stdout.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("status:"))
    return [" ".join(line.split()) for line in lines[start:]]


def test_a_ready_project_ends_with_exit_0_and_status_counts_and_path(project: Project) -> None:
    # What a project has for its own tests: none of them is run, and none of its strictness gets in the way.
    project.write("tests/test_own.py", "def test_own():\n    assert open('ran', 'w') is None\n")
    project.write("test_here.py", "def test_here():\n    assert open('ran', 'w') is None\n")
    project.write(
        "pytest.ini",
        "[pytest]\n"
        "testpaths = tests\n"
        "addopts = -ra --strict-markers --strict-config -W error\n"
        "filterwarnings = error\n"
        "xfail_strict = true\n",
    )
    done = project.command("--campaign", CAMPAIGN_NAME)
    assert done.returncode == 0
    assert last_lines(done) == [
        "status: READY",
        "checks: 9 (3 passed, 6 bootstrapped, 0 warnings, 0 failed)",
        f"artifact: {project.artifact_path}",
    ]
    assert project.artifact()["status"] == "READY"
    assert not (project.path / "ran").exists()
    assert done.stderr == ""
    assert "Warning" not in done.stdout
    assert "warnings summary" not in done.stdout


def test_a_project_that_is_not_ready_ends_with_exit_1_and_what_to_do(project: Project) -> None:
    project.edit("python train.py --smoke", "''")
    done = project.command("--campaign", project.campaign, "--cwd", ".")
    assert done.returncode == 1
    status, checks, todo, artifact = last_lines(done)
    assert status == "status: FAILED"
    assert checks == "checks: 9 (2 passed, 6 bootstrapped, 0 warnings, 1 failed)"
    assert todo.startswith("next: Fix 1 failure(s): [R7]")
    assert "Set project.smoke_test_command" in todo
    assert artifact == f"artifact: {project.artifact_path}"
    assert project.artifact()["status"] == "FAILED"
    assert f"{CAMPAIGN_NAME}:5:3: R7: project.smoke_test_command is an empty string" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


REFUSED = {
    "no arguments": ([], "--campaign"),
    "no value": (["--campaign"], "--campaign"),
    "unknown option": (["--campaign", CAMPAIGN_NAME, "--no-such-option"], "--no-such-option"),
    "cwd is a file": (["--campaign", CAMPAIGN_NAME, "--cwd", CAMPAIGN_NAME], "is not a directory"),
    "cwd is missing": (["--campaign", CAMPAIGN_NAME, "--cwd", "nowhere"], "nowhere is not a directory"),
    "campaign is missing": (["--campaign", "ml_metaopt_campain.yaml"], f"did you mean '{CAMPAIGN_NAME}'?"),
    "malformed": (["--campaign", "tab.yaml"], "tab.yaml:2:1: a tab is used as indentation"),
    "no mapping": (["--campaign", "list.yaml"], "list.yaml:1:1: is a list; a campaign is a YAML mapping"),
    "not JSON": (["--campaign", "date.yaml"], "date.yaml:1:18: campaign.name is a date"),
    "campaign is a folder": (["--campaign", "folder"], "is a directory"),
    "campaign is empty": (["--campaign", ""], ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_looked_at_ends_with_exit_2_and_nothing_written(project: Project, name: str) -> None:
    arguments, reported = REFUSED[name]
    project.write("tab.yaml", "campaign:\n\tname: demo\n")
    project.write("list.yaml", "- campaign\n- project\n")
    project.write("date.yaml", "campaign: {name: 2024-01-01}\n")
    project.write("folder/test_inside.py", "def test_inside():\n    assert open('ran', 'w') is None\n")
    before = everything(project)
    done = project.command(*arguments)
    output = done.stdout + done.stderr
    assert done.returncode == 2
    assert reported in output
    assert "Traceback" not in output
    assert "status:" not in output
    assert everything(project) == before


def test_a_malformed_campaign_leaves_an_old_artifact_alone(project: Project) -> None:
    project.write(".ml-metaopt/preflight-readiness.json", "old")
    project.edit("  name: demo", "\tname: demo")
    assert project.command("--campaign", CAMPAIGN_NAME).returncode == 2
    assert project.artifact_path.read_text() == "old"


def test_an_artifact_that_can_not_be_written_ends_with_exit_1(project: Project) -> None:
    project.artifact_path.mkdir(parents=True)
    done = project.command("--campaign", CAMPAIGN_NAME)
    assert done.returncode == 1
    assert last_lines(done)[-1].startswith("artifact: not written: ")
    assert "is a directory" in last_lines(done)[-1]
    assert "Traceback" not in done.stdout + done.stderr


OWN_CHECK = """\
from pytest_metaopt import check

@check("{check_id}", group="own", remediation="Do it.")
def own():
    assert False, "not yet"
"""


def test_the_projects_own_checks_and_settings_apply(project: Project) -> None:
    project.write("conftest.py", OWN_CHECK.format(check_id="mine"))
    project.edit("python train.py --smoke", "''")
    blocked = project.command("--campaign", CAMPAIGN_NAME)
    assert blocked.returncode == 1
    assert last_lines(blocked)[1] == "checks: 10 (2 passed, 6 bootstrapped, 0 warnings, 2 failed)"

    project.write("pytest.ini", "[pytest]\nmetaopt_advisory = R7 mine\n")
    advised = project.command("--campaign", CAMPAIGN_NAME)
    assert advised.returncode == 0
    assert last_lines(advised)[:2] == [
        "status: READY",
        "checks: 10 (8 passed, 0 bootstrapped, 2 warnings, 0 failed)",
    ]


@pytest.mark.parametrize("addopts", ["-k R7", "-k nothing_has_this_name", "-m advisory", "--collect-only"])
def test_a_project_whose_options_leave_checks_out_is_not_ready(project: Project, addopts: str) -> None:
    project.write("pytest.ini", f"[pytest]\naddopts = {addopts}\n")
    done = project.command("--campaign", CAMPAIGN_NAME)
    assert done.returncode == 1
    assert "READY" not in done.stdout.replace("INCOMPLETE", "")
    assert not project.artifact_path.exists()


def test_settings_that_make_no_sense_end_with_exit_2(project: Project) -> None:
    project.write("pytest.ini", "[pytest]\nmetaopt_advisory = R77\n")
    done = project.command("--campaign", CAMPAIGN_NAME)
    assert done.returncode == 2
    assert "unknown check 'R77'; did you mean 'R7'?" in done.stdout + done.stderr
    assert {".ml-metaopt", ".gitignore"}.isdisjoint(project.tree())


def test_the_version_is_reported(project: Project) -> None:
    done = project.command("--version")
    assert (done.returncode, done.stdout) == (0, f"pytest-metaopt {pytest_metaopt.__version__}\n")
