"""What a node is connected by: its network interfaces and its RDMA ports, from one question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .infiniband import PORTS_COMMAND, Port, ports
from .interfaces import ADDRESSES_COMMAND, LINKS_COMMAND, Interface, interfaces
from .sections import Output, Question

QUESTION = Question("".join((LINKS_COMMAND, PORTS_COMMAND.lstrip(), ADDRESSES_COMMAND.lstrip(), "true\n")), 0)


@dataclass(frozen=True)
class Network:
    """The interfaces and RDMA ports of a node.

    :param problem: why they are not known.
    """

    interfaces: Mapping[str, Interface] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    problem: str | None = None


def network(output: Output) -> Network:
    """Return what the question ``interfaces`` found."""
    if output.problem is not None:
        return Network(problem=output.problem)
    found = interfaces(output.text)
    return Network(found, ports(output.text), None if found else "no interface was listed")
