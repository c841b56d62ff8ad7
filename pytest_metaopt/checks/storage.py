"""Checks of the storage of each node: asked of the mount that really holds the checkpoint directory."""

from __future__ import annotations

from .. import check, fail, not_applicable
from ..core.quantity import told_size
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
            remediation="Look whether a network mount hangs: timeout 5 stat -f PATH.",
        )
    if place.dangling is not None:
        fail(
            f"{node.name}: {path} is a link to {place.dangling or 'nowhere'}, which is not there",
            remediation="Mount what it leads to, or correct the link.",
            at=launch.facts.storage_path.position,
        )
    return place, f"{place.mount.point} ({_kind(place.mount)})" if place.mount is not None else "its mount"


def _kind(mount: Mount) -> str:
    """Return the type of a mount, as ``fuse.NAME`` also where only its source tells the name.

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
    remediation="Make the folder, and let the user of the launch write there: mkdir -p DIR; chown USER DIR.",
)
def checkpoint_directory_can_be_written(launch: Launch, fleet: Fleet, node: Node) -> None:
    """The checkpoint directory is a folder that can be written, or can be made."""
    place, mount = _place(launch, fleet, node)
    path, at = launch.facts.checkpoint_dir.value, launch.facts.checkpoint_dir.position
    if place.mount is not None and place.mount.read_only:
        fail(f"{node.name}: {path} is on {mount}, which is mounted read-only", at=at)
    if not place.folder:
        what = path if place.there else f"{path} can't be made, since {place.real}"
        fail(f"{node.name}: {what} is not a directory", at=at)
    if not place.writable:
        what = path if place.there else f"{path} is not there, and {place.real}"
        fail(f"{node.name}: {what} can't be written by the user that we log in as", at=at)


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
        fail(f"{node.name}: {mount} does not tell how much is free", at=facts.storage_path.position)
    budget = facts.disk_budget
    if place.free_bytes >= max(budget, LEAST_BYTES):
        return
    free = (
        f"{node.name}: {told_size(place.free_bytes)} free on {mount}, which holds {facts.storage_path.value}"
    )
    if budget < LEAST_BYTES:
        fail(f"{free}; expected {told_size(LEAST_BYTES)} or more", at=facts.storage_path.position)
    parts = []
    if facts.checkpoint_size.value is not None:
        parts.append(f"{facts.checkpoints.value or 1} x {told_size(facts.checkpoint_size.value)}")
    if facts.scratch.value:
        parts.append(f"{told_size(facts.scratch.value)} scratch")
    asking = facts.checkpoint_size if facts.checkpoint_size.given else facts.scratch
    fail(f"{free}; expected {told_size(budget)} ({' + '.join(parts)})", at=asking.position)


@check(
    "disk_inodes",
    group="node",
    document="launch",
    each="node",
    when=_has_path,
    remediation="Remove small files (df -i PATH; find PATH -xdev -type f | wc -l), or make the file system"
    " anew with more inodes.",
)
def disk_has_inodes(launch: Launch, fleet: Fleet, node: Node) -> None:
    """The mount has free inodes, at least 1000; without one no file can be made, whatever df says."""
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
        fail(f"{node.name}: what {path} is mounted on is not known", at=at)
    durable = launch.facts.durable_mounts.value
    if durable:
        if not any(_counts_as(place.mount, wanted) for wanted in durable):
            told = f"{node.name}: {path} is really on {mount}, which is none of {', '.join(durable)}"
            fail(f"{told}; is that mounted?", at=at)
        return
    kind = _kind(place.mount)
    if kind in VOLATILE:
        fail(f"{node.name}: {path} is on {mount}, which is gone with the machine", at=at)
    if kind not in NETWORK | OBJECT_STORES:
        fail(
            f"{node.name}: {path} is on {mount}; nobody says whether that survives the teardown",
            remediation="Name the mounts that do in storage.durable_mounts.",
            at=at,
            advisory=True,
        )


def _counts_as(mount: Mount, wanted: str) -> bool:
    """Tell whether a mount is the durable one that is *wanted*, or one that it has below it.

    Below the root is everything, so the root counts for itself only; a tmpfs below a durable one is none.
    """
    base = wanted.rstrip("/")
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
    """The mount is of a kind whose rename is atomic: a checkpoint is there whole, or not at all."""
    place, mount = _place(launch, fleet, node)
    path, at = launch.facts.checkpoint_dir.value, launch.facts.checkpoint_dir.position
    kind = _kind(place.mount) if place.mount is not None else None
    if kind in OBJECT_STORES:
        told = f"{node.name}: {path} is on {mount}, an object store: a rename there is a copy"
        fail(f"{told}, so that a rank may load half a checkpoint", at=at)
    if kind not in ATOMIC:
        fail(
            f"{node.name}: whether a rename is atomic on {mount} is not known; nothing is written to try it",
            remediation="Ask whoever runs the file system.",
            at=at,
            advisory=True,
        )
