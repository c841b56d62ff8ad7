"""The catalog: every check that is known, built in or declared in a conftest or plugin."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import ModuleType

import pytest

from ..core.check import DECLARED, Check
from ..core.document import Document
from ..core.settings import Settings
from ..core.text import did_you_mean
from ..documents.kinds import Kind, known_kinds


class Catalog:
    """Every check that is known: the built-in ones, and those of conftests and plugins.

    :param needed: the kinds of document that the session has.
    """

    def __init__(self, config: pytest.Config, settings: Settings, needed: Sequence[Kind]) -> None:
        self._config = config
        self._settings = settings
        self._needed = needed

    @cached_property
    def _declared(self) -> Sequence[Check]:
        # The checks of other kinds are imported only to be shown.
        whole = self._config.option.metaopt_checks
        kinds = list(known_kinds().values()) if whole else self._needed
        return self._collected(kinds, online=whole or self._settings.online)

    def _collected(self, kinds: Iterable[Kind], *, online: bool) -> Sequence[Check]:
        names: list[str] = []
        for kind in kinds:
            names += kind.check_modules + (kind.online_check_modules if online else ())
        found: list[Check] = []
        for name in dict.fromkeys(names):
            found += checks_of_module(importlib.import_module(name), None)
        plugins = self._config.pluginmanager.get_plugins()
        for module, scope in with_scopes(plugins):
            if not module.__name__.startswith("_pytest.") and module.__name__ not in names:
                found += checks_of_module(module, scope)
        return found

    def __iter__(self) -> Iterator[Check]:
        """Yield every check, with the severity that the settings give it."""
        return (self._with_severity(declared) for declared in self._declared)

    def of_document(self, kind: str, document: Document) -> dict[str, Check]:
        """Return the checks that apply to a document of *kind*, by id, built-in ones first."""
        chosen: dict[str, Check] = {}
        for declared in self:
            in_scope = declared.scope is None or document.path.is_relative_to(declared.scope)
            if declared.document == kind and in_scope and (self._settings.online or not declared.online):
                chosen[declared.id] = declared
        return {
            check_id: declared
            for check_id, declared in chosen.items()
            if self._is_set(declared) and (declared.when is None or declared.when(document))
        }

    def _is_set(self, declared: Check) -> bool:
        if declared.setting is None:
            return True
        try:
            return bool(self._config.getini(declared.setting))
        except ValueError:
            raise pytest.UsageError(
                f"check {declared.id} at {declared.source}: unknown ini key {declared.setting!r}"
            ) from None

    def require_known_ids(self) -> None:
        """Refuse settings that name a check that does not exist.

        :raises pytest.UsageError: naming the setting, the id and the nearest one.
        """
        if not self._unknown_ids(self._declared):
            return
        every = self._collected(known_kinds().values(), online=True)
        ids = list(dict.fromkeys(declared.id for declared in every))
        problems = [
            f"{setting}: unknown check {name!r}{did_you_mean(name, ids) or '; see --metaopt-checks'}"
            for setting, name in self._unknown_ids(every)
        ]
        if problems:
            raise pytest.UsageError(*problems)

    def _unknown_ids(self, declared: Iterable[Check]) -> list[tuple[str, str]]:
        """Return a (setting, id) pair for each id that the settings name and no check has."""
        known = {one.id for one in declared}
        named = [("metaopt_advisory", name) for name in sorted(self._settings.advisory - known)]
        return named + [("metaopt_blocking", name) for name in sorted(self._settings.blocking - known)]

    def undeclared(self) -> list[str]:
        """Return a sentence for each kind of document, or part of one, that a check names in vain."""
        kinds = known_kinds()
        found = []
        for declared in self._declared:
            place = f"check {declared.id} at {declared.source}"
            kind = kinds.get(declared.document)
            if kind is None:
                hint = did_you_mean(declared.document, kinds) or f"; known: {', '.join(kinds)}"
                found.append(f"{place}: unknown document={declared.document!r}{hint}")
            elif declared.each is not None and declared.each not in kind.subjects:
                hint = did_you_mean(declared.each, kind.subjects)
                found.append(f"{place}: a {kind.name} has no each={declared.each!r}{hint}")
        return found

    def _with_severity(self, declared: Check) -> Check:
        if declared.id in self._settings.advisory:
            return replace(declared, severity="advisory")
        if declared.id in self._settings.blocking:
            return replace(declared, severity="blocking")
        return declared


def builtin_checks() -> Iterator[Check]:
    """Yield the checks of every kind of document that is known, in the order of the catalog."""
    for kind in known_kinds().values():
        for name in kind.check_modules + kind.online_check_modules:
            yield from checks_of_module(importlib.import_module(name), None)


CATALOG = pytest.StashKey[Catalog]()
"""Where a session keeps its catalog, for ``--metaopt-checks``."""


def checks_of_module(module: ModuleType, scope: Path | None) -> Iterator[Check]:
    """Yield the checks that *module* declares or imports, each once.

    :raises pytest.UsageError: two checks of the module have one id.
    """
    own: list[Check] = vars(module).get(DECLARED, [])
    found: dict[int, Check] = {id(declared): declared for declared in own}
    for value in list(vars(module).values()):
        if not inspect.isfunction(value):
            continue
        inner = inspect.unwrap(value)
        for declared in inner.__globals__.get(DECLARED, ()):
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
