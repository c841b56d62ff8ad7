"""Print the ratios that the project promises, each from runs by turns on this machine.

Run it with ``python tests/benchmarks/run.py`` in an environment that has the package installed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks.measure import by_turns, median, report, run_once
from tests.conftest import CAMPAIGN, CAMPAIGN_NAME
from tests.manifests import MANIFEST_NAME, mixed

BARE = ["-p", "no:metaopt"]


def empty_tests(folder: Path, count: int) -> Path:
    """Make a project of *count* empty parametrized tests."""
    folder.mkdir()
    (folder / "test_empty.py").write_text(
        f"import pytest\n\n@pytest.mark.parametrize('n', range({count}))\ndef test_empty(n):\n    pass\n"
    )
    return folder


def campaign(folder: Path) -> Path:
    """Make a project with a campaign whose bootstraps have run."""
    folder.mkdir()
    (folder / CAMPAIGN_NAME).write_text(CAMPAIGN)
    run_once(["--metaopt-campaign", CAMPAIGN_NAME], folder)
    return folder


def idle(base: Path) -> None:
    """1. What the installed plugin costs a project that does not use it."""
    folder = empty_tests(base / "idle", 1)
    costs = by_turns(
        {"with": lambda: run_once([], folder), "without": lambda: run_once(BARE, folder)}, rounds=40
    )
    # The least of many runs is the one that was disturbed least.
    difference = (min(c.cpu for c in costs["with"]) - min(c.cpu for c in costs["without"])) * 1000
    report("1", "idle plugin: CPU of a start, with minus without", f"{difference:+.1f} ms", "under 5 ms")


def session(base: Path) -> None:
    """2. A campaign session against a bare session of as many empty parametrized tests."""
    ours, empty = campaign(base / "campaign"), empty_tests(base / "empty", 9)
    costs = by_turns(
        {
            "ours": lambda: run_once(["--metaopt-campaign", CAMPAIGN_NAME], ours),
            "empty": lambda: run_once(BARE, empty),
        },
        rounds=15,
    )
    ratio = median(costs["ours"], "wall") / median(costs["empty"], "wall")
    report("2", "campaign session: wall, against 9 empty tests", f"{ratio:.2f}x", "under 1.3x")


def many(base: Path) -> None:
    """3. Thousands of checks of a conftest against as many empty parametrized tests."""
    folders = {}
    for count in (1000, 2000, 4000):
        ours = campaign(base / f"checks{count}")
        (ours / "conftest.py").write_text(
            "from pytest_metaopt import check\n"
            f"for n in range({count - 9}):\n"
            "    @check(f'X{n}', group='mine')\n"
            "    def holds(campaign):\n"
            "        assert campaign\n"
        )
        folders[count] = (ours, empty_tests(base / f"empty{count}", count))
    ours, empty = folders[2000]
    costs = by_turns(
        {
            "ours": lambda: run_once(["--metaopt-campaign", CAMPAIGN_NAME], ours),
            "empty": lambda: run_once(BARE, empty),
        },
        rounds=5,
    )
    ratio = median(costs["ours"], "wall") / median(costs["empty"], "wall")
    report("3", "2,000 checks: wall, against 2,000 empty tests", f"{ratio:.2f}x", "under 1.5x")
    memory = {
        count: run_once(["--metaopt-campaign", CAMPAIGN_NAME], ours).memory
        for count, (ours, _) in folders.items()
    }
    growth = (memory[4000] - memory[2000]) / (memory[2000] - memory[1000])
    told = " / ".join(f"{memory[count]:.0f}" for count in sorted(memory))
    report("3", "1,000 / 2,000 / 4,000 checks: peak memory, MiB", told, "linear")
    report("3", "memory: 2,000 to 4,000 against 1,000 to 2,000 checks", f"{growth:.2f}x", "linear is 2x")


def fleet(base: Path) -> None:
    """4. A training manifest of 10,000 jobs against as many empty parametrized tests as it has items."""
    jobs = 10_000
    ours = base / "fleet"
    ours.mkdir()
    (ours / MANIFEST_NAME).write_text(mixed(jobs))
    empty = empty_tests(base / "empty_fleet", 2 + 5 * jobs)
    costs = by_turns(
        {
            "ours": lambda: run_once(["--metaopt-manifest", MANIFEST_NAME], ours),
            "empty": lambda: run_once(BARE, empty),
        },
        rounds=1,
        warm_up=0,
    )
    for column, unit in (("wall", "s"), ("memory", "MiB")):
        own, other = median(costs["ours"], column), median(costs["empty"], column)
        told = f"{own / other:.2f}x ({own:.0f} / {other:.0f} {unit})"
        report("4", f"10,000 jobs: {column}, against 50,002 empty tests", told, "under 1.5x")


def main() -> None:
    """Run every benchmark, or those that are named on the command line."""
    named = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for benchmark in (idle, session, many, fleet):
            if named and benchmark.__name__ not in named:
                continue
            benchmark(Path(folder))


if __name__ == "__main__":
    main()
