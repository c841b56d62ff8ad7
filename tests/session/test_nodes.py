"""Nodes that are reached over ssh: real sshds in network namespaces, with real faults.

GPUs are a stand-in: each host plays back what a real driver said (tests/recorded/nvidia/README.md).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree as ET

import pytest
import yaml
from _pytest.pytester import RunResult

from tests.support.lab import Host, Lab, State, available
from tests.support.machines import smi
from tests.support.paths import RECORDED
from tests.support.project import Project

REASON = available()

pytestmark = pytest.mark.skipif(REASON is not None, reason=f"no network namespaces here: {REASON}")

NVIDIA = RECORDED / "nvidia"
A100 = smi("535.54.03-a100-mig")
NODE_CHECKS = [
    "reachable",
    "gpu_present",
    "gpu_health",
    "gpu_xid",
    "gpu_throttling",
    "gpu_processes",
    "shm",
    "disk_space",
    "disk_inodes",
    "checkpoint_dir",
    "durable_mount",
    "atomic_rename",
    "MN2",
    "MN4",
]
FLEET_CHECKS = ["driver_agrees", "nccl_env_agrees", "clock_skew"]
LAUNCH_CHECKS = ["schema", "nodes_named", "MN3", "MN5"]

Launch: TypeAlias = Callable[..., RunResult]


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """An empty laboratory; tests add its hosts."""
    with Lab(tmp_path_factory.mktemp("lab")) as made:
        yield made


def healthy(host: Host) -> Host:
    """Let a host be one that nothing is wrong with."""
    host.play("nvidia-smi", A100.replace("<pending>Yes", "<pending>No"))
    host.play("dmesg", "[    0.000000] Linux version 6.1.0\n")
    done = host.run(["mount", "-t", "tmpfs", "-o", "size=9g", "tmpfs", "/dev/shm"])
    assert done.returncode == 0, done.stderr
    return host


def spec(lab: Lab, *, network: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a launch spec over all hosts of the laboratory, which nothing is wrong with."""
    return {
        "nodes": [{"host": host.spec, "address": host.address} for host in lab.hosts.values()],
        "gpus": {"name": "A100", "count": 1, "memory": "40GB+"},
        "network": {"interface": "eth0", **(network or {})},
        "run": "torchrun --nnodes 3 --max-restarts 3 --rdzv-backend c10d train.py --resume",
        "launcher": {"collective_timeout": "10m"},
        "env": {
            "NCCL_SOCKET_IFNAME": "eth0",
            "NCCL_IB_DISABLE": 1,
            "NCCL_DEBUG": "INFO",
            "TORCH_NCCL_ASYNC_ERROR_HANDLING": 1,
        },
        "storage": {
            "checkpoint_dir": "/var/tmp/checkpoints",
            "checkpoint_size": "1GB",
            "durable_mounts": ["/"],
            "resume": True,
        },
        **more,
    }


def queried(project: Project, document: Mapping[str, Any], *arguments: str) -> RunResult:
    """Run pytest on a launch spec, with a JUnit file and an artifact."""
    project.write("launch.yaml", yaml.safe_dump(document, sort_keys=False))
    return project.pytest(
        "--metaopt-launch", "launch.yaml", "--junitxml=junit.xml", "--metaopt-readiness=out/readiness.json",
        "--metaopt-timeout=20", "--json-report", "--json-report-file=report.json", *arguments,
    )  # fmt: skip


def failed(project: Project) -> set[str]:
    """Return the test cases that failed, as JUnit has them."""
    cases = ET.parse(project.path / "junit.xml").iter("testcase")
    return {case.get("name", "") for case in cases if case.find("failure") is not None}


def messages(project: Project) -> dict[str, str]:
    """Return what is said of the checks that failed or warn, by check and node."""
    artifact = json.loads((project.path / "report.json").read_text())["readiness"]
    return {
        f"{check['id']}-{check['subject']}" if check["subject"] else check["id"]: check["message"]
        for check in artifact["checks"]
        if check["outcome"] in {"failed", "warning"}
    }


def lists(project: Project) -> tuple[list[str], list[str]]:
    """Return the names of the passing and of the failing nodes."""
    passing, failing = (
        (project.path / "out" / f"{word}_nodes.txt").read_text() for word in ("passing", "failing")
    )
    return passing.split(), failing.split()


def of(node: str, *checks: str) -> set[str]:
    """Return the names of a node's items: of *checks*, or of all."""
    return {f"node[{check}-{node}]" for check in checks or NODE_CHECKS}


