"""What a readiness artifact must be to be believed: every field of the contract, and none against another.

Source: the campaign contract, "The readiness artifact". Fields that it does not name are ignored.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timezone
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .artifact import SCHEMA_VERSION

_CLOCKS_DIFFER = 60
"""Seconds that the clock of the machine that wrote an artifact may be ahead of this one."""
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")

_EXPECTED = {
    "status": "neither READY nor FAILED",
    "emitted_at": "not a time such as 2026-01-31T23:59:59Z",
}

_Count = Annotated[int, Field(ge=0)]
_Hash = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
_Name = Annotated[str, Field(min_length=1)]


class ForgedError(Exception):
    """The artifact was not written by a preflight that came to its end; ``str()`` of it says why."""


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _Summary(_Model):
    total: _Count
    passed: _Count
    failed: _Count
    bootstrapped: _Count
    warnings: _Count


class _Failure(_Model):
    check_id: _Name
    category: _Name
    message: str | None
    remediation: str


class _Check(_Model):
    id: _Name
    category: _Name
    severity: Literal["blocking", "advisory"]
    outcome: Literal["passed", "failed", "bootstrapped", "warning", "skipped"]
    message: str | None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ArtifactModel(_Model):
    """The fields that every preflight writes; ``identity`` and ``checks`` are those of this package."""

    status: Literal["READY", "FAILED"]
    campaign_id: _Name
    campaign_identity_hash: _Hash
    runtime_config_hash: _Hash
    emitted_at: str
    preflight_duration_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    checks_summary: _Summary
    failures: list[_Failure]
    next_action: _Name
    diagnostics: str | None
    identity: dict[str, str] | None = None
    checks: list[_Check] | None = None

    @property
    def emitted(self) -> datetime:
        """When it was written, in UTC."""
        return datetime.strptime(self.emitted_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def read_artifact(data: Any, now: datetime) -> ArtifactModel:
    """Return the artifact whose JSON is *data*.

    :raises ForgedError: a field is missing or of another type, or two of them contradict each other.
    """
    if not isinstance(data, dict):
        raise ForgedError("it is not a JSON object")
    version = data.get("schema_version")
    if isinstance(version, bool) or version != SCHEMA_VERSION:
        raise ForgedError(f"its schema_version is not {SCHEMA_VERSION}")
    try:
        artifact = ArtifactModel.model_validate(data)
    except ValidationError as error:
        raise ForgedError(_problem(error)) from None
    contradiction = _contradiction(artifact, now)
    if contradiction is not None:
        raise ForgedError(contradiction)
    return artifact


def _problem(error: ValidationError) -> str:
    """Say what is wrong with the first field that is; its value may be anything, and is not repeated."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = ".".join(map(str, first["loc"]))
    if name in _EXPECTED:
        return f"its {name} is {_EXPECTED[name]}"
    return f"its {name} is {'missing' if first['type'] == 'missing' else 'not valid'}"


def _contradiction(artifact: ArtifactModel, now: datetime) -> str | None:
    try:
        emitted = artifact.emitted if _TIME.fullmatch(artifact.emitted_at) else None
    except ValueError:
        emitted = None  # the 31st of February
    if emitted is None:
        return f"its emitted_at is {_EXPECTED['emitted_at']}"
    if (emitted - now).total_seconds() > _CLOCKS_DIFFER:
        return "its emitted_at lies in the future; check the clocks"
    summary = artifact.checks_summary
    if summary.passed + summary.failed + summary.bootstrapped + summary.warnings != summary.total:
        return "its checks_summary does not add up"
    if len(artifact.failures) != summary.failed:
        return f"it lists {len(artifact.failures)} failures and counts {summary.failed}"
    if (artifact.next_action == "proceed") != (artifact.status == "READY"):
        return f"its next_action is not one of {artifact.status}"
    if artifact.status == "READY" and (summary.failed or not summary.total):
        return "it is READY with a failed check, or without any check"
    if artifact.status == "FAILED" and not summary.failed:
        return "it is FAILED without a failed check"
    return _contradiction_in_checks(artifact) if artifact.checks is not None else None


def _contradiction_in_checks(artifact: ArtifactModel) -> str | None:
    counted: Counter[str] = Counter(check.outcome for check in artifact.checks or ())
    summary = artifact.checks_summary
    expected = {
        "passed": summary.passed,
        "failed": summary.failed,
        "bootstrapped": summary.bootstrapped,
        "warning": summary.warnings,
    }
    if any(counted[outcome] != number for outcome, number in expected.items()):
        return "its checks are not those that its checks_summary counts"
    return None
