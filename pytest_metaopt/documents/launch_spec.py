"""The launch spec: this project's own format of a launch file, and what it says of a launch."""

from __future__ import annotations

from dataclasses import replace

from ..core import quantity
from ..core.document import Document, thawed
from ..core.value import Value
from ..launch.environment import Environment
from ..launch.facts import LaunchFacts
from ..launch.gpus import GpuNeed
from ..launch.launcher import Launcher, with_arguments
from ..launch.nodes import Nodes
from .foreign import skypilot
from .launch import Launch, repeated_keys
from .launch_file import LaunchFile
from .launch_model import LaunchModel, validate

_GB = 10**9


def recognises(file: LaunchFile) -> bool:  # noqa: ARG001 - as each reader
    """Return True: what no other reader takes is a launch spec, or wrong as one."""
    return True


def read(file: LaunchFile) -> Launch:
    """Return the launch that a spec describes.

    :raises DocumentError: the file cannot be read, or is not a YAML mapping.
    """
    tree = file.yaml
    document = Document(file.path, tree.value, tree.positions, duplicates=tree.duplicates)
    model, problems = validate(thawed(tree.value))
    nodes = Nodes(document, (model.nodes or ()) if model is not None else None)
    problems = [*problems, *nodes.problems, *repeated_keys(document)]
    facts = _facts(document, model, nodes) if model is not None and not problems else LaunchFacts()
    return Launch(
        document.path,
        document.data,
        document.positions,
        duplicates=document.duplicates,
        facts=facts,
        problems=tuple(problems),
    )


def _facts(document: Document, spec: LaunchModel, nodes: Nodes) -> LaunchFacts:
    env = _environment(document, spec)
    launcher = _launcher(document, spec, env)
    facts = replace(
        skypilot.facts_of(document, spec),
        nodes=tuple(nodes.listed),
        size=_size(document, spec, nodes, launcher),
        gpus=_gpus(document, spec),
        fabric=Value.of(document, spec.fabric, "fabric"),
        launcher=launcher,
        env=env,
    )
    if spec.memory is not None:
        facts = replace(facts, memory=Value.of(document, _memory(spec.memory), "memory"))
    facts = replace(facts, names_nodes=bool(spec.nodes) or facts.node_count == 1)
    for add in (_with_network, _with_storage, _with_times):
        facts = add(facts, document, spec)
    return facts


def _environment(document: Document, spec: LaunchModel) -> Environment:
    given = {name: Value.of(document, value, "env", name) for name, value in (spec.env or {}).items()}
    of_skypilot = skypilot.environment(document, spec)
    return Environment({**of_skypilot.variables, **given}, Value.of(document, None, "env"))


def _launcher(document: Document, spec: LaunchModel, env: Environment) -> Value[Launcher]:
    found = skypilot.started(spec.run, env)
    if spec.launcher is not None:
        found = with_arguments(found, spec.launcher.name, spec.launcher.args or {})
    said_by_run = spec.run is not None and (spec.launcher is None or spec.launcher.args is None)
    return Value.of(document, found, "run" if said_by_run else "launcher")


def _size(document: Document, spec: LaunchModel, nodes: Nodes, launcher: Value[Launcher]) -> Value[int]:
    if spec.nodes:
        return Value.of(document, len(nodes.listed), "nodes")
    if spec.num_nodes is not None:
        return Value.of(document, spec.num_nodes, "num_nodes")
    count = launcher.value.nodes if launcher.value is not None else None
    return Value(count, launcher.keys, launcher.position)


def _gpus(document: Document, spec: LaunchModel) -> Value[GpuNeed]:
    entry, keys = spec.gpus, ("gpus",)
    if entry is None and spec.resources is not None:
        entry, keys = spec.resources.gpu, ("resources", "gpu")  # type: ignore[assignment]
    if entry is not None:
        memory = entry.memory.strip() if entry.memory is not None else None
        need = GpuNeed(entry.count, entry.name, memory) if entry.count else None
        return Value.of(document, need, *keys)
    found = skypilot.gpus(document, spec.resources)
    if document.get(found.keys) is None and spec.fabric in {"nvswitch", "nvlink"}:
        # What connects GPUs is there where GPUs are.
        return Value.of(document, GpuNeed(1), "fabric")
    return found


