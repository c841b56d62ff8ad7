"""The nodes of a launch spec: what is written under ``nodes``, as hosts with names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from ..core.document import Document, KeyPath, Position, dotted
from ..core.problem import Problem
from ..core.text import described_number
from ..core.value import Value
from . import hosts as hostspec
from .environment import Environment


@dataclass(frozen=True)
class Node:
    """A node of a launch.

    :param name: unique in the launch; what node lists for schedulers have.
    :param host: where it is, and how it is reached.
    :param address: what its neighbours reach it by; None: nobody said.
    :param env: what only the ranks on it get.
    :param keys: what leads to it in the document.
    :param position: where it stands in the file; None where that is not known.
    """

    name: str
    host: hostspec.HostSpec
    address: str | None = None
    env: Environment = field(default_factory=Environment)
    keys: KeyPath = ()
    position: Position | None = None


class Written(Protocol):
    """A node as a validated document has it."""

    @property
    def host(self) -> str: ...  # noqa: D102 - as in Node, here and below

    @property
    def name(self) -> str | None: ...  # noqa: D102

    @property
    def address(self) -> str | None: ...  # noqa: D102

    @property
    def env(self) -> Mapping[str, str] | None: ...  # noqa: D102


class _Entry(NamedTuple):
    keys: KeyPath
    host: str
    name: str | None = None
    address: str | None = None
    env: Mapping[str, str] | None = None


def this_machine(document: Document) -> Node:
    """Return the node of a launch that names none."""
    return Node("local", hostspec.parse(hostspec.LOCAL, document.path.parent), position=document.position(()))


class Nodes:
    """The nodes that a launch spec names, and what is wrong with them.

    :param document: the spec; relative paths are relative to its folder.
    :param written: its nodes, validated; None where something is wrong with the spec.
    """

    def __init__(self, document: Document, written: Sequence[Written] | None) -> None:
        self.listed: list[Node] = []
        self.problems: list[Problem] = []
        self._document = document
        self._folder = document.path.parent
        self._taken: dict[str, KeyPath] = {}
        # How many hosts are written; None: what a pattern stands for is not known.
        self._count: int | None = 0
        given = document.data.get("nodes")
        if not given:
            self.listed.append(this_machine(document))
            return
        entries = list(_entries(given, written))
        for entry in entries:
            self._add(entry)
        if self._count is not None and isinstance(given, tuple):
            # An entry that cannot be read is a node all the same.
            self._count += len(given) - len(entries)
        self._compare(document.data.get("num_nodes"))

    def _add(self, entry: _Entry) -> None:
        where = dotted(entry.keys)
        hosts = self._hosts(entry)
        if hosts is None:
            return
        self._count = self._count + len(hosts) if self._count is not None else None
        if entry.name is not None and len(hosts) > 1:
            self.problems.append(
                Problem(entry.keys, f"{where} has a name, but expands to {len(hosts)} hosts")
            )
            return
        for host in hosts:
            name = entry.name or host.name
            if name in self._taken:
                message = f"{where} has the name {name}, as {dotted(self._taken[name])} has; name it"
                self.problems.append(Problem(entry.keys, message))
                continue
            self._taken[name] = entry.keys
            address = entry.address or (host.host if host.transport in {"ssh", "ansible"} else None)
            place = self._document.position(entry.keys)
            self.listed.append(Node(name, host, address, self._environment(entry), entry.keys, place))

    def _environment(self, entry: _Entry) -> Environment:
        keys = (*entry.keys, "env")
        variables = entry.env or {}
        return Environment(
            {name: Value.of(self._document, value, *keys, name) for name, value in variables.items()},
            Value.of(self._document, None, *keys),
        )

    def _hosts(self, entry: _Entry) -> Sequence[hostspec.HostSpec] | None:
        """Return the hosts that an entry stands for; None where a problem says why not."""
        spec = None
        try:
            spec = hostspec.parse(entry.host, self._folder)
            return _expanded(spec) if spec.transport == "ansible" else [spec]
        except ValueError as error:
            self.problems.append(Problem(entry.keys, f"{dotted(entry.keys)} {error}"))
        if spec is not None and spec.transport == "ansible":
            self._count = None
        elif self._count is not None:
            self._count += 1
        return None

    def _compare(self, said: object) -> None:
        """Take note where ``num_nodes`` says something else than the nodes that are named."""
        if not isinstance(said, int) or isinstance(said, bool) or said < 1:
            return
        if self._count and said != self._count:
            message = f"num_nodes is {described_number(said)}, but nodes names {self._count}"
            self.problems.append(Problem(("num_nodes",), message))


def _entries(given: object, written: Sequence[Written] | None) -> Iterator[_Entry]:
    """Yield the nodes as they are written; where the spec has mistakes, what can be read of them."""
    if written is not None:
        for index, entry in enumerate(written):
            yield _Entry(("nodes", index), entry.host, entry.name, entry.address, entry.env)
        return
    for index, item in enumerate(given if isinstance(given, tuple) else ()):
        host = item.get("host") if isinstance(item, Mapping) else item
        name = item.get("name") if isinstance(item, Mapping) else None
        if isinstance(host, str) and host.strip():
            yield _Entry(("nodes", index), host, name if isinstance(name, str) else None)


def _expanded(spec: hostspec.HostSpec) -> Sequence[hostspec.HostSpec]:
    """Return the hosts of an Ansible inventory that a host spec's pattern stands for.

    :raises ValueError: there is none, or the inventory cannot be read.
    """
    from .inventory import hosts

    return list(hosts(spec))
