"""Records what ``ssh -v`` prints for each fault, as root: ``python -m tests.support.record_ssh``; minutes."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.lab import Lab, State
from tests.support.paths import RECORDED

FOLDER = RECORDED / "ssh"
STATES: dict[str, tuple[State, int]] = {
    "healthy": ("normal", 10),
    "silent": ("silent", 3),
    "wrong_key": ("wrong_key", 10),
    "down_timeout": ("down", 2),
    "down_no_route": ("down", 10),
    "refused": ("refused", 10),
    "permission_denied": ("denied", 10),
}
"""File name: what the host does, and ConnectTimeout in seconds."""


def record() -> None:
    """Write one file for each fault: complete standard error, and the exit status in the README."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    codes: dict[str, str] = {}
    with _lab() as (lab, neutral):

        def say(file: str, target: str, seconds: int, *, patience: int = 60) -> None:
            command = ["ssh", "-v", "-F", str(lab.ssh_config), "-o", "BatchMode=yes"]
            command += ["-o", f"ConnectTimeout={seconds}", target, "true"]
            try:
                done = subprocess.run(
                    command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience
                )
            except subprocess.TimeoutExpired as error:
                said, code = (error.stderr or b"").decode(), f"killed after {patience} s"
            else:
                said, code = done.stderr, f"exit status {done.returncode}"
            with (FOLDER / f"{file}.txt").open("w", newline="") as out:  # ssh ends its own lines with CR LF
                out.write(neutral(said))
            codes[file] = f"{code}, ConnectTimeout={seconds}"

        host = lab["node1"]
        for file, (state, seconds) in STATES.items():
            host.become(state)
            say(file, host.name, seconds)
        say("unknown_name", "nosuchhost.invalid", 10)
        # ConnectTimeout is for the connection and the banner; a stall later only the server may end.
        hole = lab.add("node2", port_mtu=1500)
        say("kex_stall", hole.name, 3, patience=15)
        say("kex_stall_until_the_server_closes", hole.name, 3, patience=200)
    version = subprocess.run(["ssh", "-V"], capture_output=True, text=True).stderr.strip()
    lines = [f"- `{file}.txt`: {code}" for file, code in codes.items()]
    (FOLDER / "README.md").write_text(
        "What `ssh -v -o BatchMode=yes HOST true` says on standard error, whole, for each fault.\n\n"
        f"ssh and sshd are {version}.\n"
        "Recorded by `python -m tests.support.record_ssh` in a laboratory of network namespaces\n"
        "(`tests/support/lab.py`). "
        "Paths and the subnet are replaced by neutral ones.\n\n" + "\n".join(lines) + "\n"
    )


@contextmanager
def _lab() -> Iterator[tuple[Lab, _Neutral]]:
    with tempfile.TemporaryDirectory() as folder, Lab(Path(folder), 1, mtu=9000) as lab:
        yield lab, _Neutral(lab)


class _Neutral:
    """Replaces what only this machine has."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def __call__(self, text: str) -> str:
        text = text.replace(str(self.lab.folder), "/home/user/lab")
        text = text.replace(str(Path.home()) + "/", "/home/user/")
        return text.replace(f"{self.lab.subnet}.", "10.0.0.")


if __name__ == "__main__":
    record()
