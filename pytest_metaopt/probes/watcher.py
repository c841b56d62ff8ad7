"""The watcher: a small process that ends the commands of ours that outlive us, even after SIGKILL."""

from __future__ import annotations

import atexit
import os
import subprocess
import threading

_SHELL = "/bin/sh"
_SCRIPT = r"""
trap '' HUP INT QUIT TERM
groups=
while read -r sign group; do
  case $sign in
    +) groups="$groups $group" ;;
    -)
      kept=
      for one in $groups; do
        [ "$one" = "$group" ] || kept="$kept $one"
      done
      groups=$kept ;;
  esac
done
for one in $groups; do
  kill -s KILL -- "-$one"
done
"""
"""Reads process groups from a pipe, whose end of file says that the writer has ended."""
_PATIENCE = 2.0
"""Seconds that it is waited for at the end of this process; it then has nothing to do but to exit."""


class Watcher:
    """Kills the process groups that this process leaves behind, however it ends.

    The system closes the pipe to it when this process ends: it needs no handler, which SIGKILL would not run.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._groups: set[int] = set()

    def start(self) -> None:
        """Start it unless it runs, so that nothing comes between the start of a command and :meth:`add`.

        :raises OSError: it could not be started.
        """
        with self._lock:
            if self._owner != os.getpid():  # at first; a fork has no part in its parent's groups
                self._process, self._owner, self._groups = None, os.getpid(), set()
            if self._process is None:
                self._start()

    def add(self, group: int) -> None:
        """Kill this group should this process end before :meth:`remove`.

        :raises OSError: the watcher has been killed, and could not be started again.
        """
        with self._lock:
            self._groups.add(group)
            if not self._tell(f"+ {group}\n"):
                self._start()

    def remove(self, group: int) -> None:
        """Forget a group, while its leader is still to be waited for: until then its number is ours."""
        with self._lock:
            self._groups.discard(group)
            self._tell(f"- {group}\n")

    def close(self) -> None:
        """End the watcher; the groups that are left are killed."""
        with self._lock:
            process, self._process = self._process, None
            if process is None or process.stdin is None or self._owner != os.getpid():
                return
            process.stdin.close()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _tell(self, line: str) -> bool:
        """Tell a watcher that is there; one that somebody has killed is buried."""
        if self._process is None or self._process.stdin is None:
            return False
        try:
            self._process.stdin.write(line.encode())
        except BrokenPipeError:
            self._process.stdin.close()
            self._process.wait()
            self._process = None
            return False
        return True

    def _start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - a constant script
            [_SHELL, "-c", _SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": os.defpath},
            start_new_session=True,
            bufsize=0,
        )
        self._tell("".join(f"+ {one}\n" for one in sorted(self._groups)))


WATCHER = Watcher()
"""That of this process; it is started with the first command."""
atexit.register(WATCHER.close)
