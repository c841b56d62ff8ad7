"""The facts of a session: the probes that its selected checks need, and the pool that gathers them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ..core.finding import CheckFailed, Finding
from ..core.settings import Settings
from ..probes.local import host
from ..probes.pool import Fact, Pool, Probe, probes_of_module
from .catalog import with_scopes
from .documents import Documents
from .role import Role


class Facts:
    """Knows every probe that conftests and plugins declare, and keeps what was gathered."""

    def __init__(self, config: pytest.Config, settings: Settings, documents: Documents, role: Role) -> None:
        self._config = config
        self._settings = settings
        self._documents = documents
        self._role = role
        self._pool = Pool(limit=settings.timeout)

    def start(self, taken: Mapping[Path, Iterable[str]]) -> None:
        """Begin to gather, all at the same time, what is needed.

        :param taken: for each document the names of the fixtures that its selected checks take.
        """
        modules = self._modules()
        for path, names in taken.items():
            probes = {
                declared.name: declared
                for scope, declarations in modules
                if scope is None or path.is_relative_to(scope)
                for declared in declarations
            }
            needed = [probes[name] for name in dict.fromkeys(names) if name in probes]
            if needed:
                self._pool.start(needed, self._about(path))

    def host(self) -> Fact | None:
        """Return what this host has, where it matters to one of the documents; waits for it."""
        roots = [
            self._documents.roots[path] for path, kind in self._documents.kinds.items() if kind.asks_host
        ]
        if not roots:
            return None
        (declared,) = probes_of_module(host)
        return self._pool.get(declared, {"project_root": roots[0]})

    def about(self, declared: Probe, path: Path) -> object:
        """Return a fact about the document at *path*; waits for it.

        :raises CheckFailed: it could not be gathered.
        """
        fact = self._pool.get(declared, self._about(path))
        if fact.failure is not None:
            raise CheckFailed([Finding(f"{declared.name}: {fact.failure}")])
        return fact.value

    def close(self) -> None:
        """Stop what is still being gathered."""
        self._pool.close()

    def _modules(self) -> list[tuple[Path | None, list[Probe]]]:
        """Return the probes of each module that declares some, with the folder where it is a conftest."""
        plugins = self._config.pluginmanager.get_plugins()
        found = [(scope, list(probes_of_module(module, scope))) for module, scope in with_scopes(plugins)]
        return [(scope, probes) for scope, probes in found if probes]

    def _about(self, path: Path) -> Mapping[str, Any]:
        view = self._documents.views.get(path)
        return {
            self._documents.kinds[path].name: self._documents.load(path),
            **({view.kind.name: view.document} if view is not None else {}),
            "project_root": self._documents.roots[path],
            "settings": self._settings,
            "session_folder": self._role.folder,
            "code_root": self._settings.root or self._config.rootpath,
        }
