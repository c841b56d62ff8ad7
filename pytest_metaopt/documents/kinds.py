"""The kinds of document in one table: what the rest of the plugin needs to know of each.

It is read in every pytest session, for the options, so it imports nothing of the package.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..core.document import Document, KeyPath
    from ..core.override import Override
    from .launch import Launch
    from .lookup import Found
    from .manifest import Manifest

ENTRY_POINTS = "pytest_metaopt.documents"
"""The group of entry points under which another package registers a :class:`Kind`."""

_HEAD_CHARACTERS = 64 * 1024


class KindError(Exception):
    """A kind of document from another package cannot be used; ``str()`` of it says which and why."""


@dataclass(frozen=True)
class Subject:
    """The part of a document that a check is about.

    :param name: for people, and for node ids: no two parts of a document have the same.
    :param value: for the check.
    :param properties: what reports say about it beside its name.
    :param keys: what leads to it in the document; a finding that gives no position has that of the part.
    """

    name: str
    value: Any
    properties: Mapping[str, str] = field(default_factory=dict)
    keys: KeyPath = ()


@dataclass(frozen=True)
class View:
    """That a document may be looked at as one of another kind, too.

    The checks of each part of the other kind's documents then apply to its parts.

    :param kind: the other kind's name.
    :param of: returns the other document; None: there is nothing to check.
    """

    kind: str
    of: Callable[[Document], Document | None]


def _in(module: str, name: str) -> Callable[..., Any]:
    """Return the function *name* of a document's module, which is imported when it is first called.

    A session imports the kinds of document that it checks, and no other.
    """

    def call(*arguments: Any) -> Any:
        return getattr(importlib.import_module(f"{__package__}.{module}"), name)(*arguments)

    return call


_ONE_FILE = _in("lookup", "one_file")


@dataclass(frozen=True)
class Kind:
    """A kind of document.

    :param name: an identifier: what ``@check(document=...)`` takes, the fixture that gives the document, and
        with dashes the option ``--metaopt-NAME``.
    :param suffixes: how its files end.
    :param load: parses a file; raises :class:`~pytest_metaopt.core.document.DocumentError`.
    :param recognises: whether a file whose kind was not named is of this one, by its path and the beginning
        of its text.
    :param json_schema: returns its JSON Schema, for editors.
    :param check_modules: the modules of its checks.
    :param help: what ``--help`` says of the option.
    :param fixture_help: what ``--fixtures`` says of the fixture.
    :param metavar: what the option takes.
    :param find: the files that a value of the option names, relative to a folder, under a project root.
    :param artifact: whether there is a readiness artifact for each of its documents; else for a document with
        others only.
    :param asks_host: whether reports say what this host has.
    :param companion: the key by which a campaign names one as a companion; None: it cannot.
    :param subjects: for each word that ``@check(each=...)`` takes, what lists those parts.
    :param bootstrap_modules: the modules of the bootstraps that its checks name.
    :param probe_modules: the modules of the probes that its checks take.
    :param online_check_modules: those of the checks that are collected with ``--metaopt-online`` only.
    :param online_probe_modules: those of the probes that are needed with ``--metaopt-online`` only.
    :param with_overrides: returns a document with what ``--metaopt-override`` gives; None: it has none.
    :param view: what its documents may be looked at as, too.
    """

    name: str
    suffixes: tuple[str, ...]
    load: Callable[[Path], Document]
    recognises: Callable[[Path, str], bool]
    json_schema: Callable[[], dict[str, Any]]
    check_modules: tuple[str, ...]
    help: str
    fixture_help: str = ""
    metavar: str = "PATH"
    find: Callable[[str, Path, Path | None], Found] = _ONE_FILE
    artifact: bool = False
    asks_host: bool = False
    companion: str | None = None
    subjects: Mapping[str, Callable[[Any], Sequence[Subject]]] = field(default_factory=dict)
    bootstrap_modules: tuple[str, ...] = ()
    probe_modules: tuple[str, ...] = ()
    online_check_modules: tuple[str, ...] = ()
    online_probe_modules: tuple[str, ...] = ()
    with_overrides: Callable[[Document, Sequence[Override]], Document] | None = None
    view: View | None = None

    @property
    def option(self) -> str:
        """The option that names a document of this kind."""
        return f"--metaopt-{self.name.replace('_', '-')}"

    @property
    def destination(self) -> str:
        """The attribute of pytest's options that holds the values of :attr:`option`."""
        return f"metaopt_{self.name}"

    @property
    def title(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")


def jobs(manifest: Manifest) -> Sequence[Subject]:
    """Return the jobs of a training manifest."""
    return [
        Subject(job.label, job, {"job_id": job.job_id} if job.job_id is not None else {}, job.keys)
        for job in manifest.jobs
    ]


def nodes(launch: Launch) -> Sequence[Subject]:
    """Return the nodes of a launch."""
    return [Subject(node.name, node, {"host": str(node.host)}, node.keys) for node in launch.nodes]


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="campaign",
            help="Run the checks of this campaign file (repeatable). With no other path on the command line"
            " nothing else is collected.",
            fixture_help='The campaign: ``get("project.repo")``, ``position("project.repo")``, ``path``.',
            suffixes=(".yaml", ".yml"),
            load=_in("campaign", "load_campaign"),
            recognises=_in("campaign", "looks_like_campaign"),
            check_modules=(
                "pytest_metaopt.checks.repo",
                "pytest_metaopt.checks.campaign",
                "pytest_metaopt.checks.backend",
            ),
            online_check_modules=("pytest_metaopt.checks.online",),
            json_schema=_in("campaign", "json_schema"),
            artifact=True,
            bootstrap_modules=("pytest_metaopt.bootstraps.state_folder",),
            probe_modules=(
                "pytest_metaopt.probes.services.git",
                "pytest_metaopt.probes.services.sky",
                "pytest_metaopt.probes.services.wandb",
            ),
            online_probe_modules=(
                "pytest_metaopt.probes.services.vast",
                "pytest_metaopt.probes.services.wandb_server",
            ),
            view=View("launch", _in("campaign_launch", "as_launch")),
        ),
        Kind(
            name="manifest",
            help="Run the checks of this training manifest (repeatable). auto: the first that exists of"
            " /etc/cis490/training_manifest.toml and training_manifest.toml in the project root.",
            fixture_help="The training manifest: ``jobs``, ``hosts``, ``eligible(job)``, ``position(...)``.",
            metavar="PATH|auto",
            find=_in("lookup", "manifest_file"),
            suffixes=(".toml",),
            load=_in("manifest", "load_manifest"),
            recognises=_in("manifest", "looks_like_manifest"),
            check_modules=("pytest_metaopt.checks.manifest", "pytest_metaopt.checks.job"),
            json_schema=_in("manifest_model", "json_schema"),
            asks_host=True,
            companion="training_manifest",
            subjects={"job": jobs},
            probe_modules=("pytest_metaopt.probes.local.host", "pytest_metaopt.probes.local.training_code"),
        ),
        Kind(
            name="run_config",
            help="Run the checks of this run config, or of those that match a pattern such as 'runs/*.yaml'"
            " (repeatable).",
            fixture_help='The run config: ``get("compute")``, ``position(...)``, ``model``, ``root_path``.',
            find=_in("lookup", "matching_files"),
            suffixes=(".yaml", ".yml"),
            load=_in("run_config", "load_run_config"),
            recognises=_in("run_config", "looks_like_run_config"),
            check_modules=("pytest_metaopt.checks.run_config",),
            json_schema=_in("run_config", "json_schema"),
            companion="run_config",
            with_overrides=_in("overrides", "with_overrides"),
            probe_modules=("pytest_metaopt.probes.local.snapshot",),
        ),
        Kind(
            name="launch",
            help="Run the checks of this launch spec: its nodes, GPUs, networks and disks (repeatable).",
            fixture_help="The launch file: ``nodes``, ``facts`` (``facts.gpus.value``, ``.position``).",
            suffixes=(".yaml", ".yml"),
            load=_in("launch_reader", "load_launch"),
            recognises=_in("launch_reader", "looks_like_launch"),
            check_modules=(
                "pytest_metaopt.checks.launch",
                "pytest_metaopt.checks.node",
                "pytest_metaopt.checks.gpu",
                "pytest_metaopt.checks.storage",
                "pytest_metaopt.checks.network",
                "pytest_metaopt.checks.fleet",
            ),
            json_schema=_in("launch_reader", "json_schema"),
            companion="launch",
            subjects={"node": nodes},
            probe_modules=("pytest_metaopt.probes.node.fleet",),
        ),
    )
}


