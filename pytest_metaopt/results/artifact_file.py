"""The file that holds a readiness artifact: the only place that writes it."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from .artifact import Artifact


class NotWrittenError(Exception):
    """The artifact could not be written; ``str()`` of it says why and what to do."""


def write_artifact(
    artifact: Artifact,
    path: Path,
    *,
    root: Path | None,
    beside: Mapping[str, Sequence[str] | None] | None = None,
) -> None:
    """Write *artifact* to *path* so that a reader sees the old file or the whole new one, never a part.

    To be called with the project's lock held.

    :param beside: files to write in the same folder before it, by their name: a line each; None: there must
        be no such file.

    :param root: the project root that the file's folder must lie in; the folder is not made, since whether
        it is there is a check of its own. None: the user named *path*, and its folder is made.
    :raises NotWrittenError: it cannot be written; what was there is as it was.
    """
    folder = path.parent
    try:
        if root is None:
            folder.mkdir(parents=True, exist_ok=True)
        else:
            _require_inside(folder, root)
        if path.is_dir():
            raise NotWrittenError(f"{path} is a directory; remove it")
        if path.exists() and not path.is_file():
            raise NotWrittenError(f"{path} is not a regular file; name another one")
        for name, lines in (beside or {}).items():
            _remove_leftovers(folder, name)
            if lines is None:
                (folder / name).unlink(missing_ok=True)
            else:
                _replace(folder / name, "".join(f"{line}\n" for line in lines))
        _remove_leftovers(folder, path.name)
        _replace(path, json.dumps(artifact.to_json(), indent=2, ensure_ascii=True) + "\n")
    except OSError as error:
        raise NotWrittenError(f"could not write {path}: {error.strerror or error}") from None


def _require_inside(folder: Path, root: Path) -> None:
    real = Path(os.path.realpath(folder))
    if not real.is_dir():
        raise NotWrittenError(
            f"{folder} is not a directory; create it, or let check R1 create it in a full run with bootstraps"
        )
    if not real.is_relative_to(os.path.realpath(root)):
        raise NotWrittenError(f"{folder} leads out of the project root {root}; replace the link")


def _remove_leftovers(folder: Path, name: str) -> None:
    """Remove what a killed session left unfinished; the lock says that nobody is writing now."""
    for leftover in folder.glob(f".{name}.*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            leftover.unlink()


def _replace(path: Path, text: str) -> None:
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, _mode(path))
            os.fsync(descriptor)
        Path(unfinished).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(unfinished).unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _mode(path: Path) -> int:
    """Return the mode of the file at *path*, or the one that a new file gets."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
