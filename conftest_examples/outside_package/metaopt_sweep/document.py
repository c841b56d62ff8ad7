"""The kind of document: a YAML file with the trials of a sweep and the directory for their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_metaopt.core.document import Document, Position
from pytest_metaopt.documents.kinds import Kind, Subject
from pytest_metaopt.documents.sources.yaml import read_yaml_mapping


@dataclass(frozen=True)
class Trial:
    """A trial, and where it stands in the file."""

    name: str
    learning_rate: object
    position: Position | None


@dataclass(frozen=True, eq=False)
class Sweep(Document):
    """A parsed sweep."""

    @property
    def results(self) -> Path:
        """The directory for results."""
        return self.path.parent / str(self.get("results", "results"))

    @property
    def trials(self) -> Sequence[Trial]:
        """The trials, by name."""
        trials = self.get("trials")
        return [
            Trial(str(name), rate, self.position(("trials", name)))
            for name, rate in (trials.items() if isinstance(trials, Mapping) else ())
        ]


def load(path: Path) -> Sweep:
    """Read the sweep at *path*."""
    tree = read_yaml_mapping(path, "sweep")
    return Sweep(path, tree.value, tree.positions, duplicates=tree.duplicates)


def trials(sweep: Sweep) -> Sequence[Subject]:
    """Return the trials as subjects, each of which has items of its own."""
    return [Subject(trial.name, trial) for trial in sweep.trials]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema that ``metaopt-preflight schema sweep`` prints."""
    rates = {"type": "object", "additionalProperties": {"type": "number"}}
    return {"type": "object", "properties": {"results": {"type": "string"}, "trials": rates}}


KIND = Kind(
    name="sweep",
    suffixes=(".yaml",),
    load=load,
    recognises=lambda path, head: "sweep" in path.stem,
    json_schema=json_schema,
    help="Run the checks of this sweep (repeatable).",
    subjects={"trial": trials},
    check_modules=("metaopt_sweep.checks",),
    probe_modules=("metaopt_sweep.probes",),
    bootstrap_modules=("metaopt_sweep.bootstraps",),
)
