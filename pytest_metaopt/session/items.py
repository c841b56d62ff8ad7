"""A document becomes test items: one for each check and subject."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache
from types import ModuleType
from typing import Any, NoReturn, get_type_hints

import pytest

from ..core.check import Check, Severity
from ..core.document import Document, DocumentError
from ..core.finding import CheckFailed, NotApplicable
from ..core.outcome import Failure, Outcome
from ..core.redaction import safe
from ..core.text import did_you_mean, printable
from ..documents.kinds import Kind, Subject
from ..results.ledger import Plan, PlannedCheck
from ..results.result import Result
from . import compat
from .catalog import Catalog
from .coordination import Coordination
from .documents import Documents
from .evaluation import bootstrap, evaluate, failed
from .first_evaluation import FirstEvaluations
from .reporting import failure_text, summary_line

PASSED = Outcome("passed")


class CheckFailure(Exception):  # noqa: N818 - an outcome, like pytest's own
    """A blocking check failed; ``failure`` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class AdvisoryFailure(compat.Skipped):
    """An advisory check failed: reported, but as what does not fail the session."""


class QuestionSkipped(compat.Skipped):
    """The question of a check does not arise; pytest's own word for it."""


@dataclass(frozen=True)
class Parts:
    """The parts of the session that items work with.

    :param plan: is called with the plan of each document, before anything is selected away.
    :param bootstraps: whether bootstraps may run.
    """

    documents: Documents
    catalog: Catalog
    first_evaluations: FirstEvaluations
    coordination: Coordination
    plan: Callable[[Plan], None]
    bootstraps: bool
    fixtures: dict[object, Any] = field(default_factory=dict)
    """What pytest found out of the fixtures of a check, which is the same for all its subjects."""


