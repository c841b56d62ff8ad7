"""Which interface and which adapter NCCL takes on a node, of those that its kernel lists."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_metaopt.checks import network
from pytest_metaopt.probes.node.facts import NodeFacts
from pytest_metaopt.probes.node.sections import Output
from pytest_metaopt.session.catalog import checks_of_module
from pytest_metaopt.session.evaluation import evaluate
from tests.support.launches import read

(MN2,) = (check for check in checks_of_module(network, None) if check.id == "MN2")

LISTED = """\
link docker0 unknown 1500 1 0x1003 bridge
link eth0 up 1500 1 0x1003 device
link lo unknown 65536 772 0x9 virtual
port mlx5_0 1 InfiniBand 4: ACTIVE
port mlx5_1 1 InfiniBand 1: DOWN
address lo inet 127.0.0.1/8
address eth0 inet 10.231.165.2/24
address docker0 inet 172.17.0.1/16
"""
"""What the query prints on a host with two adapters (Linux 6.18); test_nodes.py runs it on one."""
BARE = "".join(line for line in LISTED.splitlines(keepends=True) if "docker0" not in line)


def said(folder: Path, listed: str, env: dict[str, str], *, rdma: bool = False) -> str | None:
    """Return what MN2 reports of a node that lists *listed*; None: nothing."""
    launch = read(folder, nodes=["gpu-01", "gpu-02"], network={"rdma": rdma}, env=env)
    assert launch.valid, launch.problems
    node = launch.nodes[0]
    fleet = SimpleNamespace(
        facts=lambda node, *_: NodeFacts(node, {"interfaces": Output(listed, 0)}, 0.0, 0.0)
    )
    failure = evaluate(MN2, {"launch": launch, "fleet": fleet, "node": node})
    return failure.message if failure else None


@pytest.mark.parametrize("value", ["eth0", "eth", "=eth0", "^lo,docker", "ib0,eth0"])
def test_lists_of_interfaces_are_read_as_nccl_reads_them(tmp_path: Path, value: str) -> None:
    assert said(tmp_path, LISTED, {"NCCL_IB_DISABLE": "1", "NCCL_SOCKET_IFNAME": value}) is None


def test_what_is_set_up_but_has_neither_carrier_nor_address_is_not_taken(tmp_path: Path) -> None:
    listed = f"link docker0 down 1500 1 0x1003 bridge\n{BARE}"
    assert said(tmp_path, listed, {"NCCL_IB_DISABLE": "1", "NCCL_SOCKET_IFNAME": "docker,eth0"}) is None


@pytest.mark.parametrize(
    ("listed", "env", "reported"),
    [
        (LISTED, {}, "NCCL_SOCKET_IFNAME is not set"),
        (BARE, {"NCCL_SOCKET_IFNAME": "ib"}, "selects no interface that is up (found eth0)"),
        (LISTED, {"NCCL_SOCKET_IFNAME": "lo"}, "selects lo, the loopback"),
        (BARE, {"NCCL_SOCKET_IFNAME": "^eth"}, "selects lo, the loopback"),
        (LISTED, {"NCCL_SOCKET_IFNAME": "docker"}, "selects docker0, a bridge"),
        (LISTED, {"NCCL_SOCKET_IFNAME": "eth0", "NCCL_IB_DISABLE": "0"}, "NCCL_IB_DISABLE is not 1"),
    ],
    ids=["unset", "absent", "loopback", "exclusion", "bridge", "ib"],
)
def test_interface_that_nccl_takes(tmp_path: Path, listed: str, env: dict[str, str], reported: str) -> None:
    assert reported in str(said(tmp_path, listed, {"NCCL_IB_DISABLE": "1", **env}))


@pytest.mark.parametrize(
    ("env", "reported"),
    [
        ({"NCCL_IB_HCA": "mlx5_0"}, None),
        ({"NCCL_IB_HCA": "=mlx5_0:1"}, None),
        ({"NCCL_IB_HCA": "mlx5"}, None),
        ({"NCCL_IB_HCA": "^mlx5_1"}, None),
        ({"NCCL_IB_HCA": "mlx5_1"}, "names no adapter with an active port (mlx5_1:1 1: DOWN)"),
        ({"NCCL_IB_HCA": "^mlx5_0"}, "names no adapter with an active port"),
        ({"NCCL_IB_HCA": "bnxt"}, "names no existing adapter; found mlx5_0 and mlx5_1"),
        ({"NCCL_IB_HCA": "mlx5_0", "NCCL_IB_DISABLE": "1"}, "NCCL_IB_DISABLE is 1, though network.rdma"),
        ({}, "NCCL_IB_HCA is not set"),
    ],
    ids=["adapter", "port", "prefix", "exclusion", "down", "all but it", "absent", "disabled", "unset"],
)
def test_adapter_that_nccl_takes(tmp_path: Path, env: dict[str, str], reported: str | None) -> None:
    found = said(tmp_path, LISTED, {"NCCL_SOCKET_IFNAME": "eth0", **env}, rdma=True)
    assert found is None if reported is None else reported in str(found)
