"""How often a soak test repeats: in full with ``SOAK=full``, else a tenth, so that CI is done in minutes."""

from __future__ import annotations

import os

FULL = os.environ.get("SOAK") == "full"


def times(full: int) -> int:
    """Return *full*, or a tenth of it."""
    return full if FULL else full // 10
