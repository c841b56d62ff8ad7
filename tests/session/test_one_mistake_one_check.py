"""A mistake that several checks find is reported by one of them, as long as that one is selected."""

from __future__ import annotations

import pytest

from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project


def outcomes(project: Project, *arguments: str) -> dict[str, str]:
    """Return how each check came out that neither passed nor was bootstrapped."""
    result = project.preflight("-v", *arguments)
    lines = [line.split("::")[1] for line in result.outlines if line.startswith(f"{CAMPAIGN_NAME}::")]
    words = dict(line.split()[:2] for line in lines)
    return {item: word for item, word in words.items() if word not in {"PASSED", "BOOTSTRAPPED"}}


def messages(project: Project) -> dict[str, str]:
    """Return what the readiness artifact says of each failed check."""
    return {failure["check_id"]: failure["message"] for failure in project.artifact()["failures"]}


def test_an_empty_command_is_reported_by_r7(project: Project) -> None:
    project.edit("python train.py --smoke", '""')
    assert outcomes(project) == {
        "repo[R7]": "FAILED",
        "backend[smoke_test_command_nonempty]": "SKIPPED",
        "campaign[project]": "SKIPPED",
    }
    assert [failure["check_id"] for failure in project.artifact()["failures"]] == ["R7"]


def test_who_reports_instead_is_named(project: Project) -> None:
    project.edit("python train.py --smoke", '""')
    result = project.preflight("-rs")
    result.stdout.fnmatch_lines(["SKIPPED*: reported by repo?R7?"])


def test_without_r7_the_next_check_reports_it(project: Project) -> None:
    project.edit("python train.py --smoke", '""')
    assert outcomes(project, "-k", "not R7") == {
        "backend[smoke_test_command_nonempty]": "ADVISORY",
        "campaign[project]": "FAILED",
    }


def test_an_advisory_check_reports_nothing_for_a_blocking_one(project: Project) -> None:
    project.edit("python train.py --smoke", '""')
    assert outcomes(project, "-o", "metaopt_advisory=R7") == {
        "repo[R7]": "ADVISORY",
        "backend[smoke_test_command_nonempty]": "SKIPPED",
        "campaign[project]": "FAILED",
    }


@pytest.mark.parametrize("mark", ["skip", "xfail"])
def test_a_check_whose_outcome_does_not_count_reports_nothing_for_others(project: Project, mark: str) -> None:
    project.edit("python train.py --smoke", '""')
    project.write(
        "conftest.py",
        "import pytest\n"
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items:\n"
        "        if item.name == 'repo[R7]':\n"
        f"            item.add_marker(pytest.mark.{mark})\n",
    )
    assert outcomes(project)["campaign[project]"] == "FAILED"


def test_what_only_the_section_check_finds_it_reports_alone(project: Project) -> None:
    project.edit("  repo: .\n", "  repo: <URL of the repository>\n")
    project.edit("python train.py --smoke", '""')
    project.preflight()
    assert messages(project) == {
        "R7": "project.smoke_test_command is an empty string",
        "project": "project.repo is a placeholder; put the real value there",
    }


def test_a_provider_that_is_missing_is_one_mistake(project: Project) -> None:
    project.edit("  provider: local\n", "")
    project.preflight()
    assert messages(project) == {"compute": "compute.provider is missing"}


@pytest.mark.parametrize(
    "workers", [(), pytest.param(("-n2",), marks=pytest.mark.soak)], ids=["one process", "workers"]
)
def test_a_missing_section_is_reported_by_the_checks_that_load_campaign_counts(
    project: Project, workers: tuple[str, ...]
) -> None:
    start, end = CAMPAIGN.index("project:"), CAMPAIGN.index("wandb:")
    project.campaign.write_text(CAMPAIGN[:start] + CAMPAIGN[end:])
    project.preflight(*workers)
    assert messages(project) == {
        "R7": "project.smoke_test_command is missing: section project is missing",
        "R8": "section project is missing",
        "R9": "project.repo is missing: section project is missing",
    }


def test_a_section_that_is_not_a_mapping_is_reported_where_it_stands(project: Project) -> None:
    start, end = CAMPAIGN.index("project:"), CAMPAIGN.index("wandb:")
    project.campaign.write_text(CAMPAIGN[:start] + "project: 5\n" + CAMPAIGN[end:])
    project.preflight()
    message = "project is a number; expected a mapping"
    assert messages(project) == {"R7": message, "R9": message}
    assert {check["line"] for check in project.artifact()["checks"] if check["message"] == message} == {3}
