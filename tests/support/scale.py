"""How often a test repeats: in full with ``SOAK=full``, else less, so that CI is done in minutes."""

from __future__ import annotations

import os

FULL = os.environ.get("SOAK") == "full"


def times(full: int) -> int:
    """Return *full*, or a tenth of it."""
    return full if FULL else full // 10


def examples(full: int) -> int:
    """Return how many examples a property test tries: *full*, or a tenth of it."""
    return full if FULL else max(full // 10, 10)
