"""docs/extending.md: its blocks, and what its commands print; ``python -m tests.pages`` writes the outputs.

A block behind ``<!-- file: NAME -->`` is a file, one behind ``<!-- output -->`` a command and what it prints.
The table behind ``<!-- table: misspelt -->`` has what a session says of each declaration in its first column.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from tests.pages.readme import unversioned
from tests.support.paths import ROOT
from tests.support.project import LIGHT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE: Path = ROOT / "docs" / "extending.md"

Session: TypeAlias = Callable[[Path, Sequence[str]], tuple[int, str]]
"""Runs pytest in a folder, and returns its exit status and what it printed."""

QUIET = (*LIGHT.split(), "-p", "no:cacheprovider")

_FILE = r"<!-- file: (?P<file>\S+) -->\n```\w*\n(?P<text>.*?)```\n"
_OUTPUT = r"<!-- output -->\n```text\n\$ pytest (?P<command>[^\n]*)\n.*?```\n"
_TABLE = r"<!-- table: misspelt -->\n(?:\|[^\n]*\n){2}(?P<rows>(?:\|[^\n]*\n)+)"
_PART = re.compile(f"{_FILE}|{_OUTPUT}|{_TABLE}", re.DOTALL)
_ROW = re.compile(r"\| `(.*?)` \|.*")
_SECONDS = re.compile(r" in [\d.]+s$", re.MULTILINE)


def page(text: str, folder: Path, session: Session) -> str:
    """Return *text* with every output made anew, by sessions in *folder*, where the files are written."""

    def renewed(found: re.Match[str]) -> str:
        if found["file"]:
            _write(folder, found["file"], found["text"])
            return found[0]
        if found["command"]:
            _, output = session(folder, shlex.split(found["command"]))
            return f"<!-- output -->\n```text\n$ pytest {found['command']}\n{_plain(output, folder)}\n```\n"
        rows = _ROW.sub(lambda row: _row(row[1], folder, session), found["rows"])
        return found[0].replace(found["rows"], rows)

    return _PART.sub(renewed, text)


def names(text: str) -> list[str]:
    """Return the names of the files of *text*, and its commands."""
    parts = [found["file"] or found["command"] for found in _PART.finditer(text)]
    return [part for part in parts if part]


def write_files(text: str, folder: Path) -> None:
    """Write the files of *text*, the last of each name."""
    for found in _PART.finditer(text):
        if found["file"]:
            _write(folder, found["file"], found["text"])


def _row(declared: str, folder: Path, session: Session) -> str:
    """Return the row of the table for a declaration: it, and the error that it is."""
    decorator, function = '@check("x", group="own", document="run_config")', "def question(run_config):"
    if declared.startswith("@"):
        decorator = declared
    else:
        function = declared
    (folder / "conftest.py").write_text(
        f"from pytest_metaopt import check\n\n\n{decorator}\n{function}\n    pass\n"
    )
    status, output = session(folder, ["--metaopt-run-config", "train.yaml"])
    assert status == 2, output
    error = re.search(r"check x at conftest.py:4: (.*?\?)", _plain(output, folder))
    assert error, output
    return f"| `{declared}` | `{error[1]}` |"


def _plain(output: str, folder: Path) -> str:
    return unversioned(_SECONDS.sub(" in 0.10s", output.replace(f"{folder}/", "")))


def _write(folder: Path, name: str, text: str) -> None:
    """Write a file; of a package, install its entry points, too."""
    (folder / name).write_text(text)
    if name == "pyproject.toml":
        project = tomllib.loads(text)["project"]
        information = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        groups = [
            "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())])
            for group, entries in project["entry-points"].items()
        ]
        (information / "entry_points.txt").write_text("\n".join(groups))


def of_process(folder: Path, arguments: Sequence[str]) -> tuple[int, str]:
    """Run pytest in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # -m puts the folder on sys.path, for the page's package. No command of this machine is on PATH.
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", *QUIET, *arguments],
        cwd=folder,
        env={**environment, "COLUMNS": "80", "PATH": str(folder / "bin")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def renewed_page() -> str:
    """Return the page as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        return page(PAGE.read_text(), Path(folder).resolve(), of_process)
