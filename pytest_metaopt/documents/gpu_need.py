"""The GPUs that a document asks for."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .document import KeyPath

_NO_GPU = re.compile(r"(?:cpu|none|tpu)(?:$|[^a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class GpuNeed:
    """The GPUs that each node must have.

    :param count: how many.
    :param name: the model as people write it; None: any.
    :param memory: the memory of each, ``40GB`` or ``24GB+`` (at least); None: any.
    :param keys: what leads to it in the document.
    """

    count: int
    name: str | None = None
    memory: str | None = None
    keys: KeyPath = ("gpus",)

    def __str__(self) -> str:
        """Tell it in a phrase."""
        return f"{self.count} {self.name or 'GPU'}{f' with {self.memory}' if self.memory else ''}"


def of_accelerators(value: object, keys: KeyPath) -> GpuNeed | None:
    """Return the GPUs that SkyPilot's ``accelerators`` asks for; None: none, or one of several.

    :param keys: what leads to it in the document.
    """
    if isinstance(value, Mapping):
        entries = [name if count is None else f"{name}:{count}" for name, count in value.items()]
    else:
        entries = list(value) if isinstance(value, tuple | list) else [value]
    if len(entries) != 1 or not isinstance(entries[0], str):
        return None
    name: str | None = None
    memory: str | None = None
    count = 1
    for index, part in enumerate(part.strip() for part in entries[0].split(":")):
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
    return GpuNeed(count, name, memory, keys)


def _amount(text: str) -> int | None:
    """Return a count of GPUs as SkyPilot reads it; a part of a GPU is one that must be there."""
    try:
        number = float(text)
    except ValueError:
        return None
    return max(1, int(number)) if math.isfinite(number) else None
