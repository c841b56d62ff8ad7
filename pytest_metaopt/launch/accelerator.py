"""Accelerators as SkyPilot writes them: ``A100``, ``A100:8``, ``80GB+``, ``80GB+:2``, ``NVIDIA:80GB+:2``.

Read from SkyPilot 0.14.1 (``Resources.from_yaml_config``), which takes a list or mapping of them as well.
One difference: what SkyPilot takes for the name of an accelerator that no cloud has (an empty one,
``8xA100``) is refused here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..core.document import KeyPath

_MEMORY = re.compile(r"[0-9]+[GMT]B\+?", re.IGNORECASE)
_COUNT_FIRST = re.compile(r"[0-9]+ ?[x*] ?[A-Za-z]", re.IGNORECASE)
_MOST_BITS = 64


def problems(value: Any) -> Iterator[tuple[KeyPath, str]]:
    """Yield what SkyPilot would not take in *value*: the keys that lead to it, and the end of a sentence."""
    if isinstance(value, str):
        yield from _located((), _problem(value))
    elif isinstance(value, Mapping):
        yield from _located((), None if value else "is an empty mapping")
        for name, count in value.items():
            yield from _located((name,), _entry_problem(name, count))
    elif isinstance(value, tuple | list):
        yield from _located((), None if value else "is an empty list")
        for index, item in enumerate(value):
            yield from _located((index,), _problem(item) if isinstance(item, str) else "is not a string")
    else:
        yield from _located((), "is not a string")


def _located(keys: KeyPath, problem: str | None) -> Iterator[tuple[KeyPath, str]]:
    if problem is not None:
        yield keys, problem


def _entry_problem(name: object, count: object) -> str | None:
    """Say what is wrong with an entry ``name: count`` of a mapping."""
    if not isinstance(name, str):
        return "is not a string"
    if count is None:
        return _problem(name)
    if isinstance(count, bool) or not isinstance(count, int | float):
        return "has a count that is not a number"
    if isinstance(count, int) and count.bit_length() > _MOST_BITS:
        return "has a count that is far too large"
    return _problem(f"{name}:{count}")


def _problem(text: str) -> str | None:
    """Say what is wrong with one accelerator, as the end of a sentence; None where SkyPilot takes it."""
    match text.split(":"):
        case [name] | [name, _] | [name, _, _] if not name.strip():
            return "names no accelerator"
        case [name] if _COUNT_FIRST.match(name):
            return "has the count in front, which SkyPilot takes as part of the name"
        case [_]:
            return None
        case [name, memory] if _MEMORY.fullmatch(memory):
            return None
        case [memory, count] if _MEMORY.fullmatch(memory):
            return _count_problem(count, int)
        case [_, count]:
            return _count_problem(count, float)
        case [_, memory, count]:
            if not _MEMORY.fullmatch(memory):
                return "has two ':', but no memory size such as 80GB between them"
            return _count_problem(count, int)
        case _:
            return "has more than two ':'"


def _count_problem(text: str, kind: type[int] | type[float]) -> str | None:
    try:
        count = kind(text)
    except ValueError:
        return "has text after ':' that is not a number"
    return None if math.isfinite(count) and count > 0 else "has a count that is not above 0"
