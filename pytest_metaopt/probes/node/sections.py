"""One POSIX sh script that queries a host for several things in one round trip, and the parser of its output.

The script needs ``sh`` and ``base64`` on the host, no Python, and makes no file there. Each thing has a
time limit of its own where the host has ``timeout``; what does not come to an end leaves what was said.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

TIMED_OUT = 124
"""The exit status of ``timeout`` (GNU coreutils, busybox)."""
KILLED = 137
"""And where only SIGKILL stopped it: of what ignores SIGTERM."""
NO_SUCH_COMMAND = 127
"""The exit status of a shell where there is no such command."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PREAMBLE = r"""
LC_ALL=C; export LC_ALL
PATH="${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"; export PATH
limited=
timeout -k 1 5 true >/dev/null 2>&1 && limited=yes
query() {
  printf '\n%s begin %s\n' "$mark" "$1"
  if [ "$2" -eq 0 ]; then (eval "$3") 2>&1
  elif [ -n "$limited" ]; then timeout -k 1 "$2" sh -c "$3" 2>&1
  else sh -c "$3" 2>&1; fi
  printf '\n%s end %s %s\n' "$mark" "$1" "$?"
}
"""


@dataclass(frozen=True)
class Output:
    """What one command on a host said.

    :param text: stdout and stderr, merged.
    :param status: the exit status; None: it did not come to an end; 124 and 137: stopped by its time limit;
        127: there is no such command.
    """

    text: str
    status: int | None

    @property
    def hung(self) -> bool:
        """Whether it did not come to an end by itself."""
        return self.status is None or self.status in {TIMED_OUT, KILLED}

    @property
    def problem(self) -> str | None:
        """Why it is not an answer, as a phrase; None for an exit status of 0."""
        if self.hung:
            return "did not answer in time"
        return None if self.status == 0 else f"exit status {self.status}"


NOT_SAID = Output("", None)
"""What is had of a thing that the host did not come to."""


@dataclass(frozen=True)
class Question:
    """A query to a host.

    :param command: one for ``sh -c`` that changes nothing.
    :param seconds: what it may take; 0: it waits for nothing, and a limit would cost more than it does.
    """

    command: str
    seconds: int


def script(questions: Mapping[str, Question], mark: str) -> str:
    """Return the script that runs *questions*, in their order.

    It is one compound command: a script that was cut on its way does nothing. Lines of their own would run
    up to the cut, and ``>/dev/null`` without its end makes a file.

    :param mark: what no host can guess: it stands in front of what the script itself says.
    :raises ValueError: a question's name is none.
    """
    wrong = [name for name in questions if not _NAME.fullmatch(name)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is not a name for a question")
    queries = "\n".join(
        f"query {name} {question.seconds} {shlex.quote(question.command)}"
        for name, question in questions.items()
    )
    return f"{{{_PREAMBLE}mark={shlex.quote(mark)}\n{queries}\n}} </dev/null\n"


def command(text: str) -> str:
    """Return the shell command that runs the script *text*, whatever the shell: also csh takes it."""
    encoded = base64.b64encode(text.encode()).decode("ascii")
    return f"echo {encoded} | base64 -d | sh"


def read(said: str, mark: str) -> dict[str, Output]:
    """Return what a host *said* to the script with *mark*, by the name of each question that it came to."""
    # Up to the newline: of an answer that was cut there the name or the status may be a part only.
    place = re.compile(
        rf"^{re.escape(mark)} (?:begin ({_NAME.pattern})|end ({_NAME.pattern}) ([0-9]{{1,3}}))\n",
        re.MULTILINE,
    )
    found: dict[str, Output] = {}
    begun: tuple[str, int] | None = None
    for match in place.finditer(said):
        begins, ends, status = match.groups()
        if begins is not None:
            begun = (begins, match.end())
        elif begun is not None and begun[0] == ends:
            # The mark stands on a line of its own, behind an empty one that the script put there.
            found[ends] = Output(said[begun[1] : max(begun[1], match.start() - 1)], int(status))
            begun = None
    if begun is not None:
        found[begun[0]] = Output(said[begun[1] :], None)
    return found
