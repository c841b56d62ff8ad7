"""A finding: one thing that is wrong, and how a check says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from .document import Position


@dataclass(frozen=True)
class Finding:
    """One of several things that a check found wrong.

    :param message: what is wrong and what is expected instead, without the file's name.
    :param line: the line of the document, from 1.
    :param column: the column, from 1.
    :param key: the dotted key of the value that it is about; by it ``yields_to`` of
        :func:`~pytest_metaopt.core.check.check` knows what another check reports.
    """

    message: str
    line: int | None = None
    column: int | None = None
    key: str | None = None


class CheckFailed(AssertionError):  # noqa: N818 - named like pytest's own outcomes
    """A check says no. Raised by :func:`fail`; a plain ``assert`` does as well."""

    def __init__(
        self, findings: Sequence[Finding], remediation: str | None = None, *, advisory: bool = False
    ) -> None:
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = tuple(findings)
        self.remediation = remediation
        self.advisory = advisory


class NotApplicable(Exception):  # noqa: N818 - an outcome, like CheckFailed
    """The question of a check does not arise. Raised by :func:`not_applicable`."""


def fail(
    message: str | Sequence[Finding],
    *,
    remediation: str | None = None,
    at: Position | None = None,
    line: int | None = None,
    column: int | None = None,
    key: str | None = None,
    advisory: bool = False,
) -> NoReturn:
    """Make the running check fail with *message*.

    :param message: what is wrong, as a sentence without the file's name; or several findings, each with a
        place of its own.
    :param remediation: what to do about it; default: the check's own.
    :param at: the position in the document of the value that it is about, such as
        ``campaign.position("project.repo")``.
    :param line: the same as a line, from 1, where the column is not known.
    :param column: the column, from 1.
    :param key: the dotted key of the value that it is about.
    :param advisory: this does not block, whatever the check's severity: the answer could not be had, say.
    """
    __tracebackhide__ = True
    line, column = at if at is not None else (line, column)
    findings = [Finding(message, line, column, key)] if isinstance(message, str) else list(message)
    if not findings:
        raise ValueError("fail() was called without a finding")
    raise CheckFailed(findings, remediation, advisory=advisory)


def not_applicable(reason: str) -> NoReturn:
    """End the running check: its question does not arise here, because of *reason*.

    Such a check counts as evaluated; one that is skipped by a mark does not.
    """
    __tracebackhide__ = True
    raise NotApplicable(reason)
