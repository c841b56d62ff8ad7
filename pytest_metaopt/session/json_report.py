"""The one place that knows pytest-json-report: what its report gets of a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pluggy
import pytest

from ..core.redaction import redact
from ..results.verdict import Verdict
from .facts import Facts
from .items import CheckItem
from .verdicts import Verdicts

_NAMES = ("pytest_jsonreport", "pytest_jsonreport.plugin")
"""Its entry point; and its module, the name that ``-p`` and ``PYTEST_PLUGINS`` register it by."""

_WORST_FIRST = ("FAILED", "INCOMPLETE", "READY")


def connect(config: pytest.Config, facts: Facts, verdicts: Verdicts) -> None:
    """Add to the report of pytest-json-report, where that plugin is loaded.

    A version of it whose hooks are others costs the report our part, and a warning, but no session.
    """
    if not any(config.pluginmanager.hasplugin(name) for name in _NAMES):
        return
    try:
        config.pluginmanager.register(JsonReport(facts, verdicts), "metaopt-json-report")
    except pluggy.PluginValidationError as error:
        config.pluginmanager.unregister(name="metaopt-json-report")
        config.issue_config_time_warning(
            pytest.PytestWarning(f"the JSON report has no readiness: pytest-json-report changed: {error}"), 2
        )


class JsonReport:
    """The hooks of pytest-json-report."""

    def __init__(self, facts: Facts, verdicts: Verdicts) -> None:
        self._facts = facts
        self._verdicts = verdicts

    @pytest.hookimpl(optionalhook=True)
    def pytest_json_runtest_metadata(self, item: pytest.Item) -> dict[str, Any]:
        """Return what is known of a check, for its metadata."""
        result = item.result if isinstance(item, CheckItem) else None
        return {"metaopt": result.metadata()} if result is not None else {}

    @pytest.hookimpl(optionalhook=True)
    def pytest_json_modifyreport(self, json_report: dict[str, Any]) -> None:
        """Add the host and the readiness at top level, and leave no secret in what was captured."""
        _redact_captured(json_report)
        host = self._facts.host()
        if host is not None:
            json_report["host"] = host.value.to_json() if host.value is not None else None
        readiness = _readiness(self._verdicts.concluded)
        if readiness is not None:
            json_report["readiness"] = readiness


def _readiness(verdicts: Sequence[Verdict]) -> dict[str, Any] | None:
    """Return the verdict on a campaign, or those on several with the worst status, or None."""
    found = [verdict.to_json() for verdict in verdicts if verdict.path is not None]
    if len(found) < 2:
        return found[0] if found else None
    statuses = {entry["status"] for entry in found}
    return {"status": next(status for status in _WORST_FIRST if status in statuses), "campaigns": found}


def _redact_captured(json_report: dict[str, Any]) -> None:
    """Cut secrets out of outputs and log records."""
    for test in json_report.get("tests", ()):
        for name in ("setup", "call", "teardown"):
            stage = test.get(name, {})
            stage.update({key: _redacted(stage[key]) for key in ("stdout", "stderr", "log") if key in stage})


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list | tuple):
        return [_redacted(entry) for entry in value]
    return {key: _redacted(entry) for key, entry in value.items()} if isinstance(value, dict) else value
