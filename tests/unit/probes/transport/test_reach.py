"""What ssh said of each fault (tests/recorded/ssh), read as how far it came."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_metaopt.launch.hosts import parse
from pytest_metaopt.probes.command import Result
from pytest_metaopt.probes.transport.reach import Stage, ssh_trouble
from tests.support.paths import RECORDED

SSH = RECORDED / "ssh"
HOST = parse("ssh://root@gpu-02", Path("/"))


def ended(stderr: str, *, status: int | None = 255) -> Result:
    """Return an ssh that said *stderr*, and failed, or was stopped."""
    ending, problem = ("exited", f"exit status {status}") if status else ("timed out", "timed out after 8 s")
    return Result("sh", ending, status, "", stderr, 1.0, problem)  # type: ignore[arg-type]


STAGES: dict[str, tuple[Stage, str]] = {
    "silent": ("silent", "its sshd never answers"),
    "wrong_key": ("host key", "another host key than known_hosts has"),
    "refused": ("refused", "Connection refused"),
    "permission_denied": ("login", "Permission denied"),
    "kex_stall": ("kex", "MTU"),
    "unknown_name": ("name", "Could not resolve hostname"),
    "down": ("connect", "cannot be reached"),
}


@pytest.mark.parametrize("status", [255, None], ids=["ended by itself", "stopped by us"])
@pytest.mark.parametrize("name", STAGES)
def test_recorded_fault_is_reported_by_how_far_ssh_came(name: str, status: int | None) -> None:
    files = sorted(SSH.glob(f"{name}*.txt"))
    assert files, f"no recording of {name}"
    stage, reported = STAGES[name]
    for file in files:
        trouble = ssh_trouble(HOST, ended(file.read_text(), status=status))
        assert (trouble.stage, reported in trouble.message) == (stage, True), (file.name, trouble)
        assert trouble.remediation
        assert "debug1" not in trouble.message


@pytest.mark.parametrize("name", STAGES)
def test_recording_that_is_cut_anywhere_is_still_reported(name: str) -> None:
    text = next(iter(sorted(SSH.glob(f"{name}*.txt")))).read_text()
    for end in range(0, len(text), 97):
        assert ssh_trouble(HOST, ended(text[:end])).message


@given(st.text())
def test_whatever_ssh_says_is_one_line_and_printable(text: str) -> None:
    trouble = ssh_trouble(HOST, ended(text))
    assert "\n" not in trouble.message
    assert trouble.message.isprintable()


@pytest.mark.parametrize(
    ("spec", "destination"),
    [
        ("ssh://root@gpu-02", "root@gpu-02"),
        ("ssh://root@gpu-02:2222", "ssh://root@gpu-02:2222"),
        ("ssh://gpu-02", "gpu-02"),
    ],
)
def test_the_command_to_try_reaches_the_same_host(spec: str, destination: str) -> None:
    said = (next(iter(sorted(SSH.glob("permission_denied*.txt"))))).read_text()
    remediation = ssh_trouble(parse(spec, Path("/")), ended(f"{said}\nAuthenticated to gpu-02")).remediation
    assert f"ssh -o BatchMode=yes {destination} 'echo true | sh'" in remediation
