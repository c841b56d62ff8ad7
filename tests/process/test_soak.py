"""Several sessions at a time on one project: counts right, artifact whole, one line in .gitignore."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.project import CAMPAIGN_NAME, Project
from tests.support.scale import FULL, times

SESSIONS = 8 if FULL else 4
BOOTSTRAPPED = 6


def start(folder: Path, number: int) -> subprocess.Popen[str]:
    """Start a session; one of them is the reference command line's."""
    plain = ["pytest", "--metaopt-campaign", CAMPAIGN_NAME, "-q", "-p", "no:cacheprovider"]
    module = ["pytest_metaopt", "--campaign", CAMPAIGN_NAME] if number == 0 else plain
    return subprocess.Popen(
        [sys.executable, "-m", *module],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_side_by_side(folder: Path) -> list[str]:
    """Run all sessions at the same time and return what each printed; each must end with 0."""
    processes = [start(folder, number) for number in range(SESSIONS)]
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * SESSIONS, outputs
    return outputs


def bootstrapped(output: str) -> int:
    """Return how many checks a session says were bootstrapped."""
    words = output.replace(",", " ").replace(")", " ").split()
    return max((int(words[i - 1]) for i, word in enumerate(words) if word == "bootstrapped"), default=0)


class Reader(threading.Thread):
    """Reads the artifact over and over, as an orchestrator may at any moment."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.stop = threading.Event()
        self.reads = 0
        self.broken: list[str] = []

    def run(self) -> None:
        while not self.stop.wait(0.005):
            try:
                text = self.path.read_text()
            except (FileNotFoundError, NotADirectoryError):
                continue
            self.reads += 1
            if not is_whole(text):
                self.broken.append(text)


def is_whole(text: str) -> bool:
    """Tell whether *text* is what a good session writes, from its first character to the last."""
    try:
        artifact = json.loads(text)
    except ValueError:
        return False
    summary = artifact["checks_summary"]
    return (
        artifact["status"] == "READY"
        and summary["bootstrapped"] in (0, BOOTSTRAPPED)
        and summary["passed"] + summary["bootstrapped"] == summary["total"] == len(artifact["checks"])
        and text.endswith("}\n")
    )


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    reader = Reader(path)
    reader.start()
    try:
        yield reader
    finally:
        reader.stop.set()
        reader.join()


def play(project: Project, rounds: int) -> None:
    state, gitignore = project.path / ".ml-metaopt", project.path / ".gitignore"
    with reading(project.artifact_path) as reader:
        for number in range(rounds):
            shutil.rmtree(state, ignore_errors=True)
            gitignore.unlink(missing_ok=True)
            # Every other round with a file that is there already, its last newline missing.
            before = "build" if number % 2 else ""
            if before:
                gitignore.write_text(before)
            counts = sorted(bootstrapped(output) for output in run_side_by_side(project.path))
            assert counts == [0] * (SESSIONS - 1) + [BOOTSTRAPPED], f"round {number}"
            assert gitignore.read_text() == (f"{before}\n.ml-metaopt/" if before else ".ml-metaopt/\n"), (
                f"round {number}"
            )
            assert is_whole(project.artifact_path.read_text()), f"round {number}"
            files = [path.name for path in state.iterdir() if path.is_file()]
            assert files == [project.artifact_path.name], f"round {number}"
    assert reader.broken == []
    assert reader.reads > rounds


def test_sessions_at_the_same_time_bootstrap_once_and_leave_one_whole_artifact(project: Project) -> None:
    play(project, rounds=1)


@pytest.mark.soak
def test_many_rounds_of_sessions_at_the_same_time(project: Project) -> None:
    play(project, rounds=times(100))
