"""Read a TOML file that nobody has looked at: bounded, strict, with the place of every key.

The standard library's parser gives no positions. tomlkit keeps the text, but has no line numbers either;
so a scan that knows strings, comments and brackets, and nothing else of TOML, finds the headers and the keys.
It comes first, and so bounds what the parser is given: nested brackets, which it would follow by recursion,
and dotted keys, over whose parts it takes quadratic time.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.document import DocumentError, KeyPath, Position, frozen
from ...core.text import printable
from .text import MAX_DEPTH, read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 4 << 20
"""Largest file that is read, in bytes."""

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\[^\n])*"|'[^'\n]*')"""
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_BLANK = re.compile(r"[ \t\r]*(?:#[^\n]*)?(?:\n|\Z)")
_STATEMENT = re.compile(rf"[ \t]*(?:(?P<header>\[\[?)[ \t]*)?(?P<key>{_KEY})[ \t]*")
_PARTS = re.compile(_PART)
_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*""""{0,2}'
    r"|'''(?:[^']|'(?!''))*''''{0,2}"
    r'|"(?:[^"\\\n]|\\[^\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"""|[\[\]{}\n.,="']""",
    re.DOTALL,
)
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass
class TomlTree:
    """What a TOML file holds: a read-only value, and where its tables and keys stand."""

    value: Mapping[str, Any]
    positions: dict[KeyPath, Position] = field(default_factory=dict)


def read_toml(path: Path, what: str) -> TomlTree:
    """Return what the TOML file *path* holds.

    :param what: the kind of document, for messages ("training manifest").
    :raises DocumentError: the file cannot be read, is larger than ``MAX_BYTES``, is not TOML, or nests deeper
        than ``MAX_DEPTH``.
    """
    text = read_text(path, most=MAX_BYTES).replace("\r\n", "\n")
    if not text.strip():
        raise DocumentError(path, f"is empty; a {what} is a TOML file")
    positions = _Scan(path, text).positions()
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _toml_problem(path, text, error) from None
    except ValueError:  # what Python makes no integer of
        raise DocumentError(path, "holds a number of thousands of digits; quote it") from None
    except RecursionError:
        raise DocumentError(path, f"is nested deeper than {MAX_DEPTH} levels") from None
    return TomlTree(frozen(value), positions)


def _toml_problem(path: Path, text: str, error: tomllib.TOMLDecodeError) -> DocumentError:
    message = str(error)
    found = _PLACE.search(message)
    if found is None:
        return DocumentError(path, f"is not TOML: {printable(message)}")
    problem = f"is not TOML: {printable(message[: found.start()])}"
    if found[1] is None:
        last = text.rstrip("\n").count("\n") + 1
        return DocumentError(path, f"{problem} (at the end of the file)", position=Position(last, 1))
    return DocumentError(path, problem, position=Position(int(found[1]), int(found[2])))


class _Scan:
    """Finds where headers and keys stand, and refuses what is nested too deep for the parser.

    It stops where it is lost: the parser, which comes next, then is as well, at the latest there.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.line = 1
        self.line_start = 0
        self.arrays: dict[KeyPath, int] = {}
        self.found: dict[KeyPath, Position] = {}

    def positions(self) -> dict[KeyPath, Position]:
        offset: int | None = 0
        table: KeyPath = ()
        while offset is not None and offset < len(self.text):
            blank = _BLANK.match(self.text, offset)
            if blank is not None:
                offset = blank.end()
                self._newline(offset)
                continue
            statement = _STATEMENT.match(self.text, offset)
            if statement is None:
                break
            parts = self._parts(statement)
            header = statement["header"]
            if header is not None:
                table = self._table(parts, array=header == "[[")
                keys, start = table, statement.start("header")
            else:
                keys, start = (*table, *parts), statement.start("key")
            place = Position(self.line, start - self.line_start + 1)
            self.found.setdefault((), place)
            self.found.setdefault(keys, place)
            offset = self._end(start if header is not None else statement.end())
        self.found.setdefault((), Position(1, 1))
        return self.found

    def _newline(self, offset: int) -> None:
        self.line += 1
        self.line_start = offset

    def _fail(self, problem: str, offset: int) -> DocumentError:
        return DocumentError(
            self.path, problem, position=Position(self.line, max(1, offset - self.line_start + 1))
        )

    def _parts(self, statement: re.Match[str]) -> list[str]:
        key = statement["key"]
        if '"' not in key and "'" not in key:
            parts = [part.strip() for part in key.split(".")]
        else:
            parts = [_unquoted(part) for part in _PARTS.findall(key)]
        if len(parts) > MAX_DEPTH:
            raise self._fail(f"a key has more than {MAX_DEPTH} parts", statement.start("key"))
        return parts

    def _table(self, parts: list[str], *, array: bool) -> KeyPath:
        """Return the keys that a header leads to: behind an array of tables comes the last of it."""
        keys: KeyPath = ()
        for part in parts[:-1]:
            keys = (*keys, part)
            if keys in self.arrays:
                keys = (*keys, self.arrays[keys])
        keys = (*keys, parts[-1])
        if not array:
            return keys
        self.found.setdefault(keys, Position(self.line, 1))
        self.arrays[keys] = self.arrays.get(keys, -1) + 1
        return (*keys, self.arrays[keys])

    def _end(self, offset: int) -> int | None:
        """Return where the statement at *offset* ends; None where that cannot be made out."""
        depth = dots = 0
        for found in _TOKEN.finditer(self.text, offset):
            sign = found[0]
            if sign == "\n":
                self._newline(found.end())
                if depth <= 0:
                    return found.end()
                dots = 0
            elif sign == ".":
                dots += 1
                if dots > MAX_DEPTH:
                    raise self._fail(f"a key has more than {MAX_DEPTH} parts", found.start())
            elif sign in "[{":
                depth += 1
                dots = 0
                if depth > MAX_DEPTH:
                    raise self._fail(f"is nested deeper than {MAX_DEPTH} levels", found.start())
            elif sign in "]}":
                depth -= 1
            elif sign in ",=":
                dots = 0
            elif sign in "\"'":
                return None
            elif sign[:3] in ('"""', "'''"):
                self.line += sign.count("\n")
                if "\n" in sign:
                    self.line_start = found.start() + sign.rindex("\n") + 1
        return None


def _unquoted(part: str) -> str:
    if part[0] == "'":
        return part[1:-1]
    if part[0] != '"' or "\\" not in part:
        return part.strip('"')
    try:
        text: str = tomllib.loads(f"key = {part}")["key"]
    except tomllib.TOMLDecodeError:
        return part  # the parser says what is wrong with it
    return text
