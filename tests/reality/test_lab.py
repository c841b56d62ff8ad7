"""The laboratory is what it says: its hosts, their faults, its delay, and that nothing of it stays."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import lab as laboratory
from tests.support.lab import Host, Lab, State, available, full_of_inodes, remove_leftovers, small_disk
from tests.support.paths import ROOT

REASON = available()

pytestmark = pytest.mark.skipif(REASON is not None, reason=f"no lab here: {REASON}")

QUICK = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=10")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three hosts; the folder's name has what URLs, shells and ssh_config may stumble over."""
    with Lab(tmp_path_factory.mktemp("lab") / "a folder, 100% & more", 3) as made:
        yield made


def left_of(tag: str) -> list[str]:
    """Return the devices, namespaces and processes whose names show that they belong to a lab."""
    netns = Path("/run/netns")
    left = [str(path) for path in Path("/sys/class/net").glob(f"{tag}*")]
    left += [path.name for path in netns.glob(f"{tag}*")]
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if tag.encode() in command.read_bytes() and command.parent.name != str(os.getpid()):
                left.append(str(command))
    return left


def times(printed: str) -> list[float]:
    """Return the round-trip times of ping's lines, in milliseconds."""
    return [float(each) for each in re.findall(r"time=([\d.]+) ms", printed)]


def test_each_host_has_a_name_an_address_and_programs_of_its_own(lab: Lab) -> None:
    for host in lab.hosts.values():
        host.play("nvidia-smi", f"GPU 0 of {host.name}\n", stderr="warning\n", exit_code=3)
        done = lab.ssh(host, "hostname; nvidia-smi; echo $?", options=QUICK)
        assert (done.returncode, done.stdout, done.stderr) == (
            0,
            f"{host.name}\nGPU 0 of {host.name}\n3\n",
            "warning\n",
        )
        assert lab.run(host, ["nvidia-smi"]).stdout == f"GPU 0 of {host.name}\n"
        assert host.address in lab.run(host, ["ip", "-br", "address"]).stdout
    assert lab.run("node1", ["ping", "-c1", "-W1", lab["node2"].address]).returncode == 0
    assert socket.gethostname() not in lab.hosts


def test_a_host_has_an_etc_and_an_environment_of_its_own(lab: Lab) -> None:
    first, second = lab["node1"], lab["node2"]
    first.write("/etc/nccl.conf", "NCCL_DEBUG=INFO\n")
    assert lab.ssh(first, "cat /etc/nccl.conf").stdout == "NCCL_DEBUG=INFO\n"
    assert lab.ssh(second, "cat /etc/nccl.conf").returncode == 1
    assert not Path("/etc/nccl.conf").exists()
    with pytest.raises(ValueError, match="host's own"):
        first.write("/home/file", "")
    first.setenv(NCCL_IB_HCA="mlx5_0", QUOTED='a "b" c')
    assert lab.ssh(first, 'echo "$NCCL_IB_HCA $QUOTED"').stdout == 'mlx5_0 a "b" c\n'
    assert lab.ssh(second, "echo $NCCL_IB_HCA").stdout == "\n"


def test_testinfra_reaches_a_host_by_its_spec(lab: Lab) -> None:
    testinfra = pytest.importorskip("testinfra")
    for host in lab.hosts.values():
        assert testinfra.get_host(host.spec).check_output("hostname") == host.name


@pytest.mark.parametrize(
    ("state", "options", "complaint"),
    [
        ("silent", ["-o", "ConnectTimeout=1"], "Connection timed out during banner exchange"),
        ("wrong_key", [], "REMOTE HOST IDENTIFICATION HAS CHANGED"),
        ("denied", [], "Permission denied (publickey)"),
        ("refused", [], "Connection refused"),
        ("down", ["-o", "ConnectTimeout=1"], "Connection timed out"),
        ("down", [], "No route to host"),
    ],
)
def test_faults_are_the_real_ones(lab: Lab, state: State, options: list[str], complaint: str) -> None:
    host = lab["node3"]
    host.become(state)
    try:
        done = lab.ssh(host, "true", options=[*options, *QUICK])
    finally:
        host.become("normal")
    assert (done.returncode, complaint in done.stderr) == (255, True), done.stderr
    assert lab.ssh(host, "true", options=QUICK).returncode == 0


def test_a_silent_host_accepts_and_says_nothing(lab: Lab) -> None:
    host = lab.add("silent", sshd="silent")
    with socket.create_connection((host.address, 22), timeout=1) as connection:
        connection.sendall(b"SSH-2.0-test\r\n")
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def pings(lab: Lab, source: Host, target: Host, size: int) -> str:
    """Tell whether a ping that may not be fragmented comes back, is lost, or is answered by an error."""
    argv = ["ping", "-M", "do", "-c", "1", "-W", "1", "-s", str(size), target.address]
    done = lab.run(source, argv)
    if done.returncode == 0:
        return "answered"
    return "error" if re.search(r"error|[Ff]rag|Unreachable|too long", done.stdout + done.stderr) else "lost"


