"""What the tests share: a project with a campaign, and pytest run in it as a user would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from _pytest.pytester import RunResult

from tests.probes.conftest import forget_environment

pytest_plugins = ["pytester"]

CAMPAIGN = """\
campaign:
  name: demo
project:
  repo: .
  smoke_test_command: python train.py --smoke
wandb:
  entity: me
  project: demo
  mode: offline
compute:
  provider: local
  accelerator: CPU:1
  num_sweep_agents: 1
  max_budget_usd: 1
  idle_timeout_minutes: 15
objective:
  metric: val/accuracy
  direction: maximize
  improvement_threshold: 0.01
proposal_policy:
  current_target: 3
stop_conditions:
  max_iterations: 5
  max_no_improve_iterations: 2
"""
"""A campaign that every built-in check is content with. ``project.repo`` is on line 4, the command on 5."""

CAMPAIGN_NAME = "ml_metaopt_campaign.yaml"

LIGHT = ("-p", "no:hypothesispytest", "-p", "no:anyio", "-p", "no:pytest11.testinfra")
"""Leaves out plugins that no project here uses: their imports take as long as all the rest of a session."""


def make_empty_repository(folder: Path) -> None:
    """Make what git takes for a repository, as ``git init`` does in more files and time."""
    for name in ("objects", "refs"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")


class Project:
    """A git repository with a campaign, and the ways to look at what pytest did in it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.campaign = self.path / CAMPAIGN_NAME
        self.campaign.write_text(CAMPAIGN)
        make_empty_repository(self.path / ".git")

    def write(self, name: str, text: str) -> Path:
        """Write a file below the project and return its path."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def edit(self, old: str, new: str) -> None:
        """Replace a part of the campaign, which must be there."""
        text = self.campaign.read_text()
        assert old in text
        self.campaign.write_text(text.replace(old, new))

    def pytest(self, *arguments: str | Path) -> RunResult:
        """Run pytest in a process of its own, with just the arguments given."""
        return self.pytester.runpytest_subprocess(*LIGHT, *arguments)

    def preflight(self, *arguments: str | Path) -> RunResult:
        """Run pytest on the campaign, named by option."""
        return self.pytest("--metaopt-campaign", CAMPAIGN_NAME, *arguments)

    def command(self, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run ``python -m pytest_metaopt`` and return what it printed."""
        return subprocess.run(
            [sys.executable, "-m", "pytest_metaopt", *map(str, arguments)],
            cwd=cwd or self.path,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )

    @property
    def artifact_path(self) -> Path:
        return self.path / ".ml-metaopt" / "preflight-readiness.json"

    def artifact(self) -> dict[str, Any]:
        """Return the readiness artifact; fails where there is none."""
        found: dict[str, Any] = json.loads(self.artifact_path.read_text())
        return found

    def tree(self) -> dict[str, bytes | None]:
        """Return every file and folder below the project (None for a folder), caches and .git left out."""
        return {
            str(path.relative_to(self.path)): path.read_bytes() if path.is_file() else None
            for path in sorted(self.path.rglob("*"))
            if not {".pytest_cache", "__pycache__"} & set(path.relative_to(self.path).parts)
            and ".git" not in path.parent.parts
        }


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A new project; sessions in it inherit neither our ini file nor our environment's options."""
    for name in [name for name in os.environ if name.startswith(("PYTEST_", "METAOPT_", "COV_CORE_"))]:
        if name not in {"PYTEST_CURRENT_TEST", "PYTEST_VERSION"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    return Project(pytester)


def only_repo_checks() -> dict[str, str]:
    """Return the environment of sessions that have the repository checks only."""
    plugins = str(Path(__file__).parent / "plugins")
    return {
        "PYTEST_PLUGINS": "repo_checks_only",
        "PYTHONPATH": os.pathsep.join(filter(None, [plugins, os.environ.get("PYTHONPATH")])),
    }


@pytest.fixture
def repo_checks_only(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the built-in checks only R1 to R9, so that counts do not change with every check that is added."""
    for name, value in only_repo_checks().items():
        monkeypatch.setenv(name, value)


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
