"""The closing section of the terminal: the verdict, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.text import enumeration, some, wrapped
from ..results.node_lists import NODE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from ..results.artifact import EvaluatedCheck
    from ..results.node_lists import NodeVerdict
    from ..results.verdict import Verdict

_COLOURS = {"READY": "green", "FAILED": "red", "INCOMPLETE": "yellow"}
_MOST_LISTED = 100
_MOST_ROWS = 24
_MOST_IDS = 4
_WIDEST_NAME = 30
_MARKUP: dict[str, dict[str, bool]] = {"failed": {"red": True}, "unknown": {"yellow": True}}
_COUNTED = ("passed", "bootstrapped", "warnings", "failed")
_SHOWN = {"warnings": "advisory"}


def show_verdicts(reporter: pytest.TerminalReporter, verdicts: Sequence[Verdict]) -> None:
    """Print the closing section: in full, as one line a campaign with ``-q``, not at all with ``-qq``."""
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
    name, counted = verdict.readiness.plan.shown, counts(verdict)
    reporter.write(f"{name}: ")
    reporter.write(verdict.status, bold=True, **{_COLOURS[verdict.status]: True})
    fits = len(f"{name}: {verdict.status} ({counted})") <= _width(reporter)
    reporter.write(f" ({counted})\n" if fits else f"\n  {counted}\n")


def _width(reporter: pytest.TerminalReporter) -> int:
    return max(40, min(reporter._screen_width, 100))  # noqa: SLF001 - as wide as pytest's own lines


def counts(verdict: Verdict) -> str:
    """Return the counts of a verdict as a phrase: ``9 checks: 3 passed, 6 bootstrapped``."""
    summary = vars(verdict.readiness.artifact.checks_summary)
    parts = [f"{summary[name]} {_SHOWN.get(name, name)}" for name in _COUNTED if summary[name]]
    total = summary["total"]
    return f"{total} check{'' if total == 1 else 's'}{': ' if parts else ''}{', '.join(parts)}"


def _alike(checks: Sequence[EvaluatedCheck]) -> list[list[EvaluatedCheck]]:
    """Return the checks of one subject that say the same together: a node that is down fails all of them."""
    groups: dict[object, list[EvaluatedCheck]] = {}
    for check in checks:
        groups.setdefault(_wording(check) if check.subject else id(check), []).append(check)
    return list(groups.values())


def _wording(check: EvaluatedCheck) -> tuple[str, str | None, str | None, str | None]:
    return check.document, check.subject, check.message, check.remediation


def _sorted_out(checks: Sequence[EvaluatedCheck]) -> tuple[list[EvaluatedCheck], list[EvaluatedCheck]]:
    """Return what is to be done, and advice; what blocks too, in the same words, is not an advice."""
    blocking = {_wording(check) for check in checks if check.outcome == "failed" and check.subject}
    to_do, advice = [], []
    for check in checks:
        if check.outcome == "failed" or (check.outcome == "warning" and _wording(check) in blocking):
            to_do.append(check)
        elif check.outcome == "warning":
            advice.append(check)
    return to_do, advice


def _worst(node: NodeVerdict) -> str:
    if not node.findings:
        left_out = "; others were left out" if node.word == "unknown" else ""
        return f"{node.checks} check{'' if node.checks == 1 else 's'}{left_out}"
    (check, message), *others = node.findings
    problem = _without_name(message.splitlines()[0], node.name)
    more = len({other for _, other in others} - {message})
    return f"{check}: {problem}{f' (and {more} more)' if more else ''}"


def _without_name(message: str, node: str) -> str:
    """Return *message* without the name of the node, which stands before it anyway."""
    return next(
        (message.removeprefix(lead) for lead in (f"{node}: ", f"{node} ") if message.startswith(lead)),
        message,
    )


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
        checks = readiness.artifact.checks
        self._roster(readiness.nodes)
        to_do, advice = _sorted_out(checks)
        self._findings("to do:", to_do)
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

    def _findings(self, title: str, checks: Sequence[EvaluatedCheck]) -> None:
        if not checks:
            return
        self.reporter.write_line("")
        self.reporter.write_line(title, bold=True)
        groups = _alike(checks)
        for number, group in enumerate(groups[:_MOST_LISTED], start=1):
            check = group[0]
            subject, message = check.subject, check.message or ""
            ids = some([other.id for other in group], _MOST_IDS)
            label = ids if not subject else f"{ids}-{subject}" if len(group) == 1 else f"{ids} of {subject}"
            if subject and check.category == NODE:
                message = _without_name(message, subject)
            elif subject:
                message = message.removeprefix(f"{subject}: ")
            place = f" ({check.document}:{check.line})" if check.line else ""
            first, *rest = message.splitlines() or [""]
            self.paragraph(f"{label}: {first}{place}", first=f"{number:>3}. ", rest="     ")
            for line in rest:
                self.paragraph(line, first="     ", rest="     ")
            if check.remediation:
                self.paragraph(check.remediation, first="     -> ", rest="        ")
            # What blocks is shown in full above, with its page.
            if check.page and check.outcome == "warning":
                self.paragraph(f"see: {check.page}", first="     ", rest="     ")
        if len(groups) > _MOST_LISTED:
            self.paragraph(f"and {len(groups) - _MOST_LISTED} more", first="     ")

    def _roster(self, nodes: Sequence[NodeVerdict]) -> None:
        """Print a row a node, those first that need somebody; one node alone needs no table."""
        if len(nodes) < 2:
            return
        from ..results.node_lists import worst_first

        self.reporter.write_line("")
        self.reporter.write_line("nodes:", bold=True)
        shown = worst_first(nodes)
        quiet = [node for node in shown if not node.findings]
        if len(shown) > _MOST_ROWS:
            shown = [node for node in shown if node.findings or node.word != "passed"][:_MOST_ROWS]
        width = max((len(node.name) for node in shown if len(node.name) <= _WIDEST_NAME), default=2)
        for node in shown:
            name, markup = node.name, _MARKUP.get(node.word, {})
            if len(name) > width:
                # A longer one has a line of its own.
                self.reporter.write_line(f"  {name}", **markup)
                name = ""
            lead = f"  {name:<{width}}  {node.word:<8}  "
            self.paragraph(_worst(node), first=lead, rest=" " * len(lead), **markup)
        rest = len(nodes) - len(shown)
        if rest:
            word = "passed" if rest <= len(quiet) else "more"
            self.paragraph(f"and {rest} {word}", first="  ")

    def _artifact(self, verdict: Verdict) -> None:
        if verdict.path is None:
            if verdict.status == "INCOMPLETE":
                self.paragraph(f"this was a partial run: {verdict.readiness.why_incomplete}.")
        elif verdict.written:
            self.reporter.write_line(f"artifact: {verdict.place}")
            if verdict.readiness.nodes:
                from ..results.node_lists import node_lists

                lists = node_lists(verdict.readiness.nodes)
                lists_shown = [f"{name} ({len(names)})" for name, names in lists.items() if names is not None]
                if lists_shown:
                    self.paragraph(f"beside it: {enumeration(lists_shown)}")
        elif verdict.status == "INCOMPLETE":
            previous = verdict.previous()
            left = f"left as it was ({previous})" if previous else "not written"
            self.paragraph(f"artifact: {left}, since this was a partial run:")
            self.paragraph(f"{verdict.readiness.why_incomplete}.", first="  ", rest="  ")