def test_a_port_with_a_small_mtu_swallows_jumbo_frames_both_ways(tmp_path: Path) -> None:
    with Lab(tmp_path, 2, mtu=9000) as lab:
        good, other = lab.hosts.values()
        hole = lab.add("hole", port_mtu=1500)
        small = lab.add("small", mtu=1500)
        assert "mtu 9000" in lab.switch("ip", "link", "show", "bridge0")
        assert pings(lab, good, other, 8972) == "answered"
        for source, target in ((good, hole), (hole, good)):
            assert pings(lab, source, target, 1472) == "answered"
            assert pings(lab, source, target, 8972) == "lost"
        # A host that knows of its small MTU says so, which is another thing.
        assert pings(lab, small, good, 8972) == "error"
        # TCP is swallowed like ping: ssh connects, and stalls when its first long packet is lost.
        done = lab.ssh(good, "true", options=QUICK)
        assert done.returncode == 0, done.stderr
        with pytest.raises(subprocess.TimeoutExpired) as stalled:
            lab.ssh(hole, "true", options=["-v", *QUICK], timeout=2)
        said = (stalled.value.stderr or b"").decode()
        assert said.splitlines()[-1] == "debug1: expecting SSH2_MSG_KEX_ECDH_REPLY"


def test_a_delay_is_in_each_packet_to_and_from_the_controller(tmp_path: Path) -> None:
    with Lab(tmp_path, 8, delay=0.05) as lab:
        host, other = lab["node1"], lab["node2"]
        command = ["ping", "-c", "5", "-i", "0.1", host.address]
        far = times(subprocess.run(command, capture_output=True, text=True).stdout)
        assert len(far) == 5
        assert 50 <= min(far) <= max(far) < 80
        back = times(lab.run(host, ["ping", "-c", "3", "-i", "0.1", lab.address]).stdout)
        assert 50 <= min(back) < 80
        near = times(lab.run(host, ["ping", "-c", "3", "-i", "0.1", other.address]).stdout)
        assert min(near) < 10
        started = time.monotonic()
        with socket.create_connection((host.address, 22), timeout=5):
            took = time.monotonic() - started
        assert 0.05 <= took < 0.2
        with ThreadPoolExecutor(8) as pool:
            codes = list(pool.map(lambda each: lab.ssh(each, "true").returncode, lab.hosts.values()))
        assert codes == [0] * 8


def test_a_delayed_host_that_is_down_gives_no_route(tmp_path: Path) -> None:
    with Lab(tmp_path, delay=0.02) as lab:
        host = lab.add("gone", sshd="down")
        assert "No route to host" in lab.ssh(host, "true", options=QUICK).stderr


def test_labs_start_quickly_and_stand_side_by_side(tmp_path: Path, lab: Lab) -> None:
    started = time.monotonic()
    with Lab(tmp_path, 3, mtu=9000) as another:
        assert time.monotonic() - started < 2
        assert another.subnet != lab.subnet
        for each in (lab, another):
            assert each.ssh("node1", "true", options=QUICK).returncode == 0


@pytest.mark.soak
def test_a_lab_of_64_hosts(tmp_path: Path) -> None:
    started = time.monotonic()
    with Lab(tmp_path, 64) as lab:
        assert time.monotonic() - started < 15
        assert lab.run("node64", ["ping", "-c1", "-W1", lab["node1"].address]).returncode == 0
        assert lab.ssh("node64", "hostname", options=QUICK).stdout == "node64\n"
    assert left_of(lab.tag) == []


def test_nothing_is_left_when_a_test_fails(tmp_path: Path) -> None:
    home = Path.home() / ".ssh"
    before = (home.exists(), Path("/run/sshd").exists())
    with pytest.raises(ZeroDivisionError), Lab(tmp_path, 2, delay=0.01) as lab:
        tag = lab.tag
        assert left_of(tag)
        command = ["ssh", "-F", str(lab.ssh_config), "node1", "echo open; sleep 1000"]
        session = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert session.stdout is not None
        assert session.stdout.readline() == b"open\n"
        raise ZeroDivisionError
    try:
        assert session.wait(5) == 255
    finally:
        session.kill()
        session.communicate()
    assert left_of(tag) == []
    assert (home.exists(), Path("/run/sshd").exists()) == before


def test_nothing_is_left_when_a_host_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laboratory, "_KEEPER", "echo broken; exit 1")
    with pytest.raises(RuntimeError, match="node1 did not start: broken"), Lab(tmp_path, 2):
        pass
    assert left_of(f"mlab{os.getpid()}b") == []


def test_the_next_lab_removes_what_a_killed_run_has_left(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tests.support.lab import Lab\n"
        "with Lab(Path(sys.argv[1]), 2, delay=0.01) as lab: print(lab.tag, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    folder = ROOT
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdout is not None
        tag = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    assert f"{tag}-node1" in left_of(tag)
    remove_leftovers()
    assert left_of(tag) == []


def test_a_disk_without_inodes_has_free_bytes(tmp_path: Path) -> None:
    with full_of_inodes(tmp_path / "disk") as disk:
        found = os.statvfs(disk)
        assert (found.f_ffree, found.f_bavail > 0) == (0, True)
        with pytest.raises(OSError, match="No space left"):
            (disk / "one more").touch()
    assert not disk.exists()


def test_a_small_disk_is_full_of_bytes(tmp_path: Path) -> None:
    with small_disk(tmp_path, 1 << 20) as disk:
        found = os.statvfs(disk)
        assert (found.f_bavail, found.f_blocks * found.f_frsize) == (0, 1 << 20)
        assert found.f_ffree > 0
    assert not tmp_path.is_mount()
    with small_disk(tmp_path, 1 << 20, full=False) as disk:
        assert os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize == 1 << 20


def test_why_no_lab_can_be_made_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert available() is None
    monkeypatch.setattr(laboratory, "_which", lambda program: None if program == "sshd" else program)
    assert available() == "a lab needs sshd"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert available() == "a lab needs root"
