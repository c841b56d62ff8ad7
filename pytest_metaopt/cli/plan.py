"""``metaopt-preflight plan``: what would be launched of a run config, and nothing of it is."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..core.document import DocumentError, dotted, thawed
from ..core.override import Override
from ..core.redaction import safe
from ..core.text import one_line, some, wrapped
from ..documents.overrides import parse_override, with_overrides
from ..documents.run_config import RunConfig, load_run_config
from ..documents.run_config_model import ACCELERATORS
from .exit_status import FAILED

_MOST_NAMED = 8


@dataclass(frozen=True)
class LaunchFile:
    """A file that the run would find.

    :param size: its length in bytes.
    :param summary: what is in it, without a value that may be secret.
    """

    name: str
    size: int
    summary: str


def launch_files(config: RunConfig) -> list[LaunchFile]:
    """Return the files that a launch would make, those that the run config has nothing for left out."""
    data = thawed(config.data)
    command = data["command"]
    # Without overrides it is the file itself that rides along.
    whole = len(_yaml(data)) if config.changes else config.path.stat().st_size
    summary = f"{config.path.name}, with {_some(config.changes, 'override')}" if config.changes else ""
    files = [
        LaunchFile("training_config.yaml", whole, summary or config.path.name),
        LaunchFile("command.sh", len(command.encode()), _some(command.splitlines(), "line")),
    ]
    if data.get("parameters"):
        files.append(
            LaunchFile("hyperparameters.yaml", len(_yaml(data["parameters"])), _names(data["parameters"]))
        )
    if data.get("env_variables"):
        files.append(
            LaunchFile("env_vars.json", len(_json(data["env_variables"])), _names(data["env_variables"]))
        )
    if data.get("secrets"):
        references = [f"{name} from {reference}" for name, reference in data["secrets"].items()]
        files.append(LaunchFile("secret_env_vars.json", len(_json(data["secrets"])), _shortened(references)))
    return files


def _yaml(value: object) -> bytes:
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True)).encode("utf-8", "replace")


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2).encode()


def _some(things: Any, word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


def _names(block: Mapping[Any, Any]) -> str:
    return _shortened([dotted((name,)) for name in block])


def _shortened(names: list[str]) -> str:
    return some([one_line(safe(name)) for name in names], _MOST_NAMED)


def nodes(config: RunConfig) -> int:
    """Return how many nodes a run takes."""
    model = config.model
    if model is None:
        raise ValueError("the run config is invalid")
    return model.compute.num_accelerators // ACCELERATORS[model.compute.accelerator_type]


def page(config: RunConfig, width: int) -> Iterator[str]:
    """Yield the lines of the plan of a run config that nothing is wrong with."""
    model = config.model
    if model is None:
        raise ValueError("the run config is invalid")
    files = launch_files(config)
    name_width = max(len(file.name) for file in files)
    size_width = max(len("bytes"), *(len(f"{file.size:,}") for file in files))
    yield f"{'file'.ljust(name_width)}  {'bytes'.rjust(size_width)}  what is in it"
    for file in files:
        head = f"{file.name.ljust(name_width)}  {f'{file.size:,}'.rjust(size_width)}  "
        yield from wrapped(file.summary, width=max(width, 60), first=head, rest=" " * len(head)).splitlines()
    yield ""
    compute = model.compute
    count = ACCELERATORS[compute.accelerator_type]
    minutes = model.timeout_minutes
    yield f"experiment: {model.experiment_name}"
    yield (
        f"nodes:      {nodes(config)} (num_accelerators {compute.num_accelerators},"
        f" {count} per node of {compute.accelerator_type})"
    )
    yield f"timeout:    {f'{minutes * 60} s' if minutes is not None else 'none given'}"
    yield f"retries:    {model.max_retries}"
    for change in config.changes:
        yield f"override:   {change}"


def run(arguments: list[str]) -> int:
    """Print what would be launched of a run config."""

    def override(text: str) -> Override:
        try:
            return parse_override(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    parser = argparse.ArgumentParser(
        prog="metaopt-preflight plan",
        description="Launch nothing; print the files of a launch, their sizes, nodes, timeout, retries.",
        epilog="Exit status: 0; 1 if the run config is invalid; 2 if it cannot be read.",
    )
    parser.add_argument("run_config", metavar="FILE", help="the run config (YAML)")
    parser.add_argument(
        "--override",
        metavar="KEY=VALUE",
        type=override,
        action="append",
        default=[],
        help="override a value, such as compute.num_accelerators=2 (repeatable)",
    )
    given = parser.parse_args(arguments)
    config = load_run_config(Path(given.run_config).absolute())
    config = with_overrides(config, given.override) if given.override else config
    if config.problems:
        for problem in config.problems:
            refusal = DocumentError(given.run_config, problem.message, position=config.position(problem.keys))
            sys.stderr.write(f"ERROR: {refusal}\n")
        return FAILED
    for line in page(config, shutil.get_terminal_size().columns):
        print(line)
    return 0
