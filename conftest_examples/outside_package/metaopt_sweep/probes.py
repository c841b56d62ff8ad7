"""The probe: a fact from outside, gathered once for each sweep."""

from __future__ import annotations

from pytest_metaopt import probe

from .document import Sweep


@probe("largest_rate")
def largest_rate(sweep: Sweep) -> float:
    """The largest learning rate that makes sense."""
    return float(sweep.get("largest", 1.0))
