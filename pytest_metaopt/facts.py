"""The facts of a session: the probes that its selected checks need, and the pool that gathers them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from .collection import CheckItem
from .probes.pool import Pool, Probe, probes_of_module
from .registry import CheckFailed, Finding, conftest_folder

if TYPE_CHECKING:
    from .preflight import Preflight


class Facts:
    """Knows every probe that conftests and plugins declare, and keeps what was gathered.

    :param limit: the seconds that each fact has.
    """

    def __init__(self, preflight: Preflight, *, limit: float) -> None:
        self._preflight = preflight
        self._pool = Pool(limit=limit)

    def start(self, items: Iterable[pytest.Item]) -> None:
        """Begin to gather, all at the same time, what the checks among *items* take."""
        probes: list[Probe] | None = None
        for item in items:
            if not isinstance(item, CheckItem):
                continue
            probes = self._declared() if probes is None else probes
            # Outer folders come first, so that the nearest conftest has the last word on a name.
            seen = {
                declared.name: declared
                for declared in probes
                if declared.scope is None or item.path.is_relative_to(declared.scope)
            }
            wanted = [seen[name] for name in item.fixturenames if name in seen]
            if wanted:
                self._pool.start(wanted, self._about(item))

    def ask(self, declared: Probe, request: pytest.FixtureRequest) -> object:
        """Return the fact for the check that is running; waits for it.

        :raises CheckFailed: it could not be gathered.
        """
        item = request.node
        if not isinstance(item, CheckItem):
            pytest.fail(f"{declared.name!r} is gathered for the checks of pytest-metaopt only")
        fact = self._pool.get(declared, self._about(item))
        if fact.failure is not None:
            # A service that can't be reached says neither yes nor no.
            advisory = item.check.online
            raise CheckFailed([Finding(f"{declared.name}: {fact.failure}")], advisory=advisory)
        return fact.value

    def close(self) -> None:
        """Stop what is still being gathered."""
        self._pool.close()

    def _declared(self) -> list[Probe]:
        modules = [
            (plugin, conftest_folder(plugin))
            for plugin in self._preflight.config.pluginmanager.get_plugins()
            if isinstance(plugin, ModuleType)
        ]
        modules.sort(key=lambda entry: len(entry[1].parts) if entry[1] else 0)
        return [declared for module, scope in modules for declared in probes_of_module(module, scope)]

    def _about(self, item: CheckItem) -> Mapping[str, Any]:
        return {item.parent.kind.name: item.document, "project_root": self._preflight.roots[item.path]}
