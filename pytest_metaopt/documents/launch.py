"""A launch: on which nodes a training is started, and how, whatever the format of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..core.document import Document, dotted
from ..core.problem import Problem
from ..launch.facts import LaunchFacts
from ..launch.nodes import Node


@dataclass(frozen=True, eq=False)
class Launch(Document):
    """A parsed launch file.

    :param facts: what it says; nothing where it has problems.
    :param problems: everything that is wrong with it.
    """

    facts: LaunchFacts = field(default_factory=LaunchFacts, kw_only=True)
    problems: Sequence[Problem] = field(default=(), kw_only=True)

    @property
    def valid(self) -> bool:
        """Whether its facts can be relied on."""
        return not self.problems

    @property
    def nodes(self) -> Sequence[Node]:
        """The nodes that are checked, each of which has checks of its own."""
        return self.facts.nodes


def repeated_keys(document: Document) -> list[Problem]:
    """Return a problem for each key that a mapping of *document* has twice."""
    # An anchored mapping is there once, however often it is referred to.
    places = {place: keys for keys, place in reversed(list(document.duplicates.items()))}
    return [
        Problem(keys, f"{dotted(keys)} is given more than once; this value is used: keep one")
        for keys in places.values()
    ]
