"""The state of one session: its settings, documents, catalog, plans and locks."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from ..core.check import Check
from ..core.document import Document, DocumentError
from ..core.locks import LockUnavailableError, acquire, held, project_lock
from ..core.state_folder import STATE_FOLDER, project_root
from ..core.text import did_you_mean, printable
from ..documents.kinds import KINDS, Kind, companions, recognised_kind
from ..results import readiness
from .catalog import Catalog
from .facts import Facts
from .first_evaluation import FirstLooks
from .items import CheckItem, DocumentFile, shown
from .reporting import is_rerun

if TYPE_CHECKING:
    from ..core.settings import Settings
    from ..probes.pool import Fact

KEY = pytest.StashKey["Preflight"]()

_STORE_NAME = "first-looks.json"


class Preflight:
    """What the hooks of a session share.

    A session is one process, or with pytest-xdist a controller and its workers. The controller, or the
    one process, is the *coordinator*: it sees every report, holds the project lock and writes the artifact.
    Items are collected and run by the one process or by the workers.
    """

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.config = config
        self.settings = settings
        self.started = time.monotonic()
        self._documents: dict[Path, Document | DocumentError] = {}
        self.kinds = self._with_companions(_named_kinds(settings))
        self.roots = {path: project_root(path, settings.root) for path in self.kinds}
        self.views = self._seen_as()
        self.artifacts = {
            path: settings.readiness or root / STATE_FOLDER / readiness.ARTIFACT_NAME
            for path, root in self.roots.items()
            if self.kinds[path].artifact
        }
        self.ledger = readiness.Ledger()
        self.interruption: str | None = None
        self.malformed = False
        self.verdicts: list[Verdict] = []
        self._catalog: Catalog | None = None
        self._known: dict[Path, tuple[str, ...]] = {}
        self._planned: dict[Path, readiness.Plan] = {}
        self._told: set[Path] = set()
        self._coordination = ExitStack()
        self._holding = False
        self._shared = self._shared_folder()
        self.first_looks = FirstLooks(self._shared / _STORE_NAME if self._shared else None)
        self.facts = Facts(self, limit=settings.timeout)
        self.fixtures: dict[object, Any] = {}

    # -- who is who ---------------------------------------------------------------------------

    @property
    def worker_input(self) -> dict[str, Any] | None:
        """What the controller told this pytest-xdist worker; None in a controller or the one process."""
        told: dict[str, Any] | None = getattr(self.config, "workerinput", None)
        return told

    @cached_property
    def coordinates(self) -> bool:
        """Whether this process sees every report."""
        return self.worker_input is None

    @property
    def distributes(self) -> bool:
        """Whether this process is a pytest-xdist controller, which runs nothing itself."""
        return bool(self.config.pluginmanager.hasplugin("dsession"))

    @property
    def evaluates(self) -> bool:
        """Whether checks are evaluated at all in this session."""
        option = self.config.option
        others = ("collectonly", "setuponly", "setupplan", "showfixtures", "show_fixtures_per_test")
        return not (option.metaopt_checks or any(getattr(option, name, False) for name in others))

    def _shared_folder(self) -> Path | None:
        if self.worker_input is not None:
            told = self.worker_input.get("metaopt_shared")
            return Path(told) if told else None
        return None

    @property
    def session_folder(self) -> Path | None:
        """The folder that the workers of the session share; None where there are none."""
        return self._shared

    def share_with_worker(self, workerinput: dict[str, Any]) -> None:
        """Tell a worker that is about to start where first looks are shared."""
        if self._shared is None:
            self._shared = Path(tempfile.mkdtemp(prefix="pytest-metaopt-session-"))
            self.first_looks = FirstLooks(self._shared / _STORE_NAME)
        workerinput["metaopt_shared"] = str(self._shared)

    # -- documents and checks -----------------------------------------------------------------

    def document(self, path: Path, kind: Kind) -> Document:
        """Return the parsed document, read once a process; raises its DocumentError again and again."""
        if path not in self._documents:
            try:
                self._documents[path] = self._loaded(path, kind)
            except DocumentError as error:
                self._documents[path] = error
        known = self._documents[path]
        if isinstance(known, DocumentError):
            raise known
        return known

    def _loaded(self, path: Path, kind: Kind) -> Document:
        document = kind.load(path)
        overrides = self.settings.overrides
        return kind.with_overrides(document, overrides) if overrides and kind.with_overrides else document

    def _with_companions(self, kinds: dict[Path, Kind]) -> dict[Path, Kind]:
        for path, kind in list(kinds.items()):
            if kind.artifact and os.path.isfile(path):
                for companion, its_kind in self._companions(path, kind).items():
                    kinds.setdefault(companion, its_kind)
        # Those that others count for come first, in whatever order pytest was given them.
        return dict(sorted(kinds.items(), key=lambda entry: not entry[1].artifact))

    def _companions(self, path: Path, kind: Kind) -> dict[Path, Kind]:
        try:
            return companions(self.document(path, kind))
        except DocumentError:
            return {}  # told when it is collected

    def _seen_as(self) -> dict[Path, tuple[Kind, Document]]:
        """Return what documents are looked at as, too: the kind, and the document of that kind."""
        found = {}
        for path, kind in self.kinds.items():
            if kind.view is None or not os.path.isfile(path):
                continue
            try:
                view = kind.view.of(self.document(path, kind))
            except DocumentError:
                continue  # told when it is collected
            if view is not None:
                found[path] = KINDS[kind.view.kind], view
        return found

    @property
    def kinds_asked(self) -> list[Kind]:
        """The kinds that checks and probes are needed of."""
        return [*self.kinds.values(), *(kind for kind, _ in self.views.values())]

    def changed(self) -> dict[str, list[Path]]:
        """Return what overrides changed, and the documents that it was changed in."""
        found: dict[str, list[Path]] = {}
        if not self.settings.overrides:
            return found
        for path, kind in self.kinds.items():
            if kind.with_overrides is not None:
                try:
                    changes = self.document(path, kind).changes
                except DocumentError:
                    continue  # told when it is collected
                for change in changes:
                    found.setdefault(change, []).append(path)
        return found

    @cached_property
    def host(self) -> Fact | None:
        """What this host has, where it matters to one of the documents."""
        roots = [self.roots[path] for path, kind in self.kinds.items() if kind.asks_host]
        return self.facts.host(roots[0]) if roots else None

    @property
    def catalog(self) -> Catalog:
        """Every check that is known once the conftests of the documents are loaded."""
        if self._catalog is None:
            # The checks of other kinds are imported only to be shown.
            whole = self.config.option.metaopt_checks
            online = whole or self.settings.online
            self._catalog = self._catalog_of(KINDS.values() if whole else self.kinds_asked, online=online)
        return self._catalog

    def _catalog_of(self, kinds: Iterable[Kind], *, online: bool) -> Catalog:
        modules = [
            plugin
            for plugin in self.config.pluginmanager.get_plugins()
            if isinstance(plugin, ModuleType) and not plugin.__name__.startswith("_pytest.")
        ]
        return Catalog(
            {kind.name: kind.check_modules + (kind.online_check_modules if online else ()) for kind in kinds},
            modules,
            advisory=self.settings.advisory,
            blocking=self.settings.blocking,
            online=self.settings.online,
            ini=self.config.getini,
        )

    def validate_ids(self) -> None:
        """Refuse settings that name a check that there is not.

        :raises pytest.UsageError: naming the setting, the id and the nearest one.
        """
        if not self.catalog.unknown_ids():
            return
        catalog = self._catalog_of(KINDS.values(), online=True)
        ids = catalog.ids()
        problems = [
            f"{setting}: there is no check {name!r}{did_you_mean(name, ids) or '; see --metaopt-checks'}"
            for setting, name in catalog.unknown_ids()
        ]
        if problems:
            raise pytest.UsageError(*problems)

    def checks(self, node: DocumentFile) -> dict[str, Check]:
        """Return the checks of a document, by id, as its conftests leave them."""
        assert node.document is not None  # noqa: S101 - collected only once it is parsed
        checks = self._known_checks(node)
        self._known[node.path] = tuple(checks)
        node.ihook.pytest_metaopt_modify_checks(config=self.config, document=node.document, checks=checks)
        return checks

    def _known_checks(self, node: DocumentFile) -> dict[str, Check]:
        assert node.document is not None  # noqa: S101 - collected only once it is parsed
        checks = self.catalog.of_document(node.kind.name, node.document)
        if node.view is not None:
            kind, view = node.view
            of_parts = self.catalog.of_document(kind.name, view)
            checks |= {
                check.id: check for check in of_parts.values() if check.each and check.id not in checks
            }
        return checks

    def plan(self, node: DocumentFile, items: Sequence[CheckItem]) -> None:
        """Take note of everything that a document is asked, before anything is selected away."""
        document = node.document
        assert document is not None  # noqa: S101 - collected only once it is parsed
        asked = {item.check.id for item in items}
        name = node.name_shown
        plan = readiness.Plan(
            path=str(node.path),
            shown=name,
            checks=tuple(
                readiness.PlannedCheck(
                    item.key,
                    item.check.id,
                    item.check.severity,
                    printable(item.subject.name) if item.subject else None,
                    name,
                    item.check.each,
                )
                for item in items
            ),
            fields=document.readiness_fields,
            turned_off=tuple(check_id for check_id in self._known[node.path] if check_id not in asked),
            companions=tuple(str(path) for path in companions(document)),
        )
        self._planned[node.path] = plan
        if self.coordinates:
            self.ledger.add_plan(plan)

    def plan_to_tell(self, path: Path) -> str | None:
        """Return the plan of the document at *path* the first time that this worker is asked for it."""
        if self.coordinates or path in self._told or path not in self._planned:
            return None
        self._told.add(path)
        return self._planned[path].to_json()

    # -- locks and first looks ----------------------------------------------------------------

    def begin(self) -> None:
        """Keep other sessions on these projects out until the bootstraps of this one are done.

        :raises pytest.Exit: another session does not end.
        """
        if not (self.coordinates and self.evaluates and self.settings.bootstrap and self.roots):
            return
        with _lock_or_exit():
            for root in sorted(set(self.roots.values())):
                lock = project_lock(root, "session")
                acquire(lock, self._notify)
                self._coordination.callback(lock.release)
        self._holding = True

    def prepare(self, session: pytest.Session) -> None:
        """Begin to gather facts, and take first looks, once it is known what is selected."""
        stopped = session.testsfailed and not self.config.option.continue_on_collection_errors
        asks = self.evaluates and not (self.distributes or stopped)
        if asks:
            self.facts.start(session.items)
        if self.evaluates and self.coordinates:
            _ = self.host  # so that reports can tell it once the facts are closed
        if asks and self.settings.bootstrap:
            self._take_first_looks(session)

    def _take_first_looks(self, session: pytest.Session) -> None:
        """Evaluate every selected check that has a bootstrap, before any bootstrap runs."""
        items = [item for item in session.items if isinstance(item, CheckItem) and item.check.bootstrap]
        roots = {self.roots[item.path] for item in items}
        with _lock_or_exit(), held(project_lock(root, "bootstrap") for root in roots):
            self.first_looks.take(items)
        self._let_go_if_done()

    @contextmanager
    def bootstrap_lock(self, path: Path) -> Iterator[None]:
        """Hold the lock under which one process at a time runs bootstraps in a project."""
        with held([project_lock(self.roots[path], "bootstrap")]):
            yield

    def _notify(self, sentence: str) -> None:
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"metaopt: {sentence}")
            # Into a pipe, it would otherwise come only when the waiting is over.
            reporter.flush()

    def _let_go_if_done(self) -> None:
        """Release the project lock once no check of this session may still run a bootstrap."""
        if not self._holding:
            return
        if self.distributes and not self.first_looks.load():
            return
        if self.first_looks.pending.issubset(self.ledger.results):
            self.let_go()

    def let_go(self) -> None:
        """Release the project lock, if it is held."""
        self._holding = False
        self._coordination.close()

    # -- results ------------------------------------------------------------------------------

    def record(self, report: pytest.TestReport) -> None:
        """Take note of a report; it may come from a worker."""
        plan = getattr(report, "metaopt_plan", None)
        if plan is not None:
            self.ledger.add_plan(readiness.Plan.from_json(plan))
        payload = getattr(report, "metaopt", None)
        if payload is not None and not is_rerun(report):
            self.ledger.add_result(payload)
            self._let_go_if_done()

    def record_collection_failure(self, nodeid: str) -> None:
        """Take note that the collector with *nodeid* could not be collected: it may be a document."""
        base = self.config.rootpath
        if any((base / nodeid) == path for path in self.kinds):
            self.malformed = True

    def conclude(self, exitstatus: int) -> None:
        """Judge the documents and write the artifacts; ``verdicts`` says how that went."""
        self.facts.close()
        self.let_go()
        if self.coordinates and self.evaluates:
            interruption = self.interruption or _interruption(exitstatus)
            for paths, artifact in self._judged_together():
                self._judge(paths, artifact, interruption)
        if self.coordinates and self._shared is not None:
            shutil.rmtree(self._shared, ignore_errors=True)

    @property
    def common_artifact(self) -> Path | None:
        """Where the verdict over all documents goes if none of them has an artifact of its own."""
        return None if self.artifacts or not self.kinds else self.settings.readiness

    def _judged_together(self) -> Iterator[tuple[list[Path], Path | None]]:
        """Yield the documents that one verdict is made over, and its artifact, if it has one."""
        counted: set[Path] = set(self.artifacts)
        for path, artifact in self.artifacts.items():
            others = list(self._companions(path, self.kinds[path])) if os.path.isfile(path) else []
            counted.update(others)
            yield [path, *others], artifact
        rest = [path for path in self.kinds if path not in counted]
        if self.common_artifact is not None:
            yield rest, self.common_artifact
            return
        for path in rest:
            yield [path], None

    def _judge(self, paths: Sequence[Path], artifact: Path | None, interruption: str | None) -> None:
        plans = []
        for path in paths:
            plan = self.ledger.plans.get(str(path))
            if plan is None:
                plan = self._empty_plan(path)
                interruption = interruption or f"no check of {shown(path, self.config)} was collected"
            if plan is not None:
                plans.append(plan)
        if not plans or plans[0].path != str(paths[0]):
            return
        name = None if artifact is None or paths[0] in self.artifacts else ", ".join(p.shown for p in plans)
        verdict = readiness.judge(
            self.ledger,
            plans[0].with_others(plans[1:], name),
            seconds=time.monotonic() - self.started,
            interruption=interruption,
            brief=artifact is None,
        )
        if artifact is None:
            self.verdicts.append(Verdict(verdict, None, "", written=False, note=None))
            return
        self.verdicts.append(self._write(paths, artifact, verdict))
        self.config.hook.pytest_metaopt_readiness(config=self.config, readiness=self.verdicts[-1].to_json())

    def _empty_plan(self, path: Path) -> readiness.Plan | None:
        """Return a plan without checks for a document that no worker has told of; None if it is malformed."""
        if self.malformed:
            return None
        try:
            document = self.document(path, self.kinds[path])
        except DocumentError:
            return None
        return readiness.Plan(str(path), shown(path, self.config), (), document.readiness_fields)

    def _write(self, paths: Sequence[Path], artifact_path: Path, verdict: readiness.Readiness) -> Verdict:
        path, place = paths[0], shown(artifact_path, self.config)
        if verdict.status == "INCOMPLETE":
            return Verdict(verdict, artifact_path, place, written=False, note=None)
        root = self.roots[path] if self.settings.readiness is None else None
        try:
            with held([project_lock(self.roots[path], "artifact")]):
                # The lists beside an artifact are its own; but in a folder that the user named, those of
                # another session about other documents may lie.
                owns_lists = root is not None or any("node" in self.kinds[one].subjects for one in paths)
                lists = _node_lists(verdict) if owns_lists else None
                readiness.write_artifact(verdict.artifact, artifact_path, root=root, beside=lists)
        except (readiness.NotWrittenError, LockUnavailableError) as error:
            return Verdict(verdict, artifact_path, place, written=False, note=str(error))
        return Verdict(verdict, artifact_path, place, written=True, note=None)


class Verdict:
    """What is known of a campaign's readiness, or of other documents', and what became of the artifact.

    :param path: where the artifact belongs; None: there is none.
    :param place: the artifact's path as people see it.
    :param note: why the artifact could not be written, else None.
    """

    def __init__(
        self,
        readiness: readiness.Readiness,
        path: Path | None,
        place: str,
        *,
        written: bool,
        note: str | None,
    ) -> None:
        self.readiness = readiness
        self.path = path
        self.place = place
        self.written = written
        self.note = note

    @property
    def status(self) -> str:
        """READY, FAILED or INCOMPLETE."""
        return self.readiness.status

    def previous(self) -> str | None:
        """Return the status that an artifact from before this session has; None where there is none."""
        if self.path is None:
            return None
        try:
            known = json.loads(self.path.read_text(encoding="utf-8"))
            return f"{known['status']} of {known['emitted_at']}"
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values, for hooks and the JSON report."""
        return {
            **self.readiness.artifact,
            "campaign_path": self.readiness.plan.path if self.readiness.plan.fields["campaign_id"] else None,
            "artifact_path": str(self.path),
            "complete": self.readiness.complete,
            "written": self.written,
            "note": self.note or self.readiness.why_incomplete,
            "nodes": [node.to_json() for node in self.readiness.nodes],
        }


def _node_lists(verdict: readiness.Readiness) -> Mapping[str, Sequence[str] | None]:
    if not verdict.nodes:
        return dict.fromkeys(readiness.NODE_LISTS)
    from ..results.node_lists import node_lists

    return node_lists(verdict.nodes)


def _named_kinds(settings: Settings) -> dict[Path, Kind]:
    kinds = {path: KINDS[kind] for path, kind in settings.named.items()}
    for path in settings.paths:
        if path not in kinds and (kind := recognised_kind(path)) is not None:
            kinds[path] = kind
    return kinds


def _interruption(exitstatus: int) -> str | None:
    if exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED}:
        return None
    if exitstatus == pytest.ExitCode.INTERRUPTED:
        return "the session was interrupted"
    if exitstatus == pytest.ExitCode.INTERNAL_ERROR:
        return "the session ended in an internal error"
    return f"the session ended with exit status {exitstatus}"


@contextmanager
def _lock_or_exit() -> Iterator[None]:
    try:
        yield
    except LockUnavailableError as error:
        pytest.exit(f"metaopt: {error}", returncode=int(pytest.ExitCode.TESTS_FAILED))
