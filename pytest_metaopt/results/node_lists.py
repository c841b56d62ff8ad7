"""How each node of a launch came out, for people and for a scheduler's node lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .result import Result

NODE = "node"
"""The group of checks of nodes, and what their subject is called."""
NODE_LISTS = ("passing_nodes.txt", "failing_nodes.txt")
"""Beside an artifact: one name a line, as ``--nodelist`` and ``--exclude`` of a scheduler expect it."""
LOCAL = "local"
"""The name of this machine where no node is named."""

Word = Literal["failed", "unknown", "advisory", "passed"]
_WORST_FIRST: tuple[Word, ...] = ("failed", "unknown", "advisory", "passed")


@dataclass(frozen=True)
class NodeVerdict:
    """How a node came out.

    :param word: ``failed``: a blocking check says no. ``unknown``: one was not evaluated. ``advisory``: what
        says no does not block. ``passed``: nothing says no.
    :param checks: how many checks were evaluated on it.
    :param findings: the id and the message of each check that says no, blocking ones first.
    """

    name: str
    word: Word
    checks: int
    findings: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        findings = [{"check": check, "message": message} for check, message in self.findings]
        return {"name": self.name, "outcome": self.word, "checks": self.checks, "findings": findings}


@dataclass(frozen=True)
class NodeCheck:
    """A planned check of a node.

    :param result: how it came out, as the ledger has it; None: it was not evaluated.
    """

    node: str
    check: str
    blocking: bool
    result: Result | None


def roster(checks: Iterable[NodeCheck]) -> tuple[NodeVerdict, ...]:
    """Return how each node came out, in the order of the launch."""
    by_node: dict[str, list[NodeCheck]] = {}
    for entry in checks:
        by_node.setdefault(entry.node, []).append(entry)
    return tuple(_verdict(name, entries) for name, entries in by_node.items())


def _verdict(name: str, entries: Sequence[NodeCheck]) -> NodeVerdict:
    evaluated = [(entry.check, entry.result) for entry in entries if entry.result is not None]
    findings = tuple(
        (check, str(result.message))
        for outcome in ("failed", "warning")
        for check, result in evaluated
        if result.outcome == outcome
    )
    word: Word = "advisory" if findings else "passed"
    if any(result.outcome == "failed" for _, result in evaluated):
        word = "failed"
    elif any(entry.result is None and entry.blocking for entry in entries):
        word = "unknown"
    return NodeVerdict(name, word, len(evaluated), findings)


def worst_first(verdicts: Iterable[NodeVerdict]) -> list[NodeVerdict]:
    """Return *verdicts*, those first that need somebody."""
    return sorted(verdicts, key=lambda verdict: _WORST_FIRST.index(verdict.word))


def node_lists(verdicts: Iterable[NodeVerdict]) -> dict[str, list[str] | None]:
    """Return the names for each node list, None for no list; a node that is unknown is in neither.

    Where this machine is the only node, and it has no given name, a scheduler has no use for a list.
    """
    words = list(verdicts)
    if [verdict.name for verdict in words] == [LOCAL]:
        return dict.fromkeys(NODE_LISTS)
    passing, failing = NODE_LISTS
    return {
        passing: [verdict.name for verdict in words if verdict.word in {"passed", "advisory"}],
        failing: [verdict.name for verdict in words if verdict.word == "failed"],
    }
