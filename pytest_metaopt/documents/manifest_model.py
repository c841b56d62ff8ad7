"""What a training manifest has to be, as pydantic's models."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from ..core.text import described
from .fields import Label, Table, TextList, as_float
from .json_schema import inlined
from .json_schema import json_schema as json_schema_of
from .schema import Block, Expected, refusal

MAX_JOBS = 50_000
"""Most jobs that a manifest may have."""

_MOST_GIB = 1_000_000
_MOST_CORES = 1_000_000
_JOBS = "at least one [[jobs]]"
_NOTHING: Mapping[str, Any] = MappingProxyType({})

Gib = Annotated[float, Field(ge=0, le=_MOST_GIB, allow_inf_nan=False), BeforeValidator(as_float)]


class Defaults(Block):
    """What counts for each job that does not say otherwise."""

    expected = "a table"

    split_recipe: Literal["host", "sample", "time"] = Field("host", description="How the data is split.")
    train_hosts: TextList = Field(
        ("elliott-thinkpad",), description="The hosts whose data is trained on; part of the job's identity."
    )
    seed: int = Field(0, description="The seed; part of the job's identity.")
    n_resamples: int = Field(1000, ge=0, description="The number of resamples.")
    min_ram_gib: Gib = Field(4.0, description="The RAM that the job requires, in GiB.")
    min_cores: int = Field(1, ge=0, le=_MOST_CORES, description="The CPU cores that the job requires.")


class HostTable(Block):
    """A host of the fleet, and which models it may run."""

    expected = "a table"

    description: str = Field("", description="For people.")
    priority: int = Field(0, description="For scheduling only.")
    allow_jobs: TextList = Field((), description="The models that the host runs; default: all.")
    deny_jobs: TextList = Field((), description="The models that the host must not run.")


class JobTable(Defaults):
    """A training job."""

    name: Label = Field(description="The name of the job, for people.")
    model: Label = Field(description="The model, by its name in the training code's registry.")
    mode: Literal["realistic", "oracle"] = Field("realistic", description="How it is trained.")
    priority: int = Field(0, description="For scheduling only.")
    require_cuda: bool = Field(False, description="Whether the job requires a host with CUDA.")
    prefer_cuda: bool = Field(False, description="For scheduling only.")
    min_vram_gib: Gib = Field(0.0, description="The GPU memory that the job requires, in GiB.")
    allowed_hosts: TextList = Field((), description="The hosts that may run the job; default: all.")
    denied_hosts: TextList = Field((), description="The hosts that must not run the job.")
    hyper: Table = Field(
        default_factory=lambda: _NOTHING,
        description="Hyperparameters, passed to the trainer; part of the job's identity.",
        json_schema_extra={"default": {}},
    )


def _jobs(value: Any) -> Any:
    if not isinstance(value, tuple | list):
        raise refusal(f"is {described(value)}; expected {_JOBS}")
    if not value:
        raise refusal(f"is empty; expected {_JOBS}")
    return value


Jobs = Annotated[tuple[Any, ...], PlainValidator(_jobs), Expected(_JOBS), WithJsonSchema({"type": "array"})]
"""The jobs, of which each is validated by itself: a manifest may have many, and each has a check."""


class ManifestModel(Block):
    """What a training fleet is made of (pytest-metaopt)."""

    schema_version: int = Field(ge=1, le=1, description="The version of the manifest's format.")
    name: Label = Field("training-fleet", description="The name of the fleet, for people.")
    defaults: Defaults | None = None
    hosts: Table | None = Field(None, description="The hosts of the fleet, by name.")
    jobs: Jobs = Field(description="The jobs: at least one.")


class _Whole(Block):
    """The hosts and jobs of a manifest as JSON Schema says them."""

    hosts: dict[str, HostTable]
    jobs: list[JobTable] = Field(min_length=1, max_length=MAX_JOBS)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a training manifest."""
    schema = inlined(json_schema_of(ManifestModel, "training manifest"))
    parts = inlined(json_schema_of(_Whole, ""))["properties"]
    for name, part in parts.items():
        schema["properties"][name] = {**part, "description": schema["properties"][name]["description"]}
    return schema
