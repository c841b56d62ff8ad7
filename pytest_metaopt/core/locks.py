"""Locks: what keeps processes and sessions on one project out of each other's way.

They lie in the user's own folder under the temporary directory, not in the project: whether
``.ml-metaopt/`` is there is itself a check that runs under a lock.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

PATIENCE = 600.0
"""Seconds that a session waits for another one on the same project."""
_NOTICE_AFTER = 1.0


class LockUnavailableError(Exception):
    """A lock could not be had; ``str()`` of it says which and why, in one line."""


def project_lock(root: Path, purpose: str) -> FileLock:
    """Return the lock for *purpose* of the project at *root*; it is not taken yet.

    :raises LockUnavailableError: the folder for locks cannot be made, or is somebody else's.
    """
    name = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:24]
    return FileLock(_folder() / f"{name}.{purpose}.lock")


@contextmanager
def held(locks: Iterable[FileLock], notify: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold all of *locks*, taken in the order of their paths so that two holders cannot block each other.

    :param notify: called once, with a sentence, where it has to wait.
    :raises LockUnavailableError: one was not free within ``PATIENCE`` seconds.
    """
    with ExitStack() as stack:
        for lock in sorted(locks, key=lambda lock: str(lock.lock_file)):
            acquire(lock, notify)
            stack.callback(lock.release)
        yield


def acquire(lock: FileLock, notify: Callable[[str], None] | None = None) -> None:
    """Take *lock*, calling *notify* where that takes long; see :func:`held`."""
    try:
        try:
            lock.acquire(timeout=_NOTICE_AFTER)
        except Timeout:
            if notify is not None:
                notify("waiting for another preflight session on this project to finish its bootstraps")
            lock.acquire(timeout=PATIENCE)
    except Timeout:
        raise LockUnavailableError(
            f"another preflight session has held this project for {PATIENCE:.0f} s (lock: {lock.lock_file});"
            " run again when it has ended"
        ) from None
    except OSError as error:
        raise LockUnavailableError(
            f"could not take the lock {lock.lock_file}: {error.strerror or error}"
        ) from None


def _folder() -> Path:
    try:
        folder = Path(tempfile.gettempdir()) / f"pytest-metaopt-{os.getuid()}"
    except FileNotFoundError:
        raise LockUnavailableError("no writable directory for temporary files; set TMPDIR to one") from None
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise LockUnavailableError(
            f"could not create the lock directory {folder}: {error.strerror}; set TMPDIR to a writable"
            " directory"
        ) from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise LockUnavailableError(f"{folder} belongs to another user; remove it, or set TMPDIR")
    return folder
