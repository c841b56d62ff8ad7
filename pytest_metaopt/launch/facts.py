"""Launch facts: what any launch file says, whatever its format, each value with its key path and position."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from ..core.value import Value
from .environment import Environment
from .gpus import GpuNeed
from .launcher import Launcher
from .nodes import Node

T = TypeVar("T")


def _unsaid() -> Value[T]:
    return Value()


@dataclass(frozen=True, kw_only=True)
class LaunchFacts:
    """What a launch file says: read by the checks of a launch and of its nodes, and by their probe.

    A reader of a format fills in what its format can say. What a file does not say is a
    :class:`~pytest_metaopt.core.value.Value` without a value, at the position at which it belongs.
    Sizes are in bytes, times in seconds.

    :param nodes: the nodes that are checked; where the file names none, this machine.
    :param names_nodes: whether the nodes of the launch are known: the file names them, or the only node is
        this machine.
    :param size: the number of nodes, named or not.
    :param gpus: the GPUs that each node must have.
    :param memory: the memory that a process must get on each node.
    :param fabric: how the GPUs of a node are connected: ``nvswitch``, ``nvlink``, ``pcie``.
    :param interface: the network interface over which the nodes reach each other.
    :param mtu: the MTU of that interface.
    :param rdma: whether NCCL uses RDMA (InfiniBand, RoCE).
    :param launcher: what starts the ranks.
    :param env: the environment that every rank gets.
    :param collective_timeout: the timeout that the training code gives its process group.
    :param checkpoint_dir: the checkpoint directory, on every node.
    :param checkpoint_size: the size of one checkpoint.
    :param checkpoints: the number of checkpoints that are kept at a time.
    :param scratch: the space that is needed beside checkpoints on the same mount.
    :param storage_path: the path whose mount must have room.
    :param durable_mounts: the mounts that survive the teardown of the machines.
    :param resume: whether a restarted rank loads the latest checkpoint.
    :param write_time: how long it takes to write a checkpoint.
    :param checkpoint_every: the time between two checkpoints.
    :param expected_lost_workers: the number of workers that may be lost at a time.
    :param pinned_to_max_np: whether learning rate and shards are computed from ``max-np``.
    :param time_between_preemptions: the mean time between two preemptions.
    """

    nodes: tuple[Node, ...] = ()
    names_nodes: bool = True
    size: Value[int] = field(default_factory=_unsaid)
    gpus: Value[GpuNeed] = field(default_factory=_unsaid)
    memory: Value[int] = field(default_factory=_unsaid)
    fabric: Value[str] = field(default_factory=_unsaid)
    interface: Value[str] = field(default_factory=_unsaid)
    mtu: Value[int] = field(default_factory=_unsaid)
    rdma: Value[bool] = field(default_factory=_unsaid)
    launcher: Value[Launcher] = field(default_factory=_unsaid)
    env: Environment = field(default_factory=Environment)
    collective_timeout: Value[float] = field(default_factory=_unsaid)
    checkpoint_dir: Value[str] = field(default_factory=_unsaid)
    checkpoint_size: Value[int] = field(default_factory=_unsaid)
    checkpoints: Value[int] = field(default_factory=_unsaid)
    scratch: Value[int] = field(default_factory=_unsaid)
    storage_path: Value[str] = field(default_factory=_unsaid)
    durable_mounts: Value[tuple[str, ...]] = field(default_factory=_unsaid)
    resume: Value[bool] = field(default_factory=_unsaid)
    write_time: Value[float] = field(default_factory=_unsaid)
    checkpoint_every: Value[float] = field(default_factory=_unsaid)
    expected_lost_workers: Value[int] = field(default_factory=_unsaid)
    pinned_to_max_np: Value[bool] = field(default_factory=_unsaid)
    time_between_preemptions: Value[float] = field(default_factory=_unsaid)

    @property
    def node_count(self) -> int:
        """The number of nodes; where the file does not say, of those that are checked."""
        return self.size.value or len(self.nodes)

    @property
    def spans_nodes(self) -> bool:
        """Whether GPUs of several nodes work together."""
        return self.gpus.given and self.node_count > 1

    @property
    def uses_nccl(self) -> bool:
        """Whether ranks talk to each other: more than one GPU in all."""
        return self.gpus.value is not None and self.gpus.value.count * self.node_count > 1

    @property
    def has_nvswitch(self) -> bool:
        """Whether the GPUs of a node talk through an NVSwitch, which needs a daemon."""
        return self.fabric.value == "nvswitch"

    @property
    def disk_budget(self) -> int:
        """The bytes that must be free: checkpoint size times number, and scratch (launch spec contract)."""
        return (self.checkpoint_size.value or 0) * (self.checkpoints.value or 1) + (self.scratch.value or 0)
