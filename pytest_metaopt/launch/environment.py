"""The environment variables that a launch file gives to ranks, each with its position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..core.value import Value


@dataclass(frozen=True, eq=False)
class Environment(Mapping[str, str]):
    """Variables by name, as a mapping of strings.

    :param variables: each with its key path and position.
    :param block: where another variable belongs.
    """

    variables: Mapping[str, Value[str]] = field(default_factory=dict)
    block: Value[str] = field(default_factory=Value)

    def variable(self, name: str) -> Value[str]:
        """Return a variable; one that is not given has the position at which it belongs."""
        return self.variables.get(name, self.block)

    def __getitem__(self, name: str) -> str:
        """Return the value of a variable."""
        return self.variables[name].value or ""

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self.variables)

    def __len__(self) -> int:
        """Return the number of variables."""
        return len(self.variables)
