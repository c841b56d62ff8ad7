"""How often a soak test repeats: in full with ``SOAK=full``, else a fifth, so that CI is done in minutes."""

from __future__ import annotations

import os

FULL = os.environ.get("SOAK") == "full"


def times(full: int) -> int:
    """Return *full*, or a fifth of it."""
    return full if FULL else full // 5
