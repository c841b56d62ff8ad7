"""The jobs and hosts of a training manifest, with what counts where they say nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import ValidationError

from ..core.document import KeyPath, dotted
from ..core.problem import Problem
from ..core.text import printable, shortened
from .identity import NotJsonError, job_id
from .manifest_model import Defaults, HostTable, JobTable
from .schema import Block, problems_of

_SHOWN_CHARACTERS = 60
_LONGEST_LABEL = 100
_IDENTITY = ("model", "mode", "hyper", "split_recipe", "train_hosts", "seed")


@dataclass(frozen=True, slots=True)
class Host:
    """A host of the fleet, and its policy."""

    name: str
    description: str
    priority: int
    allow_jobs: tuple[str, ...]
    deny_jobs: tuple[str, ...]

    def may_run(self, model: str) -> bool:
        """Return whether the host's policy lets it run *model*."""
        return model not in self.deny_jobs and (not self.allow_jobs or model in self.allow_jobs)


@dataclass(frozen=True, slots=True)
class Job:
    """A job, with what counts where it says nothing.

    :param index: its place among the jobs, from 0.
    :param label: its name for node ids: safe to print, not too long, and no other job has the same.
    :param job_id: its id in the fleet; None where a field that it is made of is wrong.
    :param problems: everything that is wrong with it.
    :param wrong: the names of the fields that are wrong, here or in ``[defaults]``; what stands for such a
        field here is the default.
    """

    index: int
    label: str
    name: str
    model: str
    mode: str
    split_recipe: str
    priority: int
    require_cuda: bool
    prefer_cuda: bool
    min_vram_gib: float
    min_ram_gib: float
    min_cores: int
    allowed_hosts: tuple[str, ...]
    denied_hosts: tuple[str, ...]
    hyper: Mapping[str, Any]
    train_hosts: tuple[str, ...]
    seed: int
    n_resamples: int
    job_id: str | None
    problems: tuple[Problem, ...]
    wrong: frozenset[str]

    @property
    def keys(self) -> KeyPath:
        """What leads to it in the document."""
        return ("jobs", self.index)

    @property
    def shown(self) -> str:
        """The job as messages name it: its index, and its name where it has one."""
        return _shown(self.index, self.name)

    def may_run_on(self, host: Host) -> bool:
        """Return whether the job's lists and the host's policy let it run there."""
        return self.may_be_handed_to(host.name) and host.may_run(self.model)

    def may_be_handed_to(self, name: str) -> bool:
        """Return whether the job's own lists let it run on the host called *name*."""
        return name not in self.denied_hosts and (not self.allowed_hosts or name in self.allowed_hosts)


def hosts_of(tables: object) -> Iterator[tuple[str, Host]]:
    """Yield the hosts by their names; one whose policy is wrong is left out."""
    if not isinstance(tables, Mapping):
        return
    for name, table in tables.items():
        if isinstance(table, Mapping):
            values, problems = validated_table(HostTable, table)
            if not {"allow_jobs", "deny_jobs"} & wrong_fields(problems):
                yield name, Host(name=name, **values)


def jobs_of(tables: Sequence[Any], defaults: Mapping[str, Any]) -> Iterator[Job]:
    """Yield the jobs; what is not a table is left out.

    :param defaults: what counts for each job that does not say otherwise.
    """
    shared, problems = validated_table(Defaults, defaults)
    wrong_defaults = wrong_fields(problems)
    labels = _Labels(tables)
    for index, table in enumerate(tables):
        if not isinstance(table, Mapping):
            continue
        values, mistakes = validated_table(JobTable, table)
        wrong = wrong_fields(mistakes) | (wrong_defaults - table.keys() if wrong_defaults else set())
        values.update((field, value) for field, value in shared.items() if field not in table)
        name = values["name"]
        shown = _shown(index, name)
        found = [
            Problem(("jobs", index, *problem.keys), f"{shown}: {problem.message}", problem.unknown)
            for problem in mistakes
        ]
        known_as, more = _identity(index, name, values, wrong)
        wrong.update(problem.keys[2] for problem in more)
        yield Job(
            index=index,
            label=labels.label(index, name),
            **values,
            job_id=known_as,
            problems=(*found, *more),
            wrong=frozenset(wrong),
        )


def validated_table(model: type[Block], table: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Return a table's values by field, and what is wrong with it; what is wrong has the default.

    A text that is required and wrong or missing is empty.
    """
    try:
        return dict(model.model_validate(dict(table)).__dict__), []
    except ValidationError as error:
        problems = problems_of(error)
    wrong = wrong_fields(problems)
    given = {key: value for key, value in table.items() if key in model.model_fields and key not in wrong}
    return {**_defaults(model), **given}, problems


def table_problems(model: type[Block], table: Mapping[str, Any], keys: KeyPath) -> list[Problem]:
    """Return what is wrong with a table that stands at *keys* of its document."""
    try:
        model.model_validate(dict(table))
    except ValidationError as error:
        return problems_of(error, keys)
    return []


@cache
def _defaults(model: type[Block]) -> Mapping[str, Any]:
    required = {name: "" for name, field in model.model_fields.items() if field.is_required()}
    return {**required, **model.model_construct().__dict__}


def wrong_fields(problems: Sequence[Problem]) -> set[str]:
    """Return the fields that *problems* of a table are about."""
    return {problem.keys[0] for problem in problems if not problem.unknown}


def _shown(index: int, name: str) -> str:
    if not name:
        return f"jobs[{index}]"
    text = printable(name[:_LONGEST_LABEL]).replace("\n", "\\n")
    return f"jobs[{index}] ({shortened(text, _SHOWN_CHARACTERS)})"


def _identity(
    index: int, name: str, values: Mapping[str, Any], wrong: set[str]
) -> tuple[str | None, tuple[Problem, ...]]:
    """Return the job's id, or None and what keeps it from having one beside what is *wrong*."""
    try:
        found = job_id(**{field: values[field] for field in _IDENTITY})
    except NotJsonError as error:
        message = f"{_shown(index, name)}: {dotted(error.keys)} {error.problem}"
        return None, (Problem(("jobs", index, *error.keys), message),)
    return (found if not wrong or wrong.isdisjoint(_IDENTITY) else None), ()


class _Labels:
    """Gives each job a name for its node ids that no other job has."""

    def __init__(self, tables: Sequence[Any]) -> None:
        self.names = {
            self._plain(table["name"])
            for table in tables
            if isinstance(table, Mapping) and isinstance(table.get("name"), str)
        }
        self.taken: set[str] = set()
        self.last: dict[str, int] = {}

    @staticmethod
    def _plain(name: str) -> str:
        return printable(name[:_LONGEST_LABEL]).replace("\n", "\\n")

    def label(self, index: int, name: str) -> str:
        expected = self._plain(name) or f"#{index}"
        label = expected
        if label in self.taken or (not name and label in self.names):
            number = self.last.get(expected, 1) + 1
            while f"{expected}-{number}" in self.names or f"{expected}-{number}" in self.taken:
                number += 1
            self.last[expected] = number
            label = f"{expected}-{number}"
        self.taken.add(label)
        return label
