"""The facts of a session: the probes that its selected checks need, and the pool that gathers them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..core.finding import CheckFailed, Finding
from ..probes.pool import Fact, Pool, Probe, probes_of_module
from .catalog import with_scopes
from .items import CheckItem, DocumentFile

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
        seen: dict[DocumentFile, dict[str, Probe]] = {}
        modules = self._modules()
        handled: set[tuple[DocumentFile, str]] = set()
        for item in items:
            # Thousands of subjects may be asked one check, which takes the same facts for each.
            if not isinstance(item, CheckItem) or (item.parent, item.check.id) in handled:
                continue
            handled.add((item.parent, item.check.id))
            if item.parent not in seen:
                seen[item.parent] = self._seen_by(item.parent, modules)
            probes = seen[item.parent]
            wanted = [probes[name] for name in item.fixturenames if name in probes]
            if wanted:
                self._pool.start(wanted, self._about(item.parent))

    def host(self, root: Path) -> Fact:
        """Return what this host has; waits for it.

        :param root: the project, whose commit is told.
        """
        from ..probes.local import host

        (declared,) = probes_of_module(host)
        return self._pool.get(declared, {"project_root": root})

    def ask(self, declared: Probe, request: pytest.FixtureRequest) -> object:
        """Return the fact about the document whose checks are running; waits for it.

        :raises CheckFailed: it could not be gathered.
        """
        node = request.node
        if not isinstance(node, DocumentFile):
            pytest.fail(f"{declared.name!r} is gathered for the checks of pytest-metaopt only")
        fact = self._pool.get(declared, self._about(node))
        if fact.failure is not None:
            raise CheckFailed([Finding(f"{declared.name}: {fact.failure}")])
        return fact.value

    def close(self) -> None:
        """Stop what is still being gathered."""
        self._pool.close()

    def _modules(self) -> list[tuple[Path | None, list[Probe]]]:
        """Return the probes of each module that declares some, with the folder where it is a conftest."""
        plugins = self._preflight.config.pluginmanager.get_plugins()
        found = [(scope, list(probes_of_module(module, scope))) for module, scope in with_scopes(plugins)]
        return [(scope, probes) for scope, probes in found if probes]

    def _seen_by(
        self, node: DocumentFile, modules: Iterable[tuple[Path | None, list[Probe]]]
    ) -> dict[str, Probe]:
        """Return the probes that checks of a document can take, by name."""
        return {
            declared.name: declared
            for scope, probes in modules
            if scope is None or node.path.is_relative_to(scope)
            for declared in probes
        }

    def _about(self, node: DocumentFile) -> Mapping[str, Any]:
        settings = self._preflight.settings
        view = node.view
        return {
            node.kind.name: node.document,
            **({view[0].name: view[1]} if view is not None else {}),
            "project_root": self._preflight.roots[node.path],
            "settings": settings,
            "session_folder": self._preflight.session_folder,
            "code_root": settings.root or self._preflight.config.rootpath,
        }
