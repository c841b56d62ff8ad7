"""Amounts with a unit: ``40GB``, ``24GB+``, ``6h``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

SIZE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([kKmMgGtTpP][iI]?[bB]?)")
DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(s|m|h|d)")

_POWERS: Mapping[str, int] = MappingProxyType({"k": 1, "m": 2, "g": 3, "t": 4, "p": 5})
_SECONDS: Mapping[str, int] = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86400})
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
_STEP = 1000
_ROUNDED_UP = 999.5


def size(text: str) -> int:
    """Return the bytes that ``100GB`` (10^9 each), ``100GiB`` (2^30 each) or ``100G`` (as GB) means.

    :raises ValueError: it is not a size.
    """
    found = SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a size such as 100GB or 1.5TiB")
    number, unit = found.groups()
    base = 1024 if unit[1:2].lower() == "i" else _STEP
    return round(float(number) * float(base) ** _POWERS[unit[0].lower()])


def duration(text: str) -> float:
    """Return the seconds that ``90s``, ``10m``, ``6h`` or ``2d`` means.

    :raises ValueError: it is not a duration.
    """
    found = DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a duration such as 90s, 10m, 6h or 2d")
    return float(found[1]) * _SECONDS[found[2]]


def format_size(count: float) -> str:
    """Return bytes as people write them: ``1.5 TB``, ``320 GB``."""
    power = 0
    # What would be shown as 1000 of a unit is 1 of the next.
    while power < len(_UNITS) - 1 and count / _STEP**power >= _ROUNDED_UP:
        power += 1
    return f"{_number(count / _STEP**power) if power else f'{count:.0f}'} {_UNITS[power]}"


def format_duration(seconds: float) -> str:
    """Return seconds as people write them: ``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 2 * 60:
        return f"{seconds:.3g} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.3g} min"
    return f"{_number(seconds / 3600)} h"


def _number(number: float) -> str:
    return f"{number:.3g}" if number < _ROUNDED_UP else f"{number:.0f}"
