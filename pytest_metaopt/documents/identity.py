"""Campaign hashes, which tie a readiness artifact to the campaign that was looked at, and job ids.

Source: the campaign contract, "Identity", and the contract of the training manifest. Orchestrator and fleet
compute the same on their own, so the bytes are exact: JSON with sorted keys, ASCII only; separators ``,`` and
``:`` for a campaign, ``, `` and ``: `` for a job.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.document import KeyPath
from ..core.text import printable

_MAX_INT_BITS = 14_000
# Python refuses to print integers of more than 4,300 digits (14,284 bits); YAML can write them in hex.


class NotJsonError(ValueError):
    """A value cannot be held by JSON, so that no hash can be taken over it.

    ``keys`` leads to the value, ``problem`` says what it is and how to fix it.
    """

    def __init__(self, keys: KeyPath, problem: str) -> None:
        self.keys = keys
        self.problem = problem
        super().__init__(f"{printable('.'.join(map(str, keys)))} {problem}")


def canonical_json(value: Any) -> bytes:
    """Return *value* as canonical JSON: sorted keys, no spaces, ASCII.

    :raises NotJsonError: a date, a NaN, bytes or keys that cannot be sorted are in it.
    """
    _require_json(value, ())
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=dict
    ).encode("ascii")


def digest(value: Any) -> str:
    """Return ``sha256:`` and the lowercase hex digest of the canonical JSON of *value*."""
    return f"sha256:{hashlib.sha256(canonical_json(value)).hexdigest()}"


def campaign_identity(campaign: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the fields that the campaign identity hash is taken over."""
    return {
        "campaign_name": _at(campaign, "campaign", "name"),
        "objective": {
            "metric": _at(campaign, "objective", "metric"),
            "direction": _at(campaign, "objective", "direction"),
        },
        "wandb": _wandb(campaign),
    }


def identity_fields(campaign: Mapping[Any, Any]) -> dict[str, str]:
    """Return the hash of each field of the campaign's identity, by its name.

    Hashes, since the values may be anything that somebody wrote there, secrets included.
    """
    names = ("campaign.name", "objective.metric", "objective.direction", "wandb.entity", "wandb.project")
    return {name: digest(_at(campaign, *name.split("."))) for name in names}


def runtime_config(campaign: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the fields that the runtime config hash is taken over."""
    compute = campaign.get("compute")
    return {
        "compute": compute if isinstance(compute, Mapping) else None,
        "wandb": _wandb(campaign),
        "project": {
            "repo": _at(campaign, "project", "repo"),
            "smoke_test_command": _at(campaign, "project", "smoke_test_command"),
        },
    }


def campaign_identity_hash(campaign: Mapping[Any, Any]) -> str:
    """Return the campaign identity hash; raises :class:`NotJsonError`, with the campaign's own keys."""
    fields = campaign_identity(campaign)
    _require_json(fields["campaign_name"], ("campaign", "name"))
    return digest(fields)


def runtime_config_hash(campaign: Mapping[Any, Any]) -> str:
    """Return the runtime config hash; raises :class:`NotJsonError`."""
    return digest(runtime_config(campaign))


_JOB_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=True, allow_nan=False, default=dict)


def job_id(
    *,
    model: str,
    mode: str,
    hyper: Mapping[str, Any],
    split_recipe: str,
    train_hosts: Sequence[str],
    seed: int,
) -> str:
    """Return the id of a training job: the first 16 hex digits of a hash over what makes its artifact.

    :raises NotJsonError: ``hyper`` or ``seed`` holds what JSON cannot (a date, say).
    """
    _require_json(hyper, ("hyper",))
    _require_json(seed, ("seed",))
    fields = {
        "model": model,
        "mode": mode,
        "hyper": hyper,
        "split_recipe": split_recipe,
        "train_hosts": train_hosts,
        "seed": seed,
    }
    return hashlib.sha256(_JOB_JSON.encode(fields).encode("ascii")).hexdigest()[:16]


def campaign_id(campaign: Mapping[Any, Any]) -> str:
    """Return ``campaign.name`` if truthy, else a flat ``campaign_name``, else ``unknown``.

    :raises NotJsonError: it is a date, say.
    """
    section = campaign.get("campaign")
    if isinstance(section, Mapping) and section.get("name"):
        return _as_text(section["name"], ("campaign", "name"))
    return _as_text(campaign.get("campaign_name") or "unknown", ("campaign_name",))


def _as_text(value: Any, keys: KeyPath) -> str:
    _require_json(value, keys)
    return str(value)


def _wandb(campaign: Mapping[Any, Any]) -> dict[str, Any]:
    return {"entity": _at(campaign, "wandb", "entity"), "project": _at(campaign, "wandb", "project")}


def _at(campaign: Mapping[Any, Any], section: str, key: str) -> Any:
    block = campaign.get(section)
    return block.get(key) if isinstance(block, Mapping) else None


def _require_json(value: Any, keys: KeyPath) -> None:
    if value is None or isinstance(value, str | bool):
        return
    if isinstance(value, int):
        if value.bit_length() > _MAX_INT_BITS:
            raise NotJsonError(keys, "is an integer too large to be written in decimal; quote it")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise NotJsonError(keys, f"is {value}, which JSON cannot hold; quote it")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str | bool | int | None):
                raise NotJsonError((*keys, key), f"is a {type(key).__name__} as a key; quote it")
            if isinstance(key, int) and key.bit_length() > _MAX_INT_BITS:
                raise NotJsonError(
                    keys, "has an integer too large to be written in decimal as a key; quote it"
                )
            _require_json(item, (*keys, key))
        try:
            sorted(value)
        except TypeError:
            raise NotJsonError(keys, "mixes strings and other types as keys; quote them") from None
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _require_json(item, (*keys, index))
    else:
        raise NotJsonError(keys, f"is a {type(value).__name__}, which JSON cannot hold; quote it")
