"""Print the ratios that the project promises, each from runs by turns on this machine.

Run it with ``python tests/benchmarks/run.py`` in an environment that has the package installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks.measure import by_turns, command_once, in_a_row, median, report, run_once
from tests.conftest import CAMPAIGN, CAMPAIGN_NAME, make_empty_repository
from tests.manifests import MANIFEST_NAME, mixed
from tests.probes.servers import free_port, make_repository
from tests.run_configs import FULL, ITEMS_OF_FULL

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
    make_empty_repository(folder / ".git")
    (folder / CAMPAIGN_NAME).write_text(CAMPAIGN)
    run_once(["--metaopt-campaign", CAMPAIGN_NAME], folder)
    return folder


def checks_of(project: Path) -> int:
    """Return how many checks the campaign in *project* has been asked."""
    artifact = json.loads((project / ".ml-metaopt" / "preflight-readiness.json").read_text())
    return int(artifact["checks_summary"]["total"])


def idle(base: Path) -> None:
    """1. What the installed plugin costs a project that does not use it."""
    folder = empty_tests(base / "idle", 1)
    costs = by_turns(
        {"with": lambda: run_once([], folder), "without": lambda: run_once(BARE, folder)}, rounds=25
    )
    # The least of many runs is the one that was disturbed least.
    difference = (min(c.cpu for c in costs["with"]) - min(c.cpu for c in costs["without"])) * 1000
    report("1", "idle plugin: CPU of a start, with minus without", f"{difference:+.1f} ms", "under 5 ms")


def session(base: Path) -> None:
    """2. A campaign session against a bare session of as many empty parametrized tests."""
    ours = campaign(base / "campaign")
    checks = checks_of(ours)
    empty = empty_tests(base / "empty", checks)
    costs = by_turns(
        {
            "ours": lambda: run_once(["--metaopt-campaign", CAMPAIGN_NAME], ours),
            "empty": lambda: run_once(BARE, empty),
        },
        rounds=11,
    )
    ratio = median(costs["ours"], "wall") / median(costs["empty"], "wall")
    report("2", f"campaign session: wall, against {checks} empty tests", f"{ratio:.2f}x", "under 1.3x")


def many(base: Path) -> None:
    """3. Thousands of checks of a conftest against as many empty parametrized tests."""
    folders = {}
    for count in (1000, 2000, 4000):
        ours = campaign(base / f"checks{count}")
        (ours / "conftest.py").write_text(
            "from pytest_metaopt import check\n"
            f"for n in range({count - checks_of(ours)}):\n"
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


def side_by_side(base: Path) -> None:
    """4. A session whose tools take 2 s each, against the slowest of them alone."""
    folder, tools = base / "slow", base / "tools"
    tools.mkdir()
    answers = {
        "sky": """case "$1" in check) echo '{"default": {"Vast": ["compute"]}}';;
            *) echo 'skypilot, version 0.14.1';; esac""",
        "git": "printf '%040d\\tHEAD\\n' 1",
    }
    for name, answer in answers.items():
        (tools / name).write_text(f"#!/bin/sh\nsleep 2\n{answer}\n")
        (tools / name).chmod(0o755)
    (folder / ".git").mkdir(parents=True)
    (folder / CAMPAIGN_NAME).write_text(cloudy(CAMPAIGN))
    environ = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "WANDB_API_KEY": "0" * 40,
        # The plugins that our own tests have take longer to import than all the rest of the session does.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    arguments = ["-p", "metaopt", "--metaopt-campaign", CAMPAIGN_NAME]
    costs = by_turns(
        {
            "session": lambda: run_once(arguments, folder, environ),
            "sky": lambda: command_once([str(tools / "sky"), "check", "vast", "-o", "json"], environ),
            "git": lambda: command_once([str(tools / "git"), "ls-remote"], environ),
        },
        rounds=3,
    )
    slowest = max(median(costs["sky"], "wall"), median(costs["git"], "wall"))
    ratio = median(costs["session"], "wall") / slowest
    report("4", "3 questions of 2 s each: wall, against the slowest alone", f"{ratio:.2f}x", "under 1.25x")


def real_skypilot(base: Path) -> None:
    """5. Against the real SkyPilot, its API server started: the session against its questions in a row."""
    if shutil.which("sky") is None:
        report("5", "real SkyPilot, warm", "not measured", "SkyPilot is not installed")
        return
    home, folder = base / "home", base / "real"
    key = home / ".config" / "vastai" / "vast_api_key"
    key.parent.mkdir(parents=True)
    key.write_text("no-real-key")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SKYPILOT_")} | {
        "HOME": str(home),
        "SKYPILOT_API_SERVER_LOCAL_PORT": str(free_port()),
        "SKYPILOT_DISABLE_USAGE_COLLECTION": "1",
        "WANDB_API_KEY": "0" * 40,
    }
    make_repository(folder / "bare.git")
    (folder / ".git").mkdir()
    (folder / CAMPAIGN_NAME).write_text(cloudy(CAMPAIGN).replace("repo: .", "repo: bare.git"))
    questions = (
        ["sky", "--version"],
        ["sky", "check", "vast", "-o", "json"],
        ["git", "ls-remote", str(folder / "bare.git")],
    )
    arguments = ["-p", "no:hypothesispytest", "--metaopt-campaign", CAMPAIGN_NAME, "--metaopt-timeout", "180"]
    try:
        costs = by_turns(
            {
                "in a row": lambda: in_a_row(questions, environ),
                "session": lambda: run_once(arguments, folder, environ),
            },
            rounds=3,
        )
    finally:
        subprocess.run(["sky", "api", "stop"], env=environ, check=False, stdout=subprocess.DEVNULL)
    ratio = median(costs["session"], "wall") / median(costs["in a row"], "wall")
    report("5", "real SkyPilot, warm: wall, against the same in a row", f"{ratio:.2f}x", "below 1x is gained")


def cloudy(text: str) -> str:
    """Return the campaign *text* moved to Vast."""
    return text.replace("provider: local", "provider: vast_ai").replace("  mode: offline\n", "")


def fleet(base: Path) -> None:
    """6. A training manifest of 10,000 jobs against as many empty parametrized tests as it has items."""
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
        report("6", f"10,000 jobs: {column}, against 50,002 empty tests", told, "under 1.5x")


def run_configs(base: Path) -> None:
    """7. 1,000 run configs against as many empty parametrized tests as they have items, plus parsing."""
    count = 1_000
    ours = base / "run_configs"
    ours.mkdir()
    for number in range(count):
        (ours / f"run-{number:04}.yaml").write_text(FULL)
    items = count * ITEMS_OF_FULL
    empty = empty_tests(base / "empty_run_configs", items)
    parse = (
        "import sys, pathlib, yaml\n"
        "for path in pathlib.Path(sys.argv[1]).glob('*.yaml'):\n"
        "    yaml.load(path.read_text(), Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))\n"
    )
    costs = by_turns(
        {
            "ours": lambda: run_once(["--metaopt-run-config", "*.yaml"], ours),
            "empty": lambda: run_once(BARE, empty),
            "parsing": lambda: command_once([sys.executable, "-c", parse, str(ours)], os.environ),
        },
        rounds=3,
    )
    own, other, parsing = (median(costs[name], "wall") for name in ("ours", "empty", "parsing"))
    told = f"{own / (other + parsing):.2f}x ({own:.1f} / {other:.1f} + {parsing:.1f} s)"
    report("7", f"1,000 run configs: wall, against {items:,} empty tests", told, "under 1.5x")


def main() -> None:
    """Run every benchmark, or those that are named on the command line."""
    named = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for benchmark in (idle, session, many, side_by_side, real_skypilot, fleet, run_configs):
            if named and benchmark.__name__ not in named:
                continue
            benchmark(Path(folder))


if __name__ == "__main__":
    main()
