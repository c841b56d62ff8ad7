"""Fixtures of all tests: a project with a campaign, and what a session in it finds on the machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.preload import preload
from tests.support.probing import forget_environment
from tests.support.project import LIGHT, PLUGINS, Project, only_repo_checks
from tests.support.scale import examples

pytest_plugins = ["pytester"]

preload()
settings.register_profile("ci", max_examples=examples(100))
settings.load_profile("ci")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A new project; sessions in it inherit neither our ini file nor our environment's options."""
    for name in [name for name in os.environ if name.startswith(("PYTEST_", "METAOPT_", "COV_CORE_"))]:
        if name not in {"PYTEST_CURRENT_TEST", "PYTEST_VERSION"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PYTEST_ADDOPTS", LIGHT)
    return Project(pytester)


@pytest.fixture
def repo_checks_only(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the built-in checks only R1 to R9, so that counts do not change with every check that is added."""
    for name, value in only_repo_checks().items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(PLUGINS))


@pytest.fixture
def git() -> str:
    """The git command; skips where there is none."""
    found = shutil.which("git")
    if found is None:
        pytest.skip("git is not installed")
    return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; no setting of the user's for git, ssh, SkyPilot and W&B is left."""
    path = tmp_path / "home"
    path.mkdir()
    forget_environment(monkeypatch, path)
    return path


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put a shell script on PATH, ahead of everything: ``script("sky", "sleep 60")``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(name: str, body: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def wandb_client() -> str:
    """The command of the real W&B client; skips where there is none."""
    found = shutil.which("wandb")
    if found is None:
        pytest.skip("the client of W&B is not installed")
    return found
