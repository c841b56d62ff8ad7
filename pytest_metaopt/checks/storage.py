"""Checks of the storage of each node, on the mount that really holds the checkpoint directory."""

from __future__ import annotations

from .. import check, fail, not_applicable
from ..core.quantity import format_size
from ..documents.launch import Launch
from ..launch.nodes import Node
from ..probes.node.file_systems import ATOMIC, NETWORK, OBJECT_STORES, VOLATILE
from ..probes.node.fleet import Fleet
from ..probes.node.mounts import Mount
from ..probes.node.storage import Place

LEAST_BYTES = 10**9
LEAST_INODES = 1000
"""What must be free whatever the budget: a floor of ours, for logs and what a framework writes beside."""


def _has_path(launch: Launch) -> bool:
    return launch.facts.storage_path.given


def _keeps_checkpoints(launch: Launch) -> bool:
    return launch.facts.checkpoint_dir.given


def _place(launch: Launch, fleet: Fleet, node: Node) -> tuple[Place, str]:
    """Return what holds the path, and a phrase for where that is."""
    place = fleet.facts(node, "storage").place
    path = launch.facts.storage_path.value
    if place.problem is not None:
        fail(
            f"{node.name}: {path}: the disk {place.problem}",
            remediation="Check whether a network mount hangs: timeout 5 stat -f PATH.",
        )
    if place.dangling is not None:
        fail(
            f"{node.name}: {path} is a link to {place.dangling or 'nowhere'}, which does not exist",
            remediation="Mount what it leads to, or correct the link.",
            at=launch.facts.storage_path.position,
        )
    return place, f"{place.mount.point} ({_kind(place.mount)})" if place.mount is not None else "its mount"


def _kind(mount: Mount) -> str:
    """Return the type of a mount, as ``fuse.NAME`` also where only its source has the name.

    Mountpoint for S3 and blobfuse2 are of the type ``fuse``, their name is the source
    (``mount | grep s3``: "mountpoint-s3 on /s3 type fuse (ro,...)").
    """
    named = f"fuse.{mount.source}"
    return named if mount.type == "fuse" and named in OBJECT_STORES else mount.type


@check(
    "checkpoint_dir",
    group="node",
    document="launch",
    each="node",
    when=_keeps_checkpoints,
    remediation="Create the directory, and make it writable for the user of the launch: mkdir -p DIR;"
    " chown USER DIR.",
)
def checkpoint_directory_can_be_written(launch: Launch, fleet: Fleet, node: Node) -> None:
    """The checkpoint directory is writable, or can be created."""
    place, mount = _place(launch, fleet, node)
    path, at = launch.facts.checkpoint_dir.value, launch.facts.checkpoint_dir.position
    if place.mount is not None and place.mount.read_only:
        fail(f"{node.name}: {path} is on {mount}, which is mounted read-only", at=at)
    if not place.folder:
        what = path if place.there else f"cannot create {path}: {place.real}"
        fail(f"{node.name}: {what} is not a directory", at=at)
    if not place.writable:
        what = path if place.there else f"{path} does not exist, and {place.real}"
        fail(f"{node.name}: {what} is not writable for the login user", at=at)


@check(
    "disk_space",
    group="node",
    document="launch",
    each="node",
    when=_has_path,
    remediation="Remove old checkpoints, keep fewer (storage.checkpoints), or take a larger disk.",
)
def disk_has_room(launch: Launch, fleet: Fleet, node: Node) -> None:
    """The mount has room for checkpoint size times number, and scratch; at least 1 GB is free."""
    place, mount = _place(launch, fleet, node)
    facts = launch.facts
    if place.free_bytes is None:
        fail(f"{node.name}: could not read free space on {mount}", at=facts.storage_path.position)
    budget = facts.disk_budget
    if place.free_bytes >= max(budget, LEAST_BYTES):
        return
    size = format_size(place.free_bytes)
    free = f"{node.name}: {size} free on {mount}, which holds {facts.storage_path.value}"
    if budget < LEAST_BYTES:
        fail(f"{free}; expected {format_size(LEAST_BYTES)} or more", at=facts.storage_path.position)
    parts = []
    if facts.checkpoint_size.value is not None:
        parts.append(f"{facts.checkpoints.value or 1} x {format_size(facts.checkpoint_size.value)}")
    if facts.scratch.value:
        parts.append(f"{format_size(facts.scratch.value)} scratch")
    asking = facts.checkpoint_size if facts.checkpoint_size.given else facts.scratch
    fail(f"{free}; expected {format_size(budget)} ({' + '.join(parts)})", at=asking.position)


