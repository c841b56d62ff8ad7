"""What the tests of probes share."""

from __future__ import annotations

import pytest

from pytest_metaopt.probes.command import Deadline, Runner


@pytest.fixture
def run() -> Runner:
    """Runs commands, 20 seconds at most each."""
    return Runner(Deadline.after(20))
