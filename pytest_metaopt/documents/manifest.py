"""The training manifest: the TOML file that declares a fleet, hosts with a policy and jobs with needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..core.document import Document, DocumentError, KeyPath, dotted
from ..core.problem import Problem
from ..core.text import described, printable, shortened
from .identity import NotJsonError, job_id
from .shapes import (
    DIALECT,
    AnyText,
    Choice,
    Field,
    Flag,
    FreeTable,
    Integer,
    Number,
    Table,
    TextList,
    Words,
)
from .sources.toml import read_toml

FILE_NAME = "training_manifest.toml"
KNOWN_MODELS = ("gbt", "knn", "knn_semi", "mlp", "cnn", "gru", "lstm", "transformer", "transformer_ssl")
"""The models of the manifest's contract, for where the training code itself is not asked."""
MAX_JOBS = 50_000
"""Most jobs that a manifest may have."""

_MOST_GIB = 1_000_000
_MOST_CORES = 1_000_000
_SHOWN_CHARACTERS = 60
_LONGEST_LABEL = 100

_SHARED = (
    Field("split_recipe", Choice(("host", "sample", "time")), "How the data is split.", False, "host"),
    Field(
        "train_hosts",
        TextList(),
        "The hosts whose data is trained on; part of the job's identity.",
        False,
        ("elliott-thinkpad",),
    ),
    Field("seed", Integer(), "The seed; part of the job's identity.", False, 0),
    Field("n_resamples", Integer(least=0), "How many resamples are drawn.", False, 1000),
    Field("min_ram_gib", Number(least=0, most=_MOST_GIB), "RAM that the job needs, in GiB.", False, 4.0),
    Field("min_cores", Integer(0, _MOST_CORES), "CPU cores that the job needs.", False, 1),
)
"""What ``[defaults]`` may give for all jobs."""

DEFAULTS = Table("What counts for each job that does not say otherwise.", _SHARED)
HOST = Table(
    "A host of the fleet, and which models it may run.",
    (
        Field("description", AnyText(), "For people.", False, ""),
        Field("priority", Integer(), "For scheduling only.", False, 0),
        Field("allow_jobs", TextList(), "If not empty, the host runs these models only.", False, ()),
        Field("deny_jobs", TextList(), "Models that the host does not run.", False, ()),
    ),
)
JOB = Table(
    "A training job.",
    (
        Field("name", Words(), "What people call the job."),
        Field("model", Words(), "The model, by its name in the training code's registry."),
        Field("mode", Choice(("realistic", "oracle")), "How it is trained.", False, "realistic"),
        Field("priority", Integer(), "For scheduling only.", False, 0),
        Field("require_cuda", Flag(), "Whether the job runs on hosts with CUDA only.", False, False),
        Field("prefer_cuda", Flag(), "For scheduling only.", False, False),
        Field(
            "min_vram_gib", Number(least=0, most=_MOST_GIB), "GPU memory that it needs, in GiB.", False, 0.0
        ),
        Field("allowed_hosts", TextList(), "If not empty, only these hosts run it.", False, ()),
        Field("denied_hosts", TextList(), "Hosts that do not run it.", False, ()),
        Field("hyper", FreeTable(), "What the trainer is told; part of the job's identity.", False, {}),
        *_SHARED,
    ),
)
TOP = Table(
    "What a training fleet is told (pytest-metaopt).",
    (
        Field("schema_version", Integer(1, 1), "The version of the manifest's format."),
        Field("name", Words(), "What people call the fleet.", False, "training-fleet"),
        Field("defaults", FreeTable(), DEFAULTS.description, False),
        Field("hosts", FreeTable(), "The hosts of the fleet, by name.", False),
    ),
)
"""What stands outside of ``[[jobs]]``, which :func:`jobs_problems` looks at."""

