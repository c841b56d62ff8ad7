"""What the values of a document have to be: one definition, for the checks and for the JSON Schema."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..core.document import KeyPath, dotted
from ..core.problem import Problem
from ..core.text import described, did_you_mean, enumeration, nearest

PLACEHOLDERS = ("YOUR_", "replace-me")
"""Each of these makes a string a placeholder, and so do both of ``BRACKETS`` together."""
BRACKETS = ("<", ">")

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DEFINITIONS: dict[str, Any] = {
    "placeholder": {
        "type": "string",
        "anyOf": [
            *({"pattern": marker} for marker in PLACEHOLDERS),
            {"allOf": [{"pattern": bracket} for bracket in BRACKETS]},
        ],
    },
    "filled_in": {
        "not": {"$ref": "#/$defs/placeholder"},
        "items": {"$ref": "#/$defs/filled_in"},
        "additionalProperties": {"$ref": "#/$defs/filled_in"},
        "propertyNames": {"$ref": "#/$defs/filled_in"},
    },
}
"""What the JSON Schemas of shapes refer to; it belongs under ``$defs`` of the whole."""

_SHOWN_DIGITS = 15
_MOST_COMPARED = 1000
_MOST_UNKNOWN = 50
LONGEST_NAME = 40
_PLACEHOLDER = "is a placeholder; put the real value there"


def is_placeholder(value: object) -> bool:
    """Tell whether *value* is a string that somebody was to replace (campaign contract)."""
    return isinstance(value, str) and (
        any(marker in value for marker in PLACEHOLDERS) or all(bracket in value for bracket in BRACKETS)
    )


class Shape(ABC):
    """What one value has to be."""

    @property
    @abstractmethod
    def wanted(self) -> str:
        """What it has to be, in words; empty where it only has to be there."""

    @abstractmethod
    def accepts(self, value: object) -> bool:
        """Tell whether *value* is that."""

    @abstractmethod
    def json_schema(self) -> dict[str, Any]:
        """Return the same as JSON Schema."""

    def found(self, value: object) -> str:
        """Say what a *value* is that is not accepted; never with a text that may be a secret."""
        return described(value)

    def problem(self, value: object) -> str | None:
        """Say what is wrong with *value*, as the end of a sentence; None where it is accepted."""
        return None if self.accepts(value) else f"is {self.found(value)}; wanted: {self.wanted}"


class Given(Shape):
    """Any value but null."""

    @property
    def wanted(self) -> str:  # noqa: D102 - as in Shape, here and below
        return ""

    def problem(self, value: object) -> str | None:  # noqa: D102
        return None if self.accepts(value) else f"is {described(value)}; give it a value"

    def accepts(self, value: object) -> bool:  # noqa: D102
        return value is not None

    def json_schema(self) -> dict[str, Any]:  # noqa: D102
        return {"type": ["string", "number", "boolean", "object", "array"]}


class Text(Shape):
    """A string that is neither blank nor a placeholder."""

    @property
    def wanted(self) -> str:  # noqa: D102
        return "a string, neither blank nor a placeholder"

    def accepts(self, value: object) -> bool:  # noqa: D102
        return isinstance(value, str) and bool(value.strip()) and not is_placeholder(value)

    def problem(self, value: object) -> str | None:  # noqa: D102
        return _PLACEHOLDER if is_placeholder(value) else super().problem(value)

    def json_schema(self) -> dict[str, Any]:  # noqa: D102
        return {"type": "string", "pattern": r"\S", "not": {"$ref": "#/$defs/placeholder"}}


class Words(Shape):
    """A string that is not blank; it may look like a placeholder."""

    @property
    def wanted(self) -> str:  # noqa: D102
        return "a string that is not blank"

    def accepts(self, value: object) -> bool:  # noqa: D102
        return isinstance(value, str) and bool(value.strip())

    def json_schema(self) -> dict[str, Any]:  # noqa: D102
        return {"type": "string", "pattern": r"\S"}


class AnyText(Shape):
    """A string, which may be empty."""

    @property
    def wanted(self) -> str:  # noqa: D102
        return "a string"

    def accepts(self, value: object) -> bool:  # noqa: D102
        return isinstance(value, str)

    def json_schema(self) -> dict[str, Any]:  # noqa: D102
        return {"type": "string"}


class TextList(Shape):
    """A list of strings, none of them blank; it may be empty."""

    @property
    def wanted(self) -> str:  # noqa: D102
        return "a list of strings"

    def accepts(self, value: object) -> bool:  # noqa: D102
        return isinstance(value, tuple | list) and all(
            isinstance(item, str) and bool(item.strip()) for item in value
        )

    def found(self, value: object) -> str:  # noqa: D102
        if not isinstance(value, tuple | list):
            return described(value)
        return next(
            f"a list with {described(item)} in it"
            for item in value
            if not isinstance(item, str) or not item.strip()
        )

    def json_schema(self) -> dict[str, Any]:  # noqa: D102
        return {"type": "array", "items": {"type": "string", "pattern": r"\S"}}


class Flag(Shape):
    """true or false."""

    @property
    def wanted(self) -> str:  # noqa: D102
        return "true or false"

    def accepts(self, value: object) -> bool:  # noqa: D102
        return isinstance(value, bool)

    def json_schema(self) -> dict[str, Any]:  # noqa: D102
        return {"type": "boolean"}


class FreeTable(Shape):
    """A table with whatever is in it."""

    @property
    def wanted(self) -> str:  # noqa: D102
        return "a table"

    def accepts(self, value: object) -> bool:  # noqa: D102
        return isinstance(value, Mapping)

    def json_schema(self) -> dict[str, Any]:  # noqa: D102
        return {"type": "object"}


class _Numeric(Shape):
    def found(self, value: object) -> str:
        if isinstance(value, str) and _reads_as_number(value):
            exponent = "e" in value.lower()
            hint = "an exponent needs a dot and a sign, as in 1.0e-3" if exponent else "remove the quotes"
            return f"a string ({hint})"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return described(value)
        if isinstance(value, int):
            return str(value) if abs(value) < 10**_SHOWN_DIGITS else "a very large number"
        return repr(value) if math.isfinite(value) else "a number that is not finite"


@dataclass(frozen=True)
class Integer(_Numeric):
    """An integer, where given of at least ``least`` and at most ``most``; a boolean is none."""

    least: int | None = None
    most: int | None = None

    @property
    def wanted(self) -> str:  # noqa: D102
        if self.least is None:
            return "an integer" if self.most is None else f"an integer, {self.most} or less"
        if self.most is None:
            return f"an integer, {self.least} or more"
        if self.least == self.most:
            return str(self.least)
        return f"an integer from {self.least} to {self.most}"

    def accepts(self, value: object) -> bool:  # noqa: D102
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def json_schema(self) -> dict[str, Any]:  # noqa: D102
        if self.least is not None and self.least == self.most:
            return {"type": "integer", "const": self.least}
        bounds = {"minimum": self.least, "maximum": self.most}
        return {"type": "integer", **{name: bound for name, bound in bounds.items() if bound is not None}}


@dataclass(frozen=True)
class Number(_Numeric):
    """A finite number; a boolean is none.

    :param above: it is greater than this.
    :param least: it is at least this.
    :param most: it is at most this.
    """

    above: float | None = None
    least: float | None = None
    most: float | None = None

    @property
    def wanted(self) -> str:  # noqa: D102
        if self.above is None and self.least is not None and self.most is not None:
            return f"a number from {self.least:.12g} to {self.most:.12g}"
        limits = []
        if self.above is not None:
            limits.append(f" above {self.above:g}")
        if self.least is not None:
            limits.append(f" of at least {self.least:g}")
        if self.most is not None:
            limits.append(f"{',' if limits else ' of'} at most {self.most:g}")
        return f"a number{''.join(limits)}"

    def accepts(self, value: object) -> bool:  # noqa: D102
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if isinstance(value, float) and not math.isfinite(value):
            return False
        return (
            (self.above is None or value > self.above)
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
        )

    def json_schema(self) -> dict[str, Any]:  # noqa: D102
        bounds = {"exclusiveMinimum": self.above, "minimum": self.least, "maximum": self.most}
        return {"type": "number", **{name: bound for name, bound in bounds.items() if bound is not None}}


@dataclass(frozen=True)
class Choice(Shape):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def wanted(self) -> str:  # noqa: D102
        return " or ".join(self.words)

    def accepts(self, value: object) -> bool:  # noqa: D102
        return isinstance(value, str) and value in self.words

    def problem(self, value: object) -> str | None:  # noqa: D102
        if self.accepts(value) or not isinstance(value, str) or not value.strip():
            return super().problem(value)
        hint = did_you_mean(value, self.words) if len(value) < LONGEST_NAME else ""
        return f"is neither {' nor '.join(self.words)}{hint}"

    def json_schema(self) -> dict[str, Any]:  # noqa: D102
        return {"enum": list(self.words)}


@dataclass(frozen=True)
class Field:
    """An entry of a section or table.

    :param default: what counts where it is not given; None: nothing that could be said in general.
    """

    name: str
    shape: Shape
    description: str
    required: bool = True
    default: Any = None

    def json_schema(self) -> dict[str, Any]:
        """Return what may stand there as JSON Schema."""
        schema = {"description": self.description, **self.shape.json_schema()}
        return schema if self.default is None else {**schema, "default": self.default}


@dataclass(frozen=True)
class Section:
    """A mapping with known entries; others may stand beside them.

    :param filled_in: nothing in it, at any depth, may be a placeholder.
    """

    name: str
    description: str
    fields: tuple[Field, ...]
    filled_in: bool = False

    @property
    def wanted(self) -> str:
        """What it has to be, in words."""
        return f"a mapping with {enumeration([field.name for field in self.fields if field.required])}"

    @property
    def remediation(self) -> str:
        """What to do where it is not that: its entries, and what each has to be."""
        needed = ", ".join(_listed(field) for field in self.fields if field.required)
        optional = ", ".join(_listed(field) for field in self.fields if not field.required)
        told = f"Section {self.name} needs {needed}{f'; it may have {optional}' if optional else ''}."
        return f"{told} Nothing in it may be a placeholder." if self.filled_in else told

    def problems(self, root: Mapping[Any, Any], siblings: Sequence[str] = ()) -> Iterator[Problem]:
        """Yield everything that is wrong with the section in the document *root*.

        :param siblings: the names of the other sections, none of which is a typo of this one.
        """
        if self.name not in root:
            hint = _meant(self.name, root, known=siblings)
            yield Problem((self.name,), f"{self.name} is missing; wanted: {self.wanted}{hint}")
            return
        block = root[self.name]
        if not isinstance(block, Mapping):
            yield Problem((self.name,), f"{self.name} is {described(block)}; wanted: {self.wanted}")
            return
        for field in self.fields:
            yield from self._field_problems(field, block)
        if self.filled_in:
            yield from _placeholders(block, (self.name,))

    def _field_problems(self, field: Field, block: Mapping[Any, Any]) -> Iterator[Problem]:
        keys = (self.name, field.name)
        if field.name in block:
            told = field.shape.problem(block[field.name])
        elif field.required:
            hint = _meant(field.name, block, known=[other.name for other in self.fields])
            wanted = f"; wanted: {field.shape.wanted}" if field.shape.wanted else ""
            told = f"is missing{wanted}{hint}"
        else:
            told = None
        if told is not None:
            yield Problem(keys, f"{dotted(keys)} {told}")

    def json_schema(self) -> dict[str, Any]:
        """Return the same as JSON Schema."""
        schema: dict[str, Any] = {
            "type": "object",
            "description": self.description,
            "required": [field.name for field in self.fields if field.required],
            "properties": {field.name: field.json_schema() for field in self.fields},
        }
        return {**schema, "allOf": [{"$ref": "#/$defs/filled_in"}]} if self.filled_in else schema


@dataclass(frozen=True)
class Table:
    """A mapping that has known entries only."""

    description: str
    fields: tuple[Field, ...]

    def problems(self, block: Mapping[Any, Any], keys: KeyPath, name: str = "") -> Iterator[Problem]:
        """Yield everything that is wrong with *block*; of many unknown keys the first only.

        :param keys: what leads to it.
        :param name: what messages call it, up to the name of the entry: ``hosts.pi.``; ``jobs[2] (x): ``.
        """
        for field in self.fields:
            if field.name in block:
                told = field.shape.problem(block[field.name])
            else:
                told = f"is missing; wanted: {field.shape.wanted}" if field.required else None
            if told is not None:
                yield Problem((*keys, field.name), f"{name}{field.name} {told}")
        known = [field.name for field in self.fields]
        unknown = [key for key in block if key not in known]
        # What is there already is not what was meant; what has to be there more likely is.
        absent = [field.name for field in self.fields if field.name not in block]
        needed = [field.name for field in self.fields if field.required and field.name not in block]
        for key in islice(unknown, _MOST_UNKNOWN):
            short = isinstance(key, str) and len(key) < LONGEST_NAME
            hint = did_you_mean(key, needed) or did_you_mean(key, absent) if short else ""
            yield Problem((*keys, key), f"{name}{dotted((key,))} is no known key{hint}")
        if len(unknown) > _MOST_UNKNOWN:
            more = len(unknown) - _MOST_UNKNOWN
            yield Problem(keys, f"{name}and {more} more keys that are not known")

    def json_schema(self) -> dict[str, Any]:
        """Return the same as JSON Schema."""
        return {
            "type": "object",
            "description": self.description,
            "required": [field.name for field in self.fields if field.required],
            "properties": {field.name: field.json_schema() for field in self.fields},
            "additionalProperties": False,
        }


def json_schema(title: str, description: str, sections: Sequence[Section]) -> dict[str, Any]:
    """Return the JSON Schema of a document that has all of *sections*."""
    return {
        "$schema": DIALECT,
        "title": title,
        "description": description,
        "type": "object",
        "required": [section.name for section in sections],
        "properties": {section.name: section.json_schema() for section in sections},
        "$defs": DEFINITIONS,
    }


def _listed(field: Field) -> str:
    return f"{field.name} ({field.shape.wanted})" if field.shape.wanted else field.name


def _placeholders(value: object, keys: KeyPath) -> Iterator[Problem]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if is_placeholder(key):
                yield Problem(
                    (*keys, key), f"{dotted(keys)} has a key that is a placeholder; put the real one there"
                )
            yield from _placeholders(item, (*keys, key))
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from _placeholders(item, (*keys, index))
    elif is_placeholder(value):
        yield Problem(keys, f"{dotted(keys)} {_PLACEHOLDER}")


def _meant(name: str, block: Mapping[Any, Any], known: Sequence[str]) -> str:
    """Return the question whether a key that is there was meant for *name*, which is not."""
    if len(block) > _MOST_COMPARED:
        return ""
    others = [key for key in block if isinstance(key, str) and key not in known and len(key) < LONGEST_NAME]
    found = nearest(name, others)
    return f"; is {found!r} meant for it?" if found is not None else ""


def _reads_as_number(text: str) -> bool:
    if len(text) > _SHOWN_DIGITS:
        return False
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
