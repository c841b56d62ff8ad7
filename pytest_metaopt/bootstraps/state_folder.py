"""The bootstraps B1, B2 and B3: the only place that changes a user's tree.

They make directories and one line of ``.gitignore``, nothing else, and nothing outside the project root.
Each is idempotent, undoes what it did where it cannot do all of it, and returns what it changed as
sentences. A conftest may override each by a fixture of the same name.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ..core.state_folder import (
    DIRECTORIES,
    STATE_FOLDER,
    BootstrapError,
    GitIgnore,
    OutsideProjectError,
    StateFolder,
    require_inside,
)

_IGNORE_LINE = f"{STATE_FOLDER}/".encode("ascii")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@pytest.fixture
def bootstrap_state_folder(state_folder: StateFolder) -> list[str]:
    """B1: make ``.ml-metaopt/``."""
    return _make_directories(state_folder.root, [state_folder.path])


@pytest.fixture
def bootstrap_directories(state_folder: StateFolder) -> list[str]:
    """B2: make the eight directories below ``.ml-metaopt/``."""
    return _make_directories(state_folder.root, [state_folder.path / name for name in DIRECTORIES])


@pytest.fixture
def bootstrap_gitignore(gitignore: GitIgnore) -> list[str]:
    """B3: create ``.gitignore``, or append the line ``.ml-metaopt/`` to it."""
    problem = gitignore.problem()
    if problem is not None:
        raise BootstrapError(problem)
    try:
        if gitignore.path.exists():
            return _append_line(gitignore)
        _create(gitignore.path, _IGNORE_LINE + b"\n")
    except OSError as error:
        raise BootstrapError(f"could not write .gitignore: {error.strerror or error}") from None
    return [f"created .gitignore with the line '{STATE_FOLDER}/'"]


def _make_directories(root: Path, expected: list[Path]) -> list[str]:
    made: list[Path] = []
    try:
        for path in expected:
            below = [folder for folder in (path, *path.parents) if root in folder.parents]
            for folder in reversed(below):
                if _make_directory(root, folder):
                    made.append(folder)  # noqa: PERF401 - what is made so far must be known when one fails
    except BootstrapError:
        for folder in reversed(made):
            # What somebody has put something into since stays; the first cause is the one to report.
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
    return _changes(root, made)


def _changes(root: Path, made: list[Path]) -> list[str]:
    state_folder = root / STATE_FOLDER
    changes = [f"created {STATE_FOLDER}/"] if state_folder in made else []
    below = [f"{folder.relative_to(state_folder)}/" for folder in made if folder != state_folder]
    return [*changes, f"created in {STATE_FOLDER}/: {', '.join(below)}"] if below else changes


def _make_directory(root: Path, path: Path) -> bool:
    """Make one directory; return whether it was not there."""
    try:
        require_inside(path, root)
        path.mkdir()
    except OutsideProjectError as error:
        raise BootstrapError(str(error)) from None
    except FileExistsError:
        if path.is_dir():
            return False
        raise BootstrapError(f"{path.relative_to(root)} exists, but is not a directory; remove it") from None
    except OSError as error:
        raise BootstrapError(
            f"could not create {path.relative_to(root)}/: {error.strerror or error}"
        ) from None
    return True


def _append_line(gitignore: GitIgnore) -> list[str]:
    """Append our line and leave every byte before it as it was, the missing last newline included."""
    if gitignore.excludes_state_folder():
        return []
    data = gitignore.path.read_bytes()
    if data.startswith(_UTF16):
        raise BootstrapError(".gitignore is UTF-16, which git does not read; save it as UTF-8")
    newline = b"\r\n" if data.count(b"\r\n") * 2 > data.count(b"\n") else b"\n"
    complete = not data or data.endswith(b"\n")
    addition = _IGNORE_LINE + newline if complete else newline + _IGNORE_LINE
    # Appending keeps the file's inode, owner, mode and links, which a replacement would not.
    descriptor = os.open(gitignore.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        _write_or_undo(descriptor, addition, undo=lambda: os.ftruncate(descriptor, len(data)))
    finally:
        os.close(descriptor)
    return [f"added the line '{STATE_FOLDER}/' to .gitignore"]


def _create(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        _write_or_undo(descriptor, data, undo=path.unlink)
    finally:
        os.close(descriptor)


def _write_or_undo(descriptor: int, data: bytes, *, undo: Callable[[], None]) -> None:
    try:
        written = os.write(descriptor, data)
        if written < len(data):
            # A short write on a regular file: the disk is full, and a second one says so.
            os.write(descriptor, data[written:])
        os.fsync(descriptor)
    except OSError:
        undo()
        raise
