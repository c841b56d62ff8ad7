"""The verdict over a campaign, and the only place that writes it.

Source: the campaign contract, "The readiness artifact". An incomplete look can lower readiness, never
raise it: READY is written only where every blocking check of the full plan was evaluated and held.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .node_lists import NodeVerdict


SCHEMA_VERSION = 1
NODE = "node"
"""The group of checks of nodes, and what their subject is called."""
ARTIFACT_NAME = "preflight-readiness.json"

Status = Literal["READY", "FAILED", "INCOMPLETE"]

_SEVEREST_FIRST = ("failed", "warning", "bootstrapped", "passed", "skipped")


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """A check of a campaign's full plan, before anything was selected away.

    :param key: what its results are known by; unlike a node id, unique in a session.
    :param document: the file that is asked about, as people see it.
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
    """Everything that a document would be asked.

    :param fields: what an artifact says of the document itself.
    :param companions: the paths of the documents that count with it.
    """

    path: str
    shown: str
    checks: tuple[PlannedCheck, ...]
    fields: Mapping[str, Any]
    turned_off: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()

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
    :param results: the payload of the reports, by the key of the check.
    """

    plans: dict[str, Plan] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    conflicts: set[str] = field(default_factory=set)

    def add_plan(self, plan: Plan) -> None:
        """Take note of a document's plan; a second one from another worker must be the same."""
        known = self.plans.setdefault(plan.path, plan)
        if known != plan:
            self.conflicts.add(plan.path)

    def add_result(self, payload: dict[str, Any]) -> None:
        """Take note of an outcome; of several for one check the worst counts."""
        known = self.results.get(payload["key"])
        if known is None or _rank(payload) < _rank(known):
            self.results[payload["key"]] = payload


def _rank(payload: Mapping[str, Any]) -> int:
    return _SEVEREST_FIRST.index(payload["outcome"])


@dataclass(frozen=True)
class Readiness:
    """What a session found out about a campaign.

    :param status: READY, FAILED, or INCOMPLETE where a partial look found nothing wrong.
    :param artifact: the fields of the readiness artifact.
    :param unevaluated: the blocking checks that were not evaluated.
    :param changes: what bootstraps changed.
    :param interruption: why the session as a whole can't be trusted, None where it can.
    :param nodes: how each node of a launch came out.
    """

    plan: Plan
    status: Status
    artifact: dict[str, Any]
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


def _nodes(
    results: Sequence[tuple[PlannedCheck, Mapping[str, Any] | None]],
) -> tuple[NodeVerdict, ...]:
    from .node_lists import Asked, roster

    return roster(
        Asked(check.subject, check.check_id, check.severity == "blocking", result)
        for check, result in results
        if check.part == NODE and check.subject is not None
    )


def judge(
    ledger: Ledger, plan: Plan, *, seconds: float, interruption: str | None, brief: bool = False
) -> Readiness:
    """Return what *ledger* says about the documents of *plan*.

    :param seconds: how long the session took.
    :param interruption: why the session did not come to its end, None where it did.
    :param brief: nothing will be written: of the checks only those are listed that say no.
    """
    results = [(check, ledger.results.get(check.key)) for check in plan.checks]
    unevaluated = tuple(
        check.label for check, result in results if result is None and check.severity == "blocking"
    )
    if not ledger.conflicts.isdisjoint((plan.path, *plan.companions)):
        interruption = "the file or its checks changed while it was looked at"
    if not plan.checks:
        interruption = interruption or "no check was asked"
    evaluated = [(check, result) for check, result in results if result is not None]
    failed = [(check, result) for check, result in evaluated if result["outcome"] == "failed"]
    held: Status = "INCOMPLETE" if unevaluated or interruption else "READY"
    status: Status = "FAILED" if failed else held
    changes = tuple(dict.fromkeys(change for _, result in evaluated for change in result["changes"]))
    return Readiness(
        plan=plan,
        status=status,
        artifact=_artifact(plan, status, evaluated, failed, changes, seconds, brief=brief),
        unevaluated=unevaluated,
        changes=changes,
        interruption=interruption,
        nodes=_nodes(results) if any(check.part == NODE for check in plan.checks) else (),
    )


_Evaluated = Sequence[tuple[PlannedCheck, dict[str, Any]]]


