"""Report writers: one format a module, behind one Protocol.

Another package registers a writer as an entry point in the group ``ENTRY_POINTS``, named as its format.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ..core.text import did_you_mean
from ..results.verdict import Verdict
from .formats import FORMATS

ENTRY_POINTS = "pytest_metaopt.reports"


class ReportError(Exception):
    """A report cannot be written; ``str()`` of it says which and why."""


@runtime_checkable
class ReportWriter(Protocol):
    """Writes the verdicts of a session in one format."""

    def text(self, verdicts: Sequence[Verdict]) -> str:
        """Return the report; it holds no secret that the verdicts do not hold."""
        ...


def writer(name: str) -> ReportWriter:
    """Return the writer of a format.

    :raises ReportError: there is none of that name, or it cannot be used.
    """
    from importlib.metadata import entry_points

    if name in FORMATS:
        found: object = importlib.import_module(FORMATS[name].module)
    else:
        entries = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
        if name not in entries:
            known = [*FORMATS, *entries]
            raise ReportError(
                f"unknown report format {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}"
            )
        try:
            found = entries[name].load()
        except Exception as error:
            raise ReportError(f"report format {name!r}: {type(error).__name__}: {error}") from error
    if not isinstance(found, ReportWriter):
        raise ReportError(f"report format {name!r}: {found!r} has no function text(verdicts)")
    return found
