"""``metaopt-preflight`` as a process: its script, its exit status, workers, no autoloaded plugins."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project

pytestmark = pytest.mark.usefixtures("repo_checks_only")


def last_lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    lines = done.stdout.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("status:"))
    return [" ".join(line.split()) for line in lines[start:]]


def test_cwd_is_the_project_root_and_a_relative_campaign_is_where_people_are(
    project: Project, tmp_path: Path
) -> None:
    # The campaign lies in a folder that would be a root of its own, were --cwd not given.
    project.write("configs/.git/config", "")
    campaign = project.write("configs/campaign.yaml", CAMPAIGN)
    script = Path(sys.executable).parent / "metaopt-preflight"
    if not script.exists():
        pytest.skip("the console script is not installed beside this Python")
    done = subprocess.run(
        [script, "--campaign", "configs/campaign.yaml", "--cwd", str(tmp_path)],
        cwd=project.path,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    artifact = tmp_path / ".ml-metaopt" / project.artifact_path.name
    assert done.returncode == 0
    assert last_lines(done)[-1] == f"artifact: {artifact}"
    assert json.loads(artifact.read_text())["status"] == "READY"
    assert (tmp_path / ".gitignore").exists()
    assert not (campaign.parent / ".ml-metaopt").exists()
    assert not project.artifact_path.exists()


def test_options_of_the_project_change_no_verdict(project: Project) -> None:
    project.write("pytest.ini", "[pytest]\naddopts = -n 1 -x -vv\n")
    first = project.command("--campaign", CAMPAIGN_NAME)
    project.write("pytest.ini", "[pytest]\naddopts = --lf --sw -p no:terminal\n")
    second = project.command("--campaign", CAMPAIGN_NAME)
    assert (first.returncode, second.returncode) == (0, 0)
    assert last_lines(first)[1] == "checks: 9 (3 passed, 6 bootstrapped, 0 warnings, 0 failed)"
    assert last_lines(second)[1] == "checks: 9 (9 passed, 0 bootstrapped, 0 warnings, 0 failed)"


def test_it_needs_no_autoloading_of_plugins(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    assert project.command("--campaign", CAMPAIGN_NAME).returncode == 0
    assert project.artifact()["status"] == "READY"
