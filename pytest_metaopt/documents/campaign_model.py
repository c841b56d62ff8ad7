"""What a campaign has to be, as pydantic's models: a section each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from ..core.document import KeyPath, dotted
from ..core.problem import Problem
from .fields import DEFINITIONS, PLACEHOLDER, Given, Text, as_float
from .json_schema import inlined, reference
from .json_schema import json_schema as json_schema_of
from .placeholder import is_placeholder
from .schema import Section, block_of, expected_of, validated

_FILLED_IN = ("wandb",)
"""The sections in which nothing, at any depth, may be a placeholder."""


class CampaignSection(Section):
    """What the campaign is called."""

    name: Given = Field(description="The name that the orchestrator knows the campaign by.")


class ProjectSection(Section):
    """The code that is trained."""

    repo: Text = Field(description="URL or path of the git repository that the agents check out.")
    smoke_test_command: Text = Field(
        description="A command that exercises the training script and ends within 60 seconds."
    )


class WandbSection(Section):
    """Where runs are logged. Nothing in it may be a placeholder."""

    model_config = ConfigDict(json_schema_extra={"allOf": [reference("filled_in")]})

    entity: Given = Field(description="The W&B user or team.")
    project: Given = Field(description="The W&B project.")


class ComputeSection(Section):
    """The machines that are rented."""

    provider: Given = Field(description="The cloud, as SkyPilot names it; local for this machine.")
    accelerator: Given = Field(description="The accelerator, as SkyPilot writes it: A100:1, H100:8.")
    num_sweep_agents: int = Field(
        ge=1, le=16, description="The number of W&B agents that run at the same time."
    )
    max_budget_usd: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False), BeforeValidator(as_float)] = (
        Field(description="The budget, in USD.")
    )
    idle_timeout_minutes: int | None = Field(
        None, ge=5, le=60, description="An agent that logs nothing for this long, in minutes, is stopped."
    )


class ObjectiveSection(Section):
    """What is optimized."""

    metric: Given = Field(description="The name of the metric in W&B.")
    direction: Literal["maximize", "minimize"] = Field(
        description="Whether lower or higher values are better."
    )
    improvement_threshold: Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(as_float)] = (
        Field(description="The smallest gain that counts as an improvement.")
    )


class ProposalPolicySection(Section):
    """How proposals are gathered."""

    current_target: Given = Field(description="The number of proposals required before one is selected.")


class StopConditionsSection(Section):
    """When the campaign ends."""

    max_iterations: int = Field(ge=1, description="The maximum number of iterations.")
    max_no_improve_iterations: int = Field(
        ge=1, description="The maximum number of iterations without an improvement."
    )


class CampaignModel(Section):
    """What an optimization campaign is started from (pytest-metaopt)."""

    campaign: CampaignSection
    project: ProjectSection
    wandb: WandbSection
    compute: ComputeSection
    objective: ObjectiveSection
    proposal_policy: ProposalPolicySection
    stop_conditions: StopConditionsSection


def problems(data: Mapping[Any, Any]) -> list[Problem]:
    """Return what the orchestrator refuses (campaign contract, "What LOAD_CAMPAIGN refuses").

    :param data: made of plain dicts and lists.
    """
    _, found = validated(CampaignModel, data)
    for name in _FILLED_IN:
        if isinstance(data.get(name), Mapping):
            found += _placeholders(data[name], (name,))
    return found


def _placeholders(value: object, keys: KeyPath) -> Iterator[Problem]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if is_placeholder(key):
                yield Problem(
                    (*keys, key), f"{dotted(keys)} has a key that is a placeholder; put the real one there"
                )
            yield from _placeholders(item, (*keys, key))
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from _placeholders(item, (*keys, index))
    elif is_placeholder(value):
        yield Problem(keys, f"{dotted(keys)} {PLACEHOLDER}")


def remediation(name: str) -> str:
    """Return what to do where the section *name* is wrong: its keys, and what each has to be."""
    section = block_of(CampaignModel.model_fields[name].annotation)
    assert section is not None, name  # noqa: S101 - every field is a section
    listed = {
        key: (field.is_required(), expected_of(section, key)) for key, field in section.model_fields.items()
    }
    words = {key: f"{key} ({expected})" if expected else key for key, (_, expected) in listed.items()}
    needed = ", ".join(words[key] for key, (required, _) in listed.items() if required)
    optional = ", ".join(words[key] for key, (required, _) in listed.items() if not required)
    sentence = f"Section {name} needs {needed}{f'; it may have {optional}' if optional else ''}."
    return f"{sentence} Nothing in it may be a placeholder." if name in _FILLED_IN else sentence


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a campaign file."""
    return {**inlined(json_schema_of(CampaignModel, "ml-metaopt campaign")), "$defs": DEFINITIONS}
