"""Whether a readiness artifact still speaks of the campaign as it is: what LOAD_CAMPAIGN would find.

Source: the campaign contract, "What LOAD_CAMPAIGN refuses". Nothing is evaluated and nothing is written here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from ..core.document import DocumentError
from ..core.redaction import safe
from ..core.text import enumeration, one_line
from ..documents.campaign import Campaign
from ..documents.sources.text import read_text
from .artifact import SCHEMA_VERSION

Word = Literal["missing", "unreadable", "stale", "fresh READY", "fresh FAILED"]

_MOST_BYTES = 64 << 20
_CLOCKS_DIFFER = 60
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]{1,9}[smhd])+")


@dataclass(frozen=True)
class Freshness:
    """What an artifact is worth.

    :param word: one of five.
    :param reason: why it is not fresh, or what else to know.
    :param next_action: what to do; None for ``fresh READY``.
    """

    word: Word
    reason: str | None = None
    next_action: str | None = None


class _Unreadable(Exception):  # noqa: N818 - what the artifact is
    """The artifact cannot be made out; ``str()`` of it says why."""


def look(campaign: Campaign, artifact: Path, *, max_age: int | None, now: datetime) -> Freshness:
    """Return what the file *artifact* says of *campaign*.

    :param max_age: seconds after which READY is stale; None: never.
    """
    again = "run the preflight again"
    try:
        artifact.stat()
    except (FileNotFoundError, NotADirectoryError):
        return Freshness("missing", "no preflight has written it", "run the preflight")
    except OSError:
        pass  # reading it says why it cannot be read
    try:
        found = _read(artifact)
        changed = _changed(campaign, found)
        if changed is not None:
            return Freshness("stale", f"{changed} since the preflight", again)
        if found["status"] == "FAILED":
            action = found.get("next_action")
            next_action = action if isinstance(action, str) and action.strip() else again
            return Freshness("fresh FAILED", next_action=one_line(safe(next_action)))
        aged = _aged(found, max_age, now) if max_age is not None else None
    except _Unreadable as error:
        return Freshness("unreadable", str(error), again)
    if aged is not None:
        return Freshness("stale", aged, again)
    other_runtime = found.get("runtime_config_hash") != campaign.runtime_hash
    note = "compute, wandb or project changed since the preflight; that does not stop a campaign"
    return Freshness("fresh READY", note if other_runtime else None)


def _read(artifact: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_text(artifact, most=_MOST_BYTES))
    except DocumentError as error:
        raise _Unreadable(error.problem) from None
    except (ValueError, RecursionError):
        raise _Unreadable("it is not JSON") from None
    if not isinstance(found, dict):
        raise _Unreadable("it is not a JSON object")
    version = found.get("schema_version")
    if isinstance(version, bool) or version != SCHEMA_VERSION:
        raise _Unreadable(f"its schema_version is not {SCHEMA_VERSION}")
    if found.get("status") not in ("READY", "FAILED"):
        raise _Unreadable("its status is neither READY nor FAILED")
    return found


def _changed(campaign: Campaign, found: Mapping[str, Any]) -> str | None:
    """Say which part of the campaign's identity changed; None where none did."""
    if found.get("campaign_identity_hash") == campaign.identity_hash:
        return None
    known = found.get("identity")
    if isinstance(known, dict):
        names = [name for name, value in campaign.identity.items() if known.get(name) != value]
        if names:
            return f"{enumeration(names)} changed"
    return f"{enumeration(list(campaign.identity), 'or')} changed"


def _aged(found: Mapping[str, Any], max_age: int, now: datetime) -> str | None:
    """Say that the artifact is too old; None where it is not."""
    try:
        emitted = datetime.strptime(found["emitted_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except (KeyError, TypeError, ValueError):
        raise _Unreadable("its emitted_at is not a time such as 2026-01-31T23:59:59Z") from None
    age = (now - emitted).total_seconds()
    if age < -_CLOCKS_DIFFER:
        return "emitted_at lies in the future; check the clocks"
    return (
        f"it is {_duration(age)} old, and at most {_duration(max_age)} is allowed" if age > max_age else None
    )


def seconds(text: str) -> int:
    """Return a duration such as ``90s``, ``15m``, ``12h``, ``7d`` or ``1h30m`` in seconds.

    :raises ValueError: it is none.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{safe(text)!r} is not a duration; write 90s, 15m, 12h, 7d or 1h30m")
    return sum(int(part[:-1]) * _UNITS[part[-1]] for part in re.findall(r"[0-9]+[smhd]", text))


def _duration(age: float) -> str:
    for unit in ("d", "h", "m"):
        if age >= 2 * _UNITS[unit]:
            return f"{int(age / _UNITS[unit])}{unit}"
    return f"{int(age)}s"
