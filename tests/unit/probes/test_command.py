from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_metaopt.probes.command import MAX_OUTPUT, Deadline, Result, plain, run
from tests.support.probing import wait_until_gone, written_number


def sh(text: str, seconds: float = 10, **keywords: object) -> Result:
    return run(["sh", "-c", text], Deadline.after(seconds), **keywords)  # type: ignore[arg-type]


def test_tells_status_and_both_outputs() -> None:
    result = sh("echo out; echo err >&2")
    assert (result.ending, result.status, result.stdout, result.stderr) == ("exited", 0, "out\n", "err\n")
    assert result.succeeded
    assert result.problem is None


def test_a_failing_command_is_a_result() -> None:
    result = sh("echo no >&2; exit 3")
    assert (result.status, result.problem, result.stderr) == (3, "exit status 3", "no\n")
    assert not result.succeeded


def test_a_killed_command_names_the_signal() -> None:
    assert sh("kill -TERM $$").problem == "was killed by SIGTERM"


def test_a_missing_command_is_a_result() -> None:
    result = run(["no-such-command-metaopt"], Deadline.after(1))
    assert result.ending == "missing"
    assert result.problem == "command 'no-such-command-metaopt' not found on PATH"
    assert not result.succeeded


@pytest.mark.parametrize(
    ("command", "cwd"),
    [
        (["sh", "-c", "a\0b"], None),
        (["sh", "-c", "\ud800"], None),
        (["sh", "-c", ":"], Path("/no/such/folder")),
    ],
    ids=["NUL", "surrogate", "cwd"],
)
def test_what_cannot_be_started_is_a_result(command: list[str], cwd: Path | None) -> None:
    result = run(command, Deadline.after(1), cwd=cwd)
    assert result.ending == "not started"
    assert result.problem is not None
    assert result.problem.startswith("sh could not be started: ")


def test_a_program_that_the_system_can_not_run_is_a_result(script: Callable[[str, str], Path]) -> None:
    script("broken", "").write_bytes(b"\x7fELF but not really")
    assert run(["broken"], Deadline.after(1)).ending == "not started"


def test_the_path_is_that_of_the_environment_given(tmp_path: Path) -> None:
    assert run(["sh", "-c", ":"], Deadline.after(1), environ={"PATH": str(tmp_path)}).ending == "missing"


@pytest.mark.parametrize(
    "body",
    [
        "sleep 60 & echo $! > pid; wait",
        "trap '' TERM HUP INT; sleep 60 & echo $! > pid; while :; do wait; done",
        "(sh -c 'echo $$ > pid; exec sleep 60') & sleep 60",
        "exec >&- 2>&-; sleep 60 & echo $! > pid; wait",
    ],
    ids=["child", "ignores signals", "grandchild", "closed its outputs"],
)
def test_a_timeout_kills_the_whole_group(body: str, tmp_path: Path) -> None:
    started = time.monotonic()
    result = sh(body, seconds=0.5, cwd=tmp_path)
    assert time.monotonic() - started < 1.5
    assert result.ending == "timed out"
    assert result.problem == "timed out after 0.5 s"
    assert result.status is None
    assert wait_until_gone(written_number(tmp_path / "pid"))


def test_what_was_said_before_the_timeout_is_reported() -> None:
    result = sh("echo begun; sleep 60", seconds=0.5)
    assert (result.ending, result.stdout) == ("timed out", "begun\n")


def test_a_child_left_behind_is_killed_and_not_waited_for(tmp_path: Path) -> None:
    started = time.monotonic()
    result = sh("sleep 60 & echo $! > pid; echo done", cwd=tmp_path)
    assert time.monotonic() - started < 2
    assert (result.status, result.stdout) == (0, "done\n")
    assert wait_until_gone(written_number(tmp_path / "pid"))


DAEMON = """\
import os, sys, time
if os.fork() == 0:
    os.setsid()
    open("pid", "w").write(str(os.getpid()))
    time.sleep(60)
else:
    while not os.path.exists("pid"):
        time.sleep(0.01)
    print("server started")
"""


