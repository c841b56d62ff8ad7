"""Coordination: the locks that keep sessions and processes on one project out of each other's way."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from ..core.locks import LockUnavailableError, held
from .role import Role


class Coordination:
    """The session's hold on the projects of its documents.

    :param role: says where the workers of the session meet.
    :param notify: is called with a sentence where another session has to be waited for.
    """

    def __init__(self, role: Role, notify: Callable[[str], None]) -> None:
        self._role = role
        self._notify = notify
        self._locks = ExitStack()
        self.holds = False
        """Whether other sessions are kept out."""

    def hold(self, roots: Iterable[Path]) -> None:
        """Keep other sessions on these projects out until :meth:`release`.

        :raises pytest.Exit: another session does not end.
        """
        try:
            for root in sorted({Path(os.path.realpath(root)) for root in roots}):
                self._locks.enter_context(held(root, self._notify))
        except LockUnavailableError as error:
            pytest.exit(f"metaopt: {error}", returncode=int(pytest.ExitCode.TESTS_FAILED))
        self.holds = True

    def release(self) -> None:
        """Let other sessions on the projects in."""
        self.holds = False
        self._locks.close()

    @contextmanager
    def bootstrapping(self, roots: Iterable[Path]) -> Iterator[None]:
        """Keep the other workers of the session from evaluating first, or bootstrapping, in these projects.

        Other sessions are kept out by :meth:`hold`.
        """
        with ExitStack() as locks:
            if self._role.folder is not None:
                names = {hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest() for root in roots}
                for name in sorted(names):  # in one order, so that two workers cannot block each other
                    locks.enter_context(FileLock(self._role.folder / f"{name}.lock"))
            yield
