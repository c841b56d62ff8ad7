"""The reports of ``--metaopt-report``, written at the end of the session."""

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
        self._writers: list[tuple[ReportWriter, Path | None]] = []
        for value in config.option.metaopt_report:
            name, equals, path = value.partition("=")
            place = absolute(config.invocation_params.dir, path) if equals else None
            try:
                self._writers.append((writer(name), place))
            except ReportError as error:
                raise pytest.UsageError(f"--metaopt-report: {error}") from None

    def write_files(self, verdicts: Sequence[Verdict]) -> None:
        """Write the reports that have a file.

        :raises ReportError: a file cannot be written.
        """
        for report, path in self._writers if verdicts else ():
            if path is not None:
                try:
                    path.write_text(report.text(verdicts), encoding="utf-8")
                except OSError as error:
                    raise ReportError(f"could not write {path}: {error.strerror or error}") from None

    def show(self, reporter: pytest.TerminalReporter, verdicts: Sequence[Verdict]) -> None:
        """Write the others to the terminal."""
        for report, path in self._writers if verdicts else ():
            if path is None:
                reporter.write(report.text(verdicts))
