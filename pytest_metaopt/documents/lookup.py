"""Lookup: the files that a value on the command line names."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.state_folder import project_root
from ..core.text import enumeration

AUTO = "auto"
"""What ``--metaopt-manifest`` takes instead of a path, to look in the usual places."""
MANIFEST_NAME = "training_manifest.toml"
SYSTEM_FOLDER = Path("/etc/cis490")


@dataclass(frozen=True)
class Found:
    """What a value names.

    :param paths: absolute paths; whether each is a file is not looked at.
    :param problem: why there is none; None where there is one.
    """

    paths: Sequence[Path] = ()
    problem: str | None = None


def absolute(base: Path, value: str) -> Path:
    """Return the absolute path of *value*, which is relative to *base*; links are kept."""
    return Path(os.path.normpath(base / Path(value).expanduser()))


def one_file(value: str, base: Path, root: Path | None) -> Found:  # noqa: ARG001 - as each ``Kind.find``
    """Return the file that is named."""
    return Found((absolute(base, value),))


def matching_files(value: str, base: Path, root: Path | None) -> Found:  # noqa: ARG001 - as above
    """Return the files that a pattern matches, or the file that is named."""
    path = absolute(base, value)
    if os.path.lexists(path) or not glob.has_magic(str(path)):
        return Found((path,))
    # The folder that we are in may have a name that looks like a pattern.
    pattern = os.path.expanduser(value)  # noqa: PTH111 - as a string
    names = sorted(glob.glob(pattern, root_dir=base, recursive=True))  # noqa: PTH207 - takes absolute ones
    if not names:
        return Found(problem=f"{path}: no file matches")
    return Found([absolute(base, name) for name in names])


def manifest_file(value: str, base: Path, root: Path | None) -> Found:
    """Return the training manifest that is named, or for ``auto`` the first of the usual places that exists.

    :param root: the project root; None: it is looked for from *base* up.
    """
    if value != AUTO:
        return one_file(value, base, root)
    places = usual_places(project_root(base / "any", root))
    found = next((place for place in places if os.path.lexists(place)), None)
    if found is None:
        missing = enumeration([str(place) for place in places], "nor")
        return Found(problem=f"--metaopt-manifest auto: found neither {missing}; name one")
    return Found((found,))


def usual_places(root: Path, *, system: Path = SYSTEM_FOLDER) -> list[Path]:
    """Return where a manifest is looked for when no path is given, in this order.

    :param root: the project root.
    """
    return [system / MANIFEST_NAME, root / MANIFEST_NAME]
