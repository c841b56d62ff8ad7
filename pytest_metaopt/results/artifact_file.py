"""The file that holds a readiness artifact: the only place that writes it."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.document import DocumentError
from ..core.locks import held
from ..core.redaction import safe
from ..core.text import shortened
from ..documents.sources.text import read_text
from .artifact import MOST_BYTES, Artifact

_MOST_MODE = 0o644
"""What an artifact keeps of the mode of the one before: nobody else may ever write the next verdict."""


class NotWrittenError(Exception):
    """The artifact could not be written; ``str()`` of it says why and what to do."""


def write_artifact(
    artifact: Artifact,
    path: Path,
    *,
    root: Path | None,
    mode: int | None = None,
    beside: Mapping[str, Sequence[str] | None] | None = None,
) -> None:
    """Write *artifact* to *path* so that a reader sees the old file or the whole new one, never a part.

    :param mode: that of the file which was there before; None: it is there still, or there was none.
    :param beside: files to write in the same folder before it, by their name: a line each; None: there must
        be no such file.

    :param root: the project root that the file's folder must lie in; the folder is not made, since whether
        it is there is a check of its own. None: the user named *path*, and its folder is made.
    :raises NotWrittenError: it cannot be written; what was there is as it was.
    :raises LockUnavailableError: another session does not end writing in the folder.
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
        with held(folder):
            for name, lines in (beside or {}).items():
                _remove_leftovers(folder, name)
                if lines is None:
                    (folder / name).unlink(missing_ok=True)
                else:
                    _replace(folder / name, "".join(f"{line}\n" for line in lines))
            _remove_leftovers(folder, path.name)
            _replace(path, json.dumps(artifact.to_json(), indent=2, ensure_ascii=True) + "\n", mode)
    except OSError as error:
        raise NotWrittenError(f"could not write {path}: {error.strerror or error}") from None


def is_failed(path: Path) -> bool:
    """Return whether the artifact at *path* says FAILED, so that nobody takes it for READY."""
    return _read(path).get("status") == "FAILED"


def previous(path: Path) -> str | None:
    """Return the status and the time of the artifact at *path*, for people; None where there is none."""
    found = _read(path)
    status, emitted_at = found.get("status"), found.get("emitted_at")
    if status not in ("READY", "FAILED") or not isinstance(emitted_at, str):
        return None
    return safe(f"{status} of {shortened(emitted_at, len('2026-01-31T23:59:59Z'))}")


def _read(path: Path) -> dict[str, Any]:
    """Return what the file at *path* holds; nothing where no reader takes it for an artifact."""
    try:
        found = json.loads(read_text(path, most=MOST_BYTES))
    except (DocumentError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def revoke(path: Path) -> int | None:
    """Make an artifact from before useless, whatever it says, and by whatever means the file system allows.

    It takes no lock: what another session writes meanwhile is its own verdict, or lost: never a wrong READY.
    A session that could not write its own verdict would else leave a READY that does not hold.

    :return: the mode that the file had; None where no reader takes what is there for an artifact.
    :raises NotWrittenError: nothing helped; what was there may still say READY.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        mode = None
    if mode is None or not stat.S_ISREG(mode):
        return None
    problem = _unlink(path)
    if problem is not None and not _overwrite(path):
        raise NotWrittenError(f"could not remove {path}, which may say READY: {problem}")
    return stat.S_IMODE(mode)


def _unlink(path: Path) -> str | None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _overwrite(path: Path) -> bool:
    """Spoil a file that cannot be removed: one that can be written to may lie in a folder that cannot."""
    for mode in (None, 0o600):
        with contextlib.suppress(OSError):
            if mode is not None:
                path.chmod(mode)
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                _spoil(descriptor)
            finally:
                os.close(descriptor)
            return True
    return False


def _spoil(descriptor: int) -> None:
    try:
        os.ftruncate(descriptor, 0)
    except OSError:
        os.pwrite(descriptor, b"revoked\n", 0)
    os.fsync(descriptor)


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


def _replace(path: Path, text: str, mode: int | None = None) -> None:
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, _mode(path) if mode is None else mode & _MOST_MODE)
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
        return stat.S_IMODE(path.stat().st_mode) & _MOST_MODE
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
