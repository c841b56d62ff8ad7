"""A check of a subject as a test item: set up, evaluated, bootstrapped and evaluated again."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, NoReturn, get_type_hints

import pytest

from ..core.check import Check
from ..core.document import Document, Position
from ..core.finding import CheckFailed, NotApplicable
from ..core.outcome import Failure, Outcome
from ..core.redaction import safe
from ..documents.kinds import Subject
from ..results.result import Result
from . import compat
from .evaluation import bootstrap, evaluate, failed
from .overlap import left_to_report, may_report_for
from .parts import Parts, shown
from .reporting import failure_text, summary_line

PASSED = Outcome("passed")
_NOT_EVALUATED = ("skip", "skipif", "xfail")
"""The marks under which a check may not report what it finds."""


class CheckFailure(Exception):  # noqa: N818 - an outcome, like pytest's own
    """A blocking check failed; ``failure`` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class AdvisoryFailure(compat.Skipped):
    """An advisory check failed: reported, but as what does not fail the session."""


class QuestionSkipped(compat.Skipped):
    """The question of a check does not arise; pytest's own word for it."""


class Target(NamedTuple):
    """What a check is evaluated on: a document, or the view of it as another kind.

    :param name: the name of its kind.
    """

    name: str
    document: Document


class CheckItem(pytest.Function):
    """A check of a subject, as pytest's test function."""

    # There may be many thousands of them: what most never need is not kept by each.
    outcome: Outcome | None = None
    seconds = 0.0
    reported: Result | None = None
    evaluates_first = False
    first: Failure | None = None
    _bootstrapped: tuple[str, ...] | None = None
    _bootstrap_error: str | None = None
    _unmet: CheckFailed | None = None

    def __init__(
        self, *, parts: Parts, check: Check, subject: Subject | None, target: Target, **keywords: Any
    ) -> None:
        super().__init__(**keywords)
        self.parts = parts
        self.check = check
        self.subject = subject
        self.target = target

    @cached_property
    def key(self) -> str:
        """What results are known by: node ids of files outside the root folder may be the same."""
        return f"{self.path}::{self.name}"

    @property
    def result(self) -> Result | None:
        """How it came out; None before it is evaluated."""
        outcome = self.outcome
        if outcome is None:
            return None
        failure = outcome.failure
        return Result(
            key=self.key,
            check_id=self.check.id,
            group=self.check.group,
            severity=self.check.severity,
            page=self.check.page if failure else None,
            subject=_masked(self.subject.name) if self.subject else None,
            outcome=outcome.word,
            message=failure.message if failure else outcome.reason,
            remediation=failure.remediation if failure else _masked(self.check.remediation),
            line=failure.line if failure else None,
            column=failure.column if failure else None,
            bootstrap=self.check.bootstrap,
            changes=outcome.changes,
            seconds=round(self.seconds, 6),
            findings=failure.findings if failure else (),
            properties=self.subject.properties if self.subject else {},
        )

    @property
    def position(self) -> Position | None:
        """Where its subject, or else the document, begins in the file; None where that is not known."""
        return self.target.document.position(self.subject.keys if self.subject else ())

    @property
    def name_shown(self) -> str:
        """The document's path as people see it."""
        return shown(self.path, self.config)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Say to pytest that the item stands in the document, not in the check's source."""
        line = self.outcome.failure.line if self.outcome and self.outcome.failure else None
        return self.path, (line - 1 if line else 0), self.name

    def setup(self) -> None:
        """Set up the fixtures; nothing is known of the check before."""
        self.outcome = None
        self.seconds = 0.0
        self._bootstrapped = None
        self._bootstrap_error = None
        self._unmet = None
        # What the fixture of that name would give; a fixture takes longer than most checks.
        if self.subject is not None and self.check.each is not None:
            self.funcargs[self.check.each] = self.subject.value
        if not self.config.getoption("setupshow", False):
            compat.fill(self, self.target.name, self.target.document)
        try:
            super().setup()
        except CheckFailed as error:
            # A fixture says no: the fact that the check needs cannot be had, which is an answer.
            self._unmet = error
        except NotApplicable as error:
            self._skip(error)

    def _skip(self, error: NotApplicable) -> NoReturn:
        reason = safe(str(error))
        self.outcome = Outcome("skipped", reason=reason)
        raise QuestionSkipped(reason) from None

    def evaluate_first(self, keep: pytest.Item | pytest.Session) -> Failure | None:
        """Evaluate once, before any bootstrap of the session; return why it does not hold, if it does not.

        Fixtures that *keep* uses too stay set up.
        """
        self.evaluates_first = True
        self.first = None
        try:
            compat.run_unreported(self, keep)
        finally:
            self.evaluates_first = False
            self.outcome = None
        return self.first

    def bootstrap_if_needed(self, request: pytest.FixtureRequest) -> None:
        """Run the bootstrap, ahead of the check's own fixtures, where the first evaluation failed."""
        if not self.evaluates_first and self.parts.first_evaluations.failure(self.key) is not None:
            self._run_bootstrap(request)
        self._bootstrap_request = request

    def _run_bootstrap(self, request: pytest.FixtureRequest) -> None:
        assert self.check.bootstrap is not None  # noqa: S101 - only such checks are evaluated first
        with self.parts.coordination.bootstrapping([self.parts.documents.roots[self.path]]):
            done = bootstrap(self.check.bootstrap, request.getfixturevalue)
        self._bootstrapped = done.changes
        self._bootstrap_error = done.error

    def runtest(self) -> None:
        """Evaluate; where that fails and a bootstrap may fix it, bootstrap and evaluate again."""
        if self.evaluates_first:
            with contextlib.suppress(compat.Skipped, NotApplicable):
                self.first = self._evaluate()
            return
        try:
            self.outcome = self._outcome()
        except NotApplicable as error:
            self._skip(error)
        if self.outcome.word == "failed":
            assert self.outcome.failure is not None  # noqa: S101 - a failure has a reason
            raise CheckFailure(self.outcome.failure)
        if self.outcome.word == "warning":
            assert self.outcome.failure is not None  # noqa: S101 - as above
            raise AdvisoryFailure(summary_line(self.outcome.failure))

    def _evaluate(self) -> Failure | None:
        if self._unmet is not None:
            failure = failed(self._unmet, self.check, self.position)
            # A service that cannot be reached says neither yes nor no.
            return replace(failure, advisory=failure.advisory or self.check.online)
        arguments = {name: self.funcargs[name] for name in self.check.fixtures}
        _require_own_types(self.check, arguments)
        found = evaluate(self.check, arguments, self.position)
        if found is None or not self.check.yields_to:
            return found
        return left_to_report(found, self.check, self.target.document, self.position, self._reporting())

    def _reporting(self) -> Iterator[Check]:
        """Yield the checks that report what this one need not, and that the session evaluates."""
        for item in self.session.items:
            if (
                isinstance(item, CheckItem)
                and item.target == self.target
                and may_report_for(item.check, self.check)
                and not any(True for name in _NOT_EVALUATED for _ in item.iter_markers(name))
            ):
                yield item.check

    def _outcome(self) -> Outcome:
        first = self.parts.first_evaluations.failure(self.key)
        again = self._evaluate()
        if first is None and again is not None and self.check.bootstrap and self.parts.bootstraps:
            # It held at first, or was not evaluated then, and does not hold now.
            first = again
            self._run_bootstrap(self._bootstrap_request)
            again = self._evaluate()
        changes = self._bootstrapped or ()
        if again is None:
            return Outcome("bootstrapped", first, changes=changes) if first else PASSED
        if self._bootstrap_error is not None:
            message = f"bootstrap {self.check.bootstrap} failed: {self._bootstrap_error}"
            again = replace(again, message=f"{again.message}\n{message}")
        elif self._bootstrapped is not None:
            message = f"bootstrap {self.check.bootstrap} ran, but the check still fails"
            again = replace(again, message=f"{again.message}\n{message}")
        told_only = self.check.severity == "advisory" or again.advisory
        return Outcome("warning" if told_only else "failed", again, changes=changes)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> Any:
        """Show what is wrong, where, and how to fix it; a traceback only for a bug, or on ``--tb=long``."""
        if not isinstance(excinfo.value, CheckFailure):
            return super().repr_failure(excinfo, *args, **kwargs)
        failure = excinfo.value.failure
        text = failure_text(self.name_shown, self.check, failure)
        if failure.crash or self.config.getoption("tbstyle", "auto") == "long":
            text += f"\n{failure.traceback()}\n(the check is declared at {self.check.source})"
        return compat.failure_repr(self.name_shown, failure.line or 1, summary_line(failure), text)


@lru_cache(maxsize=1024)
def _masked(text: str) -> str:
    return safe(text)


def _require_own_types(check: Check, arguments: dict[str, Any]) -> None:
    """Say so where a project's fixture took the place of one that a built-in check relies on."""
    expected_types = _own_types(check.function)
    for name, value in arguments.items():
        expected = expected_types.get(name)
        if expected is not None and not isinstance(value, expected):
            raise TypeError(
                f"a conftest or plugin overrides our fixture {name!r} with one that gives a"
                f" {type(value).__name__}, where a {expected.__name__} is needed; rename it"
            )


@lru_cache(maxsize=1024)
def _own_types(function: Callable[..., object]) -> Mapping[str, type]:
    """Return the type of each argument of a built-in check; of others nothing is known."""
    if not function.__module__.startswith("pytest_metaopt."):
        return {}
    return {name: hint for name, hint in get_type_hints(function).items() if isinstance(hint, type)}
