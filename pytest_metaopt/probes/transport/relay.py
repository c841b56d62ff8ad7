"""Answers of nodes that the workers of a session share: the first one queries, the others read its answer."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from .reach import Reply, Trouble

_POLL = 0.2
"""Seconds between two looks at whether the worker that queries is done, or the session over."""


@dataclass(frozen=True)
class Heard:
    """What was heard from a node.

    :param mark: the one of the script that it answered.
    :param sent_at: the time here when the query was sent, in seconds since 1970.
    :param got_at: the time here when its answer was there.
    """

    reply: Reply
    mark: str
    sent_at: float
    got_at: float


def shared(
    folder: Path | None, question: str, query: Callable[[], Heard], stop: threading.Event | None
) -> Heard | None:
    """Return what *query* returns, here or in the worker that came first; None if the session ends before.

    :param folder: the one that the workers of a session have in common; None: there is one process.
    :param question: what is queried on which host; the same text is queried once.
    """
    if folder is None:
        return query()
    name = hashlib.sha256(question.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    file, lock = folder / f"node-{name}.json", FileLock(folder / f"node-{name}.lock")
    while True:
        if stop is not None and stop.is_set():
            return None
        try:
            with lock.acquire(timeout=_POLL, poll_interval=_POLL / 2):
                if file.exists():
                    return _read(file)
                heard = query()
                if stop is None or not stop.is_set():
                    _write(file, heard)
                return heard
        except Timeout:
            continue


def _read(file: Path) -> Heard:
    data = json.loads(file.read_text(encoding="ascii"))
    trouble = Trouble(**data["reply"]["trouble"]) if data["reply"]["trouble"] is not None else None
    return Heard(**{**data, "reply": Reply(**{**data["reply"], "trouble": trouble})})


def _write(file: Path, heard: Heard) -> None:
    unfinished = file.with_suffix(".tmp")
    unfinished.write_text(json.dumps(asdict(heard)), encoding="ascii")
    unfinished.replace(file)
