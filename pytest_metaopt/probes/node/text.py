"""What a host wrote, as text: bounded, printable, and read line by line."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.text import one_line, printable, shortened

LONGEST_OUTPUT = 1 << 18
"""Characters of a command's output that are read, where it has no need for more."""
LONGEST_VALUE = 200


def clean(text: str) -> str:
    """Return *text* as one bounded line that a terminal can take."""
    return shortened(printable(one_line(text[: 8 * LONGEST_VALUE])), LONGEST_VALUE)


def whole_number(text: str) -> int | None:
    """Return the number that *text* is in plain digits; None: it is anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def keyed_lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield the first word of each line that has one, and the rest of the line."""
    for line in text.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word, rest.strip()
