"""Checks: how one is declared, and the catalog of those that apply to a document."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NoReturn, TypeVar

import pytest

from ..session.compat import Skipped
from .document import Document
from .text import did_you_mean, one_line

Severity = Literal["blocking", "advisory"]
SEVERITIES: tuple[Severity, ...] = ("blocking", "advisory")

_DECLARED = "__metaopt_checks__"
_ID = re.compile(r"[A-Za-z0-9_.]+(-[A-Za-z0-9_.]+)*")
_GROUP = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_Function = TypeVar("_Function", bound=Callable[..., object])


@dataclass(frozen=True)
class Finding:
    """One of several things that a check found wrong.

    :param message: what is wrong and what is wanted instead, without the file's name.
    :param line: the line of the document, from 1.
    :param column: the column, from 1.
    """

    message: str
    line: int | None = None
    column: int | None = None


class CheckFailed(AssertionError):  # noqa: N818 - named as what it tells, like pytest's own outcomes
    """A check says no. Raised by :func:`fail`; a plain ``assert`` does as well."""

    def __init__(
        self, findings: Sequence[Finding], remediation: str | None = None, *, advisory: bool = False
    ) -> None:
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = tuple(findings)
        self.remediation = remediation
        self.advisory = advisory


class NotApplicable(Skipped):
    """The question of a check does not arise. Raised by :func:`not_applicable`."""


def fail(
    message: str | Sequence[Finding],
    *,
    remediation: str | None = None,
    line: int | None = None,
    column: int | None = None,
    advisory: bool = False,
) -> NoReturn:
    """Make the running check fail with *message*.

    :param message: what is wrong, as a sentence without the file's name; or several findings, each with a
        place of its own.
    :param remediation: what to do about it; default: the check's own.
    :param line: the line of the document, from 1, that it is about.
    :param column: the column, from 1.
    :param advisory: this does not block, whatever the check's severity: the answer could not be had, say.
    """
    __tracebackhide__ = True
    findings = [Finding(message, line, column)] if isinstance(message, str) else list(message)
    if not findings:
        raise ValueError("fail() was called without a finding")
    raise CheckFailed(findings, remediation, advisory=advisory)


def not_applicable(reason: str) -> NoReturn:
    """End the running check: its question does not arise here, because of *reason*.

    Such a check counts as evaluated; one that is skipped by a mark does not.
    """
    __tracebackhide__ = True
    raise NotApplicable(reason)


@dataclass(frozen=True)
class Check:
    """A named question.

    :param id: what users type and dashboards show, unique among the checks of a document.
    :param group: what its node ids begin with, and its category in the readiness artifact.
    :param document: the kind of document that it is asked of.
    :param each: the part of the document that it is asked of one by one; None: the document as a whole.
    :param severity: ``blocking`` or ``advisory``.
    :param bootstrap: the name of the fixture that may mend what it found.
    :param remediation: what to do when it fails.
    :param when: tells of a document whether the check is asked of it at all; None: always.
    :param online: it is asked with ``--metaopt-online`` only.
    :param setting: the ini key that it needs: where that has no value, the check is not asked.
    :param function: the function that asserts.
    :param scope: the folder whose documents it applies to; None: all.
    """

    id: str
    group: str
    document: str
    each: str | None
    severity: Severity
    bootstrap: str | None
    remediation: str
    when: Callable[[Any], bool] | None
    online: bool
    setting: str | None
    function: Callable[..., object]
    scope: Path | None = None

    @property
    def description(self) -> str:
        """What it asks: the first paragraph of its docstring, else its name in words."""
        doc = inspect.getdoc(self.function)
        if doc:
            return one_line(doc.split("\n\n")[0])
        name = getattr(self.function, "__name__", self.id)
        return name.strip("_").replace("_", " ") or self.id

    @property
    def source(self) -> str:
        """Where it is declared, ``<file>:<line>``."""
        return _source(self.function)


def check(
    check_id: str,
    *,
    group: str,
    document: str = "campaign",
    each: str | None = None,
    severity: Severity = "blocking",
    bootstrap: str | None = None,
    remediation: str = "",
    when: Callable[[Any], bool] | None = None,
    online: bool = False,
    setting: str | None = None,
) -> Callable[[_Function], _Function]:
    """Declare a check: the function below takes fixtures and asserts.

    It is found in every ``conftest.py`` and every pytest plugin module, and applies to the
    documents at or below the folder of that ``conftest.py`` (like a fixture), or to all.
    Its docstring is its description in the catalog.

    :param check_id: letters, digits, ``_``, ``.`` and single ``-``. An id that a check further out
        has replaces that check.
    :param group: an identifier; it is the ``<group>`` of the node id ``<file>::<group>[<id>]``.
    :param document: the kind of document that it is asked of.
    :param each: ask it of each such part (the fixture of that name gives the part).
    :param severity: ``blocking`` or ``advisory``.
    :param bootstrap: a fixture to request when it fails, before it is evaluated again. What the
        fixture returns (a sentence or several) is told as what it changed.
    :param remediation: what to do when it fails.
    :param when: called with the document: whether the check is collected for it. What can only be known when
        it is asked is told with :func:`not_applicable` instead.
    :param online: collect it with ``--metaopt-online`` only, since it asks a service outside; where its facts
        can't be had, that does not block.
    :param setting: an ini key; where it has no value, the check is not collected.
    :raises pytest.UsageError: one of these is not as said, or the function can't be a check.
    """

    def declare(function: _Function) -> _Function:
        declared = Check(
            check_id, group, document, each, severity, bootstrap, remediation, when, online, setting, function
        )
        _validate(declared)
        function.__globals__.setdefault(_DECLARED, []).append(declared)
        return function

    return declare


def _validate(declared: Check) -> None:
    def refuse(problem: str) -> NoReturn:
        raise pytest.UsageError(f"@check({declared.id!r}) at {_source(declared.function)}: {problem}")

    function = declared.function
    if not inspect.isfunction(function):
        refuse("it decorates something that is no function")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        refuse("an async function is not supported; gather the fact in a fixture and assert here")
    if inspect.isgeneratorfunction(function):
        refuse("a check does not yield; put set-up and clean-up into a fixture")
    if not isinstance(declared.id, str) or not _ID.fullmatch(declared.id):
        refuse("an id is made of letters, digits, '_', '.' and single '-'")
    if not isinstance(declared.group, str) or not _GROUP.fullmatch(declared.group):
        refuse(f"group {declared.group!r} is no identifier")
    if declared.severity not in SEVERITIES:
        hint = did_you_mean(str(declared.severity), SEVERITIES)
        refuse(f"severity {declared.severity!r} is neither 'blocking' nor 'advisory'{hint}")


def _source(function: object) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return f"{code.co_filename}:{code.co_firstlineno}" if code else "<unknown>"


def checks_of_module(module: ModuleType, scope: Path | None) -> Iterator[Check]:
    """Yield the checks that *module* declares or imports, each once.

    :raises pytest.UsageError: two checks of the module have one id.
    """
    own: list[Check] = vars(module).get(_DECLARED, [])
    found: dict[int, Check] = {id(declared): declared for declared in own}
    for value in list(vars(module).values()):
        if not inspect.isfunction(value):
            continue
        inner = inspect.unwrap(value)
        for declared in inner.__globals__.get(_DECLARED, ()):
            if declared.function is inner or declared.function is value:
                # A decorator above @check made a new function: that one is the check.
                found[id(declared)] = replace(declared, function=value)
    seen: dict[tuple[str, str], Check] = {}
    for declared in found.values():
        other = seen.setdefault((declared.document, declared.id), declared)
        if other is not declared:
            raise pytest.UsageError(
                f"two checks have the id {declared.id!r}: {other.source} and {declared.source}; rename one"
            )
        yield replace(declared, scope=scope)


class Catalog:
    """Every check that is known: the built-in ones, and those of conftests and plugins."""

    def __init__(
        self,
        builtin_modules: Mapping[str, Iterable[str]],
        plugins: Iterable[ModuleType],
        *,
        advisory: Iterable[str] = (),
        blocking: Iterable[str] = (),
        online: bool = False,
        ini: Callable[[str], Any] | None = None,
    ) -> None:
        self._online = online
        self._ini = ini
        self._advisory = frozenset(advisory)
        self._blocking = frozenset(blocking)
        self._checks: list[Check] = []
        for names in builtin_modules.values():
            for name in names:
                self._checks += checks_of_module(importlib.import_module(name), None)
        for module, scope in with_scopes(plugins):
            self._checks += checks_of_module(module, scope)

    def __iter__(self) -> Iterator[Check]:
        """Yield every check, with the severity that the settings give it."""
        return (self._with_severity(declared) for declared in self._checks)

    def of_document(self, kind: str, document: Document) -> dict[str, Check]:
        """Return the checks that apply to a document of *kind*, by id, built-in ones first."""
        chosen: dict[str, Check] = {}
        for declared in self:
            in_scope = declared.scope is None or document.path.is_relative_to(declared.scope)
            if declared.document == kind and in_scope and (self._online or not declared.online):
                chosen[declared.id] = declared
        return {
            check_id: declared
            for check_id, declared in chosen.items()
            if self._is_set(declared) and (declared.when is None or declared.when(document))
        }

    def _is_set(self, declared: Check) -> bool:
        if declared.setting is None or self._ini is None:
            return True
        try:
            return bool(self._ini(declared.setting))
        except ValueError:
            raise pytest.UsageError(
                f"check {declared.id} at {declared.source}: there is no ini key {declared.setting!r}"
            ) from None

    def unknown_ids(self) -> list[tuple[str, str]]:
        """Return a (setting, id) pair for each id that the settings name and no check has."""
        known = {declared.id for declared in self._checks}
        named = [("metaopt_advisory", name) for name in sorted(self._advisory - known)]
        return named + [("metaopt_blocking", name) for name in sorted(self._blocking - known)]

    def ids(self) -> list[str]:
        """Return the id of every check, each once, in the order of declaration."""
        return list(dict.fromkeys(declared.id for declared in self._checks))

    def _with_severity(self, declared: Check) -> Check:
        if declared.id in self._advisory:
            return replace(declared, severity="advisory")
        if declared.id in self._blocking:
            return replace(declared, severity="blocking")
        return declared


def with_scopes(plugins: Iterable[object]) -> list[tuple[ModuleType, Path | None]]:
    """Return those of pytest's *plugins* that are modules, each with the folder that it is for; None: all.

    Outer folders come first, so that the nearest conftest has the last word on a name.
    """
    modules = [(plugin, _conftest_folder(plugin)) for plugin in plugins if isinstance(plugin, ModuleType)]
    return sorted(modules, key=lambda entry: len(entry[1].parts) if entry[1] else 0)


def _conftest_folder(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    if file is None or Path(file).name != "conftest.py":
        return None
    return Path(file).parent
