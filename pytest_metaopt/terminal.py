"""The closing section of the terminal: the verdict, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .text import wrapped

if TYPE_CHECKING:
    import pytest

    from .preflight import Preflight, Verdict

_COLOURS = {"READY": "green", "FAILED": "red", "INCOMPLETE": "yellow"}
_MOST_LISTED = 100
_COUNTED = ("passed", "bootstrapped", "warnings", "failed")
_SHOWN = {"warnings": "advisory"}


def show_verdicts(reporter: pytest.TerminalReporter, preflight: Preflight) -> None:
    """Print the closing section: in full, as one line a campaign with ``-q``, not at all with ``-qq``."""
    verdicts = preflight.verdicts
    if not verdicts:
        return
    if reporter.verbosity >= 0:
        reporter.write_sep("=", "preflight readiness")
    for index, verdict in enumerate(verdicts):
        if reporter.verbosity >= 0:
            if index:
                reporter.write_line("")
            _Page(reporter).show(verdict)
        elif reporter.verbosity == -1:
            reporter.ensure_newline()
            _headline(reporter, verdict)
        if verdict.note is not None:
            text = f"ERROR: the readiness artifact was not written: {verdict.note}"
            _Page(reporter).paragraph(text, red=True, bold=True)


def _headline(reporter: pytest.TerminalReporter, verdict: Verdict) -> None:
    name, told = verdict.readiness.plan.shown, counts(verdict)
    reporter.write(f"{name}: ")
    reporter.write(verdict.status, bold=True, **{_COLOURS[verdict.status]: True})
    fits = len(f"{name}: {verdict.status} ({told})") <= _width(reporter)
    reporter.write(f" ({told})\n" if fits else f"\n  {told}\n")


def _width(reporter: pytest.TerminalReporter) -> int:
    return max(40, min(reporter._screen_width, 100))  # noqa: SLF001 - as wide as pytest's own lines


def counts(verdict: Verdict) -> str:
    """Return the counts of a verdict as a phrase: ``9 checks: 3 passed, 6 bootstrapped``."""
    summary = verdict.readiness.artifact["checks_summary"]
    told = [f"{summary[name]} {_SHOWN.get(name, name)}" for name in _COUNTED if summary[name]]
    total = summary["total"]
    return f"{total} check{'' if total == 1 else 's'}{': ' if told else ''}{', '.join(told)}"


class _Page:
    """Lines wrapped at the width of the terminal."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self.reporter = reporter
        self.width = _width(reporter)

    def paragraph(self, text: str, *, first: str = "", rest: str = "", **markup: bool) -> None:
        for line in wrapped(text, width=self.width, first=first, rest=rest).splitlines():
            self.reporter.write_line(line, **markup)

    def show(self, verdict: Verdict) -> None:
        _headline(self.reporter, verdict)
        readiness = verdict.readiness
        checks = readiness.artifact["checks"]
        self._findings("to do:", [check for check in checks if check["outcome"] == "failed"])
        advice = [check for check in checks if check["outcome"] == "warning"]
        self._findings("advisory (does not block):", advice)
        if readiness.changes:
            self.reporter.write_line("")
            self.reporter.write_line("bootstraps changed:", bold=True)
        for change in readiness.changes:
            self.paragraph(change, first="  -  ", rest="     ")
        self.reporter.write_line("")
        if readiness.plan.turned_off:
            self.paragraph(f"turned off by the project: {', '.join(readiness.plan.turned_off)}", rest="  ")
        self._artifact(verdict)

    def _findings(self, title: str, checks: list[dict[str, Any]]) -> None:
        if not checks:
            return
        self.reporter.write_line("")
        self.reporter.write_line(title, bold=True)
        for number, check in enumerate(checks[:_MOST_LISTED], start=1):
            label = f"{check['id']}-{check['subject']}" if check["subject"] else check["id"]
            place = f" ({check['document']}:{check['line']})" if check["line"] else ""
            first, *rest = (check["message"] or "").splitlines() or [""]
            self.paragraph(f"{label}: {first}{place}", first=f"{number:>3}. ", rest="     ")
            for line in rest:
                self.paragraph(line, first="     ", rest="     ")
            if check["remediation"]:
                self.paragraph(check["remediation"], first="     -> ", rest="        ")
        if len(checks) > _MOST_LISTED:
            self.paragraph(f"and {len(checks) - _MOST_LISTED} more", first="     ")

    def _artifact(self, verdict: Verdict) -> None:
        if verdict.path is None:
            if verdict.status == "INCOMPLETE":
                self.paragraph(f"this was not a full look: {verdict.readiness.why_incomplete}.")
        elif verdict.written:
            self.reporter.write_line(f"artifact: {verdict.place}")
        elif verdict.status == "INCOMPLETE":
            previous = verdict.previous()
            left = f"left as it was ({previous})" if previous else "not written"
            self.paragraph(f"artifact: {left}, since this was not a full look:")
            self.paragraph(f"{verdict.readiness.why_incomplete}.", first="  ", rest="  ")
