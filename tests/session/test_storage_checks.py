"""The checkpoint directory of a node, through pytest, on real file systems that are made small or full."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.lab import full_of_inodes, mounted
from tests.support.machines import LAUNCH, Machine, Session, preflight
from tests.support.project import Project

STORAGE_CHECKS = ["checkpoint_dir", "disk_space", "disk_inodes", "durable_mount", "atomic_rename"]
ALL = {f"{check}-local" for check in STORAGE_CHECKS}


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[ExitStack]:
    """What undoes the mounts of a test; skips where mounting is refused."""
    with ExitStack() as stack:
        try:
            with mounted(tmp_path / "try", "size=1m"):
                pass
        except (RuntimeError, OSError) as error:
            pytest.skip(f"nothing can be mounted here: {error}")
        yield stack


@pytest.fixture
def disk(tmp_path: Path, mounts: ExitStack) -> Path:
    """A file system of 4 GB, of which nothing is used."""
    folder = tmp_path / "disk"
    mounts.enter_context(mounted(folder, "size=4g"))
    return folder


def spec(**storage: Any) -> str:
    return f"name: x\nstorage: {json.dumps(storage)}\n"


def ask_about(project: Project, folder: Path | str, *durable: Path | str, **more: Any) -> Session:
    """Ask about a checkpoint directory; without *durable*, nothing is said of mounts."""
    if durable:
        more["durable_mounts"] = [str(path) for path in durable]
    return preflight(project, spec(checkpoint_dir=str(folder), **more))


def test_a_durable_disk_with_room_is_ready(project: Project, disk: Path) -> None:
    session = ask_about(project, disk, disk, checkpoint_size="1GB", checkpoints=3)
    assert session.ret == 0
    assert session.nodeids == [f"{LAUNCH}::launch[schema]", f"{LAUNCH}::launch[nodes_named]"] + [
        f"{LAUNCH}::node[{check}-local]" for check in STORAGE_CHECKS
    ]
    assert session.words("passed") >= ALL


# -- room ------------------------------------------------------------------------------------------


def test_used_up_inodes_are_reported_though_bytes_are_free(
    project: Project, tmp_path: Path, mounts: ExitStack
) -> None:
    folder = mounts.enter_context(full_of_inodes(tmp_path / "full", size="4g"))
    session = ask_about(project, folder, folder)
    assert session.ret == 1
    assert session.red == {"disk_inodes-local"}
    assert session.message("disk_inodes-local") == (
        f"local: 0 of 16 inodes are free on {folder} (tmpfs), which holds {folder}; expected 1000 or more"
    )
    assert "df -i" in session.item("disk_inodes-local")["remediation"]


def test_the_budget_is_size_times_number_and_scratch(project: Project, disk: Path) -> None:
    session = ask_about(project, disk, disk, checkpoint_size="1GB", checkpoints=4, scratch="500MB")
    assert session.ret == 1
    assert session.red == {"disk_space-local"}
    assert session.message("disk_space-local") == (
        f"local: 4.29 GB free on {disk} (tmpfs), which holds {disk};"
        " expected 4.5 GB (4 x 1 GB + 500 MB scratch)"
    )
    assert session.item("disk_space-local")["line"] == 2
    assert ask_about(project, disk, disk, checkpoint_size="1GB", checkpoints=4, scratch="200MB").ret == 0


def test_a_gigabyte_is_expected_whatever_the_budget(
    project: Project, tmp_path: Path, mounts: ExitStack
) -> None:
    folder = tmp_path / "tiny"
    mounts.enter_context(mounted(folder, "size=64m,nr_inodes=5000"))
    for more in ({}, {"checkpoint_size": "1MB"}):
        session = ask_about(project, folder, folder, **more)
        assert session.red == {"disk_space-local"}
        assert "67.1 MB free on" in session.message("disk_space-local")
        assert session.message("disk_space-local").endswith("expected 1 GB or more")


def test_without_a_checkpoint_directory_the_folder_of_the_launch_must_hold_its_scratch(
    project: Project,
) -> None:
    session = preflight(project, "resources: {disk: 900000TB}\n")
    assert session.red == {"disk_space-local"}
    assert set(session.items) >= {"node[disk_space-local]", "node[disk_inodes-local]"}
    assert "node[checkpoint_dir-local]" not in session.items
    assert session.message("disk_space-local").endswith("expected 900 PB (900 PB scratch)")


# -- the mount that really holds it ----------------------------------------------------------------


def test_a_link_is_judged_by_the_mount_that_it_leads_to(project: Project, tmp_path: Path, disk: Path) -> None:
    link = tmp_path / "checkpoints"
    link.symlink_to(disk)
    session = ask_about(project, link / "run1", "/", checkpoint_size="100GB")
    assert "disk_space-local" in session.red
    assert f"free on {disk} (tmpfs), which holds {link}/run1" in session.message("disk_space-local")
    assert ask_about(project, link / "run1", disk).ret == 0


def test_a_relative_link_within_a_linked_folder(project: Project, tmp_path: Path, disk: Path) -> None:
    (disk / "real").mkdir()
    (disk / "link").symlink_to("real")
    outer = tmp_path / "outer"
    outer.symlink_to(disk)
    assert ask_about(project, outer / "link" / "deep" / "er", disk).ret == 0


def test_a_link_that_leads_nowhere(project: Project, tmp_path: Path) -> None:
    link = tmp_path / "checkpoints"
    link.symlink_to("/nowhere/at all")
    for path in (link, link / "run1"):
        session = ask_about(project, path, "/")
        assert session.ret == 1
        assert session.red == ALL
        for check in ALL:
            assert session.message(check) == (
                f"local: {path} is a link to /nowhere/at all, which does not exist"
            )
            assert "correct the link" in session.item(check)["remediation"]
        flat = " ".join(session.result.stdout.str().split())
        assert f"FAILED ({len(session.items)} checks" in flat


def test_a_mount_over_a_mount_is_what_counts(project: Project, disk: Path, mounts: ExitStack) -> None:
    mounts.enter_context(mounted(disk, "size=64m"))
    session = ask_about(project, disk, disk)
    assert session.red == {"disk_space-local"}
    assert "67.1 MB free" in session.message("disk_space-local")


# -- the folder itself -----------------------------------------------------------------------------


def test_a_folder_that_is_not_there_can_be_made(project: Project, disk: Path) -> None:
    session = ask_about(project, disk / "a" / "b" / "c", disk)
    assert session.ret == 0
    assert not (disk / "a").exists()


def test_a_mount_that_is_read_only(project: Project, tmp_path: Path, mounts: ExitStack) -> None:
    folder = tmp_path / "still"
    mounts.enter_context(mounted(folder, "size=4g,ro"))
    session = ask_about(project, folder, folder)
    assert session.red == {"checkpoint_dir-local"}
    assert session.message("checkpoint_dir-local") == (
        f"local: {folder} is on {folder} (tmpfs), which is mounted read-only"
    )


def test_a_bind_mount_that_is_read_only(project: Project, tmp_path: Path, disk: Path) -> None:
    folder = tmp_path / "bound"
    folder.mkdir()
    subprocess.run(["mount", "--bind", disk, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        session = ask_about(project, folder, folder)
        assert session.red == {"checkpoint_dir-local"}
        assert "mounted read-only" in session.message("checkpoint_dir-local")
        assert ask_about(project, disk, disk).ret == 0
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_file_is_no_folder(project: Project, disk: Path) -> None:
    (disk / "file").touch()
    session = ask_about(project, disk / "file", disk)
    assert session.red == {"checkpoint_dir-local"}
    assert session.message("checkpoint_dir-local") == f"local: {disk}/file is not a directory"
    session = ask_about(project, disk / "file" / "below", disk)
    assert session.red == {"checkpoint_dir-local"}
    assert f"{disk}/file" in session.message("checkpoint_dir-local")
    assert "not a directory" in session.message("checkpoint_dir-local")


def test_a_folder_that_the_user_may_not_write(project: Project, disk: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    disk.chmod(0o555)
    session = ask_about(project, disk, disk)
    assert session.red == {"checkpoint_dir-local"}
    assert "is not writable for the login user" in session.message("checkpoint_dir-local")


@pytest.mark.parametrize(
    "name",
    [
        "it's here; rm -rf x",
        "$(touch evil) `touch evil` $HOME",
        'two  spaces "quoted" \\040 *',
        "größe ☃",
        "-n",
        "& | > < ( ) # !",
    ],
)
def test_a_path_stays_a_path(project: Project, disk: Path, name: str, mounts: ExitStack) -> None:
    canary = project.write("x", "still here")
    folder = disk / name
    folder.mkdir()
    session = ask_about(project, folder, disk)
    assert session.ret == 0
    session = ask_about(project, folder, disk, checkpoint_size="100GB")
    assert f"free on {disk} (tmpfs), which holds {folder}" in session.message("disk_space-local")
    mounts.enter_context(mounted(folder, "size=64m"))
    session = ask_about(project, folder / "run", folder)
    assert session.red == {"disk_space-local"}
    assert f"67.1 MB free on {folder} (tmpfs)" in session.message("disk_space-local")
    assert canary.read_text() == "still here"
    assert not list(project.path.rglob("evil"))


def test_the_home_is_that_of_the_node(project: Project, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(disk))
    assert ask_about(project, "~/checkpoints", disk).ret == 0
    monkeypatch.setenv("HOME", str(disk.parent))
    assert ask_about(project, "~/checkpoints", disk).red == {"durable_mount-local"}


# -- what survives ---------------------------------------------------------------------------------


def test_a_durable_mount_that_is_not_mounted_falls_to_the_disk_below(
    project: Project, tmp_path: Path, disk: Path
) -> None:
    expected = tmp_path / "volume"
    expected.mkdir()
    session = ask_about(project, expected / "checkpoints", expected, disk)
    assert session.ret == 1
    assert session.red == {"durable_mount-local"}
    reported = session.message("durable_mount-local")
    assert reported.startswith(f"local: {expected}/checkpoints is really on / (")
    assert reported.endswith(f"which is not one of {expected}, {disk}; is that mounted?")
    # A folder of a like name is another one.
    beside = tmp_path / "disk2"
    beside.mkdir()
    assert ask_about(project, beside, disk).red == {"durable_mount-local"}


def test_memory_is_not_durable(project: Project, disk: Path) -> None:
    session = ask_about(project, disk)
    assert session.ret == 1
    assert session.red == {"durable_mount-local"}
    assert session.message("durable_mount-local") == (
        f"local: {disk} is on {disk} (tmpfs), which does not survive the machine"
    )
    assert session.item("durable_mount-local")["line"] == 2


def test_a_disk_of_which_nobody_says_anything_is_advice(project: Project, tmp_path: Path) -> None:
    kind = subprocess.run(
        ["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True, check=False
    ).stdout.strip()
    if kind not in {"ext2/ext3", "xfs", "btrfs"}:
        pytest.skip(f"the disk here is {kind}")
    session = ask_about(project, tmp_path)
    assert session.ret == 0
    assert session.advised == {"durable_mount-local"}
    assert "whether that survives the teardown is unknown" in session.message("durable_mount-local")
    assert "storage.durable_mounts" in session.item("durable_mount-local")["remediation"]


# -- file systems that cannot be had here: what their mounts look like on others --------------------

MOUNTPOINT_S3 = (
    "52 35 0:30 / {} rw,nosuid,nodev,noatime - fuse mountpoint-s3"
    " rw,user_id=0,group_id=0,default_permissions,allow_other"
)
"""From an EC2 machine: text index id 69662866914 (repository not named); its path and ``ro`` are changed."""
S3FS = "81 62 0:39 / {} rw,nosuid,nodev,relatime shared:31 - fuse.s3fs s3fs rw,user_id=0,group_id=0"
"""As a test of a storage plugin has it: text index id 4288119821 (repository not named); path changed."""
GCSFUSE = "2668 61 0:399 / {} rw,relatime shared:1173 - fuse.gcsfuse zkoopmans-gke-dev-gke-bucket rw"
"""From a node of GKE: text index id 66448851969 (repository not named); path changed."""
GKE_FUSE = "2667 61 0:398 / {} rw,relatime shared:981 - fuse zkoopmans-gke-dev-gke-bucket rw"
"""From the same: the type of this one says nothing."""
NFS = "121 61 0:39 / {} rw,relatime shared:69 - nfs 192.168.1.80:/ifs/vols/vol01 rw,vers=3,hard,proto=tcp"
"""From the file of S3FS, its options cut."""


@pytest.fixture
def mounted_elsewhere(
    project: Project, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, Machine]]:
    """A folder, and a machine whose ``awk`` reads another table of mounts than the one of this machine."""
    machine = Machine(project.path.parent / f"{project.path.name}-bin")
    monkeypatch.setenv("PATH", f"{machine.folder}{os.pathsep}{os.environ['PATH']}")
    yield disk, machine


def play_mounts(machine: Machine, line: str) -> None:
    table = machine.folder / "mountinfo"
    table.write_text(f"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n{line}\n")
    # awk reads the last of its arguments; everything else is as it is.
    machine.script("awk", f'exec /usr/bin/awk "$1" {shlex.quote(str(table))}')


@pytest.mark.parametrize(
    ("line", "kind"),
    [(MOUNTPOINT_S3, "fuse.mountpoint-s3"), (S3FS, "fuse.s3fs"), (GCSFUSE, "fuse.gcsfuse")],
)
def test_a_rename_in_an_object_store_is_not_atomic(
    project: Project, mounted_elsewhere: tuple[Path, Machine], line: str, kind: str
) -> None:
    folder, machine = mounted_elsewhere
    play_mounts(machine, line.format(folder))
    session = ask_about(project, folder)
    assert session.ret == 1
    assert session.red == {"atomic_rename-local"}
    assert session.advised == set()
    assert session.message("atomic_rename-local") == (
        f"local: {folder} is on {folder} ({kind}), an object store: a rename there is a copy,"
        " so that a rank may load half a checkpoint"
    )


def test_a_mount_of_unknown_kind_is_advice(project: Project, mounted_elsewhere: tuple[Path, Machine]) -> None:
    folder, machine = mounted_elsewhere
    play_mounts(machine, GKE_FUSE.format(folder))
    session = ask_about(project, folder)
    assert session.ret == 0
    assert session.advised == {"atomic_rename-local", "durable_mount-local"}


def test_what_a_node_says_never_steers_a_terminal(
    project: Project, mounted_elsewhere: tuple[Path, Machine]
) -> None:
    folder, machine = mounted_elsewhere
    play_mounts(machine, f"52 35 0:30 / {folder} rw - fuse\x1b]0;owned\x07.evil x\x1b[2J rw")
    session = ask_about(project, folder, "/other")
    printed = session.result.stdout.str()
    assert "fuse\\x1b]0;owned\\x07.evil" in session.message("atomic_rename-local")
    assert "is really on" in " ".join(printed.split())
    assert not {"\x1b", "\x07"} & set(printed + (project.path / "r.json").read_text())


def test_a_network_file_system_survives_and_renames(
    project: Project, mounted_elsewhere: tuple[Path, Machine]
) -> None:
    folder, machine = mounted_elsewhere
    play_mounts(machine, NFS.format(folder))
    session = ask_about(project, folder)
    assert session.ret == 0
    assert session.advised == set()


def test_what_is_mounted_may_have_spaces_in_its_name(
    project: Project, disk: Path, mounted_elsewhere: tuple[Path, Machine]
) -> None:
    _, machine = mounted_elsewhere
    # As CIFS: df 9.1 of coreutils.
    line = "//nas/AI Share 1000000000 1000 999999000 1% /mnt/a b"
    machine.script("df", f"echo head; echo {shlex.quote(line)}")
    assert ask_about(project, disk, disk).ret == 0
    machine.script("df", f"echo head; echo {shlex.quote(line.replace('999999000', '999'))}")
    session = ask_about(project, disk, disk)
    assert session.red == {"disk_space-local", "disk_inodes-local"}
    assert "1.02 MB free" in session.message("disk_space-local")


def test_a_file_system_that_counts_no_inodes(
    project: Project, disk: Path, mounted_elsewhere: tuple[Path, Machine]
) -> None:
    _, machine = mounted_elsewhere
    # As btrfs: "df -i" says 0 of 0.
    machine.script(
        "df",
        'case $1 in -Pi) echo head; echo "/dev/sda1 0 0 0 - /" ;; *) exec /bin/df "$@" ;; esac',
    )
    session = ask_about(project, disk, disk)
    assert session.ret == 0
    assert session.words("skipped") == {"disk_inodes-local"}
    assert "counts no inodes" in session.message("disk_inodes-local")


def test_a_mount_that_hangs_costs_its_own_checks_only(
    project: Project, disk: Path, mounted_elsewhere: tuple[Path, Machine]
) -> None:
    _, machine = mounted_elsewhere
    machine.script("readlink", "exec sleep 60")
    text = spec(checkpoint_dir=str(disk)) + "memory: 1MB\n"
    session = preflight(project, text, "--metaopt-timeout", "2")
    assert session.red == ALL
    assert "memory-local" in session.words("passed")
    for check in ALL:
        assert "did not answer in time" in session.message(check)
        assert "timeout 5 stat -f" in session.item(check)["remediation"]


# -- limits of the host ----------------------------------------------------------------------------

GIB = 1 << 30


@pytest.fixture
def small_shm(mounted_elsewhere: tuple[Path, Machine]) -> Machine:
    """A machine whose /dev/shm is what Docker makes it."""
    _, machine = mounted_elsewhere
    machine.script(
        "df",
        'case "$*" in "-Pk /dev/shm") echo head; echo "shm 65536 0 65536 0% /dev/shm" ;;'
        ' *) exec /bin/df "$@" ;; esac',
    )
    return machine


TWO_GPUS = "gpus: {count: 2}\n"


def test_a_shared_memory_that_is_too_small(project: Project, small_shm: Machine) -> None:
    session = preflight(project, TWO_GPUS, "-k", "shm or schema")
    assert session.ret == 1
    assert session.red == {"shm-local"}
    assert session.message("shm-local") == "local: /dev/shm has 64 MiB; expected 8 GiB or more"
    assert "--shm-size" in session.item("shm-local")["remediation"]
    # A rank that is alone needs no NCCL.
    session = preflight(project, "gpus: {count: 1}\n", "--collect-only")
    assert "shm" not in session.result.stdout.str()


def test_a_shared_memory_of_8_gib_will_do(project: Project, small_shm: Machine) -> None:
    path = small_shm.folder / "df"
    text = path.read_text()
    small_shm.script("df", text.replace("#!/bin/sh\n", "").replace("65536", str(8 * GIB // 1024)))
    assert preflight(project, TWO_GPUS, "-k", "shm or schema").ret == 0
    small_shm.script("df", "exit 1")
    session = preflight(project, TWO_GPUS, "-k", "shm or schema")
    assert session.red == {"shm-local"}
    assert "could not read /dev/shm" in session.message("shm-local")


RDMA = "name: x\nnetwork: {rdma: true}\n"


def python_under(project: Project, before: str) -> tuple[int, str]:
    """Run pytest on the launch spec that is there, after a shell command; 77 skips."""
    command = (
        f"{before} || exit 77; exec {shlex.quote(sys.executable)} -m pytest --metaopt-launch {LAUNCH} -q"
    )
    done = subprocess.run(
        ["bash", "-c", command], cwd=project.path, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode == 77:
        pytest.skip(f"not permitted here: {before}: {done.stderr.strip()}")
    return done.returncode, " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("kib", "reported"),
    [(8192, "8 MiB"), pytest.param(64, "64 KiB", marks=pytest.mark.soak), (32 << 20, "")],
)
def test_locked_memory_under_a_real_limit(project: Project, kib: int, reported: str) -> None:
    project.write(LAUNCH, RDMA)
    status, said = python_under(project, f"ulimit -l {kib}")
    assert status == (1 if reported else 0)
    if reported:
        limit = f"{reported} is the limit of locked memory (ulimit -l)"
        expected = f"memlock: local: {limit}; expected unlimited, or 32 GiB or"
        assert expected in said
        assert "memlock=-1" in said


@pytest.mark.parametrize(
    ("answer", "reported"),
    [
        ("echo unlimited", None),
        (f"echo {32 << 20}", None),
        (f"echo {(32 << 20) - 1}", "31.99 GiB is the limit of locked memory"),
        ("echo 0", "0 B is the limit of locked memory"),
        ("return 2", "could not read its limit of locked memory (ulimit -l printed nothing)"),
    ],
)
def test_limits_of_locked_memory_that_others_have(
    project: Project, mounted_elsewhere: tuple[Path, Machine], answer: str, reported: str | None
) -> None:
    _, machine = mounted_elsewhere
    # A function stands in for the shell's own command; only root may raise the real limit.
    machine.script(
        "sh", f"[ $# -gt 0 ] && exec /bin/sh \"$@\"\n(echo 'ulimit() {{ {answer}; }}'; cat) | /bin/sh"
    )
    session = preflight(project, RDMA)
    assert session.red == (set() if reported is None else {"memlock-local"})
    assert reported is None or reported in session.message("memlock-local")


def test_without_rdma_no_limit_of_locked_memory_is_queried(project: Project) -> None:
    session = preflight(project, "name: x\nnetwork: {rdma: false}\n")
    assert session.ret == 0
    assert "node[memlock-local]" not in session.items


def test_more_memory_than_there_is(project: Project) -> None:
    session = preflight(project, "name: x\nmemory: 900TB+\n")
    assert session.ret == 1
    assert session.red == {"memory-local"}
    assert "expected 900 TB" in session.message("memory-local")
    assert session.item("memory-local")["line"] == 2
    assert preflight(project, "memory: 16MB\n").ret == 0
    assert preflight(project, "resources: {memory: 900000+}\n").red == {"memory-local"}


LIMITED = {
    1: "mkdir -p memory/process && echo {outer} > memory/memory.limit_in_bytes",
    2: "echo {outer} > memory.max",
}


# "max" is how version 2 says that there is no limit; version 1 gives the largest number of pages.
@pytest.mark.parametrize(
    ("version", "limit", "status"),
    [
        (1, str(2 * GIB), 1),
        pytest.param(1, "9223372036854771712", 0, marks=pytest.mark.soak),
        (2, str(2 * GIB), 1),
        pytest.param(2, str(3 * GIB), 0, marks=pytest.mark.soak),
        (2, "max", 0),
    ],
)
def test_the_limit_of_a_cgroup_counts(project: Project, version: int, limit: str, status: int) -> None:
    known = Path("/proc/self/cgroup").read_text()
    if ("0::" if version == 2 else ":memory:") not in known:
        pytest.skip(f"this kernel has no memory cgroup of version {version}")
    project.write(LAUNCH, "memory: 3GB\n")
    # In a namespace of mounts of its own, where the files of the cgroup say what we want.
    inside = f"mount -t tmpfs tmpfs /sys/fs/cgroup && cd /sys/fs/cgroup && {LIMITED[version]}"
    inside = inside.format(outer=limit) + f" && cd {shlex.quote(str(project.path))} && "
    inside += f"exec {shlex.quote(sys.executable)} -m pytest --metaopt-launch {LAUNCH} -q"
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "x", "/mnt"], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", inside], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    if status:
        reported = "local: a process gets 2.15 GB (the cgroup's limit); expected 3 GB"
        assert reported in " ".join(done.stdout.split())
