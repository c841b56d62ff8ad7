"""Checks of a run config: its sections (contract of the run config), and what depends on this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

from packaging.requirements import InvalidRequirement, Requirement

from .. import check, not_applicable
from ..core.document import KeyPath, dotted
from ..core.problem import Problem
from ..core.text import one_line, printable, shortened, some
from ..documents.run_config import DEPENDENCIES, REQUIRED, SNAPSHOT, UNKNOWN_KEYS, RunConfig
from ..documents.sources.text import file_problem
from ..probes.local.snapshot import Pinned
from .problems import fail_with

_REFERENCE = re.compile(r"^(?:-r|--requirement)(?:\s+|=)?(\S.*)$")
_REMOTE = ("/Volumes/", "/Workspace/")
"""Folders that are not on this machine."""
_MOST_SHOWN = 3
_SHOWN_CHARACTERS = 60

_Check = Callable[[RunConfig], None]


def _section(name: str, remediation: str) -> Callable[[_Check], _Check]:
    """Declare the check of a section: collected where the file has it, or has to."""
    when = None if name in REQUIRED else lambda config: config.has(name)
    return check(name, group="run_config", document="run_config", when=when, remediation=remediation)


@_section("experiment_name", "Give experiment_name 1 to 100 characters of A-Z, a-z, 0-9, _ and -.")
def experiment_name_is_accepted(run_config: RunConfig) -> None:
    """experiment_name is given: 1 to 100 letters, digits, '_' and '-'."""
    fail_with(run_config, run_config.problems_of("experiment_name"))


@_section(
    "compute",
    "Give compute.accelerator_type a kind of node and num_accelerators a multiple of what one has.",
)
def compute_is_accepted(run_config: RunConfig) -> None:
    """Compute has a known accelerator_type, and num_accelerators is a multiple of what a node has."""
    fail_with(run_config, run_config.problems_of("compute"))


@_section(
    "environment",
    "Give environment a list of dependencies, with or without a version, or a docker_image; env_variables"
    " are strings by name.",
)
def environment_is_accepted(run_config: RunConfig) -> None:
    """Environment has dependencies (and a version) or a docker_image; env_variables are strings."""
    fail_with(run_config, run_config.problems_of("environment"))


@_section("command", "Give command a shell command of at most 1000 lines; parameters are a mapping.")
def command_is_accepted(run_config: RunConfig) -> None:
    """Command is given, not blank, at most 1000 lines; parameters are a mapping."""
    fail_with(run_config, run_config.problems_of("command"))


@_section(
    "secrets",
    "Write each secret as NAME: SCOPE/KEY, a reference; its value belongs in the secret store.",
)
def secrets_are_references(run_config: RunConfig) -> None:
    """Each of secrets is a reference SCOPE/KEY, and no name is in env_variables too."""
    fail_with(run_config, run_config.problems_of("secrets"))


@_section(
    "code_source",
    "Give code_source type: snapshot and a snapshot with root_path; git pins a branch or a commit.",
)
def code_source_is_accepted(run_config: RunConfig) -> None:
    """code_source is a snapshot of a root_path, with relative paths and one pinned revision at most."""
    fail_with(run_config, run_config.problems_of("code_source"))


@_section(
    "limits",
    "max_retries is an integer, 0 or more; timeout_minutes one, 1 or more; idempotency_token 1 to 64"
    " characters.",
)
def limits_are_accepted(run_config: RunConfig) -> None:
    """max_retries, timeout_minutes and idempotency_token are in their ranges."""
    fail_with(run_config, run_config.problems_of("limits"))


@_section(
    "mlflow",
    "Give mlflow_run_name 1 to 100 characters of A-Z, a-z, 0-9, _ and -; mlflow_experiment_directory a path"
    " below /Workspace.",
)
def mlflow_is_accepted(run_config: RunConfig) -> None:
    """mlflow_run_name is a valid name; mlflow_experiment_directory is below /Workspace."""
    fail_with(run_config, run_config.problems_of("mlflow"))


@_section(
    "permissions",
    "Give each permission a level and one of user_name, group_name and service_principal_name.",
)
def permissions_are_accepted(run_config: RunConfig) -> None:
    """Each of permissions has a level and names one user, group or service principal."""
    fail_with(run_config, run_config.problems_of("permissions"))


@_section(
    "usage_policy", "Give usage_policy_name (1 to 127 characters) or usage_policy_id (a UUID), or neither."
)
def usage_policy_is_accepted(run_config: RunConfig) -> None:
    """At most one of usage_policy_name and usage_policy_id is given, and it is valid."""
    fail_with(run_config, run_config.problems_of("usage_policy"))


@check(
    UNKNOWN_KEYS,
    group="run_config",
    document="run_config",
    remediation="Correct the key, or remove it; metaopt-preflight schema run_config prints what a run"
    " config may contain.",
)
def keys_are_known(run_config: RunConfig) -> None:
    """Every key, at every level, is known."""
    fail_with(run_config, run_config.problems_of(UNKNOWN_KEYS))


_GIT_REMOTE = (*SNAPSHOT, "git", "remote")


@check(
    "deprecated",
    group="run_config",
    document="run_config",
    severity="advisory",
    when=lambda config: any(config.get(keys) is not None for keys in (DEPENDENCIES, _GIT_REMOTE)),
    remediation="Use its replacement before it is rejected.",
)
def nothing_is_deprecated(run_config: RunConfig) -> None:
    """Dependencies are a list, not the path of a file; code_source.snapshot.git has no remote."""
    problems = []
    if isinstance(run_config.get(DEPENDENCIES), str):
        message = "is the path of a requirements file, which is no longer accepted; list the packages"
        problems.append(Problem(DEPENDENCIES, f"{dotted(DEPENDENCIES)} {message}"))
    if run_config.get(_GIT_REMOTE):
        problems.append(Problem(_GIT_REMOTE, f"{dotted(_GIT_REMOTE)} is no longer supported; remove it"))
    fail_with(run_config, problems)


# -- what depends on this machine --------------------------------------------------------------------


@check(
    "root_path",
    group="run_config",
    document="run_config",
    when=lambda config: config.root_path is not None,
    remediation="Correct code_source.snapshot.root_path; it is relative to the run config's directory.",
)
def root_path_exists(run_config: RunConfig) -> None:
    """code_source.snapshot.root_path is an existing directory."""
    root = run_config.root_path
    if root is not None and not root.is_dir():
        keys = (*SNAPSHOT, "root_path")
        why = "is not a directory" if os.path.lexists(root) else "does not exist"
        fail_with(run_config, [Problem(keys, f"{dotted(keys)}: {_shown(str(run_config.get(keys)))} {why}")])


@check(
    "include_paths",
    group="run_config",
    document="run_config",
    when=lambda config: config.root_path is not None and next(config.include_paths, None) is not None,
    remediation="Correct the path, which is relative to root_path, or remove it.",
)
def include_paths_exist(run_config: RunConfig) -> None:
    """Each of code_source.snapshot.include_paths exists below root_path."""
    root = run_config.root_path
    if root is None or not root.is_dir():
        not_applicable("root_path is not a directory, see run_config[root_path]")
    fail_with(
        run_config,
        [
            Problem(keys, f"{dotted(keys)}: {_shown(value)} not found in root_path")
            for keys, value in run_config.include_paths
            if not os.path.lexists(root / value)
        ],
    )


def _is_pinned(config: RunConfig) -> bool:
    return config.root_path is not None and config.pin is not None


@check(
    "revision",
    group="run_config",
    document="run_config",
    when=_is_pinned,
    remediation="Correct the branch or commit, or fetch it into the repository that root_path is in.",
)
def pinned_revision_exists(run_config: RunConfig, pinned_revision: Pinned | None) -> None:
    """The pinned branch or commit is in the git repository that root_path is in."""
    pin = run_config.pin
    if pinned_revision is None or pin is None:
        not_applicable("root_path is not a directory, see run_config[root_path]")
    keys, value = pin
    message = None
    if pinned_revision.trouble is not None:
        message = f"could not run git in root_path: {pinned_revision.trouble}"
    elif not pinned_revision.exists:
        message = f"the repository has no {keys[-1]} {_shown(value)}{pinned_revision.meant}"
    if message is not None:
        fail_with(run_config, [Problem(keys, f"{dotted(keys)}: {message}")])


@check(
    "uncommitted",
    group="run_config",
    document="run_config",
    severity="advisory",
    when=_is_pinned,
    remediation="Commit them, and pin the commit: what is pinned runs without them.",
)
def nothing_is_uncommitted(run_config: RunConfig, pinned_revision: Pinned | None) -> None:
    """Where a revision is pinned, no copied file has uncommitted changes."""
    pin = run_config.pin
    if pinned_revision is None or pin is None or not pinned_revision.exists:
        not_applicable("the pinned revision cannot be found, see run_config[revision]")
    changed = pinned_revision.changed
    if changed:
        message = some([_shown(path) for path in changed], _MOST_SHOWN)
        fail_with(run_config, [Problem(pin[0], f"{dotted(pin[0])}: not committed: {message}")])


def _packages(config: RunConfig) -> Iterator[tuple[KeyPath, str]]:
    """Yield the entries of environment.dependencies that are texts."""
    found = config.get(DEPENDENCIES)
    for index, value in enumerate(found if isinstance(found, tuple) else ()):
        if isinstance(value, str) and value.strip():
            yield (*DEPENDENCIES, index), value.strip()


def _files(config: RunConfig) -> Iterator[tuple[KeyPath, str]]:
    """Yield the requirements files that are named and could be on this machine."""
    whole = config.text(DEPENDENCIES)
    named = [(DEPENDENCIES, whole.strip())] if whole is not None else []
    named += [
        (keys, found[1].strip()) for keys, text in _packages(config) if (found := _REFERENCE.match(text))
    ]
    for keys, path in named:
        if "\0" not in path and not path.startswith(_REMOTE):
            yield keys, path


@check(
    "requirements",
    group="run_config",
    document="run_config",
    when=lambda config: isinstance(config.get(DEPENDENCIES), tuple),
    remediation="Write each dependency as pip's requirement: NAME, NAME==1.2, NAME[EXTRA]>=2, NAME @ URL.",
)
def dependencies_are_requirements(run_config: RunConfig) -> None:
    """Each of environment.dependencies parses as a requirement."""
    problems = []
    for keys, text in _packages(run_config):
        if _REFERENCE.match(text) or text.startswith(_REMOTE):
            continue
        try:
            Requirement(text)
        except InvalidRequirement as error:
            why = one_line(printable(str(error).splitlines()[0]))
            message = f"{dotted(keys)}: {_shown(text)} is not a requirement: {why[:1].lower()}{why[1:]}"
            problems.append(Problem(keys, message))
    fail_with(run_config, problems)


@check(
    "requirements_file",
    group="run_config",
    document="run_config",
    when=lambda config: next(_files(config), None) is not None,
    remediation="Correct the path, which is relative to the run config's directory.",
)
def requirements_files_exist(run_config: RunConfig) -> None:
    """A requirements file that environment.dependencies refers to exists."""
    fail_with(
        run_config,
        [
            Problem(keys, f"{dotted(keys)}: {_shown(path)}: {problem}")
            for keys, path in _files(run_config)
            if (problem := file_problem(run_config.path_of(path))) is not None
        ],
    )


def _shown(text: str) -> str:
    return shortened(one_line(printable(text)), _SHOWN_CHARACTERS)
