"""The hooks of a session that a document was named in; each hands on to the room that does the work."""

from __future__ import annotations

import importlib
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ..core.text import some
from ..probes.pool import ASK
from ..reports import terminal
from . import compat, fixtures, reporting
from .folders import Recalling, Remembering
from .items import CheckItem, DocumentFile, shown
from .preflight import KEY, Preflight
from .settings import read_settings

_MOST_IN_HEADER = 20
_MOST_NAMED = 3


def start(config: pytest.Config) -> None:
    """Begin the work of the plugin in this session, unless no document was named after all.

    :raises pytest.UsageError: the command line or the ini file asks for what can't be done.
    """
    preflight = Preflight(config, read_settings(config))
    if preflight.settings.overrides and not any(kind.with_overrides for kind in preflight.kinds.values()):
        raise pytest.UsageError("--metaopt-override is for run configs; name one with --metaopt-run-config")
    if not preflight.kinds and not config.option.metaopt_checks:
        return
    _require_assertions()
    _require_separate_artifacts(preflight)
    config.stash[KEY] = preflight
    config.stash[ASK] = preflight.facts.ask
    for plugin in (fixtures, *_fixture_modules(preflight)):
        config.pluginmanager.register(plugin)
    config.pluginmanager.register(Hooks(preflight), "metaopt-session")
    if len(preflight.kinds) > 1:
        remembering = Remembering()
        config.pluginmanager.register(remembering)
        config.pluginmanager.register(Recalling(remembering))


def _fixture_modules(preflight: Preflight) -> list[ModuleType]:
    names: list[str] = []
    for kind in preflight.kinds_asked:
        names += kind.bootstrap_modules + kind.probe_modules
        names += kind.online_probe_modules if preflight.settings.online else ()
    return [importlib.import_module(name) for name in dict.fromkeys(names)]


def _require_assertions() -> None:
    if not __debug__:
        raise pytest.UsageError(
            "python -O removes assert statements, so every check would hold;"
            " run without -O and without PYTHONOPTIMIZE"
        )


def _require_separate_artifacts(preflight: Preflight) -> None:
    writers: dict[str, Path] = {}
    documents = {os.path.realpath(path) for path in preflight.kinds}
    artifacts = dict(preflight.artifacts)
    if preflight.common_artifact is not None:
        artifacts[next(iter(preflight.kinds))] = preflight.common_artifact
    for path, artifact in artifacts.items():
        if os.path.realpath(artifact) in documents:
            raise pytest.UsageError(
                f"--metaopt-readiness: {shown(artifact, preflight.config)} is a document; name another file"
            )
        other = writers.setdefault(os.path.realpath(artifact), path)
        if other != path:
            raise pytest.UsageError(
                f"{shown(other, preflight.config)} and {shown(path, preflight.config)} would both write"
                f" {shown(artifact, preflight.config)}; run them one at a time, or with roots of their own"
            )


