"""Run commands by turns and compare what they cost, so that a noisy machine is noisy for all of them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What one run of a command took: seconds of wall time and of CPU, and its peak memory in MiB."""

    wall: float
    cpu: float
    memory: float


def run_once(arguments: Sequence[str], cwd: Path, environ: Mapping[str, str] | None = None) -> Cost:
    """Run pytest once in *cwd* and return what it cost; raises where it did not end as it should.

    :param environ: its environment; None: ours, less what is for pytest.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=cwd,
        env=environment if environ is None else environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode not in (0, 5):
        sys.stderr.write(output.decode())
        raise RuntimeError(f"pytest ended with {process.returncode}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def command_once(command: Sequence[str], environ: Mapping[str, str]) -> Cost:
    """Run a command once and return its wall time; raises where it fails."""
    started = time.perf_counter()
    subprocess.run(command, env=environ, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return Cost(time.perf_counter() - started, 0.0, 0.0)


def in_a_row(commands: Sequence[Sequence[str]], environ: Mapping[str, str]) -> Cost:
    """Run commands one after the other and return their wall time together."""
    return Cost(sum(command_once(command, environ).wall for command in commands), 0.0, 0.0)


def by_turns(
    commands: Mapping[str, Callable[[], Cost]], *, rounds: int, warm_up: int = 1
) -> dict[str, list[Cost]]:
    """Run each of *commands* once a round; return the costs of each, the warm-up rounds left out."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for number in range(rounds + warm_up):
        for name, command in commands.items():
            cost = command()
            if number >= warm_up:
                costs[name].append(cost)
    return costs


def median(costs: Sequence[Cost], of: str) -> float:
    """Return the median of one column of *costs*."""
    return float(statistics.median(getattr(cost, of) for cost in costs))


def report(number: str, what: str, reported: str, limit: str) -> None:
    """Print one line of the table of results."""
    print(f"{number:<4} {what:<58} {reported:>24}   ({limit})", flush=True)
