"""Launch readers: one format a module, behind one Protocol.

Another package registers a reader as an entry point in the group ``ENTRY_POINTS``, named as its format.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ..core.document import DocumentError
from .launch import Launch
from .launch_file import LaunchFile

ENTRY_POINTS = "pytest_metaopt.launch_readers"

READERS: Mapping[str, str] = {
    "skypilot": "pytest_metaopt.documents.foreign.skypilot",
    "launch spec": "pytest_metaopt.documents.launch_spec",
}
"""The modules of the built-in formats, in the order in which they are tried; imported when used.

The last one takes every file, so that what is wrong with a file of no known format is said against our own.
"""

_HINT = re.compile(r"^(?:nodes|launcher|fabric)\s*:", re.MULTILINE)


@runtime_checkable
class LaunchReader(Protocol):
    """Reads launch files of one format; a module with these two functions is one."""

    def recognises(self, file: LaunchFile) -> bool:
        """Return whether *file* is of this format; raises nothing."""
        ...

    def read(self, file: LaunchFile) -> Launch:
        """Return the launch that *file* describes, with everything that is wrong with it.

        :raises DocumentError: the file cannot be read at all.
        """
        ...


def load_launch(path: Path) -> Launch:
    """Read the launch file *path* with the first reader that recognises it.

    :raises DocumentError: it cannot be read, or a reader of another package cannot be used.
    """
    file = LaunchFile(path)
    return next(reader for reader in _readers(path) if reader.recognises(file)).read(file)


def _readers(path: Path) -> Iterator[LaunchReader]:
    """Yield the readers of other packages, then the built-in ones."""
    for entry in outside_readers():
        try:
            found: object = entry.load()
        except Exception as error:
            message = f"launch format {entry.name!r}: {type(error).__name__}: {error}"
            raise DocumentError(path, message) from error
        if not isinstance(found, LaunchReader):
            message = (
                f"launch format {entry.name!r}: {found!r} has no functions recognises(file) and read(file)"
            )
            raise DocumentError(path, message)
        yield found
    for module in READERS.values():
        reader: Any = importlib.import_module(module)
        yield reader


@cache
def outside_readers() -> tuple[EntryPoint, ...]:
    """Return the entry points under which other packages register readers."""
    return tuple(entry_points(group=ENTRY_POINTS))


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a launch spec, made of the models that validate one."""
    from .launch_model import json_schema as of_models

    return of_models()


def looks_like_launch(path: Path, head: str) -> bool:
    """Return whether a YAML file that was named without saying its kind is a launch spec.

    It is one by its name (``*launch*``) or by one of the top-level keys ``nodes``, ``launcher`` and
    ``fabric`` in *head*, the beginning of its text.
    """
    return "launch" in path.stem.lower() or _HINT.search(head) is not None
