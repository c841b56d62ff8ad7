"""A value: what a document says of one thing, with the place where it says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .document import Document, KeyPath, Position

T = TypeVar("T")


@dataclass(frozen=True)
class Value(Generic[T]):
    """What a document says of one thing.

    :param value: what it says; None: nothing.
    :param keys: the key path of the value, or the one at which it belongs.
    :param position: where it stands; of one that is not given, the nearest mapping around its place. None
        where the positions in the file are not known.
    """

    value: T | None = None
    keys: KeyPath = ()
    position: Position | None = None

    @property
    def given(self) -> bool:
        """Whether the document says anything."""
        return self.value is not None

    @classmethod
    def of(cls, document: Document, value: T | None, *keys: Any) -> Value[T]:
        """Return *value* as what *document* says at *keys*."""
        return cls(value, keys, document.position(keys))
