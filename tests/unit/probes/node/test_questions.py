"""What a node is queried for follows from the launch."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_metaopt.probes.node.questions import questions
from tests.support.launches import read


@pytest.mark.parametrize("network", [{"interface": "ib0"}, {}], ids=["interface", "no interface"])
def test_packets_are_sent_over_the_interface_of_the_launch(tmp_path: Path, network: dict[str, str]) -> None:
    nodes = [{"host": "gpu-01"}, {"host": "gpu-02", "address": "10.0.0.2"}]
    launch = read(tmp_path, nodes=nodes, network=network)
    command = questions(launch.facts, launch.nodes[1])["path"].command
    assert command.startswith(f"neighbour=10.0.0.2 interface={network.get('interface', chr(39) * 2)}\n")
