"""What is known of a node: the answers to its questions, typed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from ...launch.nodes import Node
from . import clock, fabric, nvidia_smi
from .fabric import FabricManager
from .limits import Limits, limits
from .nccl import nccl_versions
from .network import Network, network
from .nvidia_smi import Driver
from .path_mtu import PathToNeighbour, path_to_neighbour
from .sections import NOT_SAID, Output
from .storage import Place, place
from .xid import KernelLog, xids


class NodeFacts:
    """What a node said.

    :param outputs: by the name of the question.
    :param sent_at: the time here when the query was sent, in seconds since 1970.
    :param got_at: the time here when its answer was there.
    """

    def __init__(self, node: Node, outputs: Mapping[str, Output], sent_at: float, got_at: float) -> None:
        self.node = node
        self.outputs = outputs
        self.sent_at = sent_at
        self.got_at = got_at

    def output(self, name: str) -> Output:
        """Return what it said to a question; :data:`NOT_SAID` where it did not come to it."""
        return self.outputs.get(name, NOT_SAID)

    @cached_property
    def offset(self) -> tuple[float, float] | None:
        """How far its clock is ahead of ours, in seconds: the least and the most; None: unknown."""
        begin, end = self.output("clock"), self.output("clock_at_end")
        return clock.offset(begin, end, self.sent_at, self.got_at)

    @cached_property
    def nccl_env(self) -> Mapping[str, tuple[str, str]]:
        """``NCCL_*`` and ``TORCH_NCCL_*`` as found on the node: the value, and where it is from.

        NCCL reads the environment, then ``~/.nccl.conf``, then ``/etc/nccl.conf``; the first counts.
        """
        found: dict[str, tuple[str, str]] = {}
        for line in self.output("env").text.splitlines():
            source, colon, rest = line.partition(": ")
            if not colon or not source.startswith("/"):
                source, rest = "the environment", line
            name, equals, value = rest.partition("=")
            if equals:
                found.setdefault(name.strip(), (value.strip(), source))
        return found

    @cached_property
    def network(self) -> Network:
        """Its interfaces and RDMA ports."""
        return network(self.output("interfaces"))

    @cached_property
    def limits(self) -> Limits:
        """What a process may use."""
        said = self.output("limits")
        return Limits(problem=said.problem) if said.problem is not None else limits(said.text)

    @cached_property
    def place(self) -> Place:
        """The checkpoint directory, and what holds it."""
        said = self.output("storage")
        if said.problem is not None and "real " not in said.text:
            return Place(problem=said.problem)
        return place(said.text)

    @cached_property
    def path(self) -> PathToNeighbour:
        """What came of packets to its neighbour."""
        if "path" not in self.outputs:
            return PathToNeighbour(problem="not tried")
        said = self.outputs["path"]
        return PathToNeighbour(problem=said.problem) if said.status != 0 else path_to_neighbour(said.text)

    @cached_property
    def driver(self) -> Driver:
        """Its GPUs, as the driver reports them."""
        return nvidia_smi.driver(self.output("nvidia_smi"))

    @cached_property
    def kernel_log(self) -> KernelLog:
        """The GPU errors in the kernel's log."""
        return xids(self.output("kernel_log"))

    @cached_property
    def fabric_manager(self) -> FabricManager:
        """The state of the fabric manager."""
        return fabric.fabric_manager(self.output("fabric_manager"))

    @cached_property
    def nccl_libraries(self) -> tuple[str, ...]:
        """The versions of NCCL that are installed for all."""
        return nccl_versions(self.output("nccl_library"))