@check(
    "disk_inodes",
    group="node",
    document="launch",
    each="node",
    when=_has_path,
    remediation="Remove small files (df -i PATH; find PATH -xdev -type f | wc -l), or recreate the file"
    " system with more inodes.",
)
def disk_has_inodes(launch: Launch, fleet: Fleet, node: Node) -> None:
    """The mount has at least 1000 free inodes; without one no file can be created, whatever df says."""
    place, mount = _place(launch, fleet, node)
    if place.total_inodes is None:
        not_applicable(f"{mount} on {node.name} counts no inodes")
    free = place.free_inodes or 0
    if free < LEAST_INODES:
        fail(
            f"{node.name}: {free} of {place.total_inodes} inodes are free on {mount}, which holds"
            f" {launch.facts.storage_path.value}; expected {LEAST_INODES} or more",
            at=launch.facts.storage_path.position,
        )


@check(
    "durable_mount",
    group="node",
    document="launch",
    each="node",
    when=_keeps_checkpoints,
    remediation="Mount storage that survives the teardown at the checkpoint directory, and name it in"
    " storage.durable_mounts.",
)
def checkpoints_survive(launch: Launch, fleet: Fleet, node: Node) -> None:
    """The checkpoint directory lies on a mount that survives the teardown of the machine."""
    place, mount = _place(launch, fleet, node)
    path, at = launch.facts.checkpoint_dir.value, launch.facts.checkpoint_dir.position
    if place.mount is None:
        fail(f"{node.name}: could not find the mount of {path}", at=at)
    durable = launch.facts.durable_mounts.value
    if durable:
        if not any(_counts_as(place.mount, expected) for expected in durable):
            message = f"{node.name}: {path} is really on {mount}, which is not one of {', '.join(durable)}"
            fail(f"{message}; is that mounted?", at=at)
        return
    kind = _kind(place.mount)
    if kind in VOLATILE:
        fail(f"{node.name}: {path} is on {mount}, which does not survive the machine", at=at)
    if kind not in NETWORK | OBJECT_STORES:
        fail(
            f"{node.name}: {path} is on {mount}; whether that survives the teardown is unknown",
            remediation="Name the mounts that do in storage.durable_mounts.",
            at=at,
            advisory=True,
        )


def _counts_as(mount: Mount, expected: str) -> bool:
    """Return whether a mount is the durable one that is *expected*, or one that it has below it.

    Below the root is everything, so the root counts for itself only; a tmpfs below a durable one is none.
    """
    base = expected.rstrip("/")
    if mount.point == (base or "/"):
        return True
    return bool(base) and mount.point.startswith(f"{base}/") and _kind(mount) not in VOLATILE


@check(
    "atomic_rename",
    group="node",
    document="launch",
    each="node",
    when=_keeps_checkpoints,
    remediation="Write checkpoints to a POSIX file system, and copy them to the object store from there.",
)
def rename_is_atomic(launch: Launch, fleet: Fleet, node: Node) -> None:
    """Renames on the mount are atomic, so a checkpoint is complete or absent."""
    place, mount = _place(launch, fleet, node)
    path, at = launch.facts.checkpoint_dir.value, launch.facts.checkpoint_dir.position
    kind = _kind(place.mount) if place.mount is not None else None
    if kind in OBJECT_STORES:
        message = f"{node.name}: {path} is on {mount}, an object store: a rename there is a copy"
        fail(f"{message}, so that a rank may load half a checkpoint", at=at)
    if kind not in ATOMIC:
        fail(
            f"{node.name}: unknown whether renames on {mount} are atomic; this check writes nothing to try",
            remediation="Consult the documentation of the file system.",
            at=at,
            advisory=True,
        )
