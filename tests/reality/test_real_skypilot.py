"""Against the SkyPilot that is installed, with an API server of its own; skipped where none is."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pytest_metaopt.probes.command import Deadline, Runner
from pytest_metaopt.probes.services.sky import Cloud, query, skypilot
from tests.support.probing import forget_environment
from tests.support.project import CAMPAIGN, Project
from tests.support.servers import free_port, make_repository

pytestmark = pytest.mark.skipif(shutil.which("sky") is None, reason="SkyPilot is not installed")

PATIENCE = 120.0
"""Seconds for a question; 5 to 15 s were measured on two cores (0.14.1)."""

START = 240.0
"""Seconds for the start of the API server: 17 to 33 s were measured, over 100 s under load."""


def server_port() -> int:
    """Return a free port whose queue's port, which SkyPilot 0.14.1 derives from it, is free too."""
    while True:
        port = free_port()
        queue = 50_000 + (50_011 - 50_000 + port - 46_580) % 10_000
        with suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", queue))
            return port


@pytest.fixture(scope="module")
def sky_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of its own, with an API server of its own; stopped in the end.

    The server looks with the home that it was started with, so it must be none that is there already:
    the port distinguishes servers (``SKYPILOT_API_SERVER_LOCAL_PORT``, SkyPilot 0.14.0 and later).
    """
    home = tmp_path_factory.mktemp("sky-home")
    port = server_port()
    with pytest.MonkeyPatch.context() as monkeypatch:
        forget_environment(monkeypatch, home)
        monkeypatch.setenv("SKYPILOT_API_SERVER_LOCAL_PORT", str(port))
        monkeypatch.setenv("SKYPILOT_DISABLE_USAGE_COLLECTION", "1")
        try:
            subprocess.run(["sky", "api", "start"], check=True, stdin=subprocess.DEVNULL, timeout=START)
            yield home
        finally:
            subprocess.run(["sky", "api", "stop"], check=False, stdin=subprocess.DEVNULL, timeout=60)
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, "the API server was not stopped"


@pytest.fixture
def run() -> Runner:
    return Runner(Deadline.after(PATIENCE))


def test_version(sky_home: Path, run: Runner) -> None:
    found = skypilot(run)
    assert found.problem is None
    assert found.version is not None


@pytest.mark.soak
def test_vast_with_and_without_a_key(sky_home: Path, run: Runner) -> None:
    without = query("vast", run)
    assert (without.enabled, without.problem) == (False, None)
    assert without.reason is not None
    assert "~/.config/vastai/vast_api_key" in without.reason
    key = sky_home / ".config" / "vastai" / "vast_api_key"
    key.parent.mkdir(parents=True)
    key.write_text("no-real-key")
    assert query("vast", run) == Cloud("vast", enabled=True, capabilities=("compute",))


@pytest.mark.soak
def test_a_cloud_that_there_is_not(sky_home: Path, run: Runner) -> None:
    found = query("nosuchcloud", run)
    assert found.problem == "this SkyPilot does not know the cloud 'nosuchcloud'"
    assert "vast" in found.known


def test_an_answer_that_does_not_come_in_time(sky_home: Path) -> None:
    started = time.monotonic()
    assert query("vast", Runner(Deadline.after(0.7))).problem == "timed out after 0.7 s"
    assert time.monotonic() - started < 2.7
    assert os.environ["HOME"] == str(sky_home)


@pytest.fixture
def vast(
    sky_home: Path, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git: str
) -> Iterator[Project]:
    """A project whose campaign is to run on Vast, without a key."""
    monkeypatch.setenv("HOME", str(sky_home))
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef0123456789abcdef01234567")
    make_repository(tmp_path / "bare.git")
    text = CAMPAIGN.replace("provider: local", "provider: vast_ai").replace("  mode: offline\n", "")
    project.campaign.write_text(text.replace("repo: .", f"repo: {tmp_path / 'bare.git'}"))
    key = sky_home / ".config" / "vastai" / "vast_api_key"
    key.unlink(missing_ok=True)
    yield project
    key.unlink(missing_ok=True)


@pytest.mark.soak
def test_a_campaign_on_vast_without_a_key_fails_and_says_how_to_set_it(vast: Project) -> None:
    assert vast.preflight(f"--metaopt-timeout={PATIENCE}").ret == 1
    (failure,) = vast.artifact()["failures"]
    assert failure["check_id"] == "vast_configured"
    assert failure["message"].startswith("SkyPilot reports vast as disabled: ")
    assert "~/.config/vastai/vast_api_key" in failure["message"]
    assert "vastai set api-key KEY" in failure["remediation"]


def test_a_campaign_on_vast_is_ready_with_the_key_that_the_remediation_sets(
    vast: Project, sky_home: Path
) -> None:
    subprocess.run(["vastai", "set", "api-key", "no-real-key"], check=True, capture_output=True)
    assert (sky_home / ".config" / "vastai" / "vast_api_key").exists(), "where SkyPilot looks for it"
    assert vast.preflight(f"--metaopt-timeout={PATIENCE}").ret == 0
    assert vast.artifact()["status"] == "READY"
    outcomes = {check["id"]: check["outcome"] for check in vast.artifact()["checks"]}
    assert outcomes["skypilot_installed"] == outcomes["vast_configured"] == "passed"
