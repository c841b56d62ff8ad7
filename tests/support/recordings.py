"""Answers of real tools, recorded in ``recorded/``, and a runner that gives them again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from pytest_metaopt.probes.command import Deadline, Result, Runner
from tests.support.paths import RECORDED

_FOLDER = RECORDED / "skypilot"


def recorded(tool: str, version: str) -> dict[str, Result]:
    """Return the answers of a tool by name."""
    reported: dict[str, Any] = json.loads((_FOLDER / f"{tool}-{version}.json").read_text(encoding="ascii"))
    return {name: _result(answer) for name, answer in reported["answers"].items()}


def _result(answer: dict[str, Any]) -> Result:
    status = answer["status"]
    return Result(
        program=answer["command"].split()[0],
        ending="exited",
        status=status,
        stdout=answer["stdout"],
        stderr=answer["stderr"],
        seconds=answer["seconds"],
        problem=f"exit status {status}" if status else None,
    )


def unfinished(ending: str, problem: str, stdout: str = "") -> Result:
    """Return the result of a command that did not exit."""
    return Result("sky", ending, None, stdout, "", 1.0, problem)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Replay(Runner):
    """A runner that runs nothing: it gives each command its answer, and remembers what was queried."""

    deadline: Deadline = field(default_factory=lambda: Deadline.after(60))
    answers: dict[str, Result] = field(default_factory=dict)
    queried: list[str] = field(default_factory=list)

    def __call__(self, command: Any, **keywords: Any) -> Result:
        line = " ".join(command)
        self.queried.append(line)
        return self.answers[line]
