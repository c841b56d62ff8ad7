"""First looks: how each check with a bootstrap came out before any bootstrap of the session ran.

The campaign contract counts a check as bootstrapped where it did not hold at the first evaluation.
One bootstrap mends several checks, so the first evaluation of all of them comes before the first
bootstrap, whatever the order of the items and however many workers there are. The worker that comes first
looks on behalf of all and leaves what it saw in a file that the others read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ..core.outcome import Failure
from .items import CheckItem


class FirstLooks:
    """What was seen at the first looks.

    :param store: where the workers of a session share it; None: one process, nothing to share.
    """

    def __init__(self, store: Path | None) -> None:
        self._store = store
        self._failures: dict[str, Failure] = {}

    def failure(self, item: CheckItem) -> Failure | None:
        """Return why *item* did not hold at its first look; None where it held, or was not looked at."""
        return self._failures.get(item.key)

    @property
    def pending(self) -> frozenset[str]:
        """The keys of the checks that did not hold."""
        return frozenset(self._failures)

    def load(self) -> bool:
        """Read what another worker saw; return whether one has looked."""
        if self._store is None or not self._store.exists():
            return False
        seen = json.loads(self._store.read_text(encoding="ascii"))
        self._failures = {
            key: Failure(look["message"], look["remediation"], look["line"], look["column"])
            for key, look in seen.items()
        }
        return True

    def take(self, items: Sequence[CheckItem]) -> None:
        """Look at *items*, unless another worker has; to be called with the bootstrap lock held."""
        if self.load():
            return
        broken = self._left_looking()
        for item, keep in _with_next([item for item in items if item.key not in broken]):
            self._begin(item.key)
            item.take_first_look(keep)
            if item.looked and item.look is not None:
                self._failures[item.key] = item.look
        self._save()

    @property
    def _journal(self) -> Path | None:
        """Where the one who looks writes down what at, for those who come after a crash."""
        return self._store.with_suffix(".journal") if self._store else None

    def _begin(self, key: str) -> None:
        if self._journal is not None:
            with self._journal.open("a", encoding="ascii") as journal:
                journal.write(json.dumps([os.getpid(), key]) + "\n")

    def _left_looking(self) -> frozenset[str]:
        """Return the checks that crashed a worker at their first look; their turn in the run comes anyway."""
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


def _with_next(items: Sequence[CheckItem]) -> Iterator[tuple[CheckItem, CheckItem | pytest.Session]]:
    """Yield each item with the one behind it, the last with the session, whose fixtures so stay set up."""
    for index, item in enumerate(items):
        yield item, items[index + 1] if index + 1 < len(items) else item.session
