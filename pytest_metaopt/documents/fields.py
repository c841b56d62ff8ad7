"""Types of values that several documents have."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, PlainValidator, WithJsonSchema

from ..core.text import described
from .json_schema import reference
from .placeholder import BRACKETS, MARKERS, is_placeholder
from .schema import VISIBLE, Expected, not_blank, refusal, text_schema

PLACEHOLDER = "is a placeholder; put the real value there"
DEFINITIONS: dict[str, Any] = {
    "placeholder": {
        "type": "string",
        "anyOf": [
            *({"pattern": marker} for marker in MARKERS),
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
"""What the JSON Schemas of these types refer to; it belongs under ``$defs`` of the whole."""

_TEXT = "a string, neither blank nor a placeholder"
_TEXT_LIST = "a list of strings"


def _given(value: Any) -> Any:
    if value is None:
        raise refusal("is empty (null); give it a value")
    return value


def _text(value: str) -> str:
    if is_placeholder(value):
        raise refusal(PLACEHOLDER)
    if not value.strip():
        raise refusal(f"is an empty string; expected {_TEXT}")
    return value


def _text_list(value: Any) -> tuple[str, ...]:
    if not isinstance(value, tuple | list):
        raise refusal(f"is {described(value)}; expected {_TEXT_LIST}")
    for item in value:
        if not isinstance(item, str) or not item.strip():
            raise refusal(f"is a list with {described(item)} in it; expected {_TEXT_LIST}")
    return tuple(value)


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise refusal(f"is {described(value)}; expected a table")
    return value


def as_float(value: Any) -> Any:
    """Return an integer that no float can hold as the largest one, which is within no upper limit either."""
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        return sys.float_info.max if value > 0 else -sys.float_info.max
    return value


Given = Annotated[
    Any,
    AfterValidator(_given),
    Expected(""),
    WithJsonSchema({"type": ["string", "number", "boolean", "object", "array"]}),
]
"""Any value but null."""
Text = Annotated[
    str,
    AfterValidator(_text),
    Expected(_TEXT),
    text_schema(pattern=VISIBLE, **{"not": reference("placeholder")}),
]
"""A string that is neither blank nor a placeholder."""
Label = Annotated[
    str, AfterValidator(not_blank), Expected("a string that is not blank"), text_schema(pattern=VISIBLE)
]
"""A string that is not blank; it may look like a placeholder."""
TextList = Annotated[
    tuple[str, ...],
    PlainValidator(_text_list),
    Expected(_TEXT_LIST),
    WithJsonSchema({"type": "array", "items": {"type": "string", "pattern": VISIBLE}}),
]
"""A list of strings, none of them blank; it may be empty."""
Table = Annotated[
    Mapping[str, Any], PlainValidator(_table), Expected("a table"), WithJsonSchema({"type": "object"})
]
"""A table with anything in it."""
