"""A session that is ended from outside reports as an interrupted one, and what its probes run ends too."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.probing import wait_until_gone, written_number
from tests.support.project import CAMPAIGN_NAME, Project

PATIENCE = 60.0

Script = Callable[[str, str], Path]


@pytest.fixture
def hanging(project: Project, script: Script) -> Project:
    """A project whose probe runs a git that never answers, and writes its number into ``git.pid``.

    It first writes more than a pipe holds: once the session has read that, the watcher knows of this git.
    """
    project.edit("repo: .", "repo: https://git.example.invalid/o/r.git")
    pid = project.path / "git.pid"
    script("git", f"head -c 200000 /dev/zero; echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 300")
    return project


def as_in_a_terminal() -> None:
    """A shell without job control lets its background jobs, which a test run may be, ignore these two."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def start(
    project: Project, *arguments: str, before: Callable[[], object] = as_in_a_terminal
) -> subprocess.Popen[str]:
    session: subprocess.Popen[str] = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pytest",
            "--metaopt-campaign",
            CAMPAIGN_NAME,
            "-pno:cacheprovider",
            *arguments,
        ],
        cwd=project.path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=before,
    )
    return session


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("SIGHUP", 129),
        ("SIGINT", 2),
        ("SIGTERM", 143),
        ("SIGQUIT", -signal.SIGQUIT),
        ("SIGKILL", -signal.SIGKILL),
    ],
)
def test_no_command_outlives_the_session(hanging: Project, name: str, status: int) -> None:
    session = start(hanging)
    git = written_number(hanging.path / "git.pid", PATIENCE)
    session.send_signal(getattr(signal, name))
    output, _ = session.communicate(timeout=PATIENCE)
    assert session.returncode == status, output
    assert wait_until_gone(git, 5.0)
    if status in {129, 143}:
        assert f"metaopt: the session was ended by {name}" in output
        assert f"{CAMPAIGN_NAME}: INCOMPLETE" in output
    assert not hanging.artifact_path.exists()


def test_no_command_of_a_worker_outlives_the_session(hanging: Project) -> None:
    pytest.importorskip("xdist")
    session = start(hanging, "-n2")
    git = written_number(hanging.path / "git.pid", PATIENCE)
    session.send_signal(signal.SIGTERM)
    output, _ = session.communicate(timeout=PATIENCE)
    assert session.returncode == 143, output
    assert wait_until_gone(git, 5.0)


def test_a_second_signal_does_not_cut_off_the_end(hanging: Project) -> None:
    session = start(hanging)
    written_number(hanging.path / "git.pid", PATIENCE)
    session.send_signal(signal.SIGTERM)
    session.send_signal(signal.SIGHUP)
    output, _ = session.communicate(timeout=PATIENCE)
    assert session.returncode in {129, 143}, output
    assert f"{CAMPAIGN_NAME}: INCOMPLETE" in output


IGNORES = """\
import os, signal
from pytest_metaopt import check

@check("up", group="own")
def up():
    os.kill(os.getpid(), signal.SIGHUP)
"""


def test_a_signal_that_the_caller_ignores_stays_ignored(project: Project) -> None:
    """As under ``nohup``."""
    project.write("conftest.py", IGNORES)
    session = start(project, before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    output, _ = session.communicate(timeout=PATIENCE)
    assert session.returncode == 0, output


def test_the_signals_are_the_callers_again_after_a_session_in_its_process(project: Project) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    assert project.preflight("-q").ret == 0
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before
