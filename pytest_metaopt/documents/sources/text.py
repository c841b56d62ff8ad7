"""Read the text of a file that nobody has looked at: a regular file, of a bounded size, in UTF-8."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ...core.document import DocumentError, Position

MAX_BYTES = 1 << 20
"""Largest file that is read, in bytes."""
MAX_DEPTH = 64
"""Deepest nesting of mappings and lists, in any format."""


def read_text(path: Path, *, most: int = MAX_BYTES) -> str:
    """Return the text of *path*: a regular file of at most *most* bytes, UTF-8, without NUL bytes.

    :raises DocumentError: where it is anything else, with what and where.
    """
    data = _read_bytes(path, most)
    if b"\0" in data:
        raise DocumentError(
            path, "holds a NUL byte; save it as UTF-8 text", position=_byte_position(data, data.index(b"\0"))
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # utf-8-sig counts from behind the byte order mark.
        start = error.start + (len(data) - len(error.object))
        raise DocumentError(
            path,
            f"byte 0x{data[start]:02x} is not UTF-8; save the file as UTF-8",
            position=_byte_position(data, start),
        ) from None


def _read_bytes(path: Path, most: int) -> bytes:
    try:
        # Without O_NONBLOCK the opening of a FIFO waits for a writer, for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise DocumentError(path, _opening_problem(error)) from None
    try:
        problem = _kind_problem(os.fstat(descriptor).st_mode)
        if problem is not None:
            raise DocumentError(path, problem)
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(most + 1)
    except OSError as error:
        raise DocumentError(path, f"cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(data) > most:
        raise DocumentError(path, f"is larger than {most} bytes; is this the right file?")
    return data


def file_problem(path: Path) -> str | None:
    """Return why *path* is not a file that could be read, without opening it; None where it is one."""
    try:
        return _kind_problem(path.stat().st_mode)
    except OSError as error:
        return _opening_problem(error)


def _kind_problem(mode: int) -> str | None:
    if stat.S_ISREG(mode):
        return None
    kind = "a directory" if stat.S_ISDIR(mode) else "a FIFO, socket or device"
    return f"is {kind}; name a regular file"


def _opening_problem(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file; check the path"
    if isinstance(error, PermissionError):
        return "no permission to read it; check its mode and owner"
    return f"cannot be opened: {error.strerror}"


def _byte_position(data: bytes, offset: int) -> Position:
    before = data[:offset]
    line_start = before.rfind(b"\n") + 1
    column = len(before[line_start:].decode("utf-8", "replace")) + 1
    return Position(before.count(b"\n") + 1, column)
