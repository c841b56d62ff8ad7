"""What the tests of probes share: an isolated home, and a way to know whether a process still runs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

_FOREIGN = ("GIT_", "GCM_", "NETRC", "SKYPILOT_", "SSH_", "WANDB_", "XDG_", "VAST_")


def forget_environment(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Make *home* the home, and forget what the user has set for the tools that are tested."""
    for name in [name for name in os.environ if name.startswith(_FOREIGN)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))


def is_running(pid: int) -> bool:
    """Tell whether a process runs; a zombie that nobody waits for does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # gone in between, or no Linux
    return state != "Z"


def wait_until_gone(pid: int, patience: float = 2.0) -> bool:
    """Wait until a process is gone; return whether it is."""
    end = time.monotonic() + patience
    while is_running(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def written_number(path: Path, patience: float = 5.0) -> int:
    """Wait until a process has written its number to *path*, and return that."""
    end = time.monotonic() + patience
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < end, f"{path} was not written"
        time.sleep(0.01)
    return int(path.read_text())
