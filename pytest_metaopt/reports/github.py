"""Annotations of GitHub Actions: one line a finding, which the runner shows beside the file.

Source: "Workflow commands for GitHub Actions", ``error``, ``warning`` and their escapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.finding import Finding
from ..results.ledger import PlannedCheck
from ..results.result import Result
from ..results.verdict import Verdict

_COMMANDS = {"failed": "error", "warning": "warning"}


def text(verdicts: Sequence[Verdict]) -> str:
    """Return the annotations of all findings, in the order of the checks."""
    lines = [
        line
        for verdict in verdicts
        for check, result in verdict.readiness.results
        for line in _annotations(check, result)
    ]
    return "".join(f"{line}\n" for line in lines)


def _annotations(check: PlannedCheck, result: Result) -> Iterator[str]:
    command = _COMMANDS.get(result.outcome)
    if command is None:
        return
    whole = Finding(result.message or "", result.line, result.column)
    for finding in result.findings or (whole,):
        place = {"file": check.document, "line": finding.line, "col": finding.column, "title": check.label}
        properties = ",".join(f"{name}={_property(value)}" for name, value in place.items() if value)
        fix = f"\nfix: {result.remediation}" if result.remediation else ""
        see = f"\nsee: {result.page}" if result.page else ""
        yield f"::{command} {properties}::{_data(f'{finding.message}{fix}{see}')}"


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: object) -> str:
    return _data(str(value)).replace(":", "%3A").replace(",", "%2C")
