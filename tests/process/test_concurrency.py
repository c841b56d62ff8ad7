"""Sessions at the same time on one project, sessions that are killed, and locks that cannot be had."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project
from tests.support.scale import times

pytestmark = pytest.mark.usefixtures("repo_checks_only")

pytestmark = pytest.mark.usefixtures("repo_checks_only")

PATIENCE = 300.0
"""Seconds after which a process that should have ended, or printed something, is given up."""

needs_xdist = pytest.mark.skipif(
    importlib.util.find_spec("xdist") is None, reason="the pytest plugin xdist is not installed"
)

FIRST = (3, 6)
LATER = (9, 0)


def start(folder: Path, *arguments: str, module: str = "pytest", **environment: str) -> subprocess.Popen[str]:
    """Start a session in *folder*, for its campaign where it is pytest's.

    Of the installed plugins it has ours, and xdist with ``-n``: the others take time and may add warnings.
    """
    if module == "pytest":
        plugins = [
            "no:cacheprovider",
            "pytest_metaopt.plugin",
            *(["xdist.plugin"] if "-n" in arguments else []),
        ]
        light = [word for plugin in plugins for word in ("-p", plugin)]
        arguments = ("--metaopt-campaign", CAMPAIGN_NAME, "-q", *light, *arguments)
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a process and return what it printed."""
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return output


@contextmanager
def ended_at_the_latest(*processes: subprocess.Popen[str]) -> Iterator[None]:
    """Kill what a failing test would leave behind."""
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def counts(output: str) -> tuple[int, int]:
    """Return how many checks passed and how many were bootstrapped, where a session reports nothing else."""
    of_pytest, of_verify = r" in ", r", 0 warnings, 0 failed\)"
    reported = rf"(\d+) passed(?:, (\d+) bootstrapped)?(?:{of_pytest}|{of_verify})"
    found = re.search(reported, output)
    assert found, output
    return int(found[1]), int(found[2] or 0)


def empty(folder: Path) -> None:
    """Bring a project back to where no session has been."""
    shutil.rmtree(folder / ".ml-metaopt", ignore_errors=True)
    (folder / ".gitignore").unlink(missing_ok=True)


def is_whole(artifact: bytes, *, after_a_kill: bool = False) -> bool:
    """Tell whether *artifact* is what a good session writes, from its first byte to the last.

    A session that was killed may have left some of the directories, which the next one then finds.
    """
    found = json.loads(artifact)
    summary = found["checks_summary"]
    return (
        found["schema_version"] == 1
        and found["status"] == "READY"
        and found["failures"] == []
        and (after_a_kill or (summary["passed"], summary["bootstrapped"]) in {FIRST, LATER})
        and summary["passed"] + summary["bootstrapped"] == 9
        and summary["total"] == len(found["checks"]) == 9
        and artifact.endswith(b"}\n")
    )


# -- side by side -----------------------------------------------------------------------------


