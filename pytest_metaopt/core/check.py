"""Checks: how one is declared, and the catalog of those that apply to a document."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

from .text import did_you_mean, one_line

Severity = Literal["blocking", "advisory"]
SEVERITIES: tuple[Severity, ...] = ("blocking", "advisory")

DECLARED = "__metaopt_checks__"
"""The attribute of a module under which its checks are found."""
_ID = re.compile(r"[A-Za-z0-9_.]+(-[A-Za-z0-9_.]+)*")
_GROUP = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_Function = TypeVar("_Function", bound=Callable[..., object])


class DeclarationError(Exception):
    """A check or probe is not declared as it has to be; ``str()`` of it says which, where and why."""


@dataclass(frozen=True)
class Check:
    """A named question.

    :param id: what users type and dashboards show, unique among the checks of a document.
    :param group: what its node ids begin with, and its category in the readiness artifact.
    :param document: the kind of document that it applies to.
    :param each: the part of the document that it is evaluated on one by one; None: the document as a whole.
    :param severity: ``blocking`` or ``advisory``.
    :param bootstrap: the name of the fixture that may fix what it found.
    :param remediation: what to do when it fails.
    :param when: returns whether the check applies to a document at all; None: always.
    :param online: it is collected with ``--metaopt-online`` only.
    :param setting: the ini key that it needs: where that has no value, the check is not collected.
    :param yields_to: the ids of checks of the same document that report some of its findings in its place.
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
    yields_to: tuple[str, ...]
    function: Callable[..., object]
    scope: Path | None = None

    @property
    def description(self) -> str:
        """What it checks: the first paragraph of its docstring, else its name in words."""
        doc = inspect.getdoc(self.function)
        if doc:
            return one_line(doc.split("\n\n")[0])
        name = getattr(self.function, "__name__", self.id)
        return name.strip("_").replace("_", " ") or self.id

    @cached_property
    def fixtures(self) -> tuple[str, ...]:
        """The fixtures that its function takes, by name."""
        parameters = inspect.signature(self.function).parameters
        variadic = {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
        return tuple(
            name
            for name, parameter in parameters.items()
            if parameter.default is parameter.empty and parameter.kind not in variadic
        )

    @property
    def label(self) -> str:
        """What follows the ``::`` in its node ids: ``repo[R7]``."""
        return f"{self.group}[{self.id}]"

    @property
    def page(self) -> str | None:
        """Where its documentation is, from the root of this project; None for a check of somebody else's."""
        if not self.function.__module__.startswith("pytest_metaopt."):
            return None
        return f"docs/checks/{self.group}.md#{self.id.lower()}"

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
    yields_to: tuple[str, ...] = (),
) -> Callable[[_Function], _Function]:
    """Declare a check: the function below takes fixtures and asserts.

    It is found in every ``conftest.py`` and every pytest plugin module, and applies to the
    documents at or below the folder of that ``conftest.py`` (like a fixture), or to all.
    Its docstring is its description in the catalog.

    :param check_id: letters, digits, ``_``, ``.`` and single ``-``. An id that a check further out
        has replaces that check.
    :param group: an identifier; it is the ``<group>`` of the node id ``<file>::<group>[<id>]``.
    :param document: the kind of document that it applies to.
    :param each: evaluate it on each such part (the fixture of that name gives the part).
    :param severity: ``blocking`` or ``advisory``.
    :param bootstrap: a fixture to request when it fails, before it is evaluated again. What the
        fixture returns (a sentence or several) is reported as what it changed.
    :param remediation: what to do when it fails.
    :param when: called with the document: whether the check is collected for it. What can only be known when
        it is evaluated goes into :func:`not_applicable` instead.
    :param online: collect it with ``--metaopt-online`` only, since it queries a service; where its facts
        cannot be had, that does not block.
    :param setting: an ini key; where it has no value, the check is not collected.
    :param yields_to: ids of checks that take nothing but the same document: a finding with the same ``key``
        as one of theirs is left to them, where they are selected and no less severe.
    :raises DeclarationError: one of these is not as said, or the function cannot be a check.
    """

    def declare(function: _Function) -> _Function:
        declared = Check(
            check_id,
            group,
            document,
            each,
            severity,
            bootstrap,
            remediation,
            when,
            online,
            setting,
            yields_to,
            function,
        )
        _validate(declared)
        function.__globals__.setdefault(DECLARED, []).append(declared)
        return function

    return declare


def _validate(declared: Check) -> None:
    def refuse(problem: str) -> NoReturn:
        raise DeclarationError(f"@check({declared.id!r}) at {_source(declared.function)}: {problem}")

    function = declared.function
    if not inspect.isfunction(function):
        refuse("it must decorate a function")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        refuse("an async function is not supported; gather the fact in a fixture and assert here")
    if inspect.isgeneratorfunction(function):
        refuse("a check does not yield; put set-up and clean-up into a fixture")
    if not isinstance(declared.id, str) or not _ID.fullmatch(declared.id):
        refuse("an id is made of letters, digits, '_', '.' and single '-'")
    if not isinstance(declared.group, str) or not _GROUP.fullmatch(declared.group):
        refuse(f"group {declared.group!r} is not an identifier")
    if declared.severity not in SEVERITIES:
        hint = did_you_mean(str(declared.severity), SEVERITIES)
        refuse(f"severity {declared.severity!r} is neither 'blocking' nor 'advisory'{hint}")


def _source(function: object) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return f"{code.co_filename}:{code.co_firstlineno}" if code else "<unknown>"
