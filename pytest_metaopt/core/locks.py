"""Locks: what keeps sessions on one project, and those who write one artifact, out of each other's way.

A lock is taken on the folder that it protects (flock(2)), not on a file in a folder for temporary files:
nothing has to be made for it, nobody else can have made it before, sessions with different settings meet at
it, and the system releases it when its process ends, however that ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

PATIENCE = 600.0
"""Seconds that a session waits for another one on the same project."""
_NOTICE_AFTER = 1.0
_POLL = 0.05

_NOT_ON_FOLDERS = {errno.EBADF, errno.EINVAL, errno.ENOTSUP, errno.ENOLCK, errno.EOPNOTSUPP}
"""NFS takes an exclusive lock only on what is open for writing, which no folder can be (flock(2), NOTES)."""
_LOCK_FILE = ".metaopt.lock"

_held: dict[tuple[int, int], int] = {}
"""How often this process holds the lock of a folder, by its device and inode; a second descriptor would wait
for the first for ever."""


class LockUnavailableError(Exception):
    """A lock could not be had; ``str()`` of it says which and why, in one line."""


@contextmanager
def held(folder: Path, notify: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock of *folder*, which must be there; a process that holds it already goes on at once.

    :param notify: called once, with a sentence, where it has to wait.
    :raises LockUnavailableError: it was not free within ``PATIENCE`` seconds, or cannot be had.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unavailable(folder, error) from None
    with ExitStack() as stack:
        stack.callback(os.close, descriptor)
        status = os.fstat(descriptor)
        key = status.st_dev, status.st_ino
        if key not in _held:
            _acquire(_lock(folder, descriptor, stack), folder, notify)
        _held[key] = _held.get(key, 0) + 1
        stack.callback(_release, key)
        yield


def _release(key: tuple[int, int]) -> None:
    _held[key] -= 1
    if not _held[key]:
        del _held[key]


def _lock(folder: Path, descriptor: int, stack: ExitStack) -> Callable[[float], bool]:
    """Return what waits so many seconds for the lock and tells whether it is held; *stack* lets it go."""
    try:
        _wait_for_folder(descriptor, 0)
    except OSError as error:
        if error.errno not in _NOT_ON_FOLDERS:
            raise _unavailable(folder, error) from None
        file = FileLock(folder / _LOCK_FILE)
        stack.callback(file.release)
        return lambda seconds: _wait_for_file(file, seconds)
    return lambda seconds: _wait_for_folder(descriptor, seconds)


def _wait_for_folder(descriptor: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(_POLL)


def _wait_for_file(file: FileLock, seconds: float) -> bool:
    try:
        file.acquire(timeout=seconds)
    except Timeout:
        return False
    return True


def _acquire(wait: Callable[[float], bool], folder: Path, notify: Callable[[str], None] | None) -> None:
    try:
        if wait(_NOTICE_AFTER):
            return
        if notify is not None:
            notify("waiting for another preflight session on this project to finish its bootstraps")
        if wait(PATIENCE):
            return
    except OSError as error:
        raise _unavailable(folder, error) from None
    raise LockUnavailableError(
        f"another preflight session has held {folder} for {PATIENCE:.0f} s; run again when it has ended"
    )


def _unavailable(folder: Path, error: OSError) -> LockUnavailableError:
    return LockUnavailableError(f"could not lock {folder}: {error.strerror or error}")
