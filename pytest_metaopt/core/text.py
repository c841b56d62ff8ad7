"""Words for people: text made safe to print, and the nearest name to a typo."""

from __future__ import annotations

import difflib
import math
import textwrap
from collections.abc import Iterable, Sequence
from functools import lru_cache

_LONGEST_COMPARED = 200
_SHOWN_DIGITS = 15


def printable(text: str) -> str:
    r"""Return *text* with every character escaped that a terminal or a UTF-8 file cannot take.

    Control characters (ESC among them) and lone surrogates become ``\xNN`` or ``\uNNNN``; newlines
    stay. A value from a file that nobody has looked at can so never steer a terminal.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    """Return *text* with each run of white space, newlines included, as one space."""
    return " ".join(text.split())


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the member of *known* that *name* is most likely a typo of, or None."""
    if len(name) > _LONGEST_COMPARED:
        return None
    return _nearest(name, tuple(known))


# A file of many parts has the same mistake many times.
@lru_cache(maxsize=256)
def _nearest(name: str, known: tuple[str, ...]) -> str | None:
    candidates = [candidate for candidate in known if len(candidate) <= _LONGEST_COMPARED]
    lowered = {candidate.lower(): candidate for candidate in candidates}
    if name.lower() in lowered:
        return lowered[name.lower()]
    found = difflib.get_close_matches(name, candidates, n=1)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"``, or an empty string where nothing is near."""
    found = nearest(name, known)
    return f"; did you mean {found!r}?" if found is not None else ""


def enumeration(names: Sequence[str], word: str = "and") -> str:
    """Return ``a, b and c``."""
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last


def some(names: Sequence[str], most: int) -> str:
    """Return ``a, b and 3 more``: at most *most* of the names."""
    more = len(names) - most
    return enumeration([*names[:most], f"{more} more"] if more > 0 else names)


def shortened(text: str, most: int) -> str:
    """Return *text*, or its beginning and three dots: *most* characters in all."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def described(value: object) -> str:
    """Say in two or three words what kind of YAML value *value* is, without showing it.

    The value itself stays out of the sentence, since it may hold a secret.
    """
    if value is None:
        return "empty (null)"
    if isinstance(value, bool):
        return f"a boolean ({str(value).lower()})"
    if isinstance(value, str):
        return "an empty string" if not value.strip() else "a string"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, tuple | list):
        return "a list"
    if hasattr(value, "items"):
        return "a mapping"
    return f"a {type(value).__name__}"


def described_number(value: object) -> str:
    """Return what *value* is where a number is expected: the number itself, else what kind of value it is.

    A string is not shown, since it may hold a secret; one that reads as a number comes with a hint.
    """
    if isinstance(value, str) and _reads_as_number(value):
        exponent = "e" in value.lower()
        hint = "an exponent needs a dot and a sign, as in 1.0e-3" if exponent else "remove the quotes"
        return f"a string ({hint})"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return described(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**_SHOWN_DIGITS else "a very large number"
    return repr(value) if math.isfinite(value) else "a number that is not finite"


def _reads_as_number(text: str) -> bool:
    if len(text) > _SHOWN_DIGITS:
        return False
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def wrapped(paragraph: str, *, width: int = 79, first: str = "", rest: str = "    ") -> str:
    """Return *paragraph* in lines of at most *width* columns; words (paths, commands) stay whole."""
    return textwrap.fill(
        paragraph,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