class DocumentFile(pytest.Module):
    """A document as pytest's collector. It is a ``Module`` so that module-scoped fixtures work."""

    def __init__(self, *, parts: Parts, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.parts = parts
        self.kind = parts.documents.kinds[self.path]
        self.view = parts.documents.views.get(self.path)
        self._subjects: dict[str, Sequence[Subject]] = {}
        # Some plugins ask the module of every item for its name.
        self._module = ModuleType(self.path.stem)
        self._module.__file__ = str(self.path)

    @property  # type: ignore[misc]
    def obj(self) -> ModuleType:
        """Stand in for the Python module that a document has not."""
        return self._module

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item for each check of the document, and for each subject where there are many."""
        try:
            document = self.document
        except DocumentError as error:
            raise self.CollectError(error.told(self.name_shown)) from None
        checks = self._checks(document)
        known = tuple(checks)
        self.ihook.pytest_metaopt_modify_checks(config=self.config, document=document, checks=checks)
        items = [item for check in checks.values() for item in self._items(check)]
        self.parts.plan(self._plan(document, items, known))
        yield from items

    @property
    def document(self) -> Document:
        """The parsed document.

        :raises DocumentError: it can't be read.
        """
        return self.parts.documents.load(self.path)

    def _checks(self, document: Document) -> dict[str, Check]:
        """Return the checks of the document by id, those of the parts of its view included."""
        checks = self.parts.catalog.of_document(self.kind.name, document)
        if self.view is not None:
            of_view = self.parts.catalog.of_document(self.view.kind.name, self.view.document)
            checks |= {check.id: check for check in of_view.values() if check.each and check.id not in checks}
        return checks

    def _plan(self, document: Document, items: Sequence[CheckItem], known: Sequence[str]) -> Plan:
        name = self.name_shown
        kept = {item.check.id for item in items}
        return Plan(
            path=str(self.path),
            shown=name,
            checks=tuple(
                PlannedCheck(
                    item.key,
                    item.check.id,
                    item.check.severity,
                    printable(item.subject.name) if item.subject else None,
                    name,
                    item.check.each,
                )
                for item in items
            ),
            fields=document.readiness_fields,
            turned_off=tuple(check_id for check_id in known if check_id not in kept),
        )

    @property
    def name_shown(self) -> str:
        """The file's path as people see it: relative to where they are, if it is below."""
        return shown(self.path, self.config)

    def _items(self, check: Check) -> Iterator[CheckItem]:
        if any(mark.name == "parametrize" for mark in getattr(check.function, "pytestmark", ())):
            raise self.CollectError(
                f"check {check.id} at {check.source} is parametrized; a check is asked once a subject:"
                " use each=..., or declare several checks"
            )
        marks = _marks(check.severity, check.bootstrap is not None)
        if check.each is None:
            yield self._item(check, None, marks)
            return
        if check.each not in self._subjects:
            kind, document = self._asked(check)
            listing = kind.subjects.get(check.each)
            if listing is None:
                raise self.CollectError(
                    f"check {check.id} at {check.source}: a {kind.name} has no each={check.each!r}"
                    f"{did_you_mean(check.each, kind.subjects)}"
                )
            self._subjects[check.each] = listing(document)
        for subject in self._subjects[check.each]:
            yield self._item(check, subject, marks)

    def asked_document(self, check: Check) -> tuple[str, Document]:
        """Return what a check is asked of, and the name of its kind."""
        kind, document = self._asked(check)
        return kind.name, document

    def _asked(self, check: Check) -> tuple[Kind, Document]:
        """Return what a check is asked of: the document, or what it is looked at as."""
        if self.view is not None and check.document == self.view.kind.name:
            return self.view.kind, self.view.document
        return self.kind, self.document

    def _item(self, check: Check, subject: Subject | None, marks: tuple[pytest.Mark, ...]) -> CheckItem:
        param_id = f"{check.id}-{subject.name}" if subject is not None else check.id
        # Looking up the fixtures takes longer than all the rest, and is the same for each subject, and for
        # each document of a folder, unless somebody marked this one.
        place = self if self.own_markers else self.parent
        asked = (place, check.function, check.bootstrap)
        fixtures = self.parts.fixtures.get(asked)
        item: CheckItem = CheckItem.from_parent(
            self,
            name=f"{check.group}[{param_id}]",
            originalname=check.group,
            callspec=compat.callspec(param_id, [*marks]),
            callobj=check.function,
            fixtureinfo=fixtures,
            check=check,
            subject=subject,
        )
        if fixtures is None:
            self._require_fixtures(item)
            self.parts.fixtures[asked] = compat.fixtures_of(item)
        # A plugin may change these; each item has its own.
        item.fixturenames = [*item.fixturenames]
        return item

    def _require_fixtures(self, item: CheckItem) -> None:
        """Refuse a check that takes, or names as its bootstrap, a fixture that does not exist."""
        check = item.check
        names = [name for name in fixture_names(check.function) if name != check.each]
        missing = compat.missing_fixtures(item, names)
        declared = compat.fixtures_declared(self.session)
        if check.bootstrap is not None and check.bootstrap not in declared:
            missing.append(check.bootstrap)
        for name in missing:
            hint = did_you_mean(name, declared) or "; pytest --fixtures lists those that exist"
            raise self.CollectError(f"check {check.id} at {check.source}: there is no fixture {name!r}{hint}")


@cache
def _marks(severity: Severity, bootstraps: bool) -> tuple[pytest.Mark, ...]:
    marks = [pytest.mark.metaopt, getattr(pytest.mark, severity)]
    if bootstraps:
        marks.append(pytest.mark.usefixtures("_metaopt_bootstrap"))
    return tuple(decorator.mark for decorator in marks)


class CheckItem(pytest.Function):
    """A check asked of a subject, as pytest's test function."""

    parent: DocumentFile

    # There may be many thousands of them: what most never need is not kept by each.
    outcome: Outcome | None = None
    seconds = 0.0
    evaluates_first = False
    first: Failure | None = None
    _bootstrapped: tuple[str, ...] | None = None
    _bootstrap_error: str | None = None
    _unmet: CheckFailed | None = None

    def __init__(self, *, check: Check, subject: Subject | None, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.check = check
        self.subject = subject

    @cached_property
    def key(self) -> str:
        """What results are known by: node ids of files outside the root folder may be the same."""
        return f"{self.path}::{self.name}"

    @property
    def parts(self) -> Parts:
        """The parts of the session."""
        return self.parent.parts

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
    def document(self) -> Document:
        """The document that is asked about."""
        return self.parent.document

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Tell pytest that the item stands in the document, not in the check's source."""
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
        if not self.config.option.setupshow:
            compat.fill(self, *self.parent.asked_document(self.check))
        try:
            super().setup()
        except CheckFailed as error:
            # A fixture says no: what the check asks about can't be had, which is an answer.
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
        """Evaluate; where that fails and a bootstrap may mend it, bootstrap and evaluate again."""
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
            failure = failed(self._unmet, self.check)
            # A service that can't be reached says neither yes nor no.
            return replace(failure, advisory=failure.advisory or self.check.online)
        arguments = {name: self.funcargs[name] for name in fixture_names(self.check.function)}
        _require_own_types(self.check, arguments)
        return evaluate(self.check, arguments)

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
            told = f"bootstrap {self.check.bootstrap} failed: {self._bootstrap_error}"
            again = replace(again, message=f"{again.message}\n{told}")
        elif self._bootstrapped is not None:
            told = f"bootstrap {self.check.bootstrap} ran, but it still does not hold"
            again = replace(again, message=f"{again.message}\n{told}")
        told_only = self.check.severity == "advisory" or again.advisory
        return Outcome("warning" if told_only else "failed", again, changes=changes)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> Any:
        """Show what is wrong, where, and how to mend it; a traceback only for a bug, or on ``--tb=long``."""
        if not isinstance(excinfo.value, CheckFailure):
            return super().repr_failure(excinfo, *args, **kwargs)
        failure = excinfo.value.failure
        text = failure_text(self.parent.name_shown, self.check.id, failure)
        if failure.crash or self.config.getoption("tbstyle", "auto") == "long":
            text += f"\n{failure.traceback()}\n(the check is declared at {self.check.source})"
        return compat.failure_repr(self.parent.name_shown, failure.line or 1, summary_line(failure), text)


@lru_cache(maxsize=1024)
def _masked(text: str) -> str:
    return safe(text)


def _require_own_types(check: Check, arguments: dict[str, Any]) -> None:
    """Say so where a project's fixture took the place of one that a built-in check relies on."""
    wanted_types = _own_types(check.function)
    for name, value in arguments.items():
        wanted = wanted_types.get(name)
        if wanted is not None and not isinstance(value, wanted):
            raise TypeError(
                f"a conftest or plugin overrides our fixture {name!r} with one that gives a"
                f" {type(value).__name__}, where a {wanted.__name__} is needed; rename it"
            )


@lru_cache(maxsize=1024)
def _own_types(function: Callable[..., object]) -> Mapping[str, type]:
    """Return the type of each argument of a built-in check; of others nothing is known."""
    if not function.__module__.startswith("pytest_metaopt."):
        return {}
    return {name: hint for name, hint in get_type_hints(function).items() if isinstance(hint, type)}


@lru_cache(maxsize=1024)
def fixture_names(function: Callable[..., object]) -> tuple[str, ...]:
    """Return the fixtures that a check's function takes, by name."""
    parameters = inspect.signature(function).parameters
    variadic = {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    return tuple(
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and parameter.kind not in variadic
    )


def shown(path: os.PathLike[str] | str, config: pytest.Config) -> str:
    """Return *path* as people see it: relative to the invocation folder where it is below that."""
    text = os.fspath(path)
    relative = os.path.relpath(text, config.invocation_params.dir)
    return text if relative.startswith("..") else relative
