"""The kinds of document in one table: what the rest of the plugin needs to know of each."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.document import Document

if TYPE_CHECKING:
    from ..core.override import Override
    from .launch import Launch
    from .manifest import Manifest

_HEAD_CHARACTERS = 64 * 1024


@dataclass(frozen=True)
class Subject:
    """The part of a document that a check is asked about.

    :param name: for people, and for node ids: no two parts of a document have the same.
    :param value: for the check.
    :param properties: what reports tell of it beside its name.
    """

    name: str
    value: Any
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """That a document may be looked at as one of another kind, too.

    What is asked of each part of the other kind's documents is then asked of its parts.

    :param kind: the other kind's name.
    :param of: returns the other document; None: there is nothing to ask.
    """

    kind: str
    of: Callable[[Document], Document | None]


@dataclass(frozen=True)
class Kind:
    """A kind of document.

    :param name: its word in messages, and what ``@check(document=...)`` takes.
    :param suffixes: how its files end.
    :param load: parses a file; raises :class:`~pytest_metaopt.core.document.DocumentError`.
    :param recognises: tells, from the path and the beginning of the text, whether a file that was
        named without saying its kind is of this one.
    :param artifact: whether there is a readiness artifact for each of its documents; else for a document with
        others only.
    :param asks_host: whether what this host has matters to it, so that reports tell.
    :param companion: the key by which a campaign names one as a companion; None: it can't.
    :param check_modules: the modules of the built-in checks.
    :param bootstrap_modules: the modules of the bootstraps that these name.
    :param probe_modules: the modules of the probes that these take.
    :param online_check_modules: those of the checks that only ``--metaopt-online`` asks.
    :param online_probe_modules: those that only ``--metaopt-online`` needs.
    :param with_overrides: returns a document with what ``--metaopt-override`` gives; None: it has none.
    :param json_schema: returns its JSON Schema, for editors.
    :param view: what its documents may be looked at as, too.
    :param subjects: for each word that ``@check(each=...)`` takes, what lists those parts.
    """

    name: str
    suffixes: tuple[str, ...]
    load: Callable[[Path], Document]
    recognises: Callable[[Path, str], bool]
    check_modules: tuple[str, ...]
    json_schema: Callable[[], dict[str, Any]]
    artifact: bool = False
    asks_host: bool = False
    companion: str | None = None
    subjects: Mapping[str, Callable[[Any], Sequence[Subject]]] = field(default_factory=dict)
    online_check_modules: tuple[str, ...] = ()
    bootstrap_modules: tuple[str, ...] = ()
    probe_modules: tuple[str, ...] = ()
    online_probe_modules: tuple[str, ...] = ()
    with_overrides: Callable[[Document, Sequence[Override]], Document] | None = None
    view: View | None = None


def _in(module: str, name: str) -> Callable[..., Any]:
    """Return the function *name* of a document's module, which is imported when it is first called.

    A session pays for the kinds of document that it is asked about, and for no other.
    """

    def call(*arguments: Any) -> Any:
        return getattr(importlib.import_module(f"{__package__}.{module}"), name)(*arguments)

    return call


def jobs(manifest: Manifest) -> Sequence[Subject]:
    """Return the jobs of a training manifest."""
    return [
        Subject(job.label, job, {"job_id": job.job_id} if job.job_id is not None else {})
        for job in manifest.jobs
    ]


def nodes(launch: Launch) -> Sequence[Subject]:
    """Return the nodes of a launch."""
    return [Subject(node.name, node, {"host": str(node.host)}) for node in launch.nodes]


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="campaign",
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
            view=View("launch", _in("campaign", "as_launch")),
        ),
        Kind(
            name="manifest",
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
            suffixes=(".yaml", ".yml"),
            load=_in("launch", "load_launch"),
            recognises=_in("launch", "looks_like_launch"),
            check_modules=(
                "pytest_metaopt.checks.launch",
                "pytest_metaopt.checks.node",
                "pytest_metaopt.checks.gpu",
                "pytest_metaopt.checks.storage",
                "pytest_metaopt.checks.network",
                "pytest_metaopt.checks.fleet",
            ),
            json_schema=_in("launch", "json_schema"),
            companion="launch",
            subjects={"node": nodes},
            probe_modules=("pytest_metaopt.probes.node.fleet",),
        ),
    )
}


COMPANIONS: Mapping[str, Kind] = {kind.companion: kind for kind in KINDS.values() if kind.companion}
"""The kinds that a document may name as its companions, by the key."""


def companions(document: Document) -> dict[Path, Kind]:
    """Return the companions that *document* names and that are of a kind that there is."""
    return {
        path: COMPANIONS[key]
        for key, path in document.companions.items()
        if key in COMPANIONS and path != document.path
    }


def recognised_kind(path: Path) -> Kind | None:
    """Return the kind of the file *path*, by its name and first lines, or None where it is no document."""
    candidates = [kind for kind in KINDS.values() if path.suffix.lower() in kind.suffixes]
    if not candidates or not path.is_file():
        return None
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            head = file.read(_HEAD_CHARACTERS)
    except OSError:
        head = ""  # its name may still tell; the loader then says why it can't be read
    return next((kind for kind in candidates if kind.recognises(path, head)), None)
