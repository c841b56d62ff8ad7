"""A document as a collector: one item for each check and subject."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from ..core.check import Check, Severity
from ..core.document import Document, DocumentError
from ..core.text import did_you_mean, printable
from ..documents.kinds import Kind, Subject
from ..results.ledger import Plan, PlannedCheck
from . import compat
from .items import CheckItem, Target
from .parts import Parts, shown


class DocumentFile(pytest.Module):
    """A document as pytest's collector. It is a ``Module`` so that module-scoped fixtures work."""

    def __init__(self, *, parts: Parts, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.parts = parts
        self.kind = parts.documents.kinds[self.path]
        self.view = parts.documents.views.get(self.path)
        self._subjects: dict[str, Sequence[Subject]] = {}
        # Some plugins read the name of every item's module.
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
            raise self.CollectError(error.message_for(self.name_shown)) from None
        checks = self._checks(document)
        known = tuple(checks)
        self.ihook.pytest_metaopt_modify_checks(config=self.config, document=document, checks=checks)
        items = [item for check in checks.values() for item in self._items(check)]
        self.parts.plan(self._plan(document, items, known))
        yield from items

    @property
    def document(self) -> Document:
        """The parsed document.

        :raises DocumentError: it cannot be read.
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
                f"check {check.id} at {check.source} is parametrized; a check is evaluated once a subject:"
                " use each=..., or declare several checks"
            )
        marks = _marks(check.severity, check.bootstrap is not None)
        kind, document = self._target(check)
        target = Target(kind.name, document)
        if check.each is None:
            yield self._item(check, None, target, marks)
            return
        if check.each not in self._subjects:
            listing = kind.subjects.get(check.each)
            if listing is None:
                raise self.CollectError(
                    f"check {check.id} at {check.source}: a {kind.name} has no each={check.each!r}"
                    f"{did_you_mean(check.each, kind.subjects)}"
                )
            self._subjects[check.each] = listing(document)
        for subject in self._subjects[check.each]:
            yield self._item(check, subject, target, marks)

    def _target(self, check: Check) -> tuple[Kind, Document]:
        """Return what a check is evaluated on: the document, or the view of it as another kind."""
        if self.view is not None and check.document == self.view.kind.name:
            return self.view.kind, self.view.document
        return self.kind, self.document

    def _item(
        self, check: Check, subject: Subject | None, target: Target, marks: tuple[pytest.Mark, ...]
    ) -> CheckItem:
        param_id = f"{check.id}-{subject.name}" if subject is not None else check.id
        # Looking up the fixtures takes longer than all the rest, and is the same for each subject, and for
        # each document of a folder, unless somebody marked this one.
        place = self if self.own_markers else self.parent
        key = (place, check.function, check.bootstrap)
        fixtures = self.parts.fixtures.get(key)
        item: CheckItem = CheckItem.from_parent(
            self,
            name=f"{check.group}[{param_id}]",
            originalname=check.group,
            callspec=compat.callspec(param_id, [*marks]),
            callobj=check.function,
            fixtureinfo=fixtures,
            parts=self.parts,
            check=check,
            subject=subject,
            target=target,
        )
        if fixtures is None:
            self._require_fixtures(item)
            self.parts.fixtures[key] = compat.fixtures_of(item)
        # A plugin may change these; each item has its own.
        item.fixturenames = [*item.fixturenames]
        return item

    def _require_fixtures(self, item: CheckItem) -> None:
        """Refuse a check that takes, or names as its bootstrap, a fixture that does not exist."""
        check = item.check
        names = [name for name in check.fixtures if name != check.each]
        missing = compat.missing_fixtures(item, names)
        declared = compat.fixtures_declared(self.session)
        if check.bootstrap is not None and check.bootstrap not in declared:
            missing.append(check.bootstrap)
        for name in missing:
            hint = did_you_mean(name, declared) or "; pytest --fixtures lists those that exist"
            raise self.CollectError(f"check {check.id} at {check.source}: fixture {name!r} not found{hint}")


@cache
def _marks(severity: Severity, bootstraps: bool) -> tuple[pytest.Mark, ...]:
    marks = [pytest.mark.metaopt, getattr(pytest.mark, severity)]
    if bootstraps:
        marks.append(pytest.mark.usefixtures("_metaopt_bootstrap"))
    return tuple(decorator.mark for decorator in marks)
