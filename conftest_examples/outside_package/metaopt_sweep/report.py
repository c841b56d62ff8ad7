"""The report format ``lines``: one line a check."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_metaopt.results.verdict import Verdict


def text(verdicts: Sequence[Verdict]) -> str:
    """Return a line for each check that was evaluated."""
    return "".join(
        f"{check.document} {check.label} {result.outcome}\n"
        for verdict in verdicts
        for check, result in verdict.readiness.results
    )