@pytest.mark.parametrize(
    "workers", [[], pytest.param(["-n2"], marks=pytest.mark.soak)], ids=["one process", "n2"]
)
def test_three_healthy_nodes_are_green(project: Project, lab: Lab, workers: list[str]) -> None:
    for name in ("gpu-01", "gpu-02", "gpu-03"):
        healthy(lab.add(name))
    result = queried(project, spec(lab), *workers)
    assert result.ret == 0, result.stdout.str()
    assert failed(project) == set()
    assert messages(project) == {}
    cases = {case.get("name") for case in ET.parse(project.path / "junit.xml").iter("testcase")}
    expected = {f"launch[{check}]" for check in LAUNCH_CHECKS} | {f"fleet[{check}]" for check in FLEET_CHECKS}
    for name in lab.hosts:
        expected |= of(name)
    assert cases == expected
    assert lists(project) == (["gpu-01", "gpu-02", "gpu-03"], [])
    for host in lab.hosts.values():
        assert host.log.read_text().count("Accepted publickey") == 1  # one round trip, shared by workers


STATES: dict[State, str] = {
    "silent": "accepts connections, but its sshd never answers",
    "wrong_key": "shows another host key than known_hosts has",
    "down": "cannot be reached",
    "refused": "refuses connections",
    "denied": "refuses the login",
}


def test_a_node_that_cannot_be_reached_is_red_and_no_other(project: Project, lab: Lab) -> None:
    for name in ("gpu-01", *STATES, "gpu-03"):
        healthy(lab.add(name.replace("_", "-")))
    for state in STATES:
        lab[state.replace("_", "-")].become(state)
    result = queried(project, spec(lab), "--metaopt-timeout=8")
    assert result.ret == 1
    sick = [state.replace("_", "-") for state in STATES]
    advisory = {f"node[gpu_processes-{node}]" for node in sick}
    assert failed(project) == set[str]().union(*(of(node) for node in sick)) - advisory
    reported = messages(project)
    for node, words in zip(sick, STATES.values(), strict=True):
        assert f"{node} {words}" in reported[f"reachable-{node}"]
    assert lists(project) == (["gpu-01", "gpu-03"], sick)
    assert "Traceback" not in result.stdout.str()


def test_what_differs_between_nodes_is_reported_of_the_fleet(project: Project, lab: Lab) -> None:
    names = ("gpu-01", "gpu-02", "gpu-03", "gpu-04", "gpu-05")
    for name in names:
        healthy(lab.add(name))
    lab["gpu-02"].play(
        "nvidia-smi", A100.replace("<pending>Yes", "<pending>No").replace("535.54.03", "535.104.05")
    )
    lab["gpu-03"].write("/etc/nccl.conf", "NCCL_ALGO = Ring\n")
    lab["gpu-04"].script("date", '#!/bin/sh\necho "$(($(/bin/date +%s) - 30)).0"\n')
    result = queried(project, spec(lab))
    assert result.ret == 1
    assert failed(project) == {f"fleet[{check}]" for check in FLEET_CHECKS}
    reported = messages(project)
    others = "gpu-01, gpu-03, gpu-04 and gpu-05"
    assert f"NVIDIA driver: 535.104.05 on gpu-02; 535.54.03 on {others}" in reported["driver_agrees"]
    others = "gpu-01, gpu-02, gpu-04 and gpu-05"
    assert f"NCCL_ALGO: Ring on gpu-03; not set on {others}" in reported["nccl_env_agrees"]
    assert "is at least" in reported["clock_skew"]
    assert lists(project) == (list(names), [])


@pytest.mark.parametrize(
    "workers", [[], pytest.param(["-n2"], marks=pytest.mark.soak)], ids=["one process", "n2"]
)
def test_a_gpu_off_the_bus_is_of_its_node(project: Project, lab: Lab, workers: list[str]) -> None:
    for name in ("gpu-01", "gpu-02", "gpu-03"):
        healthy(lab.add(name))
    lab["gpu-02"].play("dmesg", (NVIDIA / "kernel-xid-79.txt").read_text())
    assert queried(project, spec(lab), *workers).ret == 1
    assert failed(project) == of("gpu-02", "gpu_xid")
    assert "gpu-02: Xid 79" in messages(project)["gpu_xid-gpu-02"]
    assert lists(project) == (["gpu-01", "gpu-03"], ["gpu-02"])


def jumbo(lab: Lab) -> None:
    """Make three hosts with jumbo frames, where the switch port of the second takes 1500 bytes."""
    for name in ("gpu-01", "gpu-02", "gpu-03"):
        healthy(lab.add(name, mtu=9000, port_mtu=1500 if name == "gpu-02" else None))


