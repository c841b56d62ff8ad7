"""What a launch spec has to be: the rules that need no more than the file, as pydantic's models.

The format is this project's own (contract of the launch spec). The keys of a SkyPilot task and of a portable
job request may stand in it too: ``resources``, ``num_nodes``, ``envs``, ``run``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from ..core.document import KeyPath
from ..core.problem import Problem
from ..core.text import described
from ..launch.launcher import NAMES, canonical, known_later, of_command
from .foreign.skypilot import SkyPilotResources, SkyPilotTask
from .json_schema import json_schema as json_schema_of
from .launch_fields import (
    AbsolutePath,
    Address,
    Arguments,
    Duration,
    GpuMemory,
    Interface,
    Memory,
    MountPoint,
    NodeName,
    Size,
    Variables,
    too_large,
    wrong_variables,
)
from .schema import VISIBLE, Block, Words, near, validated, wanting

_MOST_NODES = 10_000


class NodeEntry(Block):
    """A node with more than its host spec."""

    expected = "a host spec, or a mapping with host"

    host: Words = Field(description="Its host spec, as pytest-testinfra takes it: ssh://user@host, local://.")
    name: NodeName | None = Field(
        None, description="Its name in reports and node lists; default: the host's name."
    )
    address: Address | None = Field(
        None, description="What the other nodes reach it by; default: the host's name in the spec."
    )
    env: Variables | None = Field(
        None,
        description="Environment variables for the ranks on this node only.",
        json_schema_extra=wanting("a mapping"),
    )

    @classmethod
    def rules(cls, given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: D102
        yield from wrong_variables(given, "env")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the JSON Schema of an entry, which may be the host spec alone."""
        block = handler.resolve_ref_schema(handler(schema))
        return {"anyOf": [{"type": "string", "pattern": VISIBLE}, block]}


def _entry(value: Any) -> Any:
    return {"host": value} if isinstance(value, str) else value


class Gpus(Block):
    """The GPUs that each node must have."""

    expected = "a mapping with name and count"

    name: Words | None = Field(None, description="The model: A100, H100, L4; default: any.")
    count: int = Field(
        1,
        ge=0,
        le=64,
        description="The number per node.",
        json_schema_extra=wanting("an integer from 0 to 64"),
    )
    memory: GpuMemory | None = Field(None, description="The memory of each: 80GB, or 24GB+ for at least.")


class Network(Block):
    """The network between the nodes."""

    interface: Interface | None = Field(
        None, description="The interface that the nodes reach each other over; default: by the route."
    )
    mtu: int | None = Field(
        None,
        ge=576,
        le=65535,
        description="The MTU of that interface, in bytes.",
        json_schema_extra=wanting("an integer from 576 to 65535"),
    )
    rdma: bool | None = Field(
        None,
        description="Whether NCCL is to use RDMA (InfiniBand, RoCE).",
        json_schema_extra=wanting("true or false"),
    )


