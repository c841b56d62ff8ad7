"""SkyPilot tasks (0.14.1): the keys of a task, and what they say of a launch."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field

from ...core.document import Document, KeyPath, thawed
from ...core.value import Value
from ...launch import accelerator
from ...launch.environment import Environment
from ...launch.facts import LaunchFacts
from ...launch.gpus import GpuNeed, any_of, of_accelerators
from ...launch.launcher import Launcher, of_command, with_variables
from ...launch.nodes import this_machine
from ..launch import Launch, repeated_keys
from ..launch_fields import LaterVariables, wrong_variables
from ..launch_file import LaunchFile
from ..schema import UNKNOWN_KEY, Block, Words, near, refusal, validated, wanting

_GB = 10**9
_COUNTED = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_OTHER_RESOURCES = (
    *("accelerator_args", "any_of", "autostop", "cloud", "cpus", "disk_size", "disk_tier"),
    *("ephemeral_storage", "image_id", "infra", "instance_type", "job_recovery", "labels", "local_disk"),
    *("max_hourly_cost", "network_tier", "ordered", "ports", "priority", "priority_class", "region"),
    *("spot_recovery", "use_spot", "volumes", "zone"),
)
"""Its other keys of ``resources`` (sky/utils/schemas.py), so that none is taken for a typo."""


def _accelerators(value: Any) -> Any:
    for _, problem in accelerator.problems(value):
        raise refusal(problem)
    return value


class SkyPilotResources(Block):
    """The resources that a task requests; keys that no check reads are ignored."""

    model_config = ConfigDict(extra="ignore")
    ignored: ClassVar[str] = "SkyPilot's other keys (cloud, region, use_spot, ...) are not checked"

    accelerators: Annotated[Any, AfterValidator(_accelerators)] = Field(
        None, description="The GPUs, as SkyPilot writes them: A100:8, 80GB+:2."
    )
    memory: Any = Field(None, description="Memory per node, in GiB: 64, or 64+ for at least (as SkyPilot).")

    @classmethod
    def rules(cls, given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: D102
        own = [name for name in cls.model_fields if name not in given]
        for key in given:
            if not isinstance(key, str) or key in cls.model_fields or key in _OTHER_RESOURCES:
                continue
            # Of the unknown keys only a typo of one that a check reads is reported.
            if near(key, own) and near(key, [*own, *_OTHER_RESOURCES]) == near(key, own):
                yield (key,), f"{UNKNOWN_KEY}{near(key, own)}"


class SkyPilotTask(Block):
    """The keys of a task."""

    name: Words | None = Field(None, description="The name of the launch.")
    num_nodes: int | None = Field(
        None, ge=1, description="The number of nodes.", json_schema_extra=wanting("an integer, 1 or more")
    )
    resources: SkyPilotResources | None = Field(None, description="The GPUs and the memory of a node.")
    envs: LaterVariables | None = Field(
        None,
        description="The number of nodes, under SkyPilot's name; null: given at launch.",
        json_schema_extra=wanting("a mapping"),
    )
    run: Words | None = Field(None, description="The command line that is run on the nodes.")
    workdir: Any = Field(None, description="SkyPilot's; not checked.")
    setup: Any = Field(None, description="SkyPilot's; not checked.")
    file_mounts: Any = Field(None, description="SkyPilot's; not checked.")
    volumes: Any = Field(None, description="SkyPilot's; not checked.")
    secrets: Any = Field(None, description="SkyPilot's; not checked, never shown.")
    managed_secrets: Any = Field(None, description="SkyPilot's; not checked, never shown.")
    service: Any = Field(None, description="SkyPilot's; not checked.")
    pool: Any = Field(None, description="SkyPilot's; not checked.")
    event_callback: Any = Field(None, description="SkyPilot's; not checked.")
    inputs: Any = Field(None, description="SkyPilot's; not checked.")
    outputs: Any = Field(None, description="SkyPilot's; not checked.")
    config: Any = Field(None, description="SkyPilot's; not checked.")

    @classmethod
    def rules(cls, given: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: D102
        yield from wrong_variables(given, "envs")


def recognises(file: LaunchFile) -> bool:
    """Return whether a file is a task: all its keys are a task's, and one says what to run or on what."""
    data = file.mapping or {}
    resources = data.get("resources", {})
    own = SkyPilotResources.model_fields.keys() | set(_OTHER_RESOURCES)
    return (
        data.keys() <= SkyPilotTask.model_fields.keys()
        and not data.keys().isdisjoint({"resources", "run", "setup", "num_nodes"})
        and isinstance(resources, Mapping)
        and resources.keys() <= own
    )


