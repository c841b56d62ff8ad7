"""Checks of the network between nodes: the interface that NCCL takes, and packets of full size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from .. import check, fail, not_applicable
from ..core.text import some
from ..documents.launch import Launch
from ..launch.nodes import Node
from ..probes.node.facts import NodeFacts
from ..probes.node.fleet import Fleet
from ..probes.node.network import Network
from ..probes.node.path_mtu import STANDARD_MTU, PathToNeighbour
from .launch import spans_nodes
from .node import uses_rdma
from .problems import fail_with_findings, finding

IFNAME = "NCCL_SOCKET_IFNAME"
HCA = "NCCL_IB_HCA"
_MOST_NAMED = 3


def effective_env(launch: Launch, facts: NodeFacts) -> Mapping[str, str]:
    """Return ``NCCL_*`` as a rank on the node gets it: what the spec says, else what is found there."""
    found = {name: value for name, (value, _) in facts.nccl_env.items()}
    return {**found, **launch.facts.env, **facts.node.env}


def selected(names: Iterable[str], expected: str) -> list[str]:
    """Return those of *names* that NCCL's list of prefixes selects.

    ``^`` in front excludes, ``=`` makes them whole names (NCCL 2, environment variables:
    ``NCCL_SOCKET_IFNAME`` and ``NCCL_IB_HCA``).
    """
    text = expected.strip()
    excludes = text.startswith("^")
    text = text.removeprefix("^")
    whole = text.startswith("=")
    entries = [entry.strip() for entry in text.removeprefix("=").split(",") if entry.strip()]

    def matches(name: str) -> bool:
        return any(name == entry if whole else name.startswith(entry) for entry in entries)

    return [name for name in names if matches(name) is not excludes]


@check(
    "MN2",
    group="node",
    document="launch",
    each="node",
    when=spans_nodes,
    remediation="Set env.NCCL_SOCKET_IFNAME to the interface that the nodes share (ip -br addr), and"
    " env.NCCL_IB_DISABLE: 1, or with RDMA env.NCCL_IB_HCA (ibstat).",
)
def nccl_takes_the_right_interface(launch: Launch, fleet: Fleet, node: Node) -> None:
    """NCCL_SOCKET_IFNAME selects an interface that is up, not the loopback or a bridge.

    With RDMA, NCCL_IB_HCA selects an active adapter.
    """
    facts = fleet.facts(node, "interfaces")
    network = facts.network
    if network.problem is not None:
        fail(f"{node.name}: could not read its interfaces: {network.problem}")
    env = effective_env(launch, facts)
    problems = [*_socket_problems(env, network), *_rdma_problems(launch, env, network)]
    place = launch.facts.env.variable(IFNAME).position
    fail_with_findings([finding(f"{node.name}: {problem}", place) for problem in problems])


def _socket_problems(env: Mapping[str, str], network: Network) -> Iterator[str]:
    expected = env.get(IFNAME, "").strip()
    if not expected:
        yield f"{IFNAME} is not set, so NCCL chooses an interface itself"
        return
    chosen = [network.interfaces[name] for name in selected(network.interfaces, expected)]
    for found in chosen:
        # NCCL takes what is set up and has an address; whether it requires a carrier depends on its version.
        taken = found.up or (found.administratively_up and bool(found.addresses))
        if taken and (found.loopback or found.kind == "bridge"):
            what = "the loopback" if found.loopback else "a bridge"
            yield f"{IFNAME}={expected} selects {found.name}, {what}"
    if any(found.addresses for found in network.interfaces.values()):
        bare = [found.name for found in chosen if found.up and not found.loopback and not found.addresses]
        if bare and not any(found.up and found.addresses for found in chosen):
            yield f"{IFNAME}={expected} selects {some(bare, _MOST_NAMED)}, which has no IP address"
    if not any(found.up for found in chosen):
        there = [name for name, found in network.interfaces.items() if not found.loopback]
        down = [found.name for found in chosen if not found.up]
        why = (
            f"{some(down, _MOST_NAMED)} is down"
            if down
            else f"found {some(there, _MOST_NAMED) if there else 'none'}"
        )
        yield f"{IFNAME}={expected} selects no interface that is up ({why})"


def _rdma_problems(launch: Launch, env: Mapping[str, str], network: Network) -> Iterator[str]:
    disabled = env.get("NCCL_IB_DISABLE", "").strip() == "1"
    if not uses_rdma(launch):
        if not disabled:
            yield "NCCL_IB_DISABLE is not 1, though the launch is without RDMA (network.rdma is not true)"
        return
    if disabled:
        yield "NCCL_IB_DISABLE is 1, though network.rdma is true"
    expected = env.get(HCA, "").strip()
    if not expected:
        yield f"{HCA} is not set, so NCCL takes any adapter, those for storage too"
        return
    if not network.ports:
        yield f"{HCA} is {expected}, but the node has no RDMA adapter"
        return
    # An entry may name a port: mlx5_0:1.
    named = {f"{port.adapter}:{port.number}": port for port in network.ports}
    chosen = [named[name] for name in _selected_ports(named, expected)]
    if not chosen:
        adapters = sorted({port.adapter for port in network.ports})
        yield f"{HCA}={expected} names no existing adapter; found {some(adapters, _MOST_NAMED)}"
    elif not any(port.active for port in chosen):
        states = ", ".join(f"{port.adapter}:{port.number} {port.state}" for port in chosen)
        yield f"{HCA}={expected} names no adapter with an active port ({states})"


def _selected_ports(named: Mapping[str, object], expected: str) -> list[str]:
    """Return the ``adapter:port`` that a list selects, whose whole names may leave the port out."""
    adapters = {name.rsplit(":", 1)[0] for name in named}
    by_adapter = set(selected(adapters, expected))
    by_port = set(selected(named, expected))
    if expected.strip().startswith("^"):
        return [name for name in named if name in by_port and name.rsplit(":", 1)[0] in by_adapter]
    return [name for name in named if name in by_port or name.rsplit(":", 1)[0] in by_adapter]


def _has_packets_or_wishes(launch: Launch) -> bool:
    """Return whether a node can send to another, or the spec says what its interface has to be."""
    facts = launch.facts
    if len(facts.nodes) > 1 and any(node.address is not None for node in facts.nodes):
        return True
    return facts.mtu.given or facts.interface.given


@check(
    "MN4",
    group="node",
    document="launch",
    each="node",
    when=_has_packets_or_wishes,
    remediation="Set one MTU on every interface, bridge and switch port along the path: ip link show DEV,"
    " then ip link set DEV mtu 1500 (or 9000 everywhere).",
)
def packets_of_full_size_arrive(launch: Launch, fleet: Fleet, node: Node) -> None:
    """MTUs agree, and an unfragmented packet of the full MTU reaches the next node of the ring."""
    ring = _Ring(fleet)
    answer = fleet.answer(node)
    if answer.trouble is not None and "path" not in answer.facts.outputs:
        evidence = ring.evidence_against(node)
        if evidence is not None:
            fail(f"{node.name} {answer.trouble.message}; {evidence}", at=node.position)
    expected = launch.facts.mtu.value
    interface = launch.facts.interface.value
    if interface is not None:
        _require_interface(launch, fleet, node, interface, expected)
    if fleet.neighbour(node) is None:
        if interface is not None:
            return
        if expected is not None:
            fail(
                f"{node.name}: unknown which interface needs an MTU of {expected}",
                remediation="Name it as network.interface, or give nodes[].address.",
                at=launch.facts.mtu.position,
                advisory=True,
            )
        not_applicable("no other node has an address to send to")
    path = fleet.facts(node, "path").path
    message = ring.odd_mtu(node, expected)
    if message is not None:
        fail(f"{node.name}: {message}", at=launch.facts.mtu.position)
    message = ring.lost_by(node)
    if message is not None and ring.odd_mtu(fleet.after(node), expected) is None:
        fail(message, at=node.position)
    following = fleet.after(node)
    if path.problem is not None:
        fail(
            f"{node.name}: could not send a full packet to {following.name}: {path.problem}",
            remediation="Set nodes[].address to where the others reach a node; the node needs iproute2,"
            " iputils-ping, and the right to send a ping.",
            advisory=True,
        )
    if path.whole is False and not path.standard and not path.small:
        if fleet.answer(following).trouble is not None:
            not_applicable(f"its neighbour {following.name} could not be queried")
        fail(
            f"{node.name}: {following.name} ({path.address}) does not answer a ping over {path.device},"
            " small or large; large packets may be lost",
            remediation="Allow ICMP between the nodes, or check the address: nodes[].address is where the"
            " others reach a node.",
            advisory=True,
        )


def _require_interface(launch: Launch, fleet: Fleet, node: Node, name: str, mtu: int | None) -> None:
    """End the check where the interface that the spec names is not there, or has another MTU."""
    network = fleet.facts(node, "interfaces").network
    if network.problem is not None:
        fail(f"{node.name}: could not read its interfaces: {network.problem}")
    found = network.interfaces.get(name.split("@", 1)[0])
    if found is None:
        there = [other for other, one in network.interfaces.items() if not one.loopback]
        fail(
            f"{node.name}: no interface {name}; found {some(there, _MOST_NAMED) or 'none'}",
            remediation="Correct network.interface: ip -br link shows what is there.",
            at=launch.facts.interface.position,
        )
    if mtu is not None and (message := _wrong_mtu(name, found.mtu, mtu)) is not None:
        fail(f"{node.name}: {message}", at=launch.facts.mtu.position)


def _wrong_mtu(device: str, mtu: int, expected: int) -> str | None:
    return f"{device} has an MTU of {mtu}; expected {expected}" if mtu != expected else None


class _Ring:
    """What the packets that each node sent to the next one say about both."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def path(self, node: Node) -> PathToNeighbour | None:
        facts = self.fleet.answer(node).facts
        return facts.path if "path" in facts.outputs else None

    def loses(self, node: Node) -> bool:
        """Return whether full packets from *node* to the next are lost where smaller ones arrive."""
        path = self.path(node)
        return path is not None and path.whole is False and bool(path.standard or path.small)

    def lost_by(self, node: Node) -> str | None:
        """Say what is lost, where *node* is to blame for it; None where it is not.

        A node with two bad links is; of a node with one bad link the one at the other end is, where it has
        two, or could not be queried.
        """
        path = self.path(node)
        if path is None or not self.loses(node):
            return None
        following = self.fleet.after(node)
        alone = node.address is None or not self.loses(self.fleet.before(node))
        silent = self.path(following) is None and self.fleet.neighbour(following) is not None
        if alone and (self.loses(following) or silent):
            return None
        return _lost(node, following, path)

    def evidence_against(self, node: Node) -> str | None:
        """Return what the node before it found out about a node that did not answer."""
        if node.address is None:
            return None
        before = self.fleet.before(node)
        path = self.path(before)
        return _lost(before, node, path) if path is not None and self.loses(before) else None

    def odd_mtu(self, node: Node, expected: int | None) -> str | None:
        """Say that the MTU of a node's interface is not the one that is expected, or that the others have."""
        path = self.path(node)
        mtu = path.mtu if path is not None else None
        if path is None or path.device is None or mtu is None:
            return None
        if expected is not None:
            return _wrong_mtu(path.device, mtu, expected)
        found = self.fleet.once("mtus", self._mtus)
        (common, count), *_ = Counter(found.values()).most_common(1)
        if mtu == common and count * 2 > len(found):
            return None
        others = [name for name, size in found.items() if size != mtu]
        if not others:
            return None
        have = "has" if len(others) == 1 else "have"
        return f"{path.device} has an MTU of {mtu}, but {some(others, _MOST_NAMED)} {have} {found[others[0]]}"

    def _mtus(self) -> Mapping[str, int]:
        paths = {node.name: self.path(node) for node in self.fleet.nodes}
        return {name: path.mtu for name, path in paths.items() if path is not None and path.mtu is not None}


def _lost(node: Node, following: Node, path: PathToNeighbour) -> str:
    arrives = STANDARD_MTU if path.standard else "84"
    return (
        f"packets of {path.mtu} bytes from {node.name} ({path.device}) to {following.name} ({path.address})"
        f" are lost, of {arrives} they arrive: an MTU mismatch on the path between them, not NCCL"
    )
