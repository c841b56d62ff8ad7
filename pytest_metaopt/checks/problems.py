"""What the checks of documents share: they report several problems at once, each with its place."""

from __future__ import annotations

from collections.abc import Sequence

from .. import Finding, fail
from ..core.document import Document, Position, dotted
from ..core.problem import Problem

MOST_REPORTED = 50


def fail_with(
    document: Document,
    problems: Sequence[Problem],
    *,
    remediation: str | None = None,
    advisory: bool = False,
) -> None:
    """Fail with all of *problems*, each with its place, in the order of the file; return if there is none."""
    findings = [
        finding(problem.message, document.position(problem.keys), dotted(problem.keys))
        for problem in problems
    ]
    fail_in_order(findings, remediation=remediation, advisory=advisory)


def fail_in_order(
    findings: Sequence[Finding], *, remediation: str | None = None, advisory: bool = False
) -> None:
    """Fail with *findings* in the order of the file; return if there is none."""
    ordered = sorted(findings, key=lambda found: (found.line or 0, found.column or 0))
    fail_with_findings(ordered, remediation=remediation, advisory=advisory)


def fail_with_findings(
    findings: Sequence[Finding],
    count: int | None = None,
    *,
    remediation: str | None = None,
    advisory: bool = False,
) -> None:
    """Fail with *findings*; of a hostile file's thousands only the first are shown.

    :param count: how many there are, where *findings* are not all of them.
    """
    count = len(findings) if count is None else count
    shown = list(findings[:MOST_REPORTED])
    if count > MOST_REPORTED:
        shown.append(Finding(f"and {count - MOST_REPORTED} more"))
    if shown:
        fail(shown, remediation=remediation, advisory=advisory)


def finding(message: str, position: Position | None, key: str | None = None) -> Finding:
    """Return a finding with its place, where that is known, and its dotted key."""
    line, column = position or (None, None)
    return Finding(message, line, column, key)