class Hooks:
    """pytest's hooks, as far as documents are concerned."""

    def __init__(self, preflight: Preflight) -> None:
        self.preflight = preflight
        self.config = preflight.config

    def pytest_report_header(self) -> list[str]:
        """Say which documents are looked at, and where the verdict will be."""
        preflight = self.preflight
        off = "" if preflight.settings.bootstrap else " (bootstraps off)"
        lines = []
        for path, kind in preflight.kinds.items():
            artifact = preflight.artifacts.get(path, preflight.common_artifact)
            place = f" -> {shown(artifact, self.config)}" if artifact is not None else ""
            lines.append(f"metaopt: {shown(path, self.config)}{place}{off if kind.artifact else ''}")
        if len(lines) > _MOST_IN_HEADER:
            lines[_MOST_IN_HEADER:] = [f"metaopt: and {len(lines) - _MOST_IN_HEADER} more documents"]
        lines += self._overrides_told()
        host = preflight.host
        if host is not None:
            lines.append(f"metaopt: host {host.value or host.failure}")
        return lines

    def _overrides_told(self) -> Iterator[str]:
        """Yield what ``--metaopt-override`` changes, and where, unless that is everywhere."""
        changed = self.preflight.changed()
        whole = sum(kind.with_overrides is not None for kind in self.preflight.kinds.values())
        for change, paths in changed.items():
            where = some([shown(path, self.config) for path in paths], _MOST_NAMED)
            yield f"metaopt: override {change}{f' (in {where})' if len(paths) < whole else ''}"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Refuse settings that make no sense, and keep other sessions on the project out."""
        if self.preflight.coordinates:
            self.preflight.validate_ids()
        self.preflight.begin()

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> DocumentFile | None:
        """Collect a document that was named; a file that nobody named is left alone."""
        kind = self.preflight.kinds.get(file_path)
        if kind is None:
            return None
        # pytest gives all files that are named and lie outside the root folder one node id, the empty one.
        named: dict[str, Any] = {}
        if self.config.rootpath not in file_path.parents:
            named["nodeid"] = file_path.as_posix()
        node: DocumentFile = DocumentFile.from_parent(
            parent, path=file_path, preflight=self.preflight, kind=kind, **named
        )
        return node

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """End with 2, not 4, where an item of a malformed document was named."""
        try:
            return (yield)
        except pytest.UsageError:
            if self.preflight.malformed:
                raise session.Interrupted("a document could not be read") from None
            raise

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Take note of a document that could not be read, here or by a worker."""
        if report.failed:
            self.preflight.record_collection_failure(report.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Gather facts, and look first at everything that a bootstrap may change."""
        self.preflight.prepare(session)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put the outcome of a check on its report."""
        if not isinstance(item, CheckItem) or item.looking:
            return (yield)
        reporting.settle(item, call)
        report = yield
        reporting.complete(item, report)
        reporting.clean(item, report)
        plan = self.preflight.plan_to_tell(item.path)
        if plan is not None:
            report.metaopt_plan = plan  # type: ignore[attr-defined]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of an outcome, in the process that sees them all."""
        if self.preflight.coordinates:
            self.preflight.record(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, Any] | None:
        """Show BOOTSTRAPPED and ADVISORY."""
        return reporting.status(report)

    def pytest_internalerror(self) -> None:
        """Take note that the session has no end that a verdict could be based on."""
        self.preflight.interruption = "the session ended in an internal error"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Write the artifacts before any other report, which may tell of them."""
        self.preflight.conclude(int(session.exitstatus))
        verdicts = self.preflight.verdicts
        broken = self.preflight.interruption is not None or any(
            verdict.note is not None or verdict.status == "FAILED" for verdict in verdicts
        )
        if broken and session.exitstatus == pytest.ExitCode.OK:
            # An xfail mark, an artifact that could not be written, or an internal error of a pytest-xdist
            # worker must not look like success.
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self.preflight.malformed and session.exitstatus != pytest.ExitCode.INTERNAL_ERROR:
            # pytest-xdist ends with 1 where pytest ends with 2.
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        written = [verdict for verdict in verdicts if verdict.path is not None]
        for verdict in written:
            name = "readiness" if len(written) == 1 else f"readiness:{verdict.readiness.plan.shown}"
            compat.add_suite_property(self.config, name, verdict.status)
        return (yield)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Close with the verdict and what to do."""
        terminal.show_verdicts(terminalreporter, self.preflight)

    def pytest_unconfigure(self) -> None:
        """Leave nothing running and let other sessions on the project in, however this one ended."""
        self.preflight.facts.close()
        self.preflight.let_go()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a new worker where first looks are shared (pytest-xdist)."""
        self.preflight.share_with_worker(node.workerinput)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:  # noqa: ARG002 - names are the hook's
        """Take note of a worker that crashed and left something not looked at (pytest-xdist)."""
        if error:
            self.preflight.interruption = "a worker crashed"

    @pytest.hookimpl(optionalhook=True)
    def pytest_json_runtest_metadata(self, item: pytest.Item) -> dict[str, Any]:
        """Return what is known of a check, for its metadata (pytest-json-report)."""
        return reporting.metadata(item) if isinstance(item, CheckItem) else {}

    @pytest.hookimpl(optionalhook=True)
    def pytest_json_modifyreport(self, json_report: dict[str, Any]) -> None:
        """Add the readiness at top level, and leave no secret in what was captured (pytest-json-report)."""
        reporting.clean_captured(json_report)
        host = self.preflight.host
        if host is not None:
            json_report["host"] = host.value.to_json() if host.value is not None else None
        found = [verdict.to_json() for verdict in self.preflight.verdicts if verdict.path is not None]
        if len(found) == 1:
            json_report["readiness"] = found[0]
        elif found:
            worst = next(
                status
                for status in ("FAILED", "INCOMPLETE", "READY")
                if any(entry["status"] == status for entry in found)
            )
            json_report["readiness"] = {"status": worst, "campaigns": found}
