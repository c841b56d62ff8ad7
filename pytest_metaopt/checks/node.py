"""Checks of each node of a launch: it answers, and lets a process have what it needs."""

from __future__ import annotations

import math

from .. import check, fail
from ..core.quantity import format_size
from ..documents.launch import Launch
from ..launch.nodes import Node
from ..probes.node.fleet import Fleet

GIB = 1 << 30
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
LEAST_SHM = 8 * GIB
"""Bytes of ``/dev/shm`` that NCCL and data loaders need (contract of the launch spec)."""
LEAST_MEMLOCK = 32 * GIB
"""Bytes that may be locked where it is not unlimited, for RDMA (contract of the launch spec)."""


def _size(amount: int) -> str:
    """Return bytes as limits are written: ``64 KiB``, ``23.54 GiB``; rounded down."""
    power = max(0, min((amount.bit_length() - 1) // 10, len(_UNITS) - 1))
    return f"{math.floor(100 * amount / 1024**power) / 100:.8g} {_UNITS[power]}"


def _has_remote_node(launch: Launch) -> bool:
    return any(node.host.transport != "local" for node in launch.facts.nodes)


def _requests_memory(launch: Launch) -> bool:
    return launch.facts.memory.given


def _uses_nccl(launch: Launch) -> bool:
    return launch.facts.uses_nccl


def uses_rdma(launch: Launch) -> bool:
    """Return whether NCCL is to use RDMA."""
    return launch.facts.rdma.value is True


@check(
    "reachable",
    group="node",
    document="launch",
    each="node",
    when=_has_remote_node,
    remediation="Make the node reachable without a prompt: a key, a known host key, an sshd that answers.",
)
def node_is_reachable(fleet: Fleet, node: Node) -> None:
    """The node is reachable and answers everything within --metaopt-timeout."""
    answer = fleet.answer(node)
    if answer.trouble is not None:
        fail(
            f"{node.name} {answer.trouble.message}",
            remediation=answer.trouble.remediation,
            at=node.position,
        )


@check(
    "memory",
    group="node",
    document="launch",
    each="node",
    when=_requests_memory,
    remediation="Raise the limit of the container or of the slice, or request less memory.",
)
def memory_is_enough(launch: Launch, fleet: Fleet, node: Node) -> None:
    """A process gets the memory that is requested: by memory.max of its cgroups, not the host's total."""
    limits = fleet.facts(node, "limits").limits
    expected = launch.facts.memory.value or 0
    if limits.memory is None:
        fail(f"{node.name}: could not read the size of its memory ({limits.problem or 'no value'})")
    if limits.memory < expected:
        by = "the cgroup's limit" if limits.memory == limits.cgroup else "the machine's memory"
        fail(
            f"{node.name}: a process gets {format_size(limits.memory)} ({by});"
            f" expected {format_size(expected)}",
            at=launch.facts.memory.position,
        )


@check(
    "shm",
    group="node",
    document="launch",
    each="node",
    when=_uses_nccl,
    remediation="Make /dev/shm larger: docker run --shm-size=16g (or --ipc=host); in Kubernetes an emptyDir"
    " with medium: Memory at /dev/shm; else mount -o remount,size=16G /dev/shm.",
)
def shm_is_large_enough(fleet: Fleet, node: Node) -> None:
    """/dev/shm has at least 8 GiB, which NCCL and data loaders need."""  # noqa: S108 - not written to
    limits = fleet.facts(node, "limits").limits
    if limits.shm is None:
        fail(f"{node.name}: could not read /dev/shm ({limits.problem or 'df printed nothing'})")
    if limits.shm < LEAST_SHM:
        fail(f"{node.name}: /dev/shm has {_size(limits.shm)}; expected {_size(LEAST_SHM)} or more")


@check(
    "memlock",
    group="node",
    document="launch",
    each="node",
    when=uses_rdma,
    remediation="Raise the limit of locked memory: '* - memlock unlimited' in /etc/security/limits.conf,"
    " LimitMEMLOCK=infinity for slurmd or the container runtime, docker run --ulimit memlock=-1.",
)
def memlock_is_large_enough(fleet: Fleet, node: Node) -> None:
    """The limit of locked memory is at least 32 GiB, which RDMA needs."""
    limits = fleet.facts(node, "limits").limits
    if not limits.memlock_known:
        fail(
            f"{node.name}: could not read its limit of locked memory"
            f" ({limits.problem or 'ulimit -l printed nothing'})"
        )
    if limits.memlock is not None and limits.memlock < LEAST_MEMLOCK:
        fail(
            f"{node.name}: {_size(limits.memlock)} is the limit of locked memory (ulimit -l);"
            f" expected unlimited, or {_size(LEAST_MEMLOCK)} or more"
        )
