"""Readiness: what the results of a session mean for a document.

Source: the campaign contract, "The readiness artifact". A partial look can lower readiness, never raise it:
READY takes that every blocking check of the full plan was evaluated and held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from .artifact import Artifact, Status, artifact
from .ledger import Ledger, Plan, PlannedCheck
from .node_lists import NODE, NodeCheck, NodeVerdict, roster
from .result import Result

_MOST_NAMED = 10


@dataclass(frozen=True)
class Readiness:
    """What a session found out about a campaign.

    :param status: READY, FAILED, or INCOMPLETE where a partial look found nothing wrong.
    :param results: the results of the plan's checks that were evaluated.
    :param unevaluated: the blocking checks that were not evaluated.
    :param changes: what bootstraps changed.
    :param interruption: why the session as a whole cannot be trusted, None where it can.
    :param nodes: how each node of a launch came out.
    """

    plan: Plan
    status: Status
    artifact: Artifact
    results: tuple[tuple[PlannedCheck, Result], ...]
    unevaluated: tuple[str, ...]
    changes: tuple[str, ...]
    interruption: str | None
    nodes: tuple[NodeVerdict, ...] = ()

    @property
    def complete(self) -> bool:
        """Every blocking check was evaluated, in a session that came to its end."""
        return not self.unevaluated and self.interruption is None

    @property
    def why_incomplete(self) -> str | None:
        """A sentence that says what was not looked at."""
        if self.interruption is not None:
            return self.interruption
        if not self.unevaluated:
            return None
        blocking = sum(check.severity == "blocking" for check in self.plan.checks)
        return (
            f"{len(self.unevaluated)} of {blocking} blocking checks were not evaluated:"
            f" {_enumeration(self.unevaluated)}"
        )


def judge(
    ledger: Ledger, plan: Plan, *, seconds: float, interruption: str | None, brief: bool = False
) -> Readiness:
    """Return what *ledger* says about the documents of *plan*.

    :param seconds: how long the session took.
    :param interruption: why the session did not come to its end, None where it did.
    :param brief: nothing will be written, so the artifact lists only the checks that failed or warn.
    """
    results = [(check, ledger.results.get(check.key)) for check in plan.checks]
    unevaluated = tuple(
        check.label for check, result in results if result is None and check.severity == "blocking"
    )
    if not ledger.conflicts.isdisjoint((plan.path, *plan.companions)):
        interruption = "the file or its checks changed during the run"
    if not plan.checks:
        interruption = interruption or "no check was evaluated"
    evaluated = tuple((check, result) for check, result in results if result is not None)
    failed = any(result.outcome == "failed" for _, result in evaluated)
    held: Status = "INCOMPLETE" if unevaluated or interruption else "READY"
    status: Status = "FAILED" if failed else held
    changes = tuple(dict.fromkeys(change for _, result in evaluated for change in result.changes))
    return Readiness(
        plan=plan,
        status=status,
        artifact=artifact(
            plan,
            status,
            evaluated,
            changes=changes,
            seconds=seconds,
            emitted_at=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            brief=brief,
        ),
        results=evaluated,
        unevaluated=unevaluated,
        changes=changes,
        interruption=interruption,
        nodes=_nodes(results) if any(check.part == NODE for check in plan.checks) else (),
    )


def _nodes(results: Sequence[tuple[PlannedCheck, Result | None]]) -> tuple[NodeVerdict, ...]:
    return roster(
        NodeCheck(check.subject, check.check_id, check.severity == "blocking", result)
        for check, result in results
        if check.part == NODE and check.subject is not None
    )


def _enumeration(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    return f"{shown} and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else shown
