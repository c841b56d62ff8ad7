"""The types of the fields of a launch spec: sizes, durations, names, paths, variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    WithJsonSchema,
)

from ..core import quantity
from ..core.document import KeyPath
from ..core.text import described
from .schema import not_blank, refusal, text_schema

_NODE_NAME = re.compile(r"[A-Za-z0-9_.]+(-[A-Za-z0-9_.]+)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MEMORY = re.compile(rf"{quantity.SIZE.pattern}\+?")
_GPU_MEMORY = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,2})? ?[gG][iI]?[bB]\+?")
_ADDRESS = re.compile(r"[A-Za-z0-9_.:%-]+")
_INTERFACE = re.compile(r"[A-Za-z0-9_.:@-]{1,15}")
_MOST_GB = 1_000_000_000
_MOST_SECONDS = 1_000_000_000
_MOST_BITS = 64
# What a JSON Schema says of an amount that is above 0.
_SOME = r"(?=[0-9.]*[1-9])"


def _size(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise refusal(f"is {described(value)}; expected a size such as 100GB")
    if isinstance(value, str):
        try:
            found: float = quantity.size(value)
        except ValueError:
            raise refusal("is not a size such as 100GB or 1.5TiB") from None
    else:
        found = value
        if value > _MOST_GB:
            raise refusal(f"is more than {_MOST_GB} GB; a number is in GB: write bytes as 100GB")
    if not found > 0:
        raise refusal("is not above 0; expected a size such as 100GB")
    return value


def _memory(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _size(value)
    if not isinstance(value, str):
        raise refusal(f"is {described(value)}; expected a memory size such as 40GB")
    if not _MEMORY.fullmatch(value.strip()):
        raise refusal("is not a memory size such as 40GB or 24GB+ (at least)")
    if not quantity.size(value.strip().rstrip("+")):
        raise refusal("is not above 0; expected a memory size such as 40GB")
    return value


def _gpu_memory(value: str) -> str:
    if not _GPU_MEMORY.fullmatch(value.strip()):
        raise refusal("is not a memory of a GPU such as 40GB or 24GB+ (at least)")
    return value


def _duration(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise refusal(f"is {described(value)}; expected seconds, or a duration such as 10m")
    if isinstance(value, str):
        try:
            found = quantity.duration(value)
        except ValueError:
            raise refusal("is not a duration such as 90s, 10m, 6h or 2d") from None
    else:
        found = value
    if found > _MOST_SECONDS:
        raise refusal(f"is more than {_MOST_SECONDS} seconds; expected a duration such as 10m")
    if not found > 0:
        raise refusal("is not above 0; expected seconds, or a duration such as 10m")
    return value


def _node_name(value: str) -> str:
    if not _NODE_NAME.fullmatch(value):
        raise refusal("is not a name for a node; expected letters, digits, '_', '.' and single '-'")
    return value


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value) or value.startswith("-"):
        raise refusal("is not a host name or IP address")
    return value


def _interface(value: str) -> str:
    if not _INTERFACE.fullmatch(value) or value.startswith("-"):
        raise refusal("is not a name of a network interface such as eth0")
    return value


def _path(value: str) -> str:
    not_blank(value)
    if "\0" in value:
        raise refusal("holds a NUL character")
    if not PurePosixPath(value).is_absolute() and not value.startswith("~/"):
        raise refusal("is not an absolute path; nodes have no common directory to start from")
    return value


def _mount_point(value: str) -> str:
    if value.startswith("~/"):
        raise refusal("is not a mount point, which begins with '/' (findmnt -T DIR shows it)")
    return _path(value)


def too_large(value: object) -> bool:
    """Whether *value* is an integer that nobody means."""
    return isinstance(value, int) and value.bit_length() > _MOST_BITS


def _variables(value: dict[str, Any]) -> dict[str, str]:
    # The rules of the block report what is not a value. To SkyPilot null is what --env gives at launch.
    return {name: "" if item is None or too_large(item) else str(item) for name, item in value.items()}


def wrong_variables(given: Mapping[Any, Any], block: str) -> Iterator[tuple[KeyPath, str]]:
    """Yield what is wrong with the variables under the key *block* of a mapping, by its key path."""
    variables = given.get(block)
    for name, item in variables.items() if isinstance(variables, Mapping) else ():
        if isinstance(name, str) and not _VARIABLE.fullmatch(name):
            yield (block, name), "is not a name of a variable"
        elif too_large(item):
            yield (block, name), "is a very large number; quote it"
        elif item is None and block == "envs":
            continue
        elif isinstance(item, bool) or not isinstance(item, str | int | float):
            yield (block, name), f"is {described(item)}; expected a string or a number"


_SIZE_SCHEMA = {
    "anyOf": [
        {
            "type": "string",
            "pattern": rf"^\s*{_SOME}(?:{quantity.SIZE.pattern})\s*$",
        },
        {"type": "number", "exclusiveMinimum": 0, "maximum": _MOST_GB, "description": "GB"},
    ]
}
Size = Annotated[Any, AfterValidator(_size), WithJsonSchema(_SIZE_SCHEMA)]
Duration = Annotated[
    Any,
    AfterValidator(_duration),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": rf"^\s*{_SOME}(?:{quantity.DURATION.pattern})\s*$"},
                {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "maximum": _MOST_SECONDS,
                    "description": "seconds",
                },
            ]
        }
    ),
]
Memory = Annotated[
    Any,
    AfterValidator(_memory),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": rf"^\s*{_SOME}(?:{quantity.SIZE.pattern})\+?\s*$"},
                _SIZE_SCHEMA["anyOf"][1],
            ]
        }
    ),
]
GpuMemory = Annotated[
    str, AfterValidator(_gpu_memory), text_schema(pattern=rf"^\s*{_GPU_MEMORY.pattern}\s*$")
]
NodeName = Annotated[str, AfterValidator(_node_name), text_schema(pattern=f"^{_NODE_NAME.pattern}$")]
Address = Annotated[str, AfterValidator(_address), text_schema(pattern=r"^[A-Za-z0-9_.:%][A-Za-z0-9_.:%-]*$")]
Interface = Annotated[
    str, AfterValidator(_interface), text_schema(pattern=r"^[A-Za-z0-9_.:@][A-Za-z0-9_.:@-]{0,14}$")
]
MountPoint = Annotated[str, AfterValidator(_mount_point), text_schema(pattern="^/")]
AbsolutePath = Annotated[str, AfterValidator(_path), text_schema(pattern="^(?:/|~/)")]
Variables = Annotated[
    dict[str, Any],
    AfterValidator(_variables),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"pattern": f"^{_VARIABLE.pattern}$"},
            "additionalProperties": {"type": ["string", "number"]},
        }
    ),
]
LaterVariables = Annotated[
    dict[str, Any],
    AfterValidator(_variables),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"pattern": f"^{_VARIABLE.pattern}$"},
            "additionalProperties": {"type": ["string", "number", "null"]},
        }
    ),
]
Arguments = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {"anyOf": [{"type": ["string", "number"]}, {"const": True}]},
        }
    ),
]
