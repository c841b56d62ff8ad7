"""Repository checks R1 to R9 (campaign contract, "Repository checks")."""

from __future__ import annotations

from collections.abc import Mapping

from .. import Finding, check, fail
from ..core.state_folder import DIRECTORIES, GitIgnore, StateFolder
from ..core.text import described
from ..documents.campaign import Campaign
from .problems import fail_with_findings


def _require(state_folder: StateFolder, *names: str) -> None:
    problems = [problem for name in names if (problem := state_folder.problem(name))]
    assert not problems, "; ".join(problems)


@check(
    "R1",
    group="repo",
    bootstrap="bootstrap_state_folder",
    remediation="Create the directory .ml-metaopt in the project root: mkdir .ml-metaopt",
)
def state_folder_is_there(state_folder: StateFolder) -> None:
    """.ml-metaopt/ is a directory."""
    _require(state_folder, "")


@check(
    "R2",
    group="repo",
    bootstrap="bootstrap_gitignore",
    remediation="Add the line '.ml-metaopt/' to .gitignore in the project root.",
)
def state_folder_is_ignored(gitignore: GitIgnore) -> None:
    """.gitignore excludes .ml-metaopt/."""
    problem = gitignore.problem()
    assert problem is None, problem
    assert gitignore.path.exists(), ".gitignore is missing"
    assert gitignore.excludes_state_folder(), ".gitignore does not exclude .ml-metaopt/"


@check(
    "R3",
    group="repo",
    bootstrap="bootstrap_directories",
    remediation="Create the directory: mkdir -p .ml-metaopt/handoffs",
)
def handoffs_are_there(state_folder: StateFolder) -> None:
    """.ml-metaopt/handoffs/ is a directory."""
    _require(state_folder, "handoffs")


@check(
    "R4",
    group="repo",
    bootstrap="bootstrap_directories",
    remediation="Create the directory: mkdir -p .ml-metaopt/worker-results",
)
def worker_results_are_there(state_folder: StateFolder) -> None:
    """.ml-metaopt/worker-results/ is a directory."""
    _require(state_folder, "worker-results")


@check(
    "R5",
    group="repo",
    bootstrap="bootstrap_directories",
    remediation="Create the directories: mkdir -p .ml-metaopt/tasks .ml-metaopt/executor-events",
)
def tasks_are_there(state_folder: StateFolder) -> None:
    """.ml-metaopt/tasks/ and executor-events/ are directories."""
    _require(state_folder, "tasks", "executor-events")


@check(
    "R6",
    group="repo",
    bootstrap="bootstrap_directories",
    remediation="Create the directories: mkdir -p .ml-metaopt/artifacts/{code,data,manifests,patches}",
)
def artifacts_are_there(state_folder: StateFolder) -> None:
    """.ml-metaopt/artifacts/ has code, data, manifests and patches."""
    _require(state_folder, *(name for name in DIRECTORIES if name.startswith("artifacts/")))


@check(
    "R7",
    group="repo",
    remediation="Set project.smoke_test_command to a command that exercises the training script and ends"
    " within 60 seconds.",
)
def smoke_test_command_is_given(campaign: Campaign) -> None:
    """project.smoke_test_command is a non-blank string."""
    require_text(campaign, "project.smoke_test_command")


@check(
    "R8",
    group="repo",
    remediation="Add the missing top-level sections; the campaign contract names campaign, project, wandb,"
    " compute and objective.",
)
def sections_are_present(campaign: Campaign) -> None:
    """The top-level keys campaign, project, wandb, compute and objective are present."""
    required = ("campaign", "project", "wandb", "compute", "objective")
    missing = [name for name in required if name not in campaign.data]
    fail_with_findings([Finding(f"section {name} is missing", key=name) for name in missing])


@check(
    "R9",
    group="repo",
    remediation="Set project.repo to the URL (or path) of the git repository that the agents check out.",
)
def repository_is_given(campaign: Campaign) -> None:
    """project.repo is a non-blank string."""
    require_text(campaign, "project.repo")


def require_text(campaign: Campaign, dotted: str) -> None:
    """Fail the running check where the value of ``"section.key"`` is not a string, or a blank one."""
    section, key = dotted.split(".")
    value = campaign.get(dotted)
    if isinstance(value, str) and value.strip():
        return
    if section not in campaign.data:
        fail(f"{dotted} is missing: section {section} is missing", key=section)
    block = campaign.data[section]
    if not isinstance(block, Mapping):
        fail(
            f"{section} is {described(block)}; expected a mapping", at=campaign.position(section), key=section
        )
    problem = described(value) if key in block else "missing"
    fail(f"{dotted} is {problem}", at=campaign.position(dotted), key=dotted)
