"""The GPUs that a document requests."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_NO_GPU = re.compile(r"(?:cpu|none|tpu)(?:$|[^a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class GpuNeed:
    """The GPUs that each node must have.

    :param count: how many.
    :param name: the model as people write it; None: any.
    :param memory: the memory of each, ``40GB`` or ``24GB+`` (at least); None: any.
    :param alternatives: where one of several will do, all of them; the count is the least then.
    """

    count: int
    name: str | None = None
    memory: str | None = None
    alternatives: tuple[GpuNeed, ...] = ()

    def __str__(self) -> str:
        """Tell it in a phrase."""
        if self.alternatives:
            return " or ".join(str(need) for need in self.alternatives)
        return f"{self.count} {self.name or 'GPU'}{f' with {self.memory}' if self.memory else ''}"


def of_accelerators(value: object) -> GpuNeed | None:
    """Return the GPUs that SkyPilot's ``accelerators`` requests; None: none."""
    if isinstance(value, Mapping):
        entries = [name if count is None else f"{name}:{count}" for name, count in value.items()]
    else:
        entries = list(value) if isinstance(value, tuple | list) else [value]
    return any_of([_of_entry(entry) for entry in entries])


def any_of(needs: Sequence[GpuNeed | None]) -> GpuNeed | None:
    """Return the need for one of *needs*; None where one of them is that there is no GPU."""
    given = [need for need in needs if need is not None]
    if not given or len(given) < len(needs):
        return None
    if len(given) == 1:
        return given[0]
    return GpuNeed(min(need.count for need in given), alternatives=tuple(dict.fromkeys(given)))


def _of_entry(entry: object) -> GpuNeed | None:
    if not isinstance(entry, str):
        return None
    name: str | None = None
    memory: str | None = None
    count = 1
    for index, part in enumerate(part.strip() for part in entry.split(":")):
        if re.fullmatch(r"[0-9]+[Gg][Bb]\+?", part):
            memory = part
        elif index and (amount := _amount(part)) is not None:
            count = amount
        else:
            name = part
    if name is not None and _NO_GPU.match(name):
        return None
    if name is not None and name.upper() == "NVIDIA":
        name = None
    return GpuNeed(count, name, memory)


def _amount(text: str) -> int | None:
    """Return a count of GPUs as SkyPilot reads it; a part of a GPU is one that must be there."""
    try:
        number = float(text)
    except ValueError:
        return None
    return max(1, int(number)) if math.isfinite(number) else None
