"""Vast: whether it takes the key that SkyPilot would use. SkyPilot only looks whether the file is there.

Measured with vastai 1.9.1, which ``skypilot[vast]`` 0.14.1 installs, against a local server:

- ``vastai show user --raw`` requests ``/api/v0/users/current`` and prints the account as JSON.
- Where the server says no, it exits with 0 all the same, and says ``{"error": true, "status_code": 401,
  "msg": "Invalid user key"}`` on stderr; where no server answers, with a traceback and 1.
- ``VAST_API_KEY`` comes before the key file there. SkyPilot's check looks at the file only, so it is the key
  in the file that is read.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from ...core.environment import our_environment
from ...core.redaction import safe
from ...core.text import one_line
from ..command import Result, Runner, plain
from ..pool import probe

_PROGRAM = "vastai"
_LONGEST = 200
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


@dataclass(frozen=True)
class VastAccount:
    """Whether Vast takes the key.

    :param accepted: it does; False: it refuses it; None: it did not say.
    :param problem: why it is not accepted, as a phrase.
    """

    accepted: bool | None
    problem: str | None = None


@probe("vast_account")
def vast_account(run: Runner) -> VastAccount:
    """Whether Vast takes the key that SkyPilot would use."""
    environ = {name: value for name, value in our_environment().items() if name != "VAST_API_KEY"}
    environ["VASTAI_NO_UPDATE_CHECK"] = "1"
    result = run([_program(), "show", "user", "--raw"], environ=environ)
    if result.ending != "exited":
        return VastAccount(None, result.problem)
    answer = _json(result.stdout) or _json(result.stderr)
    if answer is None:
        return VastAccount(None, _complaint(result))
    if not answer.get("error") and "id" in answer:
        return VastAccount(True)
    status, message = answer.get("status_code"), _short(str(answer.get("msg", "")))
    problem = f"Vast answered with status {status}: {message}" if status else f"Vast answered: {message}"
    return VastAccount(False if status in _REFUSED else None, problem)


def _program() -> str:
    """Return the command, which may be installed beside ``sky`` and not be on PATH itself."""
    sky = shutil.which("sky")
    if shutil.which(_PROGRAM) is None and sky is not None:
        beside = Path(os.path.realpath(sky)).with_name(_PROGRAM)
        if beside.exists():
            return str(beside)
    return _PROGRAM


def _json(stdout: str) -> Mapping[str, object] | None:
    text = plain(stdout)
    start = re.search(r"^\{", text, re.MULTILINE)
    if start is None:
        return None
    try:
        answer, _ = json.JSONDecoder().raw_decode(text[start.start() :])
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _complaint(result: Result) -> str:
    last = plain(result.stderr).strip().rpartition("\n")[2] or plain(result.stdout)
    return f"'vastai show user' printed no user ({result.problem or 'exit status 0'}): {_short(last)}"


def _short(text: str) -> str:
    line = one_line(safe(text))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
