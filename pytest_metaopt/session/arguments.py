"""Documents on the command line: from an option to an argument that pytest collects."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ..core.text import did_you_mean, enumeration
from .settings import AUTO, auto_manifest, is_pattern, named_documents


def add_documents(early_config: pytest.Config, args: list[str]) -> None:
    """Put the documents named by option ahead of *args*, where they are not named there already.

    pytest then treats them as it treats every path: their conftests are loaded first, ``testpaths``
    does not apply, and the nodes between the root and the file are collected.

    :raises pytest.UsageError: a path holds what pytest takes for a node id.
    """
    namespace = early_config.known_args_namespace
    base = early_config.invocation_params.dir
    given = {Path(os.path.normpath(base / argument.split("::", 1)[0])) for argument in namespace.file_or_dir}
    from ..documents.kinds import KINDS

    named = named_documents(namespace, base)
    whole = {Path(os.path.normpath(base / argument)) for argument in namespace.file_or_dir}
    # Others, of which there may be thousands, name no companions.
    naming = [path for path, kind in named.items() if KINDS[kind].artifact]
    for path in [*naming, *(path for path in whole if path.suffix in {".yaml", ".yml"})]:
        named |= {companion: named.get(companion, kind) for companion, kind in _companions(path).items()}
    # Each goes to the very front, so the first of them comes last.
    for path, kind in reversed(named.items()):
        if path in given or not os.path.isfile(path):
            continue
        if "[" in str(path) or "::" in str(path):
            raise pytest.UsageError(
                f"{_option(kind)}: {path}: pytest reads '[' and '::' in a path as parts of a node id;"
                " rename the folder, or link to it"
            )
        # In front: an option that takes several values would swallow what stands behind it.
        args.insert(0, str(path))
        namespace.file_or_dir.append(str(path))


def _companions(path: Path) -> dict[Path, str]:
    """Return the documents that the one at *path* names as its companions, and the kind of each."""
    from ..core.document import DocumentError
    from ..documents.kinds import companions, recognised_kind

    kind = recognised_kind(path) if os.path.isfile(path) else None
    if kind is None or not kind.artifact:
        return {}
    try:
        return {path: kind.name for path, kind in companions(kind.load(path)).items()}
    except DocumentError:
        return {}  # told when it is collected


def refused_documents(config: pytest.Config) -> int | None:
    """Say which documents named by option are no files; return exit status 2, or None if all are."""
    from ..documents.sources.text import file_problem

    refused = False
    base = config.invocation_params.dir
    for path, kind in named_documents(config.option, base).items():
        problem = file_problem(path)
        if problem is None:
            continue
        refused = True
        if not os.path.lexists(path):
            problem = _absence(path, kind)
        sys.stderr.write(f"ERROR: {path}: {problem}\n")
    if AUTO in config.option.metaopt_manifest:
        found, places = auto_manifest(config.option, base)
        if found is None:
            refused = True
            told = enumeration([str(place) for place in places], "or")
            sys.stderr.write(f"ERROR: --metaopt-manifest auto: there is no {told}; name one\n")
    return int(pytest.ExitCode.INTERRUPTED) if refused else None


def _option(kind: str) -> str:
    return f"--metaopt-{kind.replace('_', '-')}"


def _absence(path: Path, kind: str) -> str:
    if kind == "run_config" and is_pattern(path):
        return f"no file matches; check {_option(kind)}"
    told = kind.replace("_", " ")
    return f"no such {told} file{_nearest_file(path, kind) or f'; check {_option(kind)}'}"


def _nearest_file(path: Path, kind: str) -> str:
    from ..documents.kinds import KINDS

    if not path.parent.is_dir():
        return ""
    names = [entry.name for entry in path.parent.iterdir() if entry.suffix in KINDS[kind].suffixes]
    return did_you_mean(path.name, names)