def test_black_hole_for_jumbo_frames_is_reported_as_one(project: Project, tmp_path: Path) -> None:
    with Lab(tmp_path / "lab", mtu=9000) as lab:
        jumbo(lab)
        result = queried(project, spec(lab), "--metaopt-timeout=6")
        assert result.ret == 1
        reported = messages(project)
        red = failed(project)
    assert "node[MN4-gpu-02]" in red
    assert not any("gpu-01" in item or "gpu-03" in item for item in red)
    assert "packets of 9000 bytes" in reported["MN4-gpu-02"]
    assert "MTU mismatch" in reported["MN4-gpu-02"]
    assert lists(project) == (["gpu-01", "gpu-03"], ["gpu-02"])


@pytest.mark.parametrize(
    "workers",
    [[], pytest.param(["-n2", "-k", "MN4"], marks=pytest.mark.soak)],
    ids=["one process", "n2"],
)
def test_black_hole_is_found_where_ssh_gets_through(project: Project, lab: Lab, workers: list[str]) -> None:
    """The controller sends frames of 1500 bytes, which pass."""
    jumbo(lab)
    result = queried(project, spec(lab), *workers)
    assert result.ret == 1
    assert failed(project) == {"node[MN4-gpu-02]"}
    reported = messages(project)["MN4-gpu-02"]
    assert "packets of 9000 bytes from gpu-02 (eth0) to gpu-03" in reported
    assert "of 1500 they arrive" in reported


def test_mtu_that_is_not_the_others(project: Project, lab: Lab) -> None:
    for name in ("gpu-01", "gpu-02", "gpu-03"):
        healthy(lab.add(name, mtu=1400 if name == "gpu-02" else 1500))
    assert queried(project, spec(lab)).ret == 1
    assert failed(project) == {"node[MN4-gpu-02]"}
    assert "eth0 has an MTU of 1400, but gpu-01 and gpu-03 have 1500" in messages(project)["MN4-gpu-02"]


def test_mtu_that_the_spec_asks_for(project: Project, lab: Lab) -> None:
    for name in ("gpu-01", "gpu-02"):
        healthy(lab.add(name))
    assert queried(project, spec(lab, network={"mtu": 9000}), "-k", "MN4").ret == 1
    assert failed(project) == {"node[MN4-gpu-01]", "node[MN4-gpu-02]"}
    assert "expected 9000" in messages(project)["MN4-gpu-01"]


@pytest.mark.parametrize("addresses", [True, False], ids=["addresses", "no addresses"])
def test_interface_that_is_not_there(project: Project, lab: Lab, *, addresses: bool) -> None:
    for name in ("gpu-01", "gpu-02"):
        healthy(lab.add(name))
    more = {} if addresses else {"nodes": [host.spec for host in lab.hosts.values()]}
    document = spec(lab, network={"mtu": 9000, "interface": "nosuch0"}, **more)
    assert queried(project, document, "-k", "MN4").ret == 1
    assert failed(project) == {"node[MN4-gpu-01]", "node[MN4-gpu-02]"}
    assert messages(project)["MN4-gpu-01"] == "gpu-01: no interface nosuch0; found eth0"


def test_mtu_is_looked_at_without_a_neighbour(project: Project, lab: Lab) -> None:
    host = healthy(lab.add("gpu-01"))
    document = spec(lab, nodes=[host.spec], network={"mtu": 9000, "interface": "eth0"})
    assert queried(project, document, "-k", "MN4").ret == 1
    assert messages(project)["MN4-gpu-01"] == "gpu-01: eth0 has an MTU of 1500; expected 9000"
    document["network"] = {"mtu": 1500, "interface": "eth0"}
    assert queried(project, document, "-k", "MN4").ret == 0
    document["network"] = {"mtu": 9000}
    document["nodes"] = ["local://"]
    assert queried(project, document, "-k", "MN4").ret == 0
    assert "unknown which interface needs an MTU of 9000" in messages(project)["MN4-local"]


def test_this_machine_sends_to_the_one_node_that_has_an_address(project: Project, lab: Lab) -> None:
    host = healthy(lab.add("gpu-01", mtu=1500))
    document = spec(lab, nodes=["local://", {"host": host.spec, "address": host.address}])
    document["network"] = {}
    result = queried(project, document, "-k", "MN4", "-rs")
    assert result.ret == 0
    result.assert_outcomes(passed=1, skipped=1)
    assert "no other node has an address to send to" in " ".join(result.stdout.str().split())


