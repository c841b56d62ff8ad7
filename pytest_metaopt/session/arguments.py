"""Documents on the command line: from an option to an argument that pytest collects."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest

from ..core.document import DocumentError
from ..core.text import did_you_mean
from ..documents.kinds import Kind, companions, known_kinds, recognised_kind
from ..documents.lookup import absolute
from ..documents.sources.text import file_problem


def named_documents(option: argparse.Namespace, base: Path) -> tuple[dict[Path, Kind], list[str]]:
    """Return the files that the command line names by option, each with its kind, and what names no file.

    :param base: what relative paths are relative to.
    """
    root = absolute(base, option.metaopt_root) if option.metaopt_root is not None else None
    found: dict[Path, Kind] = {}
    problems: list[str] = []
    for kind in known_kinds().values():
        for value in getattr(option, kind.destination, ()):
            named = kind.find(value, base, root)
            for path in named.paths:
                found.setdefault(path, kind)
            if named.problem is not None:
                hint = "" if kind.option in named.problem else f"; check {kind.option}"
                problems.append(f"{named.problem}{hint}")
    return found, problems


def add_documents(early_config: pytest.Config, args: list[str]) -> None:
    """Put the documents named by option ahead of *args*, where they are not named there already.

    pytest then treats them as it treats every path: their conftests are loaded first, ``testpaths``
    does not apply, and the nodes between the root and the file are collected.

    :raises pytest.UsageError: a path holds what pytest takes for a node id.
    """
    namespace = early_config.known_args_namespace
    base = early_config.invocation_params.dir
    given = {Path(os.path.normpath(base / argument.split("::", 1)[0])) for argument in namespace.file_or_dir}
    named, _ = named_documents(namespace, base)
    whole = {Path(os.path.normpath(base / argument)) for argument in namespace.file_or_dir}
    # Others, of which there may be thousands, name no companions.
    naming = [path for path, kind in named.items() if kind.artifact]
    for path in [*naming, *(path for path in whole if path.suffix in {".yaml", ".yml"})]:
        named |= {companion: named.get(companion, kind) for companion, kind in _companions(path).items()}
    # Each goes to the very front, so the first of them comes last.
    for path, kind in reversed(named.items()):
        if path in given or not os.path.isfile(path):
            continue
        if "[" in str(path) or "::" in str(path):
            raise pytest.UsageError(
                f"{kind.option}: {path}: pytest reads '[' and '::' in a path as parts of a node id;"
                " rename the directory, or link to it"
            )
        # In front: an option that takes several values would swallow what stands behind it.
        args.insert(0, str(path))
        namespace.file_or_dir.append(str(path))


def _companions(path: Path) -> dict[Path, Kind]:
    """Return the documents that the one at *path* names as its companions, and the kind of each."""
    kind = recognised_kind(path) if os.path.isfile(path) else None
    if kind is None or not kind.artifact:
        return {}
    try:
        return companions(kind.load(path))
    except DocumentError:
        return {}  # reported when it is collected


def refused_documents(config: pytest.Config) -> int | None:
    """Say which documents named by option are not files; return exit status 2, or None if all are."""
    named, problems = named_documents(config.option, config.invocation_params.dir)
    for path, kind in named.items():
        problem = file_problem(path)
        if problem is not None:
            problems.append(f"{path}: {problem if os.path.lexists(path) else _absence(path, kind)}")
    for problem in problems:
        sys.stderr.write(f"ERROR: {problem}\n")
    return int(pytest.ExitCode.INTERRUPTED) if problems else None


def _absence(path: Path, kind: Kind) -> str:
    return f"no such {kind.title} file{_nearest_file(path, kind) or f'; check {kind.option}'}"


def _nearest_file(path: Path, kind: Kind) -> str:
    if not path.parent.is_dir():
        return ""
    return did_you_mean(
        path.name, [entry.name for entry in path.parent.iterdir() if entry.suffix in kind.suffixes]
    )
