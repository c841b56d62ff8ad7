"""What LOAD_CAMPAIGN refuses (campaign contract), a check a section, and advice on what it lets pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from .. import check, fail, not_applicable
from ..core.document import KeyPath, Position, dotted
from ..core.problem import Problem
from ..core.text import described
from ..documents.campaign import COMPANIONS, KNOWN_KEYS, Campaign
from ..documents.campaign_model import remediation
from ..documents.kinds import COMPANIONS as KINDS
from ..documents.schema import near
from ..documents.sources.text import file_problem
from ..launch import accelerator
from .problems import MOST_REPORTED, fail_with, fail_with_findings, finding


def _holds(campaign: Campaign, name: str) -> None:
    fail_with(campaign, campaign.problems_of(name))


def _section(name: str) -> Callable[[Callable[[Campaign], None]], Callable[[Campaign], None]]:
    return check(name, group="campaign", remediation=remediation(name), yields_to=("R7", "R8", "R9"))


@_section("campaign")
def campaign_is_accepted(campaign: Campaign) -> None:
    """campaign.name is given."""
    _holds(campaign, "campaign")


@_section("project")
def project_is_accepted(campaign: Campaign) -> None:
    """project.repo and smoke_test_command are strings, neither blank nor placeholders."""
    _holds(campaign, "project")


@_section("wandb")
def wandb_is_accepted(campaign: Campaign) -> None:
    """wandb.entity and project are given; nothing in wandb, at any depth, is a placeholder."""
    _holds(campaign, "wandb")


@_section("compute")
def compute_is_accepted(campaign: Campaign) -> None:
    """compute.provider, accelerator and the numbers are given, each number in its range."""
    _holds(campaign, "compute")


@_section("objective")
def objective_is_accepted(campaign: Campaign) -> None:
    """Objective has a metric, a direction and an improvement_threshold."""
    _holds(campaign, "objective")


@_section("proposal_policy")
def proposal_policy_is_accepted(campaign: Campaign) -> None:
    """proposal_policy.current_target is given."""
    _holds(campaign, "proposal_policy")


@_section("stop_conditions")
def stop_conditions_are_accepted(campaign: Campaign) -> None:
    """stop_conditions.max_iterations and max_no_improve_iterations are integers, 1 or more."""
    _holds(campaign, "stop_conditions")


@check(
    "unknown_keys",
    group="campaign",
    severity="advisory",
    remediation="Correct the key, or remove it: nothing reads it.",
)
def top_level_keys_are_known(campaign: Campaign) -> None:
    """Every top-level key is one that the orchestrator knows."""
    unknown = [key for key in campaign.data if key not in KNOWN_KEYS]
    findings = [
        finding(f"unknown top-level key {dotted((key,))}{_near(key)}", campaign.position((key,)))
        for key in unknown[:MOST_REPORTED]
    ]
    fail_with_findings(findings, len(unknown))


def _near(key: object) -> str:
    return near(key, KNOWN_KEYS) if isinstance(key, str) else ""


@check(
    "companions",
    group="campaign",
    when=lambda campaign: COMPANIONS in campaign.data,
    remediation="Name each companion under preflight as KIND: PATH, relative to the campaign file;"
    f" kinds: {', '.join(KINDS)}.",
)
def companions_are_there(campaign: Campaign) -> None:
    """Every companion under preflight is of a known kind and an existing file."""
    block = campaign.data.get(COMPANIONS)
    if COMPANIONS not in campaign.data:
        not_applicable("the campaign names no companions")
    if not isinstance(block, Mapping):
        fail(f"{COMPANIONS} is {described(block)}; expected a mapping", at=campaign.position((COMPANIONS,)))
    problems = []
    for key, value in block.items():
        keys = (COMPANIONS, key)
        if key not in KINDS:
            hint = near(key, tuple(KINDS)) if isinstance(key, str) else ""
            problems.append(Problem(keys, f"{dotted(keys)} is not a known kind of companion{hint}"))
        elif key not in campaign.companions:
            problems.append(
                Problem(keys, f"{dotted(keys)} is {described(value)}; expected the path of a file")
            )
        elif (problem := file_problem(campaign.companions[key])) is not None:
            problems.append(Problem(keys, f"{dotted(keys)}: {campaign.companions[key].name}: {problem}"))
    fail_with(campaign, problems)


@check(
    "duplicate_keys",
    group="campaign",
    severity="advisory",
    remediation="Keep one of them: YAML keeps the last and silently drops the others.",
)
def keys_are_given_once(campaign: Campaign) -> None:
    """No key is given twice in one mapping."""
    # An anchored mapping is there once, however often it is referred to.
    places: dict[Position, KeyPath] = {}
    for keys, position in campaign.duplicates.items():
        places.setdefault(position, keys)
    fail_with_findings(
        [
            finding(f"{dotted(keys)} is given more than once; this value is used", place)
            for place, keys in sorted(places.items())
        ]
    )


@check(
    "accelerator",
    group="campaign",
    severity="advisory",
    remediation="Write compute.accelerator as NAME or NAME:COUNT, such as A100:1 or H100:8.",
)
def accelerator_is_readable(campaign: Campaign) -> None:
    """compute.accelerator has SkyPilot's syntax."""
    keys = ("compute", "accelerator")
    value = campaign.get(keys)
    if value is None:
        not_applicable("compute.accelerator is not given")
    fail_with(
        campaign,
        [
            Problem((*keys, *inner), f"{dotted((*keys, *inner))} {problem}")
            for inner, problem in accelerator.problems(value)
        ],
    )


