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
from ..core.text import described
from .job import Host, Job, hosts_of, jobs_of, table_problems
from .manifest_model import MAX_JOBS, HostTable, ManifestModel
from .schema import validated
from .sources.toml import read_toml

KNOWN_MODELS = ("gbt", "knn", "knn_semi", "mlp", "cnn", "gru", "lstm", "transformer", "transformer_ssl")
"""The models of the manifest's contract, for where the training code itself is not imported."""

_HINT = re.compile(r"^\s*\[\[\s*jobs\s*\]\]", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class Manifest(Document):
    """A parsed training manifest.

    :param name: the name of the fleet.
    :param hosts: the hosts, by name; one that is not a table, or whose policy is invalid, is left out.
    :param jobs: the jobs; what is not a table is left out.
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
    """Read the training manifest *path*; its checks report what is wrong in it.

    :raises DocumentError: it cannot be read, is not TOML, or is larger or deeper than a manifest may be.
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
        hosts=MappingProxyType(dict(hosts_of(tree.value.get("hosts")))),
        jobs=tuple(jobs_of(tables, defaults)),
    )


def schema_problems(manifest: Manifest) -> Iterator[Problem]:
    """Yield what is wrong with the manifest outside of its hosts and jobs, and with their lists as such."""
    data = manifest.data
    top = {
        key: dict(value) if key == "defaults" and isinstance(value, Mapping) else value
        for key, value in data.items()
    }
    _, problems = validated(ManifestModel, top)
    yield from problems
    jobs = data.get("jobs")
    for index, job in enumerate(jobs if isinstance(jobs, tuple) else ()):
        if not isinstance(job, Mapping):
            yield Problem(("jobs", index), f"jobs[{index}] is {described(job)}; expected a table")


def host_problems(manifest: Manifest) -> Iterator[Problem]:
    """Yield what is wrong with the hosts."""
    hosts = manifest.data.get("hosts")
    if not isinstance(hosts, Mapping):
        return
    for name, host in hosts.items():
        keys = ("hosts", name)
        if isinstance(host, Mapping):
            yield from table_problems(HostTable, host, keys)
        else:
            yield Problem(keys, f"{dotted(keys)} is {described(host)}; expected a table [{dotted(keys)}]")


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


def looks_like_manifest(path: Path, head: str) -> bool:
    """Return whether a TOML file that was named without saying its kind is a training manifest.

    It is one by its name (``*manifest*``) or by a ``[[jobs]]`` in *head*, the beginning of its text.
    """
    return "manifest" in path.stem.lower() or _HINT.search(head) is not None
