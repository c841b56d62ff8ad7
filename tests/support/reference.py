"""What the campaign contract says, written a second time with nothing of the plugin's, to compare with."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

REQUIRED = """\
campaign.name project.repo project.smoke_test_command wandb.entity wandb.project compute.provider
compute.accelerator compute.num_sweep_agents compute.max_budget_usd objective.metric objective.direction
objective.improvement_threshold proposal_policy.current_target stop_conditions.max_iterations
stop_conditions.max_no_improve_iterations
"""


def refused_sections(tree: dict[Any, Any]) -> set[str]:
    """Return the sections for which LOAD_CAMPAIGN would refuse the campaign."""
    refused = set()
    for name in REQUIRED.split():
        section, key = name.split(".")
        if looked_up(tree, section, key) is None:
            refused.add(section)
    compute, objective, stop = (_block(tree, name) for name in ("compute", "objective", "stop_conditions"))
    if not (_integer(compute.get("num_sweep_agents")) and 1 <= compute["num_sweep_agents"] <= 16):
        refused.add("compute")
    if not (_number(compute.get("max_budget_usd")) and 0 < compute["max_budget_usd"] <= 100):
        refused.add("compute")
    if "idle_timeout_minutes" in compute:
        minutes = compute["idle_timeout_minutes"]
        if not (_integer(minutes) and 5 <= minutes <= 60):
            refused.add("compute")
    if objective.get("direction") not in ("maximize", "minimize"):
        refused.add("objective")
    if not (_number(objective.get("improvement_threshold")) and objective["improvement_threshold"] > 0):
        refused.add("objective")
    for key in ("max_iterations", "max_no_improve_iterations"):
        if not (_integer(stop.get(key)) and stop[key] > 0):
            refused.add("stop_conditions")
    for key in ("repo", "smoke_test_command"):
        value = looked_up(tree, "project", key)
        if not isinstance(value, str) or not value.strip() or _placeholder(value):
            refused.add("project")
    if _holds_placeholder(tree.get("wandb")):
        refused.add("wandb")
    return refused


def hashes(tree: dict[Any, Any]) -> tuple[str, str]:
    """Return the identity hash and the runtime hash."""
    wandb = {"entity": looked_up(tree, "wandb", "entity"), "project": looked_up(tree, "wandb", "project")}
    identity = {
        "campaign_name": looked_up(tree, "campaign", "name"),
        "objective": {
            "metric": looked_up(tree, "objective", "metric"),
            "direction": looked_up(tree, "objective", "direction"),
        },
        "wandb": wandb,
    }
    compute = tree.get("compute")
    runtime = {
        "compute": compute if isinstance(compute, dict) else None,
        "wandb": wandb,
        "project": {
            "repo": looked_up(tree, "project", "repo"),
            "smoke_test_command": looked_up(tree, "project", "smoke_test_command"),
        },
    }
    return _sha256(identity), _sha256(runtime)


def _sha256(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "sha256:" + hashlib.sha256(text.encode("utf-8")).hexdigest()


def looked_up(tree: Any, *keys: str) -> Any:
    """Return the value at a path; None where it is missing or leads through anything but a mapping."""
    for key in keys:
        if not isinstance(tree, dict):
            return None
        tree = tree.get(key)
    return tree


def _block(tree: dict[Any, Any], name: str) -> dict[Any, Any]:
    value = tree.get(name)
    return value if isinstance(value, dict) else {}


def _integer(value: Any) -> bool:
    return type(value) is int


def _number(value: Any) -> bool:
    return type(value) in (int, float) and not (isinstance(value, float) and not math.isfinite(value))


def _placeholder(value: Any) -> bool:
    return isinstance(value, str) and (
        "YOUR_" in value or "replace-me" in value or ("<" in value and ">" in value)
    )


def _holds_placeholder(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_placeholder(key) or _holds_placeholder(item) for key, item in value.items())
    if isinstance(value, list):
        return any(_holds_placeholder(item) for item in value)
    return _placeholder(value)
