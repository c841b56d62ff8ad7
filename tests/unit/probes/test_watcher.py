"""The watcher kills what a process leaves behind, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_metaopt.probes import watcher
from pytest_metaopt.probes.command import Deadline, run
from pytest_metaopt.probes.watcher import Watcher
from tests.support.probing import wait_until_gone


@contextmanager
def sleeping() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is the leader of its group, and killed in the end."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_groups_that_are_left_are_killed_and_those_removed_are_not() -> None:
    with sleeping() as left, sleeping() as removed:
        mine = Watcher()
        mine.start()
        mine.add(left.pid)
        mine.add(removed.pid)
        mine.remove(removed.pid)
        mine.close()
        assert left.wait(5) == -signal.SIGKILL
        assert removed.poll() is None


def test_a_watcher_that_was_killed_is_started_again_with_all_groups() -> None:
    with sleeping() as early, sleeping() as late:
        mine = Watcher()
        mine.start()
        mine.add(early.pid)
        first = mine._process
        assert first is not None
        first.kill()
        first.wait()
        mine.add(late.pid)
        assert mine._process is not first
        mine.close()
        assert early.wait(5) == late.wait(5) == -signal.SIGKILL


def test_closing_twice_and_removing_what_is_not_there_do_nothing() -> None:
    mine = Watcher()
    mine.remove(1)
    mine.close()
    mine.close()


def wait_until_it_ignores(number: int, pid: int) -> None:
    """Wait for the trap, which the shell sets as it starts."""
    while True:
        status = Path(f"/proc/{pid}/status").read_text()
        (mask,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigIgn:"))
        if int(mask, 16) >> (number - 1) & 1:
            return
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc, which tells of ignored signals")
@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM", "SIGQUIT"])
def test_a_signal_to_the_watcher_does_not_end_it(name: str) -> None:
    with sleeping() as process:
        mine = Watcher()
        mine.start()
        mine.add(process.pid)
        assert mine._process is not None
        number = getattr(signal, name)
        wait_until_it_ignores(number, mine._process.pid)
        mine._process.send_signal(number)
        mine.close()
        assert process.wait(5) == -signal.SIGKILL


def test_without_a_watcher_no_command_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(watcher, "_SHELL", str(tmp_path / "none"))
    monkeypatch.setattr("pytest_metaopt.probes.command.WATCHER", Watcher())
    ended = run(["sleep", "60"], Deadline.after(5))
    assert ended.ending == "not started"
    assert ended.problem == "sleep could not be started: No such file or directory"


LEAVES = """\
import os, threading, time
from pytest_metaopt.probes.command import Deadline, run
# It fills its pipe first: that is read only once the watcher knows of the command.
command = ["sh", "-c", "head -c 200000 /dev/zero; echo $$ > pid.new; mv pid.new pid; sleep 60"]
threading.Thread(target=run, args=(command, Deadline.after(60))).start()
while not os.path.exists("pid"):
    time.sleep(0.1)
os._exit(0)
"""


def test_a_process_that_ends_without_a_word_leaves_no_command_behind(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LEAVES], cwd=tmp_path, check=True, timeout=60)
    pid = int((tmp_path / "pid").read_text())
    assert pid != os.getpid()
    assert wait_until_gone(pid)
