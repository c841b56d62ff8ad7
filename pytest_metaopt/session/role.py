"""The role of this process in a session.

A session is one process, or with pytest-xdist a controller and its workers. The controller, or the one
process, coordinates: it sees every report, holds the project lock and writes the artifact. The one process,
or the workers, collect and evaluate the items.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

_SHARED = "metaopt_shared"
_CHOOSE = ("deselect", "lf", "stepwise", "maxfail")
"""The options of pytest that may leave items out."""
_ONLY_SHOWN = ("collectonly", "setuponly", "setupplan", "showfixtures", "show_fixtures_per_test")


def selects_everything(config: pytest.Config) -> bool:
    """Return whether the command line leaves no blocking check out."""
    option = config.option
    chosen = (option.keyword, *(getattr(option, name, None) for name in _CHOOSE))
    parts = any("::" in str(argument) for argument in config.args)
    return not (any(chosen) or parts) and option.markexpr in ("", "not advisory")


class Role:
    """What this process does in the session."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        given: dict[str, Any] | None = getattr(config, "workerinput", None)
        self.coordinates = given is None
        """Whether this process sees every report."""
        shared = given.get(_SHARED) if given is not None else None
        self.folder: Path | None = Path(shared) if shared else None
        """The folder that the workers of the session share; None where there are none."""

    @property
    def distributes(self) -> bool:
        """Whether this process is a pytest-xdist controller, which evaluates nothing itself."""
        return bool(self._config.pluginmanager.hasplugin("dsession"))

    @cached_property
    def evaluates(self) -> bool:
        """Whether checks are evaluated at all in this session."""
        option = self._config.option
        return not (option.metaopt_checks or any(getattr(option, name, False) for name in _ONLY_SHOWN))

    def share_with_worker(self, workerinput: dict[str, Any]) -> None:
        """Give a worker that is about to start the folder that all of them share."""
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="pytest-metaopt-session-"))
        workerinput[_SHARED] = str(self.folder)

    def remove_folder(self) -> None:
        """Remove the shared folder at the end of the session, in the process that made it."""
        if self.coordinates and self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