COMPANIONS: Mapping[str, Kind] = {kind.companion: kind for kind in KINDS.values() if kind.companion}
"""The built-in kinds that a document may name as its companions, by the key."""


def known_kinds() -> Mapping[str, Kind]:
    """Return every kind by its name: the built-in ones, then those of other packages.

    :raises KindError: an entry point of another package does not give a kind, or one whose name is taken.
    """
    return {**KINDS, **outside_kinds()}


@cache
def outside_kinds() -> Mapping[str, Kind]:
    """Return the kinds that other packages register, by their names.

    :raises KindError: an entry point does not give a kind, or one whose name is taken.
    """
    from importlib.metadata import entry_points

    kinds: dict[str, Kind] = {}
    for entry in entry_points(group=ENTRY_POINTS):
        place = f"entry point {entry.name!r} of {entry.dist.name if entry.dist else 'an unknown package'}"
        try:
            kind = entry.load()
        except Exception as error:
            raise KindError(f"{place}: {type(error).__name__}: {error}") from error
        if not isinstance(kind, Kind):
            raise KindError(f"{place}: expected a Kind of pytest_metaopt.documents.kinds, got {kind!r}")
        if kind.name in KINDS or kind.name in kinds or not kind.name.isidentifier():
            raise KindError(f"{place}: the name {kind.name!r} is taken, or is not an identifier")
        kinds[kind.name] = kind
    return kinds


def companions(document: Document) -> dict[Path, Kind]:
    """Return the companions that *document* names and that are of a known kind."""
    named = document.companions
    if not named:
        return {}
    by_key = {kind.companion: kind for kind in known_kinds().values() if kind.companion}
    return {path: by_key[key] for key, path in named.items() if key in by_key and path != document.path}


def recognised_kind(path: Path) -> Kind | None:
    """Return the kind of the file *path*, by its name and first lines, or None where it is not a document."""
    candidates = [kind for kind in known_kinds().values() if path.suffix.lower() in kind.suffixes]
    if not candidates or not path.is_file():
        return None
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            head = file.read(_HEAD_CHARACTERS)
    except OSError:
        head = ""  # its name may still do; the loader then says why it could not be read
    return next((kind for kind in candidates if kind.recognises(path, head)), None)