def _with_network(facts: LaunchFacts, document: Document, spec: LaunchModel) -> LaunchFacts:
    network = spec.network
    return replace(
        facts,
        interface=Value.of(document, network.interface if network else None, "network", "interface"),
        mtu=Value.of(document, network.mtu if network else None, "network", "mtu"),
        rdma=Value.of(document, network.rdma if network else None, "network", "rdma"),
    )


def _with_storage(facts: LaunchFacts, document: Document, spec: LaunchModel) -> LaunchFacts:
    entry = spec.storage
    disk = Value.of(document, _bytes(spec.resources.disk) if spec.resources else None, "resources", "disk")
    if entry is None:
        path = "." if disk.given else None
        return replace(
            facts,
            checkpoint_dir=Value.of(document, None, "storage", "checkpoint_dir"),
            resume=Value.of(document, None, "storage", "resume"),
            checkpoint_every=Value.of(document, None, "storage", "checkpoint_every"),
            scratch=disk,
            storage_path=Value(path, disk.keys, disk.position),
        )

    directory = Value.of(document, entry.checkpoint_dir, "storage", "checkpoint_dir")
    scratch = Value.of(document, _bytes(entry.scratch), "storage", "scratch")
    if not scratch.given and not directory.given:
        # The disk of a job request is the machine's: which mount checkpoints are on is not said by it.
        scratch = disk
    facts = replace(
        facts,
        checkpoint_dir=directory,
        checkpoint_size=Value.of(document, _bytes(entry.checkpoint_size), "storage", "checkpoint_size"),
        checkpoints=Value.of(document, entry.checkpoints, "storage", "checkpoints"),
        scratch=scratch,
        durable_mounts=Value.of(document, _mounts(entry.durable_mounts), "storage", "durable_mounts"),
        resume=Value.of(document, entry.resume, "storage", "resume"),
        write_time=Value.of(document, _seconds(entry.write_time), "storage", "write_time"),
        checkpoint_every=Value.of(document, _seconds(entry.checkpoint_every), "storage", "checkpoint_every"),
    )
    if directory.given:
        return replace(facts, storage_path=directory)
    # Without a checkpoint directory the launch writes where it runs.
    return replace(facts, storage_path=Value.of(document, "." if facts.disk_budget else None, "storage"))


def _with_times(facts: LaunchFacts, document: Document, spec: LaunchModel) -> LaunchFacts:
    timeout = _seconds(spec.launcher.collective_timeout) if spec.launcher else None
    known = spec.elasticity
    lost = known.expected_lost_workers if known else None
    pinned = known.pinned_to_max_np if known else None
    between = _seconds(known.time_between_preemptions) if known else None
    return replace(
        facts,
        collective_timeout=Value.of(document, timeout, "launcher", "collective_timeout"),
        expected_lost_workers=Value.of(document, lost, "elasticity", "expected_lost_workers"),
        pinned_to_max_np=Value.of(document, pinned, "elasticity", "pinned_to_max_np"),
        time_between_preemptions=Value.of(document, between, "elasticity", "time_between_preemptions"),
    )


def _mounts(given: list[str] | None) -> tuple[str, ...] | None:
    return tuple(given) if given else None


def _memory(value: object) -> int | None:
    return _bytes(value.strip().rstrip("+") if isinstance(value, str) else value)


def _bytes(value: object) -> int | None:
    if value is None:
        return None
    return quantity.size(value) if isinstance(value, str) else round(float(str(value)) * _GB)


def _seconds(value: object) -> float | None:
    if value is None:
        return None
    return quantity.duration(value) if isinstance(value, str) else float(str(value))
