"""The launch spec: the YAML file that says on which nodes a training is started, and how."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import quantity
from ..core.document import Document, KeyPath, dotted, thawed
from ..core.problem import Problem
from ..launch.gpus import GpuNeed, any_of, of_accelerators
from ..launch.launcher import Launcher, of_command, with_arguments, with_variables
from ..launch.nodes import Node, Nodes
from .sources.yaml import read_yaml_mapping

if TYPE_CHECKING:
    from .launch_model import LaunchModel

_HINT = re.compile(r"^(?:nodes|launcher|fabric)\s*:", re.MULTILINE)
_GB = 10**9
_COUNTED = re.compile(r"[0-9]+(?:\.[0-9]+)?")


@dataclass(frozen=True)
class Storage:
    """Where checkpoints are kept, and what they take; sizes in bytes, times in seconds; None: nobody said."""

    checkpoint_dir: str | None = None
    checkpoint_size: int | None = None
    checkpoints: int = 1
    scratch: int = 0
    durable_mounts: tuple[str, ...] = ()
    resume: bool | None = None
    write_time: float | None = None
    checkpoint_every: float | None = None

    @property
    def budget(self) -> int:
        """The bytes that must be free: checkpoint size times number, and scratch (launch spec contract)."""
        return (self.checkpoint_size or 0) * self.checkpoints + self.scratch


@dataclass(frozen=True, eq=False)
class Launch(Document):
    """A parsed launch spec."""

    @cached_property
    def _validated(self) -> tuple[LaunchModel | None, Sequence[Problem]]:
        from .launch_model import validate

        return validate(thawed(self.data))

    @property
    def model(self) -> LaunchModel | None:
        """The launch spec with every value typed; None where something is wrong with it."""
        return self._validated[0]

    @cached_property
    def problems(self) -> Sequence[Problem]:
        """Everything that is wrong with it."""
        # An anchored mapping is there once, however often it is referred to.
        places = {place: keys for keys, place in reversed(list(self.duplicates.items()))}
        twice = [
            Problem(keys, f"{dotted(keys)} is given more than once; this one counts: keep one")
            for keys in places.values()
        ]
        return [*self._validated[1], *self._nodes.problems, *twice]

    @property
    def valid(self) -> bool:
        """Whether it can be asked about: nothing is wrong with it."""
        return not self.problems

    @property
    def nodes(self) -> Sequence[Node]:
        """The nodes that it names, this machine where it names none; none where something is wrong."""
        return self._nodes.listed if self.valid else ()

    @property
    def size(self) -> int:
        """How many nodes the launch has, named or not."""
        if self.data.get("nodes") or self.model is None:
            return len(self.nodes)
        if self.model.num_nodes is not None:
            return self.model.num_nodes
        return (self.launcher.nodes if self.launcher is not None else None) or len(self.nodes)

    @property
    def names_nodes(self) -> bool:
        """Whether nodes are named, or the launch has just the one that is this machine."""
        return bool(self.data.get("nodes")) or self.size == 1

    @cached_property
    def _nodes(self) -> Nodes:
        written = (self.model.nodes or ()) if self.model is not None else None
        return Nodes(self.data, written, self.path.parent)

    # -- what it says ------------------------------------------------------------------------------

    @cached_property
    def gpus(self) -> GpuNeed | None:
        """The GPUs that each node must have; None: none, or something is wrong."""
        model = self.model
        if model is None:
            return None
        resources = model.resources
        entry, keys = model.gpus, ("gpus",)
        if entry is None and resources is not None:
            entry, keys = resources.gpu, ("resources", "gpu")  # type: ignore[assignment]
        if entry is not None:
            memory = entry.memory.strip() if entry.memory is not None else None
            return GpuNeed(entry.count, entry.name, memory, keys) if entry.count else None
        if resources is not None and resources.accelerators is not None:
            return of_accelerators(resources.accelerators, ("resources", "accelerators"))
        for name in ("any_of", "ordered"):
            # SkyPilot's: of these it takes one.
            place = ("resources", name)
            choices = self.get(place)
            if isinstance(choices, tuple | list) and choices:
                return any_of([_gpus_of(choice, place) for choice in choices], place)
        # What connects GPUs is there where GPUs are.
        return GpuNeed(1, keys=("fabric",)) if model.fabric in {"nvswitch", "nvlink"} else None

    @property
    def uses_nccl(self) -> bool:
        """Whether ranks talk to each other: more than one GPU in all."""
        return self.gpus is not None and self.gpus.count * self.size > 1

    @property
    def spans_nodes(self) -> bool:
        """Whether there are several nodes, whose GPUs work together."""
        return self.gpus is not None and self.size > 1

    @property
    def env(self) -> Mapping[str, str]:
        """The environment that every rank gets."""
        if self.model is None:
            return {}
        return {**(self.model.envs or {}), **(self.model.env or {})}

    def env_block(self, name: str) -> str:
        """Return the block that a variable stands in, or belongs in."""
        return "envs" if name in (self.get("envs") or {}) else "env"

    def env_line(self, name: str) -> int | None:
        """Return the line at which a variable is given, else that of the block it belongs in."""
        return self.line((self.env_block(name), name))

    @cached_property
    def launcher(self) -> Launcher | None:
        """What starts the ranks; None: nobody said."""
        model = self.model
        if model is None:
            return None
        found = of_command(model.run) if model.run else None
        found = with_variables(found, self.env) if found is not None else None
        entry = model.launcher
        if entry is None:
            return found
        return with_arguments(found, entry.name, entry.args or {})

    @property
    def collective_timeout(self) -> float | None:
        """The timeout that the training code gives its process group, in seconds; None: nobody said."""
        entry = self.model.launcher if self.model is not None else None
        return _seconds(entry.collective_timeout) if entry is not None else None

    @property
    def time_between_preemptions(self) -> float | None:
        """The mean time between two preemptions, in seconds; None: nobody said."""
        entry = self.model.elasticity if self.model is not None else None
        return _seconds(entry.time_between_preemptions) if entry is not None else None

    @cached_property
    def storage(self) -> Storage:
        """Where checkpoints are kept."""
        model = self.model
        if model is None:
            return Storage()
        entry, resources = model.storage, model.resources
        disk = _bytes(resources.disk) if resources is not None else None
        if entry is None:
            return Storage(scratch=disk or 0)
        # The disk of a job request is the machine's: which mount checkpoints are on is not said by it.
        elsewhere = 0 if entry.checkpoint_dir is not None else disk or 0
        return Storage(
            entry.checkpoint_dir,
            _bytes(entry.checkpoint_size),
            entry.checkpoints,
            (_bytes(entry.scratch) or 0) if entry.scratch is not None else elsewhere,
            tuple(entry.durable_mounts or ()),
            entry.resume,
            _seconds(entry.write_time),
            _seconds(entry.checkpoint_every),
        )

    @property
    def has_nvswitch(self) -> bool:
        """Whether the GPUs of a node are said to talk through an NVSwitch, which needs a daemon."""
        return self.model is not None and self.model.fabric == "nvswitch"

    @property
    def storage_path(self) -> str | None:
        """The path whose mount must have room: the checkpoint directory, else where the launch runs."""
        if self.storage.checkpoint_dir is not None:
            return self.storage.checkpoint_dir
        return "." if self.storage.budget else None

    @property
    def keeps_checkpoints(self) -> bool:
        """Whether it says where checkpoints are kept."""
        return self.storage.checkpoint_dir is not None

    @property
    def memory(self) -> int | None:
        """The bytes of memory that a process must get on each node; None: nobody said."""
        model = self.model
        if model is None:
            return None
        if model.memory is not None:
            return _bytes(model.memory.strip().rstrip("+") if isinstance(model.memory, str) else model.memory)
        told = model.resources.memory if model.resources is not None else None
        found = _COUNTED.match(str(told).strip()) if isinstance(told, int | float | str) else None
        if found is None or isinstance(told, bool) or not math.isfinite(float(found[0])):
            return None
        # SkyPilot means the GiB that a machine is sold by ("+" or not, at least so much). The kernel keeps
        # a part of them for itself, so that an instance of exactly this size shows fewer.
        return round(float(found[0]) * _GB)


def _gpus_of(choice: object, keys: KeyPath) -> GpuNeed | None:
    return of_accelerators(choice.get("accelerators"), keys) if isinstance(choice, Mapping) else None


def _bytes(value: object) -> int | None:
    if value is None:
        return None
    return quantity.size(value) if isinstance(value, str) else round(float(str(value)) * _GB)


def _seconds(value: object) -> float | None:
    if value is None:
        return None
    return quantity.duration(value) if isinstance(value, str) else float(str(value))


def load_launch(path: Path) -> Launch:
    """Read the launch spec *path*; what is wrong in it is told by its checks.

    :raises DocumentError: it can't be read, or is no YAML mapping.
    """
    tree = read_yaml_mapping(path, "launch spec")
    return Launch(path, tree.value, tree.positions, duplicates=tree.duplicates)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a launch spec, made of the models that validate one."""
    from .launch_model import json_schema as of_models

    return of_models()


def looks_like_launch(path: Path, head: str) -> bool:
    """Tell whether a YAML file that was named without saying its kind is a launch spec.

    It is one by its name (``*launch*``) or by one of the top-level keys ``nodes``, ``launcher`` and
    ``fabric`` in *head*, the beginning of its text.
    """
    return "launch" in path.stem.lower() or _HINT.search(head) is not None