@needs_xdist
@pytest.mark.soak
def test_of_sessions_of_every_kind_one_bootstraps_and_the_others_find_it_done(project: Project) -> None:
    processes = [
        start(project.path, "-n", "2"),
        start(project.path, "--campaign", CAMPAIGN_NAME, module="pytest_metaopt"),
        start(project.path),
    ]
    with ended_at_the_latest(*processes):
        outputs = [finish(process) for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, outputs
    assert sorted(counts(output) for output in outputs) == [FIRST, LATER, LATER]
    assert is_whole(project.artifact_path.read_bytes())
    assert (project.path / ".gitignore").read_bytes() == b".ml-metaopt/\n"
    assert [path.name for path in (project.path / ".ml-metaopt").iterdir() if path.is_file()] == [
        project.artifact_path.name
    ]


BLOCKED = """
from pathlib import Path

import pytest
from pytest_metaopt import check


@pytest.fixture
def slow():
    with open("begun", "w") as begun:
        begun.write("x")
    with open("gate") as gate:
        gate.readline()
    Path("mended").touch()
    return "mended"


@check("slow", group="mine", bootstrap="slow")
def mended():
    assert Path("mended").exists(), "not mended"
"""


class Gate:
    """Pipes between a test and the bootstrap of ``BLOCKED``, which waits until the test lets it go on."""

    def __init__(self, folder: Path) -> None:
        for name in ("begun", "gate"):
            os.mkfifo(folder / name)
        # Open for both ends, so that neither side waits for the other to open its own.
        self._begun = os.open(folder / "begun", os.O_RDWR)
        self._gate = os.open(folder / "gate", os.O_RDWR)

    def wait_for_bootstrap(self) -> None:
        ready, _, _ = select.select([self._begun], [], [], PATIENCE)
        assert ready, "no bootstrap has begun"
        os.read(self._begun, 1)

    def open(self) -> None:
        os.write(self._gate, b"go on\n")

    def close(self) -> None:
        os.close(self._begun)
        os.close(self._gate)


@pytest.fixture
def gate(project: Project) -> Iterator[Gate]:
    project.write("conftest.py", BLOCKED)
    gate = Gate(project.path)
    yield gate
    gate.close()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Return what *process* has printed once *words* are part of it; fails where they do not come."""
    assert process.stdout is not None
    printed = b""
    deadline = time.monotonic() + PATIENCE / 2
    while words.encode() not in printed:
        ready, _, _ = select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))
        chunk = os.read(process.stdout.fileno(), 65536) if ready else b""
        assert chunk, f"{words!r} was not printed, but: {printed.decode()}"
        printed += chunk
    return printed.decode()


def test_a_session_that_waits_for_another_says_so_at_once_and_goes_on_when_that_is_done(
    project: Project, gate: Gate
) -> None:
    first = start(project.path)
    with ended_at_the_latest(first):
        gate.wait_for_bootstrap()
        second = start(project.path)
        with ended_at_the_latest(second):
            read_until(second, "metaopt: waiting for another preflight session")
            gate.open()
            assert counts(finish(first)) == (3, 7)
            assert counts(finish(second)) == (10, 0)
    assert (first.returncode, second.returncode) == (0, 0)


def test_a_session_that_changes_nothing_waits_for_nobody(project: Project, gate: Gate) -> None:
    first = start(project.path)
    with ended_at_the_latest(first):
        gate.wait_for_bootstrap()
        looking = project.preflight("--metaopt-no-bootstrap", "-q")
        assert looking.ret == 1
        looking.stdout.fnmatch_lines(["*mine*slow*not mended*"])
        assert project.preflight("--collect-only", "-q").ret == 0
        assert first.poll() is None
        gate.open()
        assert counts(finish(first)) == (3, 7)
    assert project.artifact()["status"] == "READY"


def test_a_killed_session_keeps_nobody_out(project: Project, gate: Gate) -> None:
    first = start(project.path)
    with ended_at_the_latest(first):
        gate.wait_for_bootstrap()
    assert not project.artifact_path.exists()
    second = start(project.path)
    with ended_at_the_latest(second):
        gate.wait_for_bootstrap()
        gate.open()
        assert counts(finish(second)) == (9, 1)
    assert second.returncode == 0


# -- locks that cannot be had ------------------------------------------------------------------


def test_sessions_with_different_temporary_folders_keep_each_other_out(
    project: Project, gate: Gate, tmp_path_factory: pytest.TempPathFactory
) -> None:
    one, other = (str(tmp_path_factory.mktemp("temporary")) for _ in range(2))
    first = start(project.path, TMPDIR=one)
    with ended_at_the_latest(first):
        gate.wait_for_bootstrap()
        second = start(project.path, TMPDIR=other)
        with ended_at_the_latest(second):
            read_until(second, "metaopt: waiting for another preflight session")
            gate.open()
            assert counts(finish(first)) == (3, 7)
            assert counts(finish(second)) == (10, 0)


def test_without_any_temporary_folder_a_session_ends_as_ever(project: Project, tmp_path: Path) -> None:
    ended = run_in(project.path, "-s", env={**os.environ, "TMPDIR": str(tmp_path / "none")})
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads any directory")
def test_a_project_that_cannot_be_locked_ends_the_session_with_one_line_and_no_change(
    project: Project,
) -> None:
    project.path.chmod(0o311)
    try:
        assert_ended_with_one_line(run_in(project.path), f"could not lock {project.path}")
    finally:
        project.path.chmod(0o755)
    assert not (project.path / ".ml-metaopt").exists()
    assert not (project.path / ".gitignore").exists()


def run_in(folder: Path, *arguments: str, **keywords: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", CAMPAIGN_NAME, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        **keywords,
    )


def assert_ended_with_one_line(ended: subprocess.CompletedProcess[str], *words: str) -> None:
    assert "Traceback" not in ended.stdout
    specific = [line for line in ended.stderr.splitlines() if line.strip()]
    assert len(specific) == 1, ended.stderr
    assert all(word in specific[0] for word in ("metaopt: ", *words))
    assert ended.returncode == 1


@needs_xdist
def test_a_session_leaves_nothing_in_the_temporary_folder(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    temporary = tmp_path_factory.mktemp("temporary")
    process = start(project.path, "-n", "2", TMPDIR=str(temporary))
    with ended_at_the_latest(process):
        assert counts(finish(process)) == FIRST
    assert [path.name for path in temporary.iterdir() if not path.name.startswith("pytest-of-")] == []
    files = {path.name for path in project.path.iterdir()}
    assert not [name for name in files if "lock" in name]


# -- killed -----------------------------------------------------------------------------------

SUICIDAL = """
import os
import signal
from pathlib import Path

MOMENT = {moment!r}
real = os.replace


def replace(source, target, **keywords):
    ours = Path(target).name == "preflight-readiness.json"
    if ours and MOMENT == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(source, target, **keywords)
    if ours:
        os.kill(os.getpid(), signal.SIGKILL)
    return Path(target)


os.rename = os.replace = replace
Path.rename = Path.replace = lambda self, target: replace(self, target)
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_while_it_writes_the_artifact_leaves_none_or_the_new_one_and_the_next_tidies_up(
    project: Project, moment: str
) -> None:
    assert project.preflight("-q").ret == 0
    assert counts_of(project.artifact_path.read_bytes()) == FIRST
    conftest = project.write("conftest.py", SUICIDAL.format(moment=moment))
    assert project.preflight("-q").ret == -signal.SIGKILL
    left = {path.name for path in (project.path / ".ml-metaopt").iterdir() if path.is_file()}
    assert len(left) == 1
    if moment == "before":
        assert not project.artifact_path.exists(), "the READY of the session before no longer holds"
    else:
        new = project.artifact_path.read_bytes()
        assert is_whole(new)
        assert counts_of(new) == LATER
    conftest.unlink()
    assert project.preflight("-q").ret == 0
    left = {path.name for path in (project.path / ".ml-metaopt").iterdir() if path.is_file()}
    assert left == {project.artifact_path.name}


def counts_of(artifact: bytes) -> tuple[int, int]:
    summary = json.loads(artifact)["checks_summary"]
    return summary["passed"], summary["bootstrapped"]


# -- soak -------------------------------------------------------------------------------------


def make_project(folder: Path) -> Path:
    (folder / ".git").mkdir(parents=True)
    (folder / CAMPAIGN_NAME).write_text(CAMPAIGN)
    return folder


@needs_xdist
@pytest.mark.soak
def test_all_of_many_sessions_with_four_workers_bootstrap_six(project: Project) -> None:
    def run(number: int) -> tuple[int, int, bool]:
        folder = make_project(project.path / str(number))
        process = start(folder, "-n", "4")
        with ended_at_the_latest(process):
            passed, bootstrapped = counts(finish(process))
        whole = is_whole((folder / ".ml-metaopt" / "preflight-readiness.json").read_bytes())
        return passed, bootstrapped, whole and process.returncode == 0

    with ThreadPoolExecutor(max_workers=2) as pool:
        assert list(pool.map(run, range(times(50)))) == [(*FIRST, True)] * times(50)


@pytest.mark.soak
def test_killed_at_any_moment_the_artifact_is_absent_old_or_whole(project: Project) -> None:
    def duration(folder: Path) -> float:
        begun = time.monotonic()
        process = start(folder)
        with ended_at_the_latest(process):
            finish(process)
        assert process.returncode == 0
        return time.monotonic() - begun

    def kill_some(worker: int) -> dict[str, int]:
        moments = random.Random(f"metaopt {worker}")
        folder = make_project(project.path / str(worker))
        artifact = folder / ".ml-metaopt" / "preflight-readiness.json"
        usual = duration(folder)
        ends = {"killed": 0, "absent": 0, "old": 0, "new": 0}
        for number in range(times(100)):
            if number % 2:
                empty(folder)
            old = artifact.read_bytes() if artifact.exists() else None
            process = start(folder)
            with ended_at_the_latest(process):
                # Waiting is the point here: the moment is drawn by chance.
                time.sleep(moments.uniform(0, usual))
                ends["killed"] += process.poll() is None
            new = artifact.read_bytes() if artifact.exists() else None
            if new == old:
                ends["absent" if new is None else "old"] += 1
            else:
                assert new is not None, "the artifact is gone"
                assert is_whole(new, after_a_kill=True), new
                ends["new"] += 1
            gitignore = folder / ".gitignore"
            assert not gitignore.exists() or gitignore.read_bytes() in {b"", b".ml-metaopt/\n"}
            if number % 10 == 9:
                # Measured anew, since other work on the machine comes and goes.
                usual = duration(folder)
                files = [path.name for path in artifact.parent.iterdir() if path.is_file()]
                assert files == [artifact.name]
                assert is_whole(artifact.read_bytes(), after_a_kill=True)
        return ends

    with ThreadPoolExecutor(max_workers=2) as pool:
        ends = list(pool.map(kill_some, range(2)))
    print(f"{2 * times(100)} sessions, some of which had ended before they were killed: {ends}")
