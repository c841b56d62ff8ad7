"""A command of the outside world: bounded in time and output, with no terminal, gone when it is over."""

from __future__ import annotations

import os
import re
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..core.environment import our_environment
from .watcher import WATCHER

MAX_OUTPUT = 1 << 18
"""Bytes that are kept of each of stdout and stderr; what comes behind is read and dropped."""

_POLL = 0.05
"""Seconds between two looks at what gives no event: the session's end, and a command that has ended while
a child that it left behind holds its pipes open. It grows to a tenth of the time that the command has taken:
a session that queries many hosts at a time would else spend its time looking."""
_LONGEST_POLL = 0.25
_DRAIN = 0.2
"""Seconds that such a child is listened to once the command has ended."""
_BURIAL = 1.0
"""Seconds that a killed process may take to be gone; one in an uninterruptible wait takes for ever."""

Ending = Literal["exited", "timed out", "missing", "not started", "stopped"]


@dataclass(frozen=True)
class Deadline:
    """A point in time, which several commands may share.

    :param limit: the seconds that it was from the beginning, for messages.
    :param at: the time that it is reached, on the clock of ``time.monotonic()``.
    """

    limit: float
    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline *seconds* from now."""
        return cls(seconds, time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds that are left; negative where it has passed."""
        return self.at - time.monotonic()

    def __str__(self) -> str:
        """Return the message for what did not meet it."""
        return f"timed out after {self.limit:g} s"


@dataclass(frozen=True)
class Result:
    """How a command ended.

    :param program: what was run, as it was named.
    :param ending: ``exited``, or why it did not.
    :param status: the exit status; negative: the signal that killed it; None where it did not exit.
    :param stdout: what it wrote, as far as it was kept.
    :param stderr: the same, for what it wrote there.
    :param seconds: how long it took.
    :param problem: why this is not a success, as a phrase; None for an exit status of 0.
    """

    program: str
    ending: Ending
    status: int | None
    stdout: str
    stderr: str
    seconds: float
    problem: str | None

    @property
    def succeeded(self) -> bool:
        """Whether the command exited with 0."""
        return self.ending == "exited" and self.status == 0


