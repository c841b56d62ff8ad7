"""The ledger of a session: what was planned for each document, and how each check came out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from .result import Result

_SEVEREST_FIRST = ("failed", "warning", "bootstrapped", "passed", "skipped")


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """A check of a campaign's full plan, before anything was selected away.

    :param key: what its results are known by; unlike a node id, unique in a session.
    :param document: the file that is checked, as people see it.
    :param part: what kind of part of it the subject is: ``job``, ``node``.
    """

    key: str
    check_id: str
    severity: str
    subject: str | None = None
    document: str = ""
    part: str | None = None

    @property
    def label(self) -> str:
        """The check as people name it: its id, with the subject where there are many."""
        return f"{self.check_id}-{self.subject}" if self.subject else self.check_id


@dataclass(frozen=True)
class Plan:
    """Every check of a document and its subjects.

    :param fields: what an artifact says of the document itself.
    :param companions: the paths of the documents that count with it.
    """

    path: str
    shown: str
    checks: tuple[PlannedCheck, ...]
    fields: Mapping[str, Any]
    turned_off: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()

    @property
    def blocking_keys(self) -> frozenset[str]:
        """The keys of the checks without which the document is not READY."""
        return frozenset(check.key for check in self.checks if check.severity == "blocking")

    def to_json(self) -> str:
        """Return the plan as JSON, ASCII only; :meth:`from_json` is the way back."""
        checks = [[getattr(check, name) for name in _PLANNED] for check in self.checks]
        plan = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return json.dumps({**plan, "checks": checks, "fields": dict(self.fields)})

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Return the plan that :meth:`to_json` made *text* of."""
        data = json.loads(text)
        checks = tuple(PlannedCheck(*check) for check in data["checks"])
        lists = {name: tuple(data[name]) for name in ("turned_off", "companions")}
        return cls(**{**data, **lists, "checks": checks})

    def with_others(self, others: Sequence[Plan], name: str | None = None) -> Plan:
        """Return one plan for this document and *others*, which speaks of this one.

        :param name: what people call it; None: as this one.
        """
        return replace(
            self,
            shown=name or self.shown,
            checks=tuple(check for plan in (self, *others) for check in plan.checks),
            turned_off=tuple(check_id for plan in (self, *others) for check_id in plan.turned_off),
            companions=tuple(plan.path for plan in others),
        )


_PLANNED = tuple(entry.name for entry in fields(PlannedCheck))


@dataclass
class Ledger:
    """What the process that sees all reports knows: the plans, and how each check came out.

    :param plans: by the document's path. Workers that read different contents end up in ``conflicts``.
    :param results: by the key of the check.
    """

    plans: dict[str, Plan] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    conflicts: set[str] = field(default_factory=set)

    def add_plan(self, plan: Plan) -> None:
        """Note a document's plan; a second one from another worker must be the same."""
        known = self.plans.setdefault(plan.path, plan)
        if known != plan:
            self.conflicts.add(plan.path)

    def add_result(self, result: Result) -> None:
        """Note an outcome; of several for one check the worst counts."""
        known = self.results.get(result.key)
        if known is None or _rank(result) < _rank(known):
            self.results[result.key] = result


def _rank(result: Result) -> int:
    return _SEVEREST_FIRST.index(result.outcome)
