"""The clock of a node, and how far it is ahead of ours."""

from __future__ import annotations

import re

from .sections import Output, Question

QUESTION = Question("date +%s.%N", 0)


def offset(begin: Output, end: Output, sent_at: float, got_at: float) -> tuple[float, float] | None:
    """Return how far a node's clock is ahead of ours, in seconds: the least and the most; None: unknown.

    :param begin: what its clock showed before the other questions.
    :param end: what it showed after them.
    :param sent_at: the time here when the questions were sent, in seconds since 1970.
    :param got_at: the time here when the answer had arrived.
    """
    first, last = _seconds(begin.text), _seconds(end.text)
    if first is None:
        return None
    if last is None:
        last = first
    return last[0] - got_at, first[1] - sent_at


def _seconds(text: str) -> tuple[float, float] | None:
    """Return the least and the most that a clock may show that says *text*."""
    found = re.match(r"\s*([0-9]{1,12})(?:\.([0-9]+))?", text)
    if found is None:
        return None
    least = float(f"{found[1]}.{found[2] or 0}")
    # busybox leaves %N as it is: of its clock the whole seconds are known.
    return least, least if found[2] else least + 1