def run(
    command: Sequence[str],
    deadline: Deadline,
    *,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    stop: threading.Event | None = None,
    most: int = MAX_OUTPUT,
) -> Result:
    """Run *command* and return how it ended; what goes wrong is in the result, never raised.

    It reads from ``/dev/null``, and runs in a session of its own: it has no terminal to prompt on. When it
    ends, or has to, or this process ends, its whole process group is killed. What has left the group by a
    session of its own lives on: SkyPilot's API server, which ``sky`` starts and which is meant to stay, is
    such a process.

    :param command: the program, looked up on the ``PATH`` of *environ*, and its arguments.
    :param deadline: when it has to be over.
    :param cwd: where it runs; None: here.
    :param environ: its environment; None: ours.
    :param stop: once this is set, the command is killed.
    :param most: the bytes that are kept of each of stdout and stderr.
    """
    started = time.monotonic()
    program = command[0]

    def result(ending: Ending, problem: str) -> Result:
        return Result(program, ending, None, "", "", time.monotonic() - started, problem)

    if stop is not None and stop.is_set():
        return result("stopped", _STOPPED)
    if deadline.remaining <= 0:
        return result("timed out", str(deadline))
    known = our_environment() if environ is None else environ
    found = shutil.which(program, path=known.get("PATH", os.defpath))
    if found is None:
        return result("missing", f"command {program!r} not found on PATH")
    try:
        WATCHER.start()
        process = subprocess.Popen(  # noqa: S603 - no shell; what may stand in a command is its probe's affair
            [found, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            # Never the environment itself, which may change while this thread forks.
            env=dict(known),
            start_new_session=True,
        )
    except OSError as error:
        return result("not started", f"{program} could not be started: {error.strerror or error}")
    except ValueError as error:
        # A NUL byte, or a lone surrogate that no encoding can take, in an argument.
        return result("not started", f"{program} could not be started: {error}")
    watch = _Watch(program, process, deadline, stop, started, most)
    try:
        WATCHER.add(process.pid)
    except OSError as error:
        watch.abandon()
        return result(
            "not started", f"the watcher of {program} could not be started: {error.strerror or error}"
        )
    return watch.result()


_STOPPED = "was stopped, because the session ended"


@dataclass
class _Output:
    most: int
    kept: bytearray = field(default_factory=bytearray)

    def add(self, chunk: bytes) -> None:
        self.kept += chunk[: self.most - len(self.kept)]

    def text(self) -> str:
        return self.kept.decode("utf-8", "replace")


class _Watch:
    """Listens to a running process until it ends, or has to, and buries it."""

    def __init__(
        self,
        program: str,
        process: subprocess.Popen[bytes],
        deadline: Deadline,
        stop: threading.Event | None,
        started: float,
        most: int,
    ) -> None:
        assert process.stdout is not None  # noqa: S101 - both are pipes
        assert process.stderr is not None  # noqa: S101
        self.program = program
        self.process = process
        self.deadline = deadline
        self.stop = stop
        self.started = started
        self.outputs = {process.stdout: _Output(most), process.stderr: _Output(most)}
        self.selector = selectors.DefaultSelector()
        for pipe, output in self.outputs.items():
            os.set_blocking(pipe.fileno(), False)
            self.selector.register(pipe, selectors.EVENT_READ, output)

    def result(self) -> Result:
        try:
            ending = self._listen()
        finally:
            # Before the process is waited for: until then nothing else can have the number of its group.
            self._kill()
            WATCHER.remove(self.process.pid)
            self._drain()
            self._close()
        status = self._bury()
        out, err = self.outputs.values()
        exited = ending == "exited"
        return Result(
            self.program,
            ending,
            status if exited else None,
            out.text(),
            err.text(),
            time.monotonic() - self.started,
            _problem(status) if exited else str(self.deadline) if ending == "timed out" else _STOPPED,
        )

    def abandon(self) -> None:
        """Kill it, whatever it would have said."""
        self._kill()
        self._close()
        self._bury()

    def _listen(self) -> Ending:
        while True:
            if self.stop is not None and self.stop.is_set():
                return "stopped"
            left = self.deadline.remaining
            if left <= 0:
                return "timed out"
            patience = min(max((time.monotonic() - self.started) / 10, _POLL), _LONGEST_POLL)
            self._read(min(left, patience))
            if _has_ended(self.process):
                return "exited"

    def _read(self, patience: float) -> None:
        """Take what comes within *patience* seconds, or at once where there is something."""
        if not self.selector.get_map():
            # It has closed its outputs, and is about to end or not.
            time.sleep(min(patience, 0.005))
            return
        for key, _ in self.selector.select(patience):
            try:
                chunk = os.read(key.fd, 1 << 16)
            except BlockingIOError:
                continue
            if chunk:
                key.data.add(chunk)
            else:
                self.selector.unregister(key.fileobj)

    def _kill(self) -> None:
        # macOS answers EPERM where only a zombie is left of the group.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _drain(self) -> None:
        end = time.monotonic() + _DRAIN
        while self.selector.get_map() and (left := end - time.monotonic()) > 0:
            self._read(left)

    def _close(self) -> None:
        self.selector.close()
        for pipe in self.outputs:
            pipe.close()

    def _bury(self) -> int:
        try:
            return self.process.wait(_BURIAL)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return process.poll() is not None
    # WNOWAIT leaves the process to be waited for, which keeps its number ours.
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _problem(status: int) -> str | None:
    if status == 0:
        return None
    if status > 0:
        return f"exit status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


@dataclass(frozen=True)
class Runner:
    """Runs the commands of one probe: they share its deadline, and end with the session.

    A probe takes it as ``run`` and calls it: ``run(["git", "--version"])``.
    """

    deadline: Deadline
    stop: threading.Event | None = None

    def __call__(
        self, command: Sequence[str], *, cwd: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> Result:
        """Run *command*; see :func:`run`."""
        return run(command, self.deadline, cwd=cwd, environ=environ, stop=self.stop)


_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def plain(text: str) -> str:
    """Return *text* as a terminal would leave it standing: no colours, no overwritten parts of lines."""
    lines = _ESCAPE.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in lines)
