"""A problem: something wrong in a document, found while it is validated."""

from __future__ import annotations

from dataclasses import dataclass

from .document import KeyPath


@dataclass(frozen=True)
class Problem:
    """Something wrong in a document.

    :param keys: what leads to the value that it is about.
    :param message: a sentence that begins with the name of that value.
    :param unknown: it is a key that is not known.
    """

    keys: KeyPath
    message: str
    unknown: bool = False
