"""``metaopt-preflight explain``: what a check asks, without a document."""

from __future__ import annotations

from pytest_metaopt.session.catalog import builtin_checks
from tests.support.project import Project


def test_explanation_has_question_severity_fix_and_page(project: Project) -> None:
    done = project.command("explain", "R7")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "repo[R7]: project.smoke_test_command is a non-blank string.",
        "  evaluated on: a campaign",
        "  severity: blocking",
        "  fix: Set project.smoke_test_command to a command that exercises the training",
        "    script and ends within 60 seconds.",
        "  see: docs/checks/repo.md#r7",
    ]


def test_node_id_is_understood_as_pytest_prints_it(project: Project) -> None:
    done = project.command("explain", "launch.yaml::node[gpu_present-gpu-17]", "repo[R1]")
    first, second = done.stdout.split("\n\n")
    assert first.startswith("node[gpu_present]: ")
    assert "  evaluated on: each node of a launch" in first
    assert "bootstrap: bootstrap_state_folder fixes it" in second


def test_unknown_check_is_refused_with_the_nearest_one(project: Project) -> None:
    done = project.command("explain", "repo_acces")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "ERROR: unknown check 'repo_acces'; did you mean 'repo_access'?\n"


def test_every_check_can_be_explained(project: Project) -> None:
    checks = list(builtin_checks())
    done = project.command("explain", *(check.label for check in checks))
    assert done.returncode == 0
    assert done.stdout.count("\n  fix: ") == len(checks)