def _artifact(
    plan: Plan,
    status: Status,
    evaluated: _Evaluated,
    failed: _Evaluated,
    changes: Sequence[str],
    seconds: float,
    *,
    brief: bool,
) -> dict[str, Any]:
    def count(word: str) -> int:
        return sum(result["outcome"] == word for _, result in evaluated)

    counts = {
        "passed": count("passed"),
        "failed": count("failed"),
        "bootstrapped": count("bootstrapped"),
        "warnings": count("warning"),
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "status": status,
        **plan.fields,
        "emitted_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "preflight_duration_seconds": round(seconds, 3),
        "checks_summary": {"total": sum(counts.values()), **counts},
        "failures": [
            {
                "check_id": check.label,
                "category": result["group"],
                "message": result["message"],
                "remediation": result["remediation"],
            }
            for check, result in failed
        ],
        "next_action": _next_action(status, failed),
        "diagnostics": _diagnostics(plan, evaluated, changes),
        "checks": [
            {
                "id": check.check_id,
                "subject": check.subject,
                "document": check.document,
                "category": result["group"],
                "severity": result["severity"],
                "outcome": result["outcome"],
                "message": result["message"],
                "line": result["line"],
                "remediation": result["remediation"] if result["outcome"] in {"failed", "warning"} else None,
                "seconds": result["seconds"],
            }
            for check, result in evaluated
            if not brief or result["outcome"] in {"failed", "warning"}
        ],
    }


def _next_action(status: Status, failed: _Evaluated) -> str:
    if not failed:
        return "proceed" if status == "READY" else "Run the preflight without leaving blocking checks out."
    todo = "; ".join(
        f"{check.label}: {(result['remediation'] or result['message']).rstrip('.')}"
        for check, result in failed
    )
    ids = ", ".join(check.label for check, _ in failed)
    return f"Fix {len(failed)} failure(s): [{ids}]. {todo}. Then run the preflight again."


def _diagnostics(plan: Plan, evaluated: _Evaluated, changes: Sequence[str]) -> str | None:
    lines = [f"bootstrap: {change}" for change in changes]
    for check, result in evaluated:
        if result["outcome"] == "warning":
            lines.append(f"warning: {check.label}: {result['message']}")
        if result["outcome"] in {"warning", "failed"} and result["remediation"]:
            lines.append(f"guidance: {check.label}: {result['remediation']}")
    lines += [f"turned off by the project: {check_id}" for check_id in plan.turned_off]
    return "\n".join(lines) or None


def _enumeration(names: Sequence[str], most: int = 10) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


NODE_LISTS = ("passing_nodes.txt", "failing_nodes.txt")
"""Beside an artifact: one name a line, as ``--nodelist`` and ``--exclude`` of a scheduler want it."""


class NotWrittenError(Exception):
    """The artifact could not be written; ``str()`` of it says why and what to do."""


def write_artifact(
    artifact: Mapping[str, Any],
    path: Path,
    *,
    root: Path | None,
    beside: Mapping[str, Sequence[str] | None] | None = None,
) -> None:
    """Write *artifact* to *path* so that a reader sees the old file or the whole new one, never a part.

    To be called with the project's lock held.

    :param beside: files to write in the same folder before it, by their name: a line each; None: there must
        be no such file.

    :param root: the project root that the file's folder must lie in; the folder is not made, since whether
        it is there is a check of its own. None: the user named *path*, and its folder is made.
    :raises NotWrittenError: it can't be written; what was there is as it was.
    """
    folder = path.parent
    try:
        if root is None:
            folder.mkdir(parents=True, exist_ok=True)
        else:
            _require_inside(folder, root)
        if path.is_dir():
            raise NotWrittenError(f"{path} is a directory; remove it")
        if path.exists() and not path.is_file():
            raise NotWrittenError(f"{path} is no regular file; name another one")
        for name, lines in (beside or {}).items():
            _remove_leftovers(folder, name)
            if lines is None:
                (folder / name).unlink(missing_ok=True)
            else:
                _replace(folder / name, "".join(f"{line}\n" for line in lines))
        _remove_leftovers(folder, path.name)
        _replace(path, json.dumps(artifact, indent=2, ensure_ascii=True) + "\n")
    except OSError as error:
        raise NotWrittenError(f"{path} can't be written: {error.strerror or error}") from None


def _require_inside(folder: Path, root: Path) -> None:
    real = Path(os.path.realpath(folder))
    if not real.is_dir():
        raise NotWrittenError(
            f"{folder} is no directory; make it, or let check R1 make it in a full run with bootstraps"
        )
    if not real.is_relative_to(os.path.realpath(root)):
        raise NotWrittenError(f"{folder} leads out of the project root {root}; replace the link")


def _remove_leftovers(folder: Path, name: str) -> None:
    """Remove what a killed session left unfinished; the lock says that nobody is writing now."""
    for leftover in folder.glob(f".{name}.*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            leftover.unlink()


def _replace(path: Path, text: str) -> None:
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, _mode(path))
            os.fsync(descriptor)
        Path(unfinished).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(unfinished).unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _mode(path: Path) -> int:
    """Return the mode of the file at *path*, or the one that a new file gets."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
