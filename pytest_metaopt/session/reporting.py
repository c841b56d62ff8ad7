"""An outcome becomes what pytest, JUnit and the JSON report show."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest

from ..core.check import Check
from ..core.document import Position
from ..core.finding import Finding
from ..core.outcome import Failure, Outcome
from ..core.redaction import redact, safe
from ..core.text import one_line, wrapped
from ..results.result import Result
from . import compat
from .compat import Skipped

RESULT = "metaopt"
"""The attribute of a test report that carries a result."""
PROPERTIES = ("check_id", "group", "severity", "outcome", "remediation", "bootstrap")
"""The properties of a test case in JUnit."""


def failure_text(place: str, check: Check, failure: Failure) -> str:
    """Return a failure for people: where, which check, what is wrong, how to fix it, and the check's page."""
    if failure.findings:
        paragraphs = [f"{place}: {check.id}: {len(failure.findings)} problems"]
        paragraphs += [f"{_position(place, found)}: {found.message}" for found in failure.findings]
        # What the message has behind the findings is what a bootstrap made of them.
        paragraphs += [f"  {line}" for line in failure.message.splitlines()[1 + len(failure.findings) :]]
    else:
        first, *rest = failure.message.splitlines() or [""]
        position = _position(place, Finding(first, failure.line, failure.column))
        paragraphs = [f"{position}: {check.id}: {first}", *(f"  {line}" for line in rest)]
    if failure.remediation:
        paragraphs.append(f"  fix: {one_line(failure.remediation)}")
    if check.page:
        paragraphs.append(f"  see: {check.page}")
    return "\n".join(wrapped(paragraph) for paragraph in paragraphs)


def _position(place: str, finding: Finding) -> str:
    if not finding.line:
        return place
    return f"{place}:{finding.line}:{finding.column}" if finding.column else f"{place}:{finding.line}"


def summary_line(failure: Failure) -> str:
    """Return a failure as one line: what is wrong, then how to fix it."""
    message = "; ".join(one_line(line) for line in failure.message.splitlines())
    if not failure.remediation:
        return message
    return f"{message.rstrip('.')}. Fix: {one_line(failure.remediation)}"


def outcome_of_fixtures(
    check: Check, call: pytest.CallInfo[None], position: Position | None, *, evaluated: bool
) -> Outcome | None:
    """Return the outcome that a check's fixtures, not its evaluation, brought about; None where none did.

    :param position: where the subject of the check begins.
    :param evaluated: whether the evaluation has an outcome.
    """
    excinfo = call.excinfo
    if excinfo is None:
        return None
    if isinstance(excinfo.value, Skipped) or (call.when == "setup" and _is_xfail(excinfo.value)):
        return None
    if (call.when == "call" and evaluated) or isinstance(
        excinfo.value, pytest.exit.Exception | KeyboardInterrupt
    ):
        return None
    doing = {"setup": "set up", "call": "evaluate", "teardown": "clean up after"}[call.when]
    problem = one_line(safe(excinfo.exconly(tryshort=True)))
    message = f"could not {doing} the check: {problem}"
    line, column = position or (None, None)
    failure = Failure(message, safe(check.remediation), line, column, crash=True)
    return Outcome("warning" if check.severity == "advisory" else "failed", failure)


def _is_xfail(error: BaseException) -> bool:
    """Return whether a mark, xfail(run=False), kept the item from being run."""
    return isinstance(error, pytest.xfail.Exception)


def complete(report: pytest.TestReport, result: Result, outcome: Outcome, shown: str) -> None:
    """Put a result on *report*, for every reporter and for the process that counts.

    :param shown: the document's path as people see it.
    """
    if outcome.word == "warning" and report.outcome != "passed":
        report.outcome = "skipped"
        assert outcome.failure is not None  # noqa: S101 - a warning has a reason
        line = outcome.failure.line or 1
        report.longrepr = (shown, line, f"Skipped: {summary_line(outcome.failure)}")
    elif outcome.word == "skipped" and report.skipped:
        report.longrepr = (shown, 1, f"Skipped: {outcome.reason}")
    report.user_properties = [*_other_properties(report, result), *_properties(result)]
    if report.when != "teardown" or report.outcome != "passed":
        # As plain values, which survive the way from a worker to its controller.
        setattr(report, RESULT, result.to_json())


def result_on(report: pytest.CollectReport | pytest.TestReport) -> Result | None:
    """Return the result that *report*, maybe a worker's, carries and that counts."""
    data = getattr(report, RESULT, None)
    return Result.from_json(data) if data is not None and not is_rerun(report) else None


def clean(report: pytest.TestReport, shown: str, line: int | None) -> None:
    """Cut secrets out of what pytest itself, or a check that broke, put on *report*.

    :param shown: the document's path as people see it.
    :param line: the line of the document that the failure is about.
    """
    if report.passed and not report.sections:
        return
    report.sections = [(title, redact(text)) for title, text in report.sections]
    longrepr = report.longrepr
    if isinstance(longrepr, tuple):
        path, number, reason = longrepr
        report.longrepr = (path, number, redact(reason))
    elif longrepr is not None and redact(str(longrepr)) != str(longrepr):
        text = redact(str(longrepr))
        crash = getattr(longrepr, "reprcrash", None)
        problem = one_line(redact(crash.message if crash else text))
        report.longrepr = compat.failure_repr(shown, line or 1, problem, text)


def status(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, Any] | None:
    """Return category, letter and word of a report, where ours differ from pytest's."""
    data = getattr(report, RESULT, None)
    if data is None or report.failed or is_rerun(report) or hasattr(report, "wasxfail"):
        return None
    if data["outcome"] == "bootstrapped" and report.when == "call":
        return "bootstrapped", "B", ("BOOTSTRAPPED", {"green": True})
    if data["outcome"] == "warning" and report.skipped:
        return "advisory", "A", ("ADVISORY", {"yellow": True})
    return None


def is_rerun(report: pytest.CollectReport | pytest.TestReport) -> bool:
    """Return whether pytest-rerunfailures will run the item again, so that this report does not count."""
    outcome: str = report.outcome
    return outcome == "rerun"


def _properties(result: Result) -> list[tuple[str, object]]:
    own = _own_properties(
        result.check_id,
        result.group,
        result.severity,
        result.outcome,
        result.remediation,
        result.bootstrap or "",
    )
    return [*own, *result.properties.items()]


@lru_cache(maxsize=1024)
def _own_properties(*values: str) -> tuple[tuple[str, object], ...]:
    """Return the properties that all subjects of a check share that came out the same."""
    return tuple(zip(PROPERTIES, values, strict=True))


def _other_properties(report: pytest.TestReport, result: Result) -> list[tuple[str, object]]:
    if not report.user_properties:
        return []
    ours = {*PROPERTIES, *result.properties}
    return [entry for entry in report.user_properties if entry[0] not in ours]
