"""docs/extending.md: every block is run, and what its commands print is on the page."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import pytest_metaopt
from pytest_metaopt.core.document import Position
from pytest_metaopt.documents import launch_reader
from pytest_metaopt.documents.kinds import outside_kinds
from tests.pages import extending


@pytest.fixture(scope="module", autouse=True)
def _whole_package() -> None:
    """Import every module: a session in this process would forget it, and the next one import a copy."""
    for module in pkgutil.walk_packages(pytest_metaopt.__path__, "pytest_metaopt."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


@pytest.fixture
def folder(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder, in which packages may be installed."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.delenv("PYTEST_PLUGINS", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PATH", str(pytester.path / "bin"))
    # Versions of a file may have one size and second, by which pytest recognises its bytecode.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    pytester.syspathinsert()
    _forget_entry_points()
    yield pytester.path
    _forget_entry_points()


def _forget_entry_points() -> None:
    outside_kinds.cache_clear()
    launch_reader.outside_readers.cache_clear()


def test_the_page_says_what_the_plugin_prints(folder: Path, pytester: pytest.Pytester) -> None:
    def in_process(_: Path, arguments: Sequence[str]) -> tuple[int, str]:
        done = pytester.runpytest_inprocess(*extending.QUIET, *arguments)
        return int(done.ret), f"{done.stdout}{done.stderr}"

    text = extending.PAGE.read_text()
    assert extending.page(text, folder, in_process) == text, "run: python -m tests.pages"


def test_every_block_is_run() -> None:
    text = extending.PAGE.read_text()
    assert len(re.findall(r"^```$", text, re.MULTILINE)) == len(extending.names(text))


def test_every_file_that_the_page_names_is_there() -> None:
    package = Path(pytest_metaopt.__file__).parent
    named = set(re.findall(r"`(\w+/[\w/]*\.py)`", extending.PAGE.read_text()))
    assert len(named) >= 8
    missing = [name for name in named if not (package / name.replace("X.py", "__init__.py")).is_file()]
    assert not missing


def test_the_launch_reader_gives_facts_with_positions(folder: Path) -> None:
    extending.write_files(extending.PAGE.read_text(), folder)
    path = folder / "good.hostfile"
    path.write_text("gpu-01 slots=8\ngpu-02 slots=4\n")
    launch = launch_reader.load_launch(path)
    assert launch.problems == ()
    assert [(node.name, str(node.host), node.position) for node in launch.nodes] == [
        ("gpu-01", "ssh://gpu-01", Position(1, 1)),
        ("gpu-02", "ssh://gpu-02", Position(2, 1)),
    ]
    assert launch.facts.size.value == 2
    assert launch.facts.gpus.value is not None
    assert (launch.facts.gpus.value.count, launch.facts.gpus.position) == (4, Position(2, 1))


def test_the_launch_reader_finds_everything_that_is_wrong(folder: Path) -> None:
    extending.write_files(extending.PAGE.read_text(), folder)
    path = folder / "bad.hostfile"
    path.write_text("gpu-01 slots=8\ngpu-01 slots=8\n\n")
    launch = launch_reader.load_launch(path)
    assert [launch.position(problem.keys) for problem in launch.problems] == [Position(2, 1), Position(3, 1)]
    assert launch.nodes == ()