def read(file: LaunchFile) -> Launch:
    """Return the launch that a task describes.

    :raises DocumentError: the file cannot be read, or is not a YAML mapping.
    """
    tree = file.yaml
    document = Document(file.path, tree.value, tree.positions, duplicates=tree.duplicates)
    task, problems = validated(SkyPilotTask, thawed(tree.value))
    problems += repeated_keys(document)
    facts = facts_of(document, task) if task is not None and not problems else LaunchFacts()
    return Launch(
        document.path,
        document.data,
        document.positions,
        duplicates=document.duplicates,
        facts=facts,
        problems=tuple(problems),
    )


def facts_of(document: Document, task: SkyPilotTask) -> LaunchFacts:
    """Return what the keys of a task say; *document* holds it, and knows the positions."""
    env = environment(document, task)
    launcher = Value.of(document, started(task.run, env), "run")
    size = Value.of(document, task.num_nodes, "num_nodes")
    if not size.given and launcher.value is not None and launcher.value.nodes is not None:
        size = Value(launcher.value.nodes, launcher.keys, launcher.position)
    return LaunchFacts(
        nodes=(this_machine(document),),
        names_nodes=(size.value or 1) == 1,
        size=size,
        gpus=gpus(document, task.resources),
        memory=Value.of(document, memory(task.resources), "resources", "memory"),
        launcher=launcher,
        env=env,
    )


def environment(document: Document, task: SkyPilotTask) -> Environment:
    """Return the variables of ``envs``."""
    given = {name: Value.of(document, value, "envs", name) for name, value in (task.envs or {}).items()}
    return Environment(given, Value.of(document, None, "envs"))


def started(command: str | None, env: Mapping[str, str]) -> Launcher | None:
    """Return the launcher that ``run`` starts, its options with the variables in *env* put in."""
    found = of_command(command) if command else None
    return with_variables(found, env) if found is not None else None


def gpus(document: Document, resources: SkyPilotResources | None) -> Value[GpuNeed]:
    """Return the GPUs that ``resources`` requests for each node."""
    if resources is not None and resources.accelerators is not None:
        return Value.of(document, of_accelerators(resources.accelerators), "resources", "accelerators")
    for name in ("any_of", "ordered"):
        choices = document.get(("resources", name))
        if isinstance(choices, tuple | list) and choices:
            need = any_of([_of_choice(choice) for choice in choices])
            return Value.of(document, need, "resources", name)
    return Value.of(document, None, "resources", "accelerators")


def _of_choice(choice: object) -> GpuNeed | None:
    return of_accelerators(choice.get("accelerators")) if isinstance(choice, Mapping) else None


def memory(resources: SkyPilotResources | None) -> int | None:
    """Return the bytes of memory that ``resources`` requests for each node; None: it does not say."""
    given = resources.memory if resources is not None else None
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    found = _COUNTED.match(str(given).strip())
    if found is None or not math.isfinite(float(found[0])):
        return None
    # SkyPilot means the GiB that a machine is sold by ("+" or not, at least so much). The kernel keeps a
    # part of them for itself, so that an instance of exactly this size shows fewer.
    return round(float(found[0]) * _GB)
