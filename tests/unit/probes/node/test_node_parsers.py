"""What a node says is a stranger's word: none of it makes a parser raise, and what is cut is not known."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_metaopt.launch import hosts as hostspec
from pytest_metaopt.launch.nodes import Node
from pytest_metaopt.probes.node.facts import NodeFacts
from pytest_metaopt.probes.node.limits import Limits
from pytest_metaopt.probes.node.mounts import Mount
from pytest_metaopt.probes.node.sections import Output
from pytest_metaopt.probes.node.storage import Place
from tests.support.scale import examples

GIB = 1 << 30
QUESTIONS = ["clock", "system", "env", "interfaces", "limits", "path", "storage", "nvidia_smi", "kernel_log"]
QUESTIONS += ["fabric_manager", "nccl_library", "clock_at_end"]


def facts(status: int | None = 0, **said: str) -> NodeFacts:
    """Return what a node said."""
    node = Node("x", hostspec.parse(hostspec.LOCAL, Path("/")))
    outputs = {name: Output(text, status) for name, text in said.items()}
    return NodeFacts(node, outputs, 100.0, 101.0)


_WORDS = ["memlock", "shm", "MemTotal:", "cgroup", "there", "missing", "dangling", "real", "bytes", "inodes"]
_WORDS += ["mount", "link", "port", "address", "to", "by", "ping", "unresolved", "-", "unlimited", "max", "/"]
_WORDS += ["22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw", "\\040", "\\777", "0x1003", "eth0", "9" * 30, "²"]
_WORDS += ["99999999999999999999.5", "1" * 5000, "inet", "inet6", "10.0.0.1/24", "up", "772", "\x1b[0m", "-"]
_TEXT = st.lists(
    st.one_of(st.sampled_from(_WORDS), st.sampled_from([" ", "\n", ": ", "="]), st.text(max_size=5)),
    max_size=30,
).map(" ".join)


@settings(max_examples=examples(150), deadline=None)
@given(text=_TEXT, status=st.sampled_from([0, 1, 124, 127, 137, None]))
def test_nothing_that_a_node_says_makes_a_parser_raise(text: str, status: int | None) -> None:
    found = facts(status, **dict.fromkeys(QUESTIONS, text))
    for name in ("offset", "nccl_env", "network", "limits", "place", "path", "driver", "kernel_log"):
        getattr(found, name)
    for name in ("fabric_manager", "nccl_libraries"):
        getattr(found, name)


# -- limits ----------------------------------------------------------------------------------------

CGROUPS = "cgroup max\ncgroup 9223372036854771712\ncgroup 17179869184\ncgroup 34359738368\n"


def test_the_least_limit_around_a_process_counts() -> None:
    text = f"memlock unlimited\nshm 65536 65530\nMemTotal: 1056000000\nMemAvailable: 1000\n{CGROUPS}"
    assert facts(limits=text).limits == Limits(
        memlock=None, memlock_known=True, shm=64 << 20, memory=16 * GIB, cgroup=16 * GIB
    )


def test_the_machine_may_have_less_than_its_cgroup_allows() -> None:
    limits = facts(limits="memlock 64\nMemTotal: 4194304\ncgroup 17179869184\n").limits
    assert (limits.memory, limits.cgroup, limits.memlock, limits.shm) == (4 * GIB, 16 * GIB, 65536, None)


def test_limits_that_were_cut_are_not_known() -> None:
    limits = facts(124, limits="memlock unlimited\nMemTotal: 4194304\n").limits
    assert limits == Limits(problem="did not answer in time")
    assert facts().limits.problem == "did not answer in time"


# -- storage ---------------------------------------------------------------------------------------

ROOT = "mount 22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"


def test_the_deepest_mount_holds_a_path_and_of_several_there_the_last() -> None:
    text = (
        "there\nreal /mnt/a/b\nfolder\nwritable\nbytes 100 50\ninodes 10 5\n"
        "mount 40 22 0:1 / /mnt/a rw - tmpfs one rw\n"
        "mount 41 40 0:2 / /mnt/a rw,ro - xfs two rw\n" + ROOT
    )
    assert facts(storage=text).place == Place(
        there=True,
        real="/mnt/a/b",
        folder=True,
        writable=True,
        free_bytes=50 * 1024,
        total_bytes=100 * 1024,
        free_inodes=5,
        total_inodes=10,
        mount=Mount("/mnt/a", "xfs", "two", read_only=True),
    )


@pytest.mark.parametrize(
    ("line", "point", "source"),
    [
        (r"mount 1 1 0:1 / /a\040b rw - nfs h:/a\040b rw", "/a b", "h:/a b"),
        (r"mount 1 1 0:1 / /a\134040 rw - xfs /dev/x rw", r"/a\040", "/dev/x"),
        (r"mount 1 1 0:1 / /a rw shared:1 master:2 - fuse.x - rw", "/a", "-"),
    ],
)
def test_escapes_of_mountinfo(line: str, point: str, source: str) -> None:
    mount = facts(storage=f"real {point}\n{line}\n").place.mount
    assert mount is not None
    assert (mount.point, mount.source) == (point, source)


def test_a_file_system_that_counts_no_inodes() -> None:
    place = facts(storage="there\nreal /\ninodes 0 0\nbytes 10 5\n" + ROOT).place
    assert (place.total_inodes, place.free_inodes) == (None, None)


def test_of_storage_that_was_cut_what_came_is_known() -> None:
    place = facts(124, storage="there\nreal /mnt\nfolder\nwritable\n").place
    assert (place.real, place.free_bytes, place.mount, place.problem) == ("/mnt", None, None, None)
    assert facts(124, storage="").place.problem == "did not answer in time"


# -- clocks ----------------------------------------------------------------------------------------


def test_a_clock_is_known_to_within_the_time_that_the_answer_took() -> None:
    assert facts(clock="103.5\n", clock_at_end="104.25\n").offset == (3.25, 3.5)
    assert facts(clock="103.5\n").offset == (2.5, 3.5)
    assert facts(clock="103.%N\n").offset == (2.0, 4.0)  # busybox: the second that it is in
    assert facts(clock="date: invalid\n").offset is None
