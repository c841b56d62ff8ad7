"""An outcome becomes what pytest, JUnit and the JSON report show."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pytest

from ..core.check import Check
from ..core.finding import Finding
from ..core.outcome import Failure, Outcome
from ..core.redaction import redact, safe
from ..core.text import one_line, wrapped
from . import compat
from .compat import Skipped

if TYPE_CHECKING:
    from .items import CheckItem

PROPERTIES = ("check_id", "group", "severity", "outcome", "remediation", "bootstrap")
"""The properties of a test case in JUnit."""


def failure_text(place: str, check_id: str, failure: Failure) -> str:
    """Return a failure for people: where, which check, what is wrong, and how to mend it."""
    if failure.findings:
        paragraphs = [f"{place}: {check_id}: {len(failure.findings)} problems"]
        paragraphs += [f"{_position(place, found)}: {found.message}" for found in failure.findings]
        # What the message has behind the findings is what a bootstrap made of them.
        paragraphs += [f"  {line}" for line in failure.message.splitlines()[1 + len(failure.findings) :]]
    else:
        first, *rest = failure.message.splitlines() or [""]
        position = _position(place, Finding(first, failure.line, failure.column))
        paragraphs = [f"{position}: {check_id}: {first}", *(f"  {line}" for line in rest)]
    if failure.remediation:
        paragraphs.append(f"  fix: {one_line(failure.remediation)}")
    return "\n".join(wrapped(paragraph) for paragraph in paragraphs)


def _position(place: str, finding: Finding) -> str:
    if not finding.line:
        return place
    return f"{place}:{finding.line}:{finding.column}" if finding.column else f"{place}:{finding.line}"


def summary_line(failure: Failure) -> str:
    """Return a failure as one line: what is wrong, then how to mend it."""
    message = "; ".join(one_line(line) for line in failure.message.splitlines())
    if not failure.remediation:
        return message
    return f"{message.rstrip('.')}. Fix: {one_line(failure.remediation)}"


def settle(item: CheckItem, call: pytest.CallInfo[None]) -> None:
    """Give *item* the outcome that its fixtures, not its evaluation, brought about."""
    excinfo = call.excinfo
    if excinfo is None:
        return
    if isinstance(excinfo.value, Skipped) or (call.when == "setup" and _is_xfail(excinfo.value)):
        return
    evaluated = call.when == "call" and item.outcome is not None
    if evaluated or isinstance(excinfo.value, pytest.exit.Exception | KeyboardInterrupt):
        return
    doing = {"setup": "set up", "call": "ask", "teardown": "clean up after"}[call.when]
    problem = one_line(safe(excinfo.exconly(tryshort=True)))
    failure = Failure(f"could not {doing} the check: {problem}", safe(item.check.remediation), crash=True)
    item.outcome = Outcome("warning" if item.check.severity == "advisory" else "failed", failure)


def _is_xfail(error: BaseException) -> bool:
    """Tell whether a mark, xfail(run=False), kept the item from being run."""
    return isinstance(error, pytest.xfail.Exception)


def complete(item: CheckItem, report: pytest.TestReport) -> None:
    """Put the outcome of *item* on *report*, for every reporter and for the process that counts."""
    item.seconds += report.duration
    outcome = item.outcome
    if outcome is None:
        return
    if outcome.word == "warning" and report.outcome != "passed":
        report.outcome = "skipped"
        assert outcome.failure is not None  # noqa: S101 - a warning has a reason
        line = outcome.failure.line or 1
        report.longrepr = (item.parent.name_shown, line, f"Skipped: {summary_line(outcome.failure)}")
    elif outcome.word == "skipped" and report.skipped:
        report.longrepr = (item.parent.name_shown, 1, f"Skipped: {outcome.reason}")
    report.user_properties = [*_other_properties(report, item), *_properties(item, outcome)]
    if report.when != "teardown" or report.outcome != "passed":
        report.metaopt = _payload(item, outcome)  # type: ignore[attr-defined]


def clean(item: CheckItem, report: pytest.TestReport) -> None:
    """Cut secrets out of what pytest itself, or a check that broke, put on *report*."""
    if report.passed and not report.sections:
        return
    report.sections = [(title, redact(text)) for title, text in report.sections]
    told = report.longrepr
    if isinstance(told, tuple):
        path, number, reason = told
        report.longrepr = (path, number, redact(reason))
    elif told is not None and redact(str(told)) != str(told):
        text = redact(str(told))
        line = item.outcome.failure.line if item.outcome and item.outcome.failure else None
        crash = getattr(told, "reprcrash", None)
        problem = one_line(redact(crash.message if crash else text))
        report.longrepr = compat.failure_repr(item.parent.name_shown, line or 1, problem, text)


def clean_captured(json_report: dict[str, Any]) -> None:
    """Cut secrets out of what a JSON report has of outputs and log records."""
    for test in json_report.get("tests", ()):
        for name in ("setup", "call", "teardown"):
            stage = test.get(name, {})
            stage.update({key: _redacted(stage[key]) for key in ("stdout", "stderr", "log") if key in stage})


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list | tuple):
        return [_redacted(entry) for entry in value]
    return {key: _redacted(entry) for key, entry in value.items()} if isinstance(value, dict) else value


def status(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, Any] | None:
    """Return category, letter and word of a report, where ours differ from pytest's."""
    payload = getattr(report, "metaopt", None)
    if payload is None or report.failed or is_rerun(report) or hasattr(report, "wasxfail"):
        return None
    if payload["outcome"] == "bootstrapped" and report.when == "call":
        return "bootstrapped", "B", ("BOOTSTRAPPED", {"green": True})
    if payload["outcome"] == "warning" and report.skipped:
        return "advisory", "A", ("ADVISORY", {"yellow": True})
    return None


