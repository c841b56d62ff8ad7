"""The training code itself: which models it knows, and what its trainer's argument parser takes.

It is imported in a process of its own, with a time limit: an import may take minutes, crash, print or never
end. The process has our interpreter, our ``sys.path`` and the project root ahead of it.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.environment import our_environment
from ...core.redaction import redact
from ...core.text import described, did_you_mean, one_line, printable, shortened
from ...documents.manifest import KNOWN_MODELS, Manifest
from ..command import Result, Runner, plain
from ..pool import probe

if TYPE_CHECKING:
    from ...core.settings import Settings

_NAMED = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")
_LONGEST_ANSWER = 64 << 20
_LONGEST_MESSAGE = 300
_OPTION_LINE = re.compile(r"^ {1,12}(-\S.*?)(?: {2,}|$)")
_OPTION = re.compile(r"^--(?P<name>[A-Za-z0-9][\w.-]*)(?:[ =](?P<value>.+))?$")
_CHOICES = re.compile(r"^(?:\{(?P<braces>[^{}]+)\}|\[(?P<brackets>[^\[\]]*\|[^\[\]]*)\])")
_NUMBERS = {"INTEGER": "an integer", "INT": "an integer", "FLOAT": "a number"}


@dataclass(frozen=True)
class Models:
    """The models that there are.

    :param source: who says so, for messages.
    :param names: their names.
    :param remediation: what to do about a model that is not one of them.
    :param problem: why the training code could not be queried; None where it could, or was not to be.
    """

    source: str
    names: tuple[str, ...] = ()
    remediation: str | None = None
    problem: str | None = None

    def meant(self, name: str) -> str:
        """Return the question whether another model was meant, or an empty string."""
        return _meant(name, self.names)


@dataclass(frozen=True)
class Trainer:
    """What the trainer says of the hyper values of a manifest.

    :param source: who says so, for messages.
    :param names: the options that it knows.
    :param unknown: the keys that it does not.
    :param refused: the end of a sentence for each key and value (as JSON) that it does not take.
    :param problem: why it could not be queried; None where it could.
    """

    source: str
    names: tuple[str, ...] = ()
    unknown: frozenset[str] = frozenset()
    refused: Mapping[tuple[str, str], str] = field(default_factory=dict)
    problem: str | None = None

    def refusal(self, key: str, value: Any) -> str | None:
        """Say what is wrong with the hyper *key* and its *value*, as the end of a sentence; None: nothing."""
        if key in self.unknown:
            return f"is unknown to {self.source}{_meant(key, self.names)}"
        return self.refused.get((key, as_json(value)))


@lru_cache(maxsize=4096)
def _meant(name: str, names: tuple[str, ...]) -> str:
    # Thousands of jobs may have one and the same mistake.
    return did_you_mean(name, names)


def as_json(value: Any) -> str:
    """Return *value* as JSON, the same for the same value."""
    return json.dumps(value, sort_keys=True, default=dict)


def named_object(text: str) -> tuple[str, str] | None:
    """Return ``package.module:NAME`` as module and name; None where *text* is not of that form."""
    found = _NAMED.fullmatch(text.strip())
    return (found["module"], found["name"]) if found else None


@probe("known_models")
def known_models(settings: Settings, code_root: Path, run: Runner) -> Models:
    """The models that there are: by the registry, else by the ini file, else by the contract."""
    if settings.model_registry:
        return query_registry(settings.model_registry, code_root, run)
    if settings.models:
        return Models(
            "the ini key metaopt_models",
            settings.models,
            "Correct the model's name, or add it to metaopt_models.",
        )
    return Models(
        "the plugin's own list of models",
        KNOWN_MODELS,
        "Correct the model's name, or name the training code's own list in metaopt_model_registry.",
    )


@probe("trainer")
def trainer(manifest: Manifest, settings: Settings, code_root: Path, run: Runner) -> Trainer:
    """What the trainer says of the hyper values of the manifest."""
    values: dict[str, dict[str, object]] = {}
    for job in manifest.jobs:
        if "hyper" not in job.wrong:
            for key, value in job.hyper.items():
                values.setdefault(key, {}).setdefault(as_json(value), value)
    distinct = {key: list(given.values()) for key, given in values.items()}
    return query_trainer(settings.trainer, distinct, code_root, run)


def query_registry(where: str, root: Path, run: Runner) -> Models:
    """Return the models of the registry at *where*, ``package.module:NAME``."""
    named = named_object(where)
    if named is None:
        return Models(where, problem="is not of the form package.module:NAME")
    answer = _query({"query": "models", "module": named[0], "name": named[1]}, root, run)
    if "problem" in answer:
        return Models(where, problem=answer["problem"])
    return Models(
        f"the registry {where}",
        tuple(dict.fromkeys(answer["models"])),
        f"Correct the model's name, or bring the training code up to date: add it to {where}.",
    )


def query_trainer(where: str, values: Mapping[str, Sequence[Any]], root: Path, run: Runner) -> Trainer:
    """Return what the trainer at *where* says of *values*.

    :param where: ``package.module:build_parser``, or the path of a script that knows ``--help``.
    :param values: what the manifest gives each key.
    """
    named = named_object(where)
    if named is None:
        return _query_script(where, values, root, run)
    request = {"query": "trainer", "module": named[0], "name": named[1], "values": values}
    answer = _query(request, root, run)
    if "problem" in answer:
        return Trainer(where, problem=answer["problem"])
    return Trainer(
        where,
        tuple(answer["names"]),
        frozenset(answer["unknown"]),
        {(key, value): redact(printable(problem)) for key, value, problem in answer["refused"]},
    )


def _query(request: Mapping[str, Any], root: Path, run: Runner) -> dict[str, Any]:
    """Return the answer of ``child.py``; where there is none, its ``problem`` says why."""
    with tempfile.TemporaryDirectory(prefix="pytest-metaopt-import-", ignore_cleanup_errors=True) as folder:
        (Path(folder) / "request.json").write_text(json.dumps(request, default=dict), encoding="utf-8")
        done = run(
            [sys.executable, "-m", "pytest_metaopt.probes.local.child", folder],
            cwd=root,
            environ=_environ(root),
        )
        try:
            with (Path(folder) / "answer.json").open("rb") as file:
                answer: dict[str, Any] = json.loads(file.read(_LONGEST_ANSWER))
        except (OSError, ValueError):
            return {"problem": _problem(done)}
    if "problem" in answer:
        answer["problem"] = _short(answer["problem"])
    return answer


def _environ(root: Path) -> dict[str, str]:
    ours = [entry for entry in sys.path if entry]
    return {
        **our_environment(),
        "PYTHONPATH": os.pathsep.join([str(root), *ours]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "500",
    }


def _problem(done: Result) -> str:
    if done.ending != "exited":
        return _short(f"its import {done.problem}")
    message = f"its import ended with no answer ({done.problem or 'exit status 0'})"
    last = plain(done.stderr).strip().splitlines()[-1:]
    return _short(f"{message}: {last[0]}" if last else message)


def _short(text: str) -> str:
    return shortened(redact(one_line(printable(text))), _LONGEST_MESSAGE)


@dataclass(frozen=True)
class _HelpOption:
    """What ``--help`` says of an option."""

    flag: bool
    number: str | None
    choices: tuple[str, ...]

    def refusal(self, value: Any) -> str | None:
        """Return why it would not take *value*, as far as the help text says."""
        if self.flag:
            return (
                None if isinstance(value, bool) else "is not a boolean; it is a flag: expected true or false"
            )
        if isinstance(value, Mapping):
            return "is a table, which no option takes"
        problems = (
            self._refusal_of_one(item) for item in (value if isinstance(value, tuple | list) else [value])
        )
        return next((refusal for refusal in problems if refusal is not None), None)

    def _refusal_of_one(self, value: Any) -> str | None:
        if isinstance(value, Mapping | tuple | list):
            return f"has {described(value)} in it, which no option takes"
        word = str(value).lower() if isinstance(value, bool) else str(value)
        if self.choices and word not in self.choices:
            return f"is neither {' nor '.join(self.choices)}{did_you_mean(word, self.choices)}"
        if self.number is None:
            return None
        try:
            int(word) if self.number == "an integer" else float(word)
        except ValueError:
            return f"is not {self.number}"
        return None


def _query_script(where: str, values: Mapping[str, Sequence[Any]], root: Path, run: Runner) -> Trainer:
    script = root / where
    if not script.is_file():
        return Trainer(where, problem=f"file {script.name!r} not found in {script.parent.name or '/'}/")
    program = [sys.executable] if script.suffix == ".py" else []
    done = run([*program, str(script), "--help"], cwd=root, environ=_environ(root))
    if not done.succeeded:
        last = plain(done.stderr).strip().splitlines()[-1:]
        return Trainer(where, problem=_short(f"--help: {done.problem}{f': {last[0]}' if last else ''}"))
    options = options_of_help(plain(done.stdout))
    if not options:
        return Trainer(where, problem="--help names no options")
    unknown = [key for key in values if key.replace("-", "_") not in options]
    refused = {
        (key, as_json(value)): problem
        for key, given in values.items()
        if key not in unknown
        for value in given
        if (problem := options[key.replace("-", "_")].refusal(value)) is not None
    }
    return Trainer(where, tuple(options), frozenset(unknown), refused)


def options_of_help(text: str) -> dict[str, _HelpOption]:
    """Return the long options of a ``--help`` text, by name, as argparse and click write them."""
    found: dict[str, _HelpOption] = {}
    for line in text.splitlines():
        option_line = _OPTION_LINE.match(line)
        if option_line is None:
            continue
        parts = [part.strip() for part in re.split(r",(?![^{\[]*[}\]])|\s/\s", option_line[1])]
        options = [match for part in parts if (match := _OPTION.match(part))]
        value = next((option["value"] for option in options if option["value"]), None)
        for option in options:
            found.setdefault(option["name"].replace("-", "_"), _help_option(value))
    found.pop("help", None)
    return found


def _help_option(value: str | None) -> _HelpOption:
    choices = _CHOICES.match(value or "")
    words: Iterable[str] = ()
    if choices is not None:
        words = choices["braces"].split(",") if choices["braces"] else choices["brackets"].split("|")
    return _HelpOption(
        flag=value is None, number=_NUMBERS.get((value or "").split(" ")[0]), choices=tuple(words)
    )