def test_a_server_with_a_session_of_its_own_lives_on_and_is_not_waited_for(tmp_path: Path) -> None:
    started = time.monotonic()
    result = run([sys.executable, "-c", DAEMON], Deadline.after(10), cwd=tmp_path)
    pid = written_number(tmp_path / "pid")
    try:
        assert time.monotonic() - started < 3
        assert (result.status, result.stdout) == (0, "server started\n")
        os.kill(pid, 0)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_stop_kills_at_once(tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    started = time.monotonic()
    result = sh("echo $$ > pid; sleep 60", seconds=30, cwd=tmp_path, stop=stop)
    assert time.monotonic() - started < 2
    assert result.ending == "stopped"
    assert result.problem == "was stopped, because the session ended"
    assert wait_until_gone(written_number(tmp_path / "pid"))


def test_nothing_is_started_once_it_is_stopped_or_late(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    assert sh("touch made", cwd=tmp_path, stop=stop).ending == "stopped"
    late = Deadline(30, time.monotonic() - 1)
    result = run(["touch", "made"], late, cwd=tmp_path)
    assert (result.ending, result.problem) == ("timed out", "timed out after 30 s")
    assert not (tmp_path / "made").exists()


def test_two_commands_share_a_deadline() -> None:
    deadline = Deadline.after(0.6)
    assert run(["sleep", "0.4"], deadline).succeeded
    started = time.monotonic()
    assert run(["sleep", "60"], deadline).problem == "timed out after 0.6 s"
    assert time.monotonic() - started < 0.5


def test_output_is_bounded_and_the_command_not_blocked() -> None:
    result = sh(f"head -c {3 * MAX_OUTPUT} /dev/zero; echo more >&2")
    assert result.succeeded
    assert len(result.stdout) == MAX_OUTPUT
    assert result.stderr == "more\n"


def test_output_without_end_ends_at_the_deadline() -> None:
    result = sh("yes", seconds=0.5)
    assert result.ending == "timed out"
    assert len(result.stdout) == MAX_OUTPUT


def test_output_that_is_not_utf8_is_reported_as_far_as_it_is() -> None:
    assert sh(r"printf 'a\377b'").stdout == "a\N{REPLACEMENT CHARACTER}b"


def test_stdin_is_empty_and_there_is_no_terminal() -> None:
    assert sh("cat; echo end").stdout == "end\n"
    assert sh("exec 3< /dev/tty").status != 0


def test_no_descriptor_is_left_open() -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("there is no /proc here")
    sh("true")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        sh("true")
        sh("sleep 5", seconds=0.05)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_many_at_the_same_time() -> None:
    results: list[Result] = []
    threads = [threading.Thread(target=lambda: results.append(sh("sleep 0.3; echo ok"))) for _ in range(20)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.stdout for result in results] == ["ok\n"] * 20
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\x1b[32m\x1b[22m  Vast: enabled [compute]\x1b[0m\x1b[0m", "  Vast: enabled [compute]"),
        ("  Checking Vast...\r  Vast: disabled      \n", "  Vast: disabled\n"),
        ("ssh says so\r\nand more\r\n", "ssh says so\nand more\n"),
        ("\x1b]0;title\x07text", "text"),
        ("plain", "plain"),
    ],
)
def test_plain(text: str, left: str) -> None:
    assert plain(text) == left


def test_environment_that_changes_while_commands_start_breaks_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest does so for each phase of each test, while probes start commands in their threads."""
    over = threading.Event()

    def change() -> None:
        number = 0
        while not over.is_set():
            number += 1
            os.environ["PYTEST_CURRENT_TEST"] = "x" * (number % 500)
            os.environ.pop("PYTEST_CURRENT_TEST", None)

    monkeypatch.setenv("PYTEST_CURRENT_TEST", "")
    thread = threading.Thread(target=change)
    thread.start()
    try:
        endings = {run(["true"], Deadline.after(10)).ending for _ in range(60)}
    finally:
        over.set()
        thread.join()
    assert endings == {"exited"}