def test_bridge_without_a_carrier_is_none_for_nccl(project: Project, lab: Lab) -> None:
    for name in ("gpu-01", "gpu-02"):
        host = healthy(lab.add(name))
        host.run(["ip", "link", "add", "docker0", "type", "bridge"])
        host.run(["ip", "link", "set", "docker0", "up"])
        host.run(["ip", "addr", "add", "172.17.0.1/16", "dev", "docker0"])
    env = {"NCCL_IB_DISABLE": "1", "NCCL_SOCKET_IFNAME": "^lo"}
    assert queried(project, spec(lab, env=env), "-k", "MN2").ret == 1
    assert "NCCL_SOCKET_IFNAME=^lo selects docker0, a bridge" in messages(project)["MN2-gpu-01"]


def test_interface_without_an_address_is_none_for_nccl(project: Project, lab: Lab) -> None:
    for name in ("gpu-01", "gpu-02"):
        host = healthy(lab.add(name))
        for command in (
            "link add ib0 type veth peer name x0",
            "link set ib0 addrgenmode none",
            "link set x0 up",
            "link set ib0 up",
        ):
            done = host.run(["ip", *command.split()])
            assert done.returncode == 0, done.stderr
    env = {"NCCL_IB_DISABLE": "1", "NCCL_SOCKET_IFNAME": "ib0"}
    assert queried(project, spec(lab, env=env), "-k", "MN2").ret == 1
    assert "NCCL_SOCKET_IFNAME=ib0 selects ib0, which has no IP address" in messages(project)["MN2-gpu-01"]
    env["NCCL_SOCKET_IFNAME"] = "ib0,eth0"
    assert queried(project, spec(lab, env=env), "-k", "MN2").ret == 0


def test_node_that_hangs_holds_up_nobody(project: Project, lab: Lab) -> None:
    """What it said before counts; only what it did not come to fails."""
    for name in ("gpu-01", "gpu-02", "gpu-03"):
        healthy(lab.add(name))
    lab["gpu-02"].script("timeout", '#!/bin/sh\n[ "$1" = -k ] && shift 2\nshift\nexec "$@"\n')
    lab["gpu-02"].script("nvidia-smi", "#!/bin/sh\nsleep 60\n")
    result = queried(project, spec(lab), "--metaopt-timeout=6")
    assert result.ret == 1
    silent = ("reachable", "gpu_present", "gpu_health", "gpu_throttling")
    assert failed(project) == of("gpu-02", *silent)
    assert (
        "was reached, but answered only in part (timed out after 6 s)"
        in messages(project)["reachable-gpu-02"]
    )


def test_neighbour_is_reached_by_its_name_where_no_address_is_given(project: Project, lab: Lab) -> None:
    for name in ("gpu-01", "gpu-02"):
        healthy(lab.add(name))
    hosts = "".join(f"{host.address} {host.name}\n" for host in lab.hosts.values())
    document = spec(lab, nodes=[host.spec for host in lab.hosts.values()])
    assert queried(project, document, "-k", "MN4").ret == 0
    assert "neighbour's name does not resolve there" in messages(project)["MN4-gpu-01"]
    for host in lab.hosts.values():
        host.write("/etc/hosts", hosts)
    assert queried(project, document, "-k", "MN4").ret == 0
    assert messages(project) == {}


def test_nothing_is_changed_on_a_node(project: Project, lab: Lab) -> None:
    healthy(lab.add("gpu-01"))
    lab["gpu-01"].run(["mkdir", "/dev/shm/checkpoints"])
    lab["gpu-01"].run(["touch", "-d", "2020-01-01", "/dev/shm/checkpoints", "/dev/shm"])
    before = lab["gpu-01"].run(["find", "/dev/shm", "/etc", "/run", "-printf", "%p %T@ %s\n"]).stdout
    document = spec(lab)
    document["storage"]["checkpoint_dir"] = "/dev/shm/checkpoints"
    queried(project, document, "-k", "node")
    after = lab["gpu-01"].run(["find", "/dev/shm", "/etc", "/run", "-printf", "%p %T@ %s\n"]).stdout
    assert "checkpoints" in before
    assert after == before


