"""Project roots: where ``.ml-metaopt/`` and ``.gitignore`` belong."""

from __future__ import annotations

import os
from pathlib import Path

STATE_FOLDER = ".ml-metaopt"
"""Where the orchestrator keeps its state."""

DIRECTORIES = (
    "handoffs",
    "worker-results",
    "tasks",
    "executor-events",
    "artifacts/code",
    "artifacts/data",
    "artifacts/manifests",
    "artifacts/patches",
)
"""The directories below ``.ml-metaopt/`` (campaign contract, R3 to R6)."""


def project_root(path: Path, given: Path | None) -> Path:
    """Return the project root of the document at *path*: *given*, or found by looking upwards from it."""
    if given is not None:
        return given
    for folder in path.parents:
        if os.path.lexists(folder / STATE_FOLDER) or os.path.lexists(folder / ".git"):
            return folder
    return path.parent


class BootstrapError(Exception):
    """A bootstrap refuses, or is refused, to change the tree; ``str()`` of it says why, for people."""


IGNORE_LINES = frozenset(f"{lead}{STATE_FOLDER}{tail}" for lead in ("", "/") for tail in ("", "/", "/*"))
"""The lines of a .gitignore that exclude the state folder (campaign contract, R2)."""


class OutsideProjectError(Exception):
    """A path leads out of the project root; ``str()`` of it says which and where to."""

    def __init__(self, path: Path, root: Path) -> None:
        super().__init__(
            f"{path.relative_to(root)} leads out of the project root, to {os.path.realpath(path)}"
        )


class StateFolder:
    """The ``.ml-metaopt`` folder of a project, where the orchestrator keeps its state."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / STATE_FOLDER

    def problem(self, name: str = "") -> str | None:
        """Return why ``.ml-metaopt/<name>`` is not a directory inside the project; None where it is."""
        path = self.path / name if name else self.path
        label = f"{path.relative_to(self.root)}/"
        if not os.path.lexists(path):
            return f"{label} is missing"
        try:
            require_inside(path, self.root)
        except OutsideProjectError as error:
            return str(error)
        if path.is_dir():
            return None
        kind = "a dangling link" if path.is_symlink() else "not a directory"
        return f"{label.rstrip('/')} is {kind}"


class GitIgnore:
    """The ``.gitignore`` in the project root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / ".gitignore"

    def problem(self) -> str | None:
        """Return why the file is none that git would read; None where it is, or where there is none."""
        if not os.path.lexists(self.path):
            return None
        try:
            require_inside(self.path, self.root)
        except OutsideProjectError as error:
            return str(error)
        if self.path.is_symlink() and not self.path.exists():
            return ".gitignore is a dangling link"
        if self.path.is_symlink():
            return ".gitignore is a link, which git does not follow; replace it with a file"
        if not self.path.is_file():
            return ".gitignore is not a regular file"
        try:
            self.path.open("rb").close()
        except OSError as error:
            return f"could not read .gitignore: {error.strerror}"
        return None

    def excludes_state_folder(self) -> bool:
        """Return whether it has one of the lines ``.ml-metaopt/``, ``.ml-metaopt``, ``.ml-metaopt/*``.

        :raises OSError: the file cannot be read.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return False
        lines = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").split("\n")
        return any(line.removesuffix("\r").rstrip(" ") in IGNORE_LINES for line in lines)


def require_inside(path: Path, root: Path) -> None:
    """Raise :class:`OutsideProjectError` where *path*, its links followed, lies outside *root*."""
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise OutsideProjectError(path, root)
