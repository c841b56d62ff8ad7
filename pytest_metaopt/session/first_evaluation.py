"""First evaluations: how each check with a bootstrap came out before any bootstrap of the session ran.

The campaign contract counts a check as bootstrapped where it did not hold at the first evaluation.
One bootstrap fixes several checks, so the first evaluation of all of them comes before the first
bootstrap, whatever the order of the items and however many workers there are. The worker that comes first
evaluates on behalf of all and leaves what it found in a file that the others read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from ..core.outcome import Failure
from .role import Role

_STORE_NAME = "first-evaluations.json"


class FirstEvaluations:
    """How checks came out at their first evaluation, by their keys.

    :param role: says where the workers of a session share it.
    """

    def __init__(self, role: Role) -> None:
        self._role = role
        self._failures: dict[str, Failure] = {}

    @property
    def _store(self) -> Path | None:
        return self._role.folder / _STORE_NAME if self._role.folder is not None else None

    def failure(self, key: str) -> Failure | None:
        """Return why a check did not hold at first; None where it held, or was not evaluated then."""
        return self._failures.get(key)

    @property
    def failed(self) -> frozenset[str]:
        """The keys of the checks that did not hold."""
        return frozenset(self._failures)

    def load(self) -> bool:
        """Read what another worker found; return whether one has evaluated."""
        if self._store is None or not self._store.exists():
            return False
        seen = json.loads(self._store.read_text(encoding="ascii"))
        self._failures = {
            key: Failure(failure["message"], failure["remediation"], failure["line"], failure["column"])
            for key, failure in seen.items()
        }
        return True

    def take(self, evaluations: Mapping[str, Callable[[], Failure | None]]) -> None:
        """Evaluate, by their keys and in this order, unless another worker has.

        To be called with the bootstrap lock held.
        """
        if self.load():
            return
        crashed = self._left_begun()
        for key, evaluate in evaluations.items():
            if key in crashed:
                continue
            self._begin(key)
            failure = evaluate()
            if failure is not None:
                self._failures[key] = failure
        self._save()

    @property
    def _journal(self) -> Path | None:
        """Where the one who evaluates notes what it begins, for those who come after a crash."""
        return self._store.with_suffix(".journal") if self._store else None

    def _begin(self, key: str) -> None:
        if self._journal is not None:
            with self._journal.open("a", encoding="ascii") as journal:
                journal.write(json.dumps([os.getpid(), key]) + "\n")

    def _left_begun(self) -> frozenset[str]:
        """Return the checks that crashed a worker at their first evaluation; they have their turn anyway."""
        if self._journal is None or not self._journal.exists():
            return frozenset()
        begun = [json.loads(line) for line in self._journal.read_text(encoding="ascii").splitlines()]
        last = dict(begun)  # by process: only the last thing that it began can have crashed it
        return frozenset(last.values())

    def _save(self) -> None:
        if self._store is None:
            return
        seen = {
            key: {
                "message": failure.message,
                "remediation": failure.remediation,
                "line": failure.line,
                "column": failure.column,
            }
            for key, failure in self._failures.items()
        }
        unfinished = self._store.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(seen), encoding="ascii")
        unfinished.replace(self._store)