def test_real_inventory_of_ansible(project: Project, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gpu-01", "gpu-02"):
        healthy(lab.add(name))
    project.write(
        "hosts.ini",
        "[gpu]\n"
        + "".join(f"{host.name} ansible_user=root ansible_connection=ssh\n" for host in lab.hosts.values())
        + f"[gpu:vars]\nansible_ssh_common_args=-F {lab.ssh_config}\n",
    )
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    document = {"nodes": ["ansible://gpu?ansible_inventory=hosts.ini"], "gpus": {"name": "A100", "count": 1}}
    result = queried(project, document, "-k", "reachable or gpu_present")
    assert result.ret == 0, result.stdout.str()
    cases = {case.get("name") for case in ET.parse(project.path / "junit.xml").iter("testcase")}
    assert cases == of("gpu-01", "reachable", "gpu_present") | of("gpu-02", "reachable", "gpu_present")


def test_secrets_in_what_ssh_says_are_not_shown(project: Project, lab: Lab) -> None:
    healthy(lab.add("gpu-01"))
    document = spec(lab, nodes=["ssh://root:hunter2secret@gpu-01"])
    result = queried(project, document)
    assert result.ret == 1
    everything = result.stdout.str() + result.stderr.str() + (project.path / "junit.xml").read_text()
    assert "hunter2secret" not in everything
    assert "has a password in it" in result.stdout.str()


def test_limit_on_connections_is_kept(project: Project, lab: Lab) -> None:
    for number in range(4):
        healthy(lab.add(f"gpu-{number}"))
    document = spec(lab)
    assert queried(project, document, "--metaopt-max-connections=1", "-k", "reachable").ret == 0
    log = "".join(host.log.read_text() for host in lab.hosts.values())
    assert log.count("Accepted publickey") == 4


def test_environment_is_not_needed_by_the_user(
    project: Project, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No agent, no terminal, no askpass program: nothing is ever queried."""
    healthy(lab.add("gpu-01"))
    lab["gpu-01"].become("denied")
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    result = queried(project, spec(lab), "-k", "reachable")
    assert result.ret == 1
    assert "Permission denied" in messages(project)["reachable-gpu-01"]


def test_session_that_ends_early_leaves_no_ssh_behind(project: Project, lab: Lab) -> None:
    for name in ("gpu-01", "gpu-02"):
        healthy(lab.add(name))
    lab["gpu-02"].become("silent")
    queried(project, spec(lab), "--metaopt-timeout=60", "-k", "reachable-gpu-01")
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in listed.splitlines() if str(lab.ssh_config) in line and "BatchMode" in line]


RDMA = """
set -e
mkdir -p /run/net
mount --bind /sys/class/net /run/net
mount -t tmpfs tmpfs /sys/class
mkdir -p /sys/class/net
mount --bind /run/net /sys/class/net
for port in mlx5_0/ports/1 mlx5_1/ports/1; do
  mkdir -p /sys/class/infiniband/$port
  echo InfiniBand > /sys/class/infiniband/$port/link_layer
done
echo '4: ACTIVE' > /sys/class/infiniband/mlx5_0/ports/1/state
echo '1: DOWN' > /sys/class/infiniband/mlx5_1/ports/1/state
"""
"""Two adapters as the kernel shows them (ABI/stable/sysfs-class-infiniband), one of them without a link."""


def test_adapter_without_a_link(project: Project, lab: Lab) -> None:
    """Which of many values of NCCL_IB_HCA select what is in tests/unit/checks/test_network.py."""
    for name in ("gpu-01", "gpu-02"):
        host = healthy(lab.add(name))
        made = host.run(["sh", "-c", RDMA])
        assert made.returncode == 0, made.stderr
    env = {"NCCL_SOCKET_IFNAME": "eth0", "NCCL_IB_HCA": "mlx5_0"}
    document = spec(lab, network={"rdma": True}, env=env)
    document["nodes"][1]["env"] = {"NCCL_IB_HCA": "mlx5_1"}
    assert queried(project, document, "-k", "MN2").ret == 1
    assert failed(project) == of("gpu-02", "MN2")
    reported = "names no adapter with an active port (mlx5_1:1 1: DOWN)"
    assert reported in messages(project)["MN2-gpu-02"]


def test_rdma_without_an_adapter_or_locked_memory(project: Project, lab: Lab) -> None:
    for name in ("gpu-01", "gpu-02"):
        healthy(lab.add(name))
    env = {"NCCL_SOCKET_IFNAME": "eth0", "NCCL_IB_HCA": "mlx5_0"}
    assert queried(project, spec(lab, network={"rdma": True}, env=env), "-k", "MN2 or memlock").ret == 1
    reported = messages(project)
    assert "NCCL_IB_HCA is mlx5_0, but the node has no RDMA adapter" in reported["MN2-gpu-01"]
