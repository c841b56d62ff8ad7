"""A parsed document: immutable values, and the place in the file that each came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from .redaction import safe
from .text import one_line, printable, shortened

KeyPath: TypeAlias = tuple[Any, ...]
"""The keys (and list indices) that lead from the root of a document to a value."""

_SHOWN_BITS = 128
_SHOWN_CHARACTERS = 60


NO_READINESS_FIELDS: Mapping[str, Any] = MappingProxyType(
    {"campaign_id": None, "campaign_identity_hash": None, "runtime_config_hash": None, "identity": None}
)
"""What a readiness artifact says of the campaign where there is none."""


class Position(NamedTuple):
    """A place in a file; both numbers count from 1."""

    line: int
    column: int


class DocumentError(Exception):
    """A document cannot be read: missing, malformed, too large, or of the wrong shape.

    ``str()`` of it is one line, ``<file>:<line>:<column>: <what is wrong>; <what to do>``, the
    place only where it is known.
    """

    def __init__(self, path: Path | str, problem: str, *, position: Position | None = None) -> None:
        self.path = path
        self.problem = problem
        self.position = position
        super().__init__(self.message_for(path))

    def message_for(self, name: Path | str) -> str:
        """Return the error as one line, with the file called *name*."""
        position = f":{self.position.line}:{self.position.column}" if self.position else ""
        return safe(f"{name}{position}: {self.problem}").replace("\n", "\\n")


@dataclass(frozen=True, eq=False)
class Document:
    """The root mapping of a file, with mappings and sequences that cannot be changed.

    :param path: the file, absolute.
    :param data: the root mapping; mappings inside are read-only too, sequences are tuples.
    :param positions: where each value stands, by key path; that of the root mapping is ``()``.
    :param duplicates: where a key stands that was given before in its mapping, by key path.
    """

    path: Path
    data: Mapping[Any, Any]
    positions: Mapping[KeyPath, Position]
    duplicates: Mapping[KeyPath, Position] = field(default_factory=dict, kw_only=True)

    @property
    def readiness_fields(self) -> Mapping[str, Any]:
        """What a readiness artifact says of the document itself."""
        return NO_READINESS_FIELDS

    @property
    def companions(self) -> Mapping[str, Path]:
        """The files that the document names as its companions, by their key: what they fail, it fails."""
        return {}

    @property
    def changes(self) -> Sequence[str]:
        """What overrides changed of what the file says, one sentence each."""
        return ()

    def get(self, dotted: str | Sequence[Any], default: Any = None) -> Any:
        """Return the value at ``"section.key"``, or *default*.

        A path that is missing, or runs through something that is not a mapping, gives *default*.
        """
        value: Any = self.data
        for key in key_path(dotted):
            if not isinstance(value, Mapping) or key not in value:
                return default
            value = value[key]
        return value

    def position(self, dotted: str | Sequence[Any]) -> Position | None:
        """Return where ``"section.key"`` stands, or else the nearest mapping around it."""
        keys = key_path(dotted)
        for end in range(len(keys), -1, -1):
            found = self.positions.get(keys[:end])
            if found is not None:
                return found
        return None

    def line(self, dotted: str | Sequence[Any]) -> int | None:
        """Return the line, from 1, of :meth:`position`; None where the file's places are not known."""
        position = self.position(dotted)
        return position.line if position else None


def key_path(dotted: str | Sequence[Any]) -> KeyPath:
    """Return ``"a.b"`` as ``("a", "b")``; a sequence is taken as it is."""
    return tuple(dotted.split(".")) if isinstance(dotted, str) else tuple(dotted)


def dotted(keys: KeyPath) -> str:
    """Return a key path as people write it, ``a.b.0``, safe to print; a long key is cut."""
    return ".".join(_shown(key) for key in keys)


def _shown(key: object) -> str:
    if isinstance(key, int) and key.bit_length() > _SHOWN_BITS:
        return "(a very large number)"
    return shortened(one_line(printable(str(key))), _SHOWN_CHARACTERS)


def thawed(value: Any) -> Any:
    """Return *value* made of plain dicts and lists."""
    if isinstance(value, Mapping):
        return {key: thawed(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [thawed(item) for item in value]
    return value


def frozen(value: Any) -> Any:
    """Return *value* made of what cannot be changed: read-only mappings, and tuples."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: frozen(item) for key, item in value.items()})
    if isinstance(value, tuple | list):
        return tuple(frozen(item) for item in value)
    return value
