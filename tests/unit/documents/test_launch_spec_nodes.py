"""Which nodes a launch spec has, and how many it may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_metaopt.documents import launch_model
from tests.support.launches import read


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"nodes": ["gpu-1", "gpu-2"]}, True),
        ({"nodes": ["gpu-1"]}, True),
        ({"name": "x"}, True),
        ({"num_nodes": 2}, False),
    ],
    ids=["two", "one", "this machine", "a number"],
)
def test_nodes_are_known_by_name_or_as_this_machine(
    tmp_path: Path, keys: dict[str, Any], named: bool
) -> None:
    assert read(tmp_path, **keys).facts.names_nodes is named


@pytest.mark.parametrize(("count", "valid"), [(3, True), (4, False)])
def test_more_nodes_than_may_be_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, valid: bool
) -> None:
    monkeypatch.setattr(launch_model, "_MOST_NODES", 3)
    launch = read(tmp_path, nodes=[f"gpu-{number}" for number in range(count)])
    assert [problem.message for problem in launch.problems] == (
        [] if valid else ["nodes has 4 nodes; expected at most 3"]
    )
