"""An override: a value that the command line gives for a place in a document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .document import KeyPath


@dataclass(frozen=True)
class Override:
    """A value that counts instead of what the file says.

    :param keys: what leads to the place of the value.
    :param value: the value; it may be a secret.
    """

    keys: KeyPath
    value: Any = field(repr=False)
