"""Project roots: where ``.ml-metaopt/`` and ``.gitignore`` belong."""

from __future__ import annotations

import os
from pathlib import Path

STATE_FOLDER = ".ml-metaopt"
"""Where the orchestrator keeps its state."""


def project_root(path: Path, given: Path | None) -> Path:
    """Return the project root of the document at *path*: *given*, or found by looking upwards from it."""
    if given is not None:
        return given
    for folder in path.parents:
        if os.path.lexists(folder / STATE_FOLDER) or os.path.lexists(folder / ".git"):
            return folder
    return path.parent
