"""The readiness artifact: what an orchestrator reads.

Source: the campaign contract, "The readiness artifact".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from .ledger import Plan, PlannedCheck
from .result import Result

SCHEMA_VERSION = 1
ARTIFACT_NAME = "preflight-readiness.json"
MOST_BYTES = 64 << 20
"""A larger file is not read as an artifact."""

Status = Literal["READY", "FAILED", "INCOMPLETE"]
Evaluated: TypeAlias = Sequence[tuple[PlannedCheck, Result]]
"""The planned checks that were evaluated, each with its result."""

_NEGATIVE = frozenset({"failed", "warning"})


@dataclass(frozen=True)
class Summary:
    """How many checks came out how; skipped ones are not counted."""

    total: int
    passed: int
    failed: int
    bootstrapped: int
    warnings: int


@dataclass(frozen=True)
class FailedCheck:
    """A blocking check that failed."""

    check_id: str
    category: str
    message: str | None
    remediation: str


@dataclass(frozen=True)
class EvaluatedCheck:
    """A check that was evaluated.

    :param document: the file, as people see it.
    :param category: the group of the check.
    :param page: where its documentation is, from the root of this project; None where it passed.
    """

    id: str
    subject: str | None
    document: str
    category: str
    severity: str
    outcome: str
    message: str | None
    line: int | None
    remediation: str | None
    page: str | None
    seconds: float


@dataclass(frozen=True)
class Artifact:
    """The fields of a readiness artifact.

    :param document: what it says of the campaign itself: id, hashes, identity.
    :param emitted_at: UTC, ``2026-01-31T23:59:59Z``.
    """

    status: Status
    document: Mapping[str, Any]
    emitted_at: str
    preflight_duration_seconds: float
    checks_summary: Summary
    failures: tuple[FailedCheck, ...]
    next_action: str
    diagnostics: str | None
    checks: tuple[EvaluatedCheck, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the artifact as it stands in its file."""
        return {
            "schema_version": SCHEMA_VERSION,
            "status": self.status,
            **self.document,
            "emitted_at": self.emitted_at,
            "preflight_duration_seconds": self.preflight_duration_seconds,
            "checks_summary": asdict(self.checks_summary),
            "failures": [dict(vars(failure)) for failure in self.failures],
            "next_action": self.next_action,
            "diagnostics": self.diagnostics,
            "checks": [dict(vars(check)) for check in self.checks],
        }


def artifact(
    plan: Plan,
    status: Status,
    evaluated: Evaluated,
    *,
    changes: Sequence[str],
    seconds: float,
    emitted_at: str,
    brief: bool,
) -> Artifact:
    """Return the artifact that says how *plan* came out.

    :param changes: what bootstraps changed.
    :param seconds: how long the session took.
    :param brief: list only the checks that failed or warn.
    """
    failed = [(check, result) for check, result in evaluated if result.outcome == "failed"]
    return Artifact(
        status=status,
        document=plan.fields,
        emitted_at=emitted_at,
        preflight_duration_seconds=round(seconds, 3),
        checks_summary=_summary(evaluated),
        failures=tuple(
            FailedCheck(check.label, result.group, result.message, result.remediation)
            for check, result in failed
        ),
        next_action=_next_action(status, failed),
        diagnostics=_diagnostics(plan, evaluated, changes),
        checks=tuple(
            _evaluated_check(check, result)
            for check, result in evaluated
            if not brief or result.outcome in _NEGATIVE
        ),
    )


def _summary(evaluated: Evaluated) -> Summary:
    def count(word: str) -> int:
        return sum(result.outcome == word for _, result in evaluated)

    passed, failed, bootstrapped = count("passed"), count("failed"), count("bootstrapped")
    warnings = count("warning")
    return Summary(passed + failed + bootstrapped + warnings, passed, failed, bootstrapped, warnings)


def _evaluated_check(check: PlannedCheck, result: Result) -> EvaluatedCheck:
    return EvaluatedCheck(
        id=check.check_id,
        subject=check.subject,
        document=check.document,
        category=result.group,
        severity=result.severity,
        outcome=result.outcome,
        message=result.message,
        line=result.line,
        remediation=result.remediation if result.outcome in _NEGATIVE else None,
        page=result.page if result.outcome in _NEGATIVE else None,
        seconds=result.seconds,
    )


def _next_action(status: Status, failed: Evaluated) -> str:
    if not failed:
        return "proceed" if status == "READY" else "Run the preflight without leaving blocking checks out."
    steps = "; ".join(
        f"{check.label}: {(result.remediation or result.message or '').rstrip('.')}"
        for check, result in failed
    )
    ids = ", ".join(check.label for check, _ in failed)
    return f"Fix {len(failed)} failure(s): [{ids}]. {steps}. Then run the preflight again."


def _diagnostics(plan: Plan, evaluated: Evaluated, changes: Sequence[str]) -> str | None:
    lines = [f"bootstrap: {change}" for change in changes]
    for check, result in evaluated:
        if result.outcome == "warning":
            lines.append(f"warning: {check.label}: {result.message}")
        if result.outcome in _NEGATIVE and result.remediation:
            lines.append(f"guidance: {check.label}: {result.remediation}")
    lines += [f"turned off by the project: {check_id}" for check_id in plan.turned_off]
    return "\n".join(lines) or None
