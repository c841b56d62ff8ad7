"""What the tests share: a project with a campaign, and pytest run in it as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from _pytest.pytester import RunResult

from pytest_metaopt.__main__ import main
from tests.support.in_process import run_here

PLUGINS = Path(__file__).parent / "plugins"
"""The folder of the pytest plugins that tests put on the path."""

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

LIGHT = "-p no:hypothesispytest -p no:anyio -p no:pytest11.testinfra"
"""Leaves out plugins that no project here uses: their imports take as long as all the rest of a session."""

PLUGIN_MODULES = ("pytest_metaopt.plugin", "pytest_metadata.plugin", "pytest_jsonreport.plugin")
WORKER_MODULES = ("xdist.plugin", "xdist.looponfail")

LEAN = [f"-pno:{name}" for name in ("doctest", "pastebin", "unittest")]

OTHER_PLUGINS = ("--random-order", "--reruns")
"""How the options begin of plugins that are not in a lean session."""


def make_empty_repository(folder: Path) -> None:
    """Make what git takes for a repository, as ``git init`` does in more files and time."""
    for name in ("objects", "refs"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")


class Project:
    """A git repository with a campaign, and the ways to look at what pytest did in it.

    :param own_process: whether each session has a process of its own.
    """

    def __init__(self, pytester: pytest.Pytester, *, own_process: bool = False) -> None:
        self.pytester = pytester
        self.own_process = own_process
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
        """Run pytest with just the arguments given: in this process, unless it is to have workers.

        In this process it has ours, pytest-json-report and pytest's own plugins: finding and registering the
        others would take a third of its time.
        """
        words = [*map(str, arguments)]
        if self.own_process or any(word.startswith("-n") for word in words):
            return self.process(*arguments)
        with pytest.MonkeyPatch.context() as monkeypatch:
            # A session that ends while it is configured leaves pytest.mark its settings.
            monkeypatch.setattr(pytest.mark, "_config", None)
            # Our exit code 2 is pytest's of an interrupted session, which pytester else raises again.
            if any(word.startswith(OTHER_PLUGINS) for word in words):
                return self.pytester.runpytest_inprocess(*words, no_reraise_ctrlc=True)
            monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            return self.pytester.runpytest_inprocess(
                *LEAN, *words, plugins=[*map(import_module, PLUGIN_MODULES)], no_reraise_ctrlc=True
            )

    def process(self, *arguments: str | Path) -> RunResult:
        """Run pytest in a process of its own: for workers, locks, crashes and signals.

        Workers start with the plugins that they need; a session without any has all that are installed.
        """
        words = [*map(str, arguments)]
        lean = any(word.startswith("-n") for word in words)
        if not lean or any(word.startswith(OTHER_PLUGINS) for word in words):
            return self.pytester.runpytest_subprocess(*words)
        named = [f"-p{name}" for name in (*WORKER_MODULES, *PLUGIN_MODULES)]
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            return self.pytester.runpytest_subprocess(*named, *words)

    def preflight(self, *arguments: str | Path) -> RunResult:
        """Run pytest on the campaign, named by option."""
        return self.pytest("--metaopt-campaign", CAMPAIGN_NAME, *arguments)

    def command(self, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run ``metaopt-preflight`` and return what it printed: in this process, unless each has its own."""
        if not self.own_process:
            return run_here(main, [*map(str, arguments)], cwd or self.path)
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


def only_repo_checks() -> dict[str, str]:
    """Return the environment of sessions that have the repository checks only."""
    return {
        "PYTEST_PLUGINS": "repo_checks_only",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PLUGINS), os.environ.get("PYTHONPATH")])),
    }
