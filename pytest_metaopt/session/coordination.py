"""Coordination: the locks that keep sessions and processes on one project out of each other's way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ..core.locks import LockUnavailableError, acquire, held, project_lock


class Coordination:
    """The session's hold on the projects of its documents.

    :param notify: is called with a sentence where another session has to be waited for.
    """

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._locks = ExitStack()
        self.holds = False
        """Whether other sessions are kept out."""

    def hold(self, roots: Iterable[Path]) -> None:
        """Keep other sessions on these projects out until :meth:`release`.

        :raises pytest.Exit: another session does not end.
        """
        with _exit_without_lock():
            for root in sorted(set(roots)):
                lock = project_lock(root, "session")
                acquire(lock, self._notify)
                self._locks.callback(lock.release)
        self.holds = True

    def release(self) -> None:
        """Let other sessions on the projects in."""
        self.holds = False
        self._locks.close()

    @contextmanager
    def bootstrapping(self, roots: Iterable[Path]) -> Iterator[None]:
        """Hold the locks under which one process at a time runs bootstraps in these projects."""
        with held(project_lock(root, "bootstrap") for root in roots):
            yield

    @contextmanager
    def evaluating_first(self, roots: Iterable[Path]) -> Iterator[None]:
        """Hold the same locks for the first evaluations of the session.

        :raises pytest.Exit: another session does not end.
        """
        with _exit_without_lock(), self.bootstrapping(roots):
            yield


@contextmanager
def _exit_without_lock() -> Iterator[None]:
    try:
        yield
    except LockUnavailableError as error:
        pytest.exit(f"metaopt: {error}", returncode=int(pytest.ExitCode.TESTS_FAILED))
