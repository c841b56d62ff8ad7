"""Folders with many documents: looked through once, not once for each document that is named in them.

pytest collects a folder anew for every file of it on the command line. For a thousand run configs in one
folder that would be a million looks at files.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest


class Remembering:
    """Takes note of what was found in a folder."""

    def __init__(self) -> None:
        self.known: dict[pytest.Collector, pytest.CollectReport] = {}

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Keep the report of a folder."""
        report = yield
        if isinstance(collector, pytest.Dir) and report.passed:
            self.known[collector] = report
        return report


class Recalling:
    """Answers with what is known of a folder."""

    def __init__(self, remembering: Remembering) -> None:
        self.known = remembering.known

    @pytest.hookimpl(tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> pytest.CollectReport | None:
        """Return the report of a folder that was looked through before."""
        return self.known.get(collector)
