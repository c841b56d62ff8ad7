"""What git knows of the folder that a run config copies: the pinned revision, and uncommitted changes.

git runs on this machine only; nothing is fetched, and no hook, file system monitor or pager is run.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ...core.environment import our_environment
from ...core.redaction import redact
from ...core.text import did_you_mean, one_line, printable
from ...documents.run_config import RunConfig
from ..command import Result, Runner, plain
from ..pool import probe
from ..services.git import silent

_Git: TypeAlias = Callable[..., Result]

_QUIET = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never")
_MOST_AT_ONCE = 4
_MOST_BRANCHES = 1000
_LONGEST_MESSAGE = 200
_TURN = threading.BoundedSemaphore(_MOST_AT_ONCE)
# A thousand run configs would otherwise start a thousand gits at once.


@dataclass(frozen=True)
class Pinned:
    """What git says of a pinned revision.

    :param trouble: why git could not be queried; None where it could.
    :param exists: whether the repository has the revision.
    :param meant: the question whether another branch was meant; empty where none is near.
    :param changed: the paths that differ from what is committed, of what is copied.
    """

    trouble: str | None = None
    exists: bool = False
    meant: str = ""
    changed: tuple[str, ...] = ()


@probe("pinned_revision")
def pinned_revision(run_config: RunConfig, run: Runner) -> Pinned | None:
    """Whether the repository of a run config has the revision that is pinned; None where none is."""
    root, pin = run_config.root_path, run_config.pin
    if root is None or pin is None or not root.is_dir():
        return None
    if not _TURN.acquire(timeout=max(0.0, run.deadline.remaining)):
        return Pinned(trouble=str(run.deadline))
    try:
        keys, value = pin
        return query(root, keys[-1], value, [path for _, path in run_config.include_paths], run)
    finally:
        _TURN.release()


def query(
    root: Path,
    kind: str,
    value: str,
    paths: Sequence[str],
    run: Runner,
    *,
    environ: Mapping[str, str] | None = None,
) -> Pinned:
    """Ask git about the revision *value* in the repository that *root* lies in.

    :param kind: ``branch`` or ``commit``.
    :param paths: what of *root* is copied; empty: all.
    :param environ: the environment that git gets, made silent; None: ours.
    """
    quiet = {
        **silent(our_environment() if environ is None else environ),
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
    }

    def git(*words: str) -> Result:
        return run(["git", *_QUIET, *words], cwd=root, environ=quiet)

    inside = git("rev-parse", "--is-inside-work-tree")
    if not inside.succeeded:
        return Pinned(trouble=_trouble(inside))
    found = _has_branch(git, value) if kind == "branch" else _has_commit(git, value)
    if isinstance(found, Result):
        return Pinned(trouble=_trouble(found))
    if not found:
        return Pinned(exists=False, meant=_meant(git, value) if kind == "branch" else "")
    status = git("status", "--porcelain=v1", "-z", "--no-renames", "--", *(paths or ["."]))
    if not status.succeeded:
        return Pinned(trouble=_trouble(status))
    changed = tuple(entry[3:] for entry in status.stdout.split("\0") if entry)
    return Pinned(exists=True, changed=changed)


def _has_commit(git: _Git, value: str) -> bool | Result:
    if not value.isprintable():
        return False
    result = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{value}^{{commit}}")
    # 1: there is none; 128: there is none that could be written so.
    return result.succeeded if result.ending == "exited" else result


def _has_branch(git: _Git, value: str) -> bool | Result:
    if not re.fullmatch(r"[\w./-]+", value):
        return False
    result = git("for-each-ref", "--format=%(refname)", f"refs/heads/{value}", f"refs/remotes/*/{value}")
    if not result.succeeded:
        return result
    # A pattern fits what lies below it too.
    names = result.stdout.splitlines()
    return any(
        name == f"refs/heads/{value}" or re.fullmatch(rf"refs/remotes/[^/]+/{re.escape(value)}", name)
        for name in names
    )


def _meant(git: _Git, value: str) -> str:
    result = git(
        "for-each-ref", f"--count={_MOST_BRANCHES}", "--format=%(refname)", "refs/heads", "refs/remotes"
    )
    names = [re.sub(r"^refs/(?:heads|remotes/[^/]+)/", "", name) for name in result.stdout.splitlines()]
    return printable(did_you_mean(value, [name for name in names if name != "HEAD"]))


def _trouble(result: Result) -> str:
    if result.ending != "exited":
        return str(result.problem)
    lines = [one_line(line) for line in plain(result.stderr).splitlines() if line.strip()]
    said = printable(redact(lines[0].removeprefix("fatal: "))) if lines else str(result.problem)
    return said if len(said) <= _LONGEST_MESSAGE else f"{said[:_LONGEST_MESSAGE]}..."
