"""Annotations: whatever a finding says, it is one command of the runner, which reads back what was said."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from pytest_metaopt.core.finding import Finding
from pytest_metaopt.core.outcome import Word
from pytest_metaopt.reports import github
from pytest_metaopt.results.ledger import PlannedCheck
from pytest_metaopt.results.result import Result
from pytest_metaopt.results.verdict import Verdict

text = st.text(st.characters(codec="utf-8"))


def lines(document: str = "run.yaml", **fields: Any) -> list[str]:
    """Return the lines for one check that failed, or as *fields* say."""
    outcome: Word = fields.pop("outcome", "failed")
    values = {"message": "wrong", "remediation": "", **fields}
    result = Result("key", "R7", "repo", "blocking", None, outcome, **values)
    check = PlannedCheck("key", "R7", "blocking", document=document)
    verdict = SimpleNamespace(readiness=SimpleNamespace(results=[(check, result)]))
    return github.text([cast(Verdict, verdict)]).split("\n")[:-1]


def test_an_annotation_has_the_place_the_fix_and_the_page() -> None:
    found = lines(line=9, column=3, remediation="Mend it.", page="docs/checks/repo.md#r7")
    assert found == [
        "::error file=run.yaml,line=9,col=3,title=R7::wrong%0Afix: Mend it.%0Asee: docs/checks/repo.md#r7"
    ]


def test_what_is_advisory_is_a_warning_and_what_passed_is_nothing() -> None:
    assert lines(outcome="warning") == ["::warning file=run.yaml,title=R7::wrong"]
    assert lines(outcome="passed") == lines(outcome="skipped") == []


def test_each_finding_has_its_own_annotation() -> None:
    findings = (Finding("first", 2), Finding("second", 5, 7))
    assert lines(findings=findings) == [
        "::error file=run.yaml,line=2,title=R7::first",
        "::error file=run.yaml,line=5,col=7,title=R7::second",
    ]


@given(document=text.filter(bool), message=text)
def test_whatever_is_reported_stays_one_command(document: str, message: str) -> None:
    (line,) = lines(document, message=message)
    assert "\r" not in line
    properties, _, data = line.removeprefix("::error ").partition("::")
    name, title = properties.split(",")
    assert (unquote(name), title) == (f"file={document}", "title=R7")
    assert unquote(data) == message