def is_rerun(report: pytest.CollectReport | pytest.TestReport) -> bool:
    """Tell whether pytest-rerunfailures will run the item again, so that this report does not count."""
    outcome: str = report.outcome
    return outcome == "rerun"


def metadata(item: CheckItem) -> dict[str, Any]:
    """Return what the JSON report holds of *item* under ``metadata``; empty before it is evaluated."""
    outcome = item.outcome
    if outcome is None:
        return {}
    payload = _payload(item, outcome)
    del payload["key"]
    return {"metaopt": payload}


def _payload(item: CheckItem, outcome: Outcome) -> dict[str, Any]:
    """Return the outcome as plain values, which survive the way from a worker to its controller."""
    failure = outcome.failure
    return {
        "key": item.key,
        "check_id": item.check.id,
        "group": item.check.group,
        "severity": item.check.severity,
        "subject": _subject_name(item.subject.name) if item.subject else None,
        "outcome": outcome.word,
        "message": failure.message if failure else outcome.reason,
        "remediation": failure.remediation if failure else _remediation(item.check),
        "line": failure.line if failure else None,
        "bootstrap": item.check.bootstrap,
        "changes": list(outcome.changes),
        "seconds": round(item.seconds, 6),
        **(item.subject.properties if item.subject else {}),
    }


def _properties(item: CheckItem, outcome: Outcome) -> list[tuple[str, object]]:
    remediation = outcome.failure.remediation if outcome.failure else _remediation(item.check)
    own = _own_properties(item.check, outcome.word, remediation)
    return [*own, *item.subject.properties.items()] if item.subject else list(own)


@lru_cache(maxsize=1024)
def _own_properties(check: Check, word: str, remediation: str) -> tuple[tuple[str, object], ...]:
    """Return the properties that all subjects of a check share that came out the same."""
    values = (check.id, check.group, check.severity, word, remediation, check.bootstrap or "")
    return tuple(zip(PROPERTIES, values, strict=True))


@lru_cache(maxsize=1024)
def _subject_name(name: str) -> str:
    return safe(name)


@lru_cache(maxsize=1024)
def _remediation(check: Check) -> str:
    return safe(check.remediation)


def _other_properties(report: pytest.TestReport, item: CheckItem) -> list[tuple[str, object]]:
    if not report.user_properties:
        return []
    ours = {*PROPERTIES, *item.subject.properties} if item.subject else PROPERTIES
    return [entry for entry in report.user_properties if entry[0] not in ours]
