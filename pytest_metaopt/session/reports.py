"""The reports that ``--metaopt-report`` asks for, written at the end of the session."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ..documents.lookup import absolute
from ..reports.writer import ReportError, ReportWriter, writer
from ..results.verdict import Verdict


class Reports:
    """The writers that the command line names, and where each writes.

    :raises pytest.UsageError: there is no such format.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._writers: list[tuple[ReportWriter, Path | None]] = []
        for value in config.option.metaopt_report:
            name, equals, path = value.partition("=")
            place = absolute(config.invocation_params.dir, path) if equals else None
            try:
                self._writers.append((writer(name), place))
            except ReportError as error:
                raise pytest.UsageError(f"--metaopt-report: {error}") from None

    def write(self, verdicts: Sequence[Verdict]) -> None:
        """Write every report.

        :raises ReportError: a file can't be written.
        """
        for report, path in self._writers if verdicts else ():
            text = report.text(verdicts)
            if path is None:
                reporter = self._config.pluginmanager.get_plugin("terminalreporter")
                if reporter is not None:
                    reporter.ensure_newline()
                    reporter.write(text)
                continue
            try:
                path.write_text(text, encoding="utf-8")
            except OSError as error:
                raise ReportError(f"{path} can't be written: {error.strerror or error}") from None