class LauncherEntry(Block):
    """What starts the ranks, where the command line does not say."""

    name: Literal["torchrun", "horovodrun", "deepspeed", "accelerate", "mpirun", "srun", "python"] | None = (
        Field(
            None,
            description="The launcher; default: the one that run starts.",
            json_schema_extra=wanting(f"one of {', '.join(NAMES)}"),
        )
    )
    args: Arguments | None = Field(
        None,
        description="Its options by name: {max_restarts: 3, rdzv_backend: c10d}.",
        json_schema_extra=wanting("a mapping"),
    )
    collective_timeout: Duration | None = Field(
        None, description="The timeout that the training code gives init_process_group: 10m."
    )

    @classmethod
    def rules(cls, given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: D102
        arguments = given.get("args")
        for key, value in arguments.items() if isinstance(arguments, Mapping) else ():
            if value is False or not isinstance(value, str | int | float):
                yield ("args", key), f"is {described(value)}; expected a string, a number or true"
            elif too_large(value):
                yield ("args", key), "is a very large number; expected a string, a number or true"


class Storage(Block):
    """Where checkpoints are kept, and what they take."""

    checkpoint_dir: AbsolutePath | None = Field(None, description="The checkpoint directory, on every node.")
    checkpoint_size: Size | None = Field(None, description="The size of one checkpoint: 40GB.")
    checkpoints: int = Field(
        1,
        ge=1,
        le=100_000,
        description="The number of checkpoints kept.",
        json_schema_extra=wanting("an integer, 1 or more"),
    )
    scratch: Size | None = Field(None, description="Other data written to that mount: 100GB.")
    durable_mounts: list[MountPoint] | None = Field(
        None,
        description="The mounts that survive the teardown of the machines.",
        json_schema_extra=wanting("a list of paths"),
    )
    resume: bool | None = Field(
        None,
        description="Whether a restarted rank loads the latest checkpoint.",
        json_schema_extra=wanting("true or false"),
    )
    write_time: Duration | None = Field(None, description="The time to write a checkpoint: 2m.")
    checkpoint_every: Duration | None = Field(None, description="The interval between checkpoints: 30m.")


class Elasticity(Block):
    """How many workers may be lost, and how the launch continues."""

    expected_lost_workers: int | None = Field(
        None,
        ge=0,
        description="The number of workers that may be lost at a time.",
        json_schema_extra=wanting("an integer, 0 or more"),
    )
    pinned_to_max_np: bool | None = Field(
        None,
        description="Whether learning rate and shards are computed from max-np, not from the current size.",
        json_schema_extra=wanting("true or false"),
    )
    time_between_preemptions: Duration | None = Field(
        None, description="The mean time between two preemptions of the launch: 6h."
    )


class Resources(SkyPilotResources):
    """What a SkyPilot task or a portable job request requests; keys that no check reads are ignored."""

    gpu: Gpus | None = Field(None, description="The GPUs, as a portable job request has them.")
    disk: Size | None = Field(None, description="Disk per node: 100GB (portable job request).")


class LaunchModel(SkyPilotTask):
    """The nodes of a launch, and what has to be true of them (pytest-metaopt)."""

    nodes: list[Annotated[NodeEntry, BeforeValidator(_entry)]] | None = Field(
        None,
        description="The nodes: host specs, or mappings with host; default: this machine.",
        json_schema_extra={**wanting("a list of host specs"), "minItems": 1, "maxItems": _MOST_NODES},
    )
    gpus: Gpus | None = Field(None, description="The GPUs that each node must have.")
    memory: Memory | None = Field(None, description="The memory that a process gets on each node: 200GB+.")
    resources: Resources | None = Field(
        None, description="What a SkyPilot task or a portable job request says of GPUs, memory and disk."
    )
    fabric: Literal["nvswitch", "nvlink", "pcie"] | None = Field(
        None,
        description="How the GPUs of a node are connected: nvswitch (HGX, DGX), nvlink, pcie.",
        json_schema_extra=wanting("nvswitch, nvlink or pcie"),
    )
    network: Network | None = Field(None, description="The network between the nodes.")
    launcher: LauncherEntry | None = Field(None, description="The launcher of the ranks.")
    env: Variables | None = Field(
        None, description="Environment variables for the ranks.", json_schema_extra=wanting("a mapping")
    )
    storage: Storage | None = Field(None, description="The storage of checkpoints.")
    elasticity: Elasticity | None = Field(
        None, description="How many workers may be lost, and how the launch continues."
    )
    candidates: list[Words] | None = Field(
        None,
        description="Clouds in the order of preference (portable job request); not checked.",
        json_schema_extra=wanting("a list of names"),
    )

    @classmethod
    def rules(cls, given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: D102
        nodes = given.get("nodes")
        if isinstance(nodes, list):
            if not nodes:
                yield ("nodes",), "is an empty list; name a node, or remove the key for this machine"
            if len(nodes) > _MOST_NODES:
                yield ("nodes",), f"has {len(nodes)} nodes; expected at most {_MOST_NODES}"
        yield from super().rules(given)
        yield from wrong_variables(given, "env")
        yield from _same_said_twice(given)
        yield from _launcher_contradictions(given)


def _same_said_twice(given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:
    resources = given.get("resources")
    resources = resources if isinstance(resources, Mapping) else {}
    said = [
        keys
        for keys, there in (
            (("gpus",), "gpus" in given),
            (("resources", "gpu"), "gpu" in resources),
            (("resources", "accelerators"), "accelerators" in resources),
        )
        if there
    ]
    if len(said) > 1:
        yield said[1], f"is given together with {'.'.join(said[0])}; keep one of them"
    if "memory" in given and "memory" in resources:
        yield ("resources", "memory"), "is given together with memory; keep one of them"
    env, envs = given.get("env"), given.get("envs")
    if isinstance(env, Mapping) and isinstance(envs, Mapping):
        for name in envs:
            if isinstance(name, str) and name in env:
                yield ("envs", name), "is in env too; keep one of them"


def _launcher_contradictions(given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:
    entry, command = given.get("launcher"), given.get("run")
    if not isinstance(entry, Mapping) or not isinstance(command, str):
        return
    found = of_command(command)
    if found is None:
        return
    name = entry.get("name")
    if isinstance(name, str) and name in NAMES and name != found.name:
        yield ("launcher", "name"), f"is {name}, but run starts {found.name}{near(name, [found.name])}"
        return
    arguments = entry.get("args")
    for key, value in arguments.items() if isinstance(arguments, Mapping) else ():
        written = found.options.get(canonical(found.name, key)) if isinstance(key, str) else None
        if written is None or isinstance(value, bool) or not isinstance(value, str | int | float):
            continue
        if too_large(value) or known_later(written):
            continue
        if written != str(value):
            yield ("launcher", "args", key), "differs from run; keep one of them"


def validate(data: Mapping[Any, Any]) -> tuple[LaunchModel | None, list[Problem]]:
    """Return the typed launch spec, or None and everything that is wrong with *data*.

    :param data: made of plain dicts and lists.
    """
    return validated(LaunchModel, data)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a launch spec."""
    return json_schema_of(LaunchModel, "launch spec")