@check(
    "idle_timeout",
    group="campaign",
    severity="advisory",
    remediation="Set compute.idle_timeout_minutes, so that an agent that hangs is stopped and costs no more.",
)
def idle_timeout_is_set(campaign: Campaign) -> None:
    """compute.idle_timeout_minutes is given."""
    compute = campaign.get("compute")
    if not isinstance(compute, Mapping):
        not_applicable("no section compute")
    if "idle_timeout_minutes" not in compute:
        fail(
            "compute.idle_timeout_minutes is missing: an agent that hangs costs money until the budget ends",
            at=campaign.position("compute"),
        )


_LOWER_IS_BETTER = "loss error err mse rmse mae mape perplexity ppl nll bpb bpc wer cer fid latency"
_HIGHER_IS_BETTER = (
    "accuracy acc f1 auc auroc auprc precision recall map miou iou dice bleu rouge r2 reward return"
)
_TURNED_ROUND = "neg negative minus inverse inv"
_LONGEST_METRIC = 200


def _better(metric: str) -> tuple[str, str] | None:
    """Return a word of the metric's name and the direction that it stands for; None where it is open."""
    if len(metric) > _LONGEST_METRIC:
        return None
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", metric).lower()
    words = [word for word in re.split(r"[^a-z0-9]+", parts) if word]
    lower = [word for word in words if word in _LOWER_IS_BETTER.split()]
    higher = [word for word in words if word in _HIGHER_IS_BETTER.split()]
    if words[:1] == ["1"] or any(word in _TURNED_ROUND.split() for word in words):
        return None
    if lower and not higher:
        return lower[0], "minimize"
    return (higher[0], "maximize") if higher and not lower else None


@check(
    "metric_direction",
    group="campaign",
    severity="advisory",
    remediation="Compare objective.metric with objective.direction: a sweep the wrong way is money lost.",
)
def direction_fits_the_metric(campaign: Campaign) -> None:
    """objective.direction is not the opposite of what the metric's name says."""
    metric, direction = campaign.get("objective.metric"), campaign.get("objective.direction")
    if not isinstance(metric, str) or direction not in ("maximize", "minimize"):
        not_applicable("objective.metric or objective.direction is not given")
    better = _better(metric)
    if better is None or better[1] == direction:
        return
    word, expected = better
    message = f"objective.direction is {direction}, but a metric called {word!r} is usually {expected}d"
    fail_with(campaign, [Problem(("objective", "direction"), message)])
