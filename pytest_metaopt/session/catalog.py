"""The catalog: every check that is known, built in or declared in a conftest or plugin."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ..core.check import DECLARED, Check
from ..core.document import Document


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