_JOBS = Field("jobs", FreeTable(), "The jobs: at least one.")
_WHOLE = Table(TOP.description, (*TOP.fields, _JOBS))
_IDENTITY = ("model", "mode", "hyper", "split_recipe", "train_hosts", "seed")
_HINT = re.compile(r"^\s*\[\[\s*jobs\s*\]\]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Host:
    """A host of the fleet, and its policy."""

    name: str
    description: str
    priority: int
    allow_jobs: tuple[str, ...]
    deny_jobs: tuple[str, ...]

    def may_run(self, model: str) -> bool:
        """Tell whether the host's policy lets it run *model*."""
        return model not in self.deny_jobs and (not self.allow_jobs or model in self.allow_jobs)


@dataclass(frozen=True, slots=True)
class Job:
    """A job, with what counts where it says nothing.

    :param index: its place among the jobs, from 0.
    :param label: its name for node ids: safe to print, not too long, and no other job has the same.
    :param job_id: what the fleet knows it by; None where a field that it is made of is wrong.
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
        """Tell whether the job's lists and the host's policy let it run there."""
        return self.may_be_handed_to(host.name) and host.may_run(self.model)

    def may_be_handed_to(self, name: str) -> bool:
        """Tell whether the job's own lists let it run on the host called *name*."""
        return name not in self.denied_hosts and (not self.allowed_hosts or name in self.allowed_hosts)


@dataclass(frozen=True, eq=False)
class Manifest(Document):
    """A parsed training manifest.

    :param name: what people call the fleet.
    :param hosts: the hosts, by name; one that is no table, or whose policy can't be made out, is left out.
    :param jobs: the jobs; what is no table is left out.
    """

    name: str
    hosts: Mapping[str, Host]
    jobs: tuple[Job, ...]

    @cached_property
    def by_id(self) -> Mapping[str, tuple[Job, ...]]:
        """The jobs of each id."""
        return _grouped(self.jobs, "job_id")

    @cached_property
    def by_name(self) -> Mapping[str, tuple[Job, ...]]:
        """The jobs of each name."""
        return _grouped(self.jobs, "name")

    @property
    def unclear_hosts(self) -> frozenset[str]:
        """The names of the hosts that ``hosts`` leaves out."""
        found = self.data.get("hosts")
        return frozenset(found) - frozenset(self.hosts) if isinstance(found, Mapping) else frozenset()

    def eligible(self, job: Job) -> list[Host]:
        """Return the hosts of the manifest that may run *job*."""
        return [host for host in self.hosts.values() if job.may_run_on(host)]


def _grouped(jobs: Sequence[Job], by: str) -> Mapping[str, tuple[Job, ...]]:
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(getattr(job, by) or "", []).append(job)
    found.pop("", None)
    return MappingProxyType({key: tuple(group) for key, group in found.items()})


def load_manifest(path: Path) -> Manifest:
    """Read the training manifest *path*; what is wrong in it is told by its checks.

    :raises DocumentError: it can't be read, is no TOML, or is larger or deeper than a manifest may be.
    """
    tree = read_toml(path, "training manifest")
    found = tree.value.get("jobs")
    tables = found if isinstance(found, tuple) else ()
    if len(tables) > MAX_JOBS:
        raise DocumentError(path, f"has more than {MAX_JOBS} jobs; split it")
    given = tree.value.get("defaults")
    defaults = given if isinstance(given, Mapping) else {}
    name = tree.value.get("name")
    return Manifest(
        path=path,
        data=tree.value,
        positions=tree.positions,
        name=name if isinstance(name, str) else "training-fleet",
        hosts=MappingProxyType(dict(_hosts(tree.value.get("hosts")))),
        jobs=tuple(_jobs(tables, defaults)),
    )


def _hosts(tables: object) -> Iterator[tuple[str, Host]]:
    if not isinstance(tables, Mapping):
        return
    for name, table in tables.items():
        if isinstance(table, Mapping):
            values, wrong = _values(HOST, table)
            if not wrong & {"allow_jobs", "deny_jobs"}:
                yield name, Host(name=name, **values)


def _values(table: Table, *blocks: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return what counts for each field, the first of *blocks* that has it first, and which are wrong."""
    values = {}
    wrong = set()
    for field in table.fields:
        value = field.default
        for block in blocks:
            if field.name in block:
                value = block[field.name]
                if not field.shape.accepts(value):
                    value = field.default
                    wrong.add(field.name)
                break
        else:
            if field.required:
                wrong.add(field.name)
        values[field.name] = value
    return values, wrong


def _jobs(tables: Sequence[Any], defaults: Mapping[str, Any]) -> Iterator[Job]:
    shared = {field.name: defaults[field.name] for field in _SHARED if field.name in defaults}
    labels = _Labels(tables)
    for index, table in enumerate(tables):
        if not isinstance(table, Mapping):
            continue
        values, wrong = _values(JOB, table, shared)
        name = values["name"] or ""
        model = values["model"] or ""
        problems = _problems(index, name, table) if wrong or not JOB_KEYS.issuperset(table) else ()
        known_as, more = _identity(index, name, {**values, "model": model}, wrong)
        wrong.update(problem.keys[2] for problem in more)
        yield Job(
            index=index,
            label=labels.label(index, name),
            **{**values, "name": name, "model": model},
            job_id=known_as,
            problems=(*problems, *more),
            wrong=frozenset(wrong),
        )


JOB_KEYS = frozenset(field.name for field in JOB.fields)


def _shown(index: int, name: str) -> str:
    if not name:
        return f"jobs[{index}]"
    text = printable(name[:_LONGEST_LABEL]).replace("\n", "\\n")
    return f"jobs[{index}] ({shortened(text, _SHOWN_CHARACTERS)})"


def _problems(index: int, name: str, table: Mapping[str, Any]) -> tuple[Problem, ...]:
    return tuple(JOB.problems(table, ("jobs", index), f"{_shown(index, name)}: "))


def _identity(
    index: int, name: str, values: Mapping[str, Any], wrong: set[str]
) -> tuple[str | None, tuple[Problem, ...]]:
    """Return the job's id, or None and what keeps it from having one beside what is *wrong*."""
    try:
        found = job_id(**{field: values[field] for field in _IDENTITY})
    except NotJsonError as error:
        told = f"{_shown(index, name)}: {dotted(error.keys)} {error.problem}"
        return None, (Problem(("jobs", index, *error.keys), told),)
    return (found if not wrong or wrong.isdisjoint(_IDENTITY) else None), ()


class _Labels:
    """Gives each job a name for its node ids that no other has."""

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
        wanted = self._plain(name) or f"#{index}"
        label = wanted
        if label in self.taken or (not name and label in self.names):
            number = self.last.get(wanted, 1) + 1
            while f"{wanted}-{number}" in self.names or f"{wanted}-{number}" in self.taken:
                number += 1
            self.last[wanted] = number
            label = f"{wanted}-{number}"
        self.taken.add(label)
        return label


def schema_problems(manifest: Manifest) -> Iterator[Problem]:
    """Yield what is wrong with the manifest outside of its hosts and jobs, and with their lists as such."""
    data = manifest.data
    yield from TOP.problems({key: value for key, value in data.items() if key != "jobs"}, ())
    defaults = data.get("defaults")
    if isinstance(defaults, Mapping):
        yield from DEFAULTS.problems(defaults, ("defaults",), "defaults.")
    jobs = data.get("jobs")
    wanted = "wanted: at least one [[jobs]]"
    if "jobs" not in data:
        yield Problem(("jobs",), f"jobs is missing; {wanted}")
    elif not isinstance(jobs, tuple):
        yield Problem(("jobs",), f"jobs is {described(jobs)}; {wanted}")
    elif not jobs:
        yield Problem(("jobs",), f"jobs is empty; {wanted}")
    else:
        for index, job in enumerate(jobs):
            if not isinstance(job, Mapping):
                yield Problem(("jobs", index), f"jobs[{index}] is {described(job)}; wanted: a table")


def host_problems(manifest: Manifest) -> Iterator[Problem]:
    """Yield what is wrong with the hosts."""
    hosts = manifest.data.get("hosts")
    if not isinstance(hosts, Mapping):
        return
    for name, host in hosts.items():
        keys = ("hosts", name)
        if isinstance(host, Mapping):
            yield from HOST.problems(host, keys, f"{dotted(keys)}.")
        else:
            yield Problem(keys, f"{dotted(keys)} is {described(host)}; wanted: a table [{dotted(keys)}]")


def undefined_hosts(manifest: Manifest) -> Iterator[tuple[str, KeyPath]]:
    """Yield each host that is named but not defined, with what leads to the place that names it first."""
    data = manifest.data
    defined = data["hosts"] if isinstance(data.get("hosts"), Mapping) else {}
    seen = set(defined)
    places: list[tuple[KeyPath, Any]] = [(("defaults",), data.get("defaults"))]
    found = data.get("jobs")
    places += [(("jobs", index), job) for index, job in enumerate(found if isinstance(found, tuple) else ())]
    for keys, block in places:
        for field in ("allowed_hosts", "denied_hosts", "train_hosts"):
            names = block.get(field) if isinstance(block, Mapping) else None
            for name in names if isinstance(names, tuple) else ():
                if isinstance(name, str) and name not in seen:
                    seen.add(name)
                    yield name, (*keys, field)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a training manifest, made of what the checks ask."""
    schema = {"$schema": DIALECT, "title": "training manifest", **_WHOLE.json_schema()}
    schema["properties"] = {
        **schema["properties"],
        "defaults": DEFAULTS.json_schema(),
        "hosts": {
            "type": "object",
            "description": "The hosts of the fleet, by name.",
            "additionalProperties": HOST.json_schema(),
        },
        "jobs": {
            "type": "array",
            "description": _JOBS.description,
            "minItems": 1,
            "maxItems": MAX_JOBS,
            "items": JOB.json_schema(),
        },
    }
    return schema


def looks_like_manifest(path: Path, head: str) -> bool:
    """Tell whether a TOML file that was named without saying its kind is a training manifest.

    It is one by its name (``*manifest*``) or by a ``[[jobs]]`` in *head*, the beginning of its text.
    """
    return "manifest" in path.stem.lower() or _HINT.search(head) is not None


def looked_up(root: Path, *, system: Path = Path("/etc/cis490")) -> list[Path]:
    """Return where a manifest is looked for when no path is given, in this order.

    :param root: the project root.
    """
    return [system / FILE_NAME, root / FILE_NAME]
