"""The bootstrap: a fixture that may change the tree so that a failed check passes."""

from __future__ import annotations

import pytest

from .document import Sweep


@pytest.fixture
def bootstrap_results(sweep: Sweep) -> str:
    """Create the directory for results."""
    sweep.results.mkdir()
    return f"made {sweep.results.name}/"
