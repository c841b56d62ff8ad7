"""Whether a readiness artifact still speaks of the campaign as it is: what LOAD_CAMPAIGN would find.

Source: the campaign contract, "What LOAD_CAMPAIGN refuses". Nothing is evaluated and nothing is written here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from ..core.document import DocumentError
from ..core.redaction import safe
from ..core.text import enumeration, one_line
from ..documents.campaign import Campaign
from ..documents.sources.text import read_text
from .artifact import MOST_BYTES
from .artifact_model import ArtifactModel, ForgedError, read_artifact

Word = Literal["missing", "unreadable", "stale", "fresh READY", "fresh FAILED"]

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
        found = read_artifact(_json(artifact), now)
    except ForgedError as error:
        return Freshness("unreadable", str(error), again)
    changed = _changed(campaign, found)
    if changed is not None:
        return Freshness("stale", f"{changed} since the preflight", again)
    if found.status == "FAILED":
        return Freshness("fresh FAILED", next_action=one_line(safe(found.next_action)))
    age = (now - found.emitted).total_seconds()
    if max_age is not None and age > max_age:
        return Freshness(
            "stale", f"it is {_duration(age)} old, and at most {_duration(max_age)} is allowed", again
        )
    return Freshness("fresh READY")


def _json(artifact: Path) -> Any:
    try:
        return json.loads(read_text(artifact, most=MOST_BYTES))
    except DocumentError as error:
        raise ForgedError(error.problem) from None
    except (ValueError, RecursionError):
        raise ForgedError("it is not JSON") from None


def _changed(campaign: Campaign, found: ArtifactModel) -> str | None:
    """Say which part of the campaign changed since an artifact was written; None where none did."""
    if found.campaign_identity_hash == campaign.identity_hash:
        same_runtime = found.runtime_config_hash == campaign.runtime_hash
        return None if same_runtime else "compute, wandb or project changed"
    known = found.identity
    if known is not None:
        names = [name for name, value in campaign.identity.items() if known.get(name) != value]
        if names:
            return f"{enumeration(names)} changed"
    return f"{enumeration(list(campaign.identity), 'or')} changed"


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
