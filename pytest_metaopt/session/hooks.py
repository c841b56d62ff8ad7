"""The hooks of a session that a document was named in; each hands on to the module that does the work."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ..core.document import DocumentError
from ..core.settings import Settings
from ..core.text import some
from ..documents.kinds import known_kinds
from ..probes.pool import GATHER, Fact, Probe
from ..reports import terminal
from ..reports.writer import ReportError
from ..results.artifact_file import NotWrittenError
from ..results.ledger import Plan
from . import compat, fixtures, json_report, reporting
from .catalog import CATALOG, Catalog
from .coordination import Coordination
from .document_file import DocumentFile
from .documents import Documents
from .facts import Facts
from .first_evaluation import FirstEvaluations
from .folders import Recalling, Remembering
from .items import CheckItem
from .parts import Parts, shown
from .reports import Reports
from .role import Role, selects_everything
from .settings import read_settings
from .signals import Signals
from .verdicts import Verdicts

_MOST_IN_HEADER = 20
_MOST_NAMED = 3


def start(config: pytest.Config) -> None:
    """Begin the work of the plugin in this session, unless no document was named after all.

    :raises pytest.UsageError: the command line or the ini file is invalid.
    """
    settings = read_settings(config)
    documents = Documents(settings)
    if settings.overrides and not documents.takes_overrides:
        raise pytest.UsageError("--metaopt-override is for run configs; name one with --metaopt-run-config")
    if not documents.kinds and not config.option.metaopt_checks:
        return
    if not __debug__:
        raise pytest.UsageError(
            "python -O removes assert statements, so every check would pass;"
            " run without -O and without PYTHONOPTIMIZE"
        )
    hooks = Hooks(config, settings, documents)
    config.stash[CATALOG] = hooks.catalog
    config.stash[GATHER] = hooks.fact
    of_kinds = fixtures.of_kinds(known_kinds().values())
    for plugin in (fixtures, of_kinds, *_fixture_modules(documents, online=settings.online)):
        config.pluginmanager.register(plugin)
    config.pluginmanager.register(hooks, "metaopt-session")
    json_report.connect(config, hooks.facts, hooks.verdicts)
    if len(documents.kinds) > 1:
        remembering = Remembering()
        config.pluginmanager.register(remembering)
        config.pluginmanager.register(Recalling(remembering))


def _fixture_modules(documents: Documents, *, online: bool) -> list[ModuleType]:
    names: list[str] = []
    for kind in documents.needed_kinds:
        names += kind.bootstrap_modules + kind.probe_modules
        names += kind.online_probe_modules if online else ()
    return [importlib.import_module(name) for name in dict.fromkeys(names)]


class Hooks:
    """pytest's hooks, as far as documents are concerned, and the parts of the session that they share."""

    def __init__(self, config: pytest.Config, settings: Settings, documents: Documents) -> None:
        self.config = config
        self.settings = settings
        self.documents = documents
        self.role = Role(config)
        self.catalog = Catalog(config, settings, documents.needed_kinds)
        self.coordination = Coordination(self.role, self._notify)
        self.facts = Facts(config, settings, documents, self.role)
        self.first_evaluations = FirstEvaluations(self.role)
        self.verdicts = Verdicts(documents, settings.readiness, self._shown)
        self.verdicts.require_separate_artifacts()
        self.reports = Reports(config)
        self.signals = Signals()
        self.parts = Parts(
            documents=documents,
            catalog=self.catalog,
            first_evaluations=self.first_evaluations,
            coordination=self.coordination,
            plan=self._plan,
            bootstraps=settings.bootstrap,
        )
        self._plans: dict[Path, Plan] = {}

    def _shown(self, path: Path) -> str:
        return shown(path, self.config)

    def _plan(self, plan: Plan) -> None:
        """Note a document's plan here, or in a worker until the next report can carry it."""
        if self.role.coordinates:
            self.verdicts.add_plan(plan)
        else:
            self._plans[Path(plan.path)] = plan

    def _notify(self, sentence: str) -> None:
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"metaopt: {sentence}")
            # Into a pipe, it would otherwise come only when the waiting is over.
            reporter.flush()

    def fact(self, declared: Probe, request: pytest.FixtureRequest) -> object:
        """Return the fact about the document whose checks are running; waits for it.

        :raises CheckFailed: it could not be gathered.
        """
        if not isinstance(request.node, DocumentFile):
            pytest.fail(f"{declared.name!r} is gathered for the checks of pytest-metaopt only")
        return self.facts.about(declared, request.node.path)

    def host(self) -> Fact | None:
        """Return what this host has, in the process that reports it."""
        return self.facts.host() if self.role.coordinates else None

    def pytest_report_header(self) -> list[str]:
        """Say which documents are looked at, and where the verdict will be."""
        off = "" if self.settings.bootstrap else " (bootstraps off)"
        lines = []
        for path, kind in self.documents.kinds.items():
            artifact = self.verdicts.artifact_of(path)
            place = f" -> {self._shown(artifact)}" if artifact is not None else ""
            lines.append(f"metaopt: {self._shown(path)}{place}{off if kind.artifact else ''}")
        if len(lines) > _MOST_IN_HEADER:
            lines[_MOST_IN_HEADER:] = [f"metaopt: and {len(lines) - _MOST_IN_HEADER} more documents"]
        lines += self._overrides()
        host = self.facts.host()
        if host is not None:
            lines.append(f"metaopt: host {host.value or host.failure}")
        return lines

    def _overrides(self) -> Iterator[str]:
        """Yield what ``--metaopt-override`` changes, and where, unless that is everywhere."""
        for change, paths in self.documents.overridden().items():
            where = some([self._shown(path) for path in paths], _MOST_NAMED)
            whole = len(paths) == self.documents.takes_overrides
            yield f"metaopt: override {change}{'' if whole else f' (in {where})'}"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Refuse settings that make no sense, and keep other sessions on the project out."""
        if self.role.coordinates:
            self.signals.take()
            self.catalog.require_known_ids()
            if self.role.evaluates and self.settings.bootstrap and self.documents.roots:
                self.coordination.hold(self.documents.roots.values())

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> DocumentFile | None:
        """Collect a document that was named; a file that nobody named is left alone."""
        if file_path not in self.documents.kinds:
            return None
        # pytest gives all files that are named and lie outside the root folder one node id, the empty one.
        named: dict[str, Any] = {}
        if self.config.rootpath not in file_path.parents:
            named["nodeid"] = file_path.as_posix()
        node: DocumentFile = DocumentFile.from_parent(parent, path=file_path, parts=self.parts, **named)
        return node

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """End with 2 where a check is declared for what does not exist, or a document is malformed."""
        undeclared = self.catalog.undeclared()
        if undeclared:
            raise session.Interrupted("; ".join(undeclared))
        try:
            return (yield)
        except pytest.UsageError:
            # An item of a malformed document was named.
            if self.verdicts.malformed:
                raise session.Interrupted("a document could not be read") from None
            raise

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a document that could not be read, here or by a worker."""
        if report.failed:
            self.verdicts.add_collection_failure(self.config.rootpath / report.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Begin to gather facts, and evaluate first everything that a bootstrap may change."""
        stopped = session.testsfailed and not self.config.option.continue_on_collection_errors
        if self.role.evaluates and not (self.role.distributes or stopped):
            items = [item for item in session.items if isinstance(item, CheckItem)]
            self.facts.start(_fixtures_taken(items))
            self._revoke(items)
            if self.settings.bootstrap:
                self._evaluate_first([item for item in items if item.check.bootstrap])
        elif self.role.distributes and self.role.evaluates:
            self._revoke(None)
        if self.role.evaluates:
            self.host()  # so that reports have it once the facts are closed
        return (yield)

    def _revoke(self, items: list[CheckItem] | None) -> None:
        """Take back an old READY before a session that looks at everything evaluates its first check.

        :param items: what was selected; None: workers select, so only the command line says how much.
        :raises pytest.Exit: an old READY cannot be removed.
        """
        if not self.role.coordinates or self.verdicts.malformed:
            return
        if items is None:
            everything = selects_everything(self.config) and self._readable()
        else:
            selected = {item.key for item in items}
            plans = self.verdicts.ledger.plans.values()
            everything = all(plan.blocking_keys <= selected for plan in plans)
        if everything:
            self._revoke_ready(self.documents.kinds)

    def _readable(self) -> bool:
        try:
            for path in self.documents.kinds:
                self.documents.load(path)
        except DocumentError:
            return False  # a worker reports it
        return True

    def _revoke_ready(self, paths: Iterable[Path]) -> None:
        try:
            self.verdicts.revoke(paths)
        except NotWrittenError as error:
            pytest.exit(f"metaopt: {error}", returncode=int(pytest.ExitCode.TESTS_FAILED))

    def _evaluate_first(self, items: list[CheckItem]) -> None:
        roots = {self.documents.roots[item.path] for item in items}
        with self.coordination.bootstrapping(roots):
            self.first_evaluations.take(_evaluations(items))
        self._release_if_done()

    def _release_if_done(self) -> None:
        """Let other sessions in once no check of this one may still run a bootstrap."""
        if not self.coordination.holds:
            return
        if self.role.distributes and not self.first_evaluations.load():
            return
        if self.first_evaluations.failed.issubset(self.verdicts.ledger.results):
            self.coordination.release()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put the outcome of a check on its report."""
        if not isinstance(item, CheckItem) or item.evaluates_first:
            return (yield)
        if call.excinfo is not None:
            evaluated = item.outcome is not None
            item.outcome = (
                reporting.outcome_of_fixtures(item.check, call, item.position, evaluated=evaluated)
                or item.outcome
            )
        report = yield
        item.seconds += report.duration
        # A teardown that passes adds nothing to the result that was reported before.
        reported = item.reported if call.when == "teardown" and call.excinfo is None else None
        place, outcome, result = item.name_shown, item.outcome, reported or item.result
        if call.when != "teardown":
            item.reported = result
        elif reported is not None:
            del item.reported
        if outcome is not None and result is not None:
            reporting.complete(report, result, outcome, place)
        reporting.clean(report, place, result.line if result is not None else None)
        plan = self._plans.pop(item.path, None)
        if plan is not None:
            report.metaopt_plan = plan.to_json()  # type: ignore[attr-defined]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note an outcome, in the process that sees them all."""
        if not self.role.coordinates:
            return
        plan = getattr(report, "metaopt_plan", None)
        if plan is not None:
            self.verdicts.add_plan(Plan.from_json(plan))
        result = reporting.result_on(report)
        if result is not None:
            self.verdicts.add_result(result)
            self._release_if_done()
            if result.outcome == "failed":
                plans = self.verdicts.ledger.plans
                self._revoke_ready(Path(path) for path in plans if result.key.startswith(f"{path}::"))

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, Any] | None:
        """Show BOOTSTRAPPED and ADVISORY."""
        return reporting.status(report)

    def pytest_internalerror(self) -> None:
        """Note that the session has no end that a verdict could be based on."""
        self.verdicts.interruption = "the session ended in an internal error"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Write the artifacts before any other report, which may speak of them."""
        signal = self.signals.received
        if signal is not None:
            self.verdicts.interruption = f"the session was ended by {signal.name}"
        self._conclude(int(session.exitstatus))
        verdicts = self.verdicts.concluded
        broken = self.verdicts.interruption is not None or any(
            verdict.note is not None or verdict.status == "FAILED" for verdict in verdicts
        )
        try:
            self.reports.write_files(verdicts)
        except ReportError as error:
            self._notify(f"ERROR: {error}")
            broken = True
        if broken and session.exitstatus == pytest.ExitCode.OK:
            # An xfail mark, an artifact that could not be written, or an internal error of a pytest-xdist
            # worker must not look like success.
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self.verdicts.malformed and session.exitstatus != pytest.ExitCode.INTERNAL_ERROR:
            # pytest-xdist ends with 1 where pytest ends with 2.
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        written = [verdict for verdict in verdicts if verdict.path is not None]
        for verdict in written:
            name = "readiness" if len(written) == 1 else f"readiness:{verdict.readiness.plan.shown}"
            compat.add_suite_property(self.config, name, verdict.status)
        done = yield
        if signal is not None:
            # Only now: with an exit status that is not its own, pytest prints no summary.
            session.exitstatus = 128 + signal
        return done

    def _conclude(self, exitstatus: int) -> None:
        self.facts.close()
        self.coordination.release()
        if self.role.coordinates and self.role.evaluates:
            for verdict in self.verdicts.conclude(exitstatus):
                self.config.hook.pytest_metaopt_readiness(config=self.config, readiness=verdict.to_json())
        self.role.remove_folder()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Close with the verdict and what to do."""
        terminal.show_verdicts(terminalreporter, self.verdicts.concluded)
        self.reports.show(terminalreporter, self.verdicts.concluded)

    def pytest_unconfigure(self) -> None:
        """Leave nothing running and let other sessions on the project in, however this one ended."""
        self.facts.close()
        self.coordination.release()
        self.signals.release()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give a new worker the folder that the workers share (pytest-xdist)."""
        self.role.share_with_worker(node.workerinput)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:  # noqa: ARG002 - names are the hook's
        """Note a worker that crashed and left something not looked at (pytest-xdist)."""
        if error:
            self.verdicts.interruption = "a worker crashed"


def _fixtures_taken(items: list[CheckItem]) -> dict[Path, list[str]]:
    """Return the fixtures that the checks of each document take; subjects of one check take the same."""
    taken: dict[Path, list[str]] = {}
    handled: set[tuple[Path, str]] = set()
    for item in items:
        if (item.path, item.check.id) not in handled:
            handled.add((item.path, item.check.id))
            taken.setdefault(item.path, []).extend(item.fixturenames)
    return taken


def _evaluations(items: list[CheckItem]) -> dict[str, Callable[[], Any]]:
    """Return the first evaluation of each item, by its key.

    Each keeps set up the fixtures that the next one uses too, the last one those of the session.
    """
    following: list[pytest.Item | pytest.Session] = [*items[1:], *(item.session for item in items[-1:])]
    return {item.key: partial(item.evaluate_first, keep) for item, keep in zip(items, following, strict=True)}
