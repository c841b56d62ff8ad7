"""Outcomes: how a check came out, and why."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import Literal

from .finding import Finding
from .redaction import safe

Word = Literal["passed", "failed", "bootstrapped", "warning", "skipped"]


@dataclass(frozen=True)
class Failure:
    """Why an evaluation said no.

    :param message: what is wrong, for people; may have several lines, one for each finding.
    :param remediation: what to do.
    :param line: the line of the document that it is about, from 1, where there is one.
    :param column: the column, from 1.
    :param findings: where there are several: each with its place; ``line`` is the first one's.
    :param crash: the check, or a fixture of it, broke instead of answering: its traceback helps.
    :param advisory: it does not block, whatever the severity of the check.
    :param error: what the check raised; it stays in this process.
    """

    message: str
    remediation: str = ""
    line: int | None = None
    column: int | None = None
    findings: tuple[Finding, ...] = ()
    crash: bool = False
    advisory: bool = False
    error: BaseException | None = field(default=None, repr=False, compare=False)

    def traceback(self) -> str:
        """Return the Python traceback of what the check raised, from the check's own frame on."""
        if self.error is None or self.error.__traceback__ is None:
            return ""
        inner = self.error.__traceback__.tb_next
        return safe("".join(traceback.format_exception(type(self.error), self.error, inner)))


@dataclass(frozen=True)
class Outcome:
    """How a check came out.

    :param word: one of the five words of the picture.
    :param failure: why, for ``failed`` and ``warning``; what was fixed, for ``bootstrapped``.
    :param reason: why the question does not arise, for ``skipped``.
    :param changes: what a bootstrap changed, as sentences.
    """

    word: Word
    failure: Failure | None = None
    reason: str | None = None
    changes: tuple[str, ...] = ()
