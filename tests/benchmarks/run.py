"""Print the ratios that the project promises, each from runs by turns on this machine.

Run it with ``python tests/benchmarks/run.py`` in an environment that has the package installed, with names of
benchmarks to run those only. ``--brief`` measures each less often, and smaller.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from pytest_metaopt.core.settings import DEFAULT_CONNECTIONS
from pytest_metaopt.documents.launch_reader import load_launch
from pytest_metaopt.probes.node.fleet import Fleet
from tests.benchmarks.measure import Cost, by_turns, command_once, in_a_row, median, report, run_once
from tests.support.lab import Lab, available
from tests.support.manifests import MANIFEST_NAME, mixed
from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, make_empty_repository
from tests.support.run_configs import FULL, ITEMS_OF_FULL
from tests.support.servers import free_port, make_repository

BARE = ["-p", "no:metaopt"]
BRIEF = "--brief" in sys.argv
WARM_UP = 0 if BRIEF else 1


def rounds(number: int) -> int:
    """Return how often to measure what is otherwise measured *number* times."""
    return -(-number // 3) if BRIEF else number


def size(number: int) -> int:
    """Return how large to make what is otherwise *number* large."""
    return number // 5 if BRIEF else number


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
    """Return how many checks the campaign in *project* has been queried."""
    artifact = json.loads((project / ".ml-metaopt" / "preflight-readiness.json").read_text())
    return int(artifact["checks_summary"]["total"])


def idle(base: Path) -> None:
    """1. What the installed plugin costs a project that does not use it."""
    folder = empty_tests(base / "idle", 1)
    costs = by_turns(
        {"with": lambda: run_once([], folder), "without": lambda: run_once(BARE, folder)},
        rounds=rounds(25),
        warm_up=WARM_UP,
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
        rounds=rounds(11),
        warm_up=WARM_UP,
    )
    ratio = median(costs["ours"], "wall") / median(costs["empty"], "wall")
    report("2", f"campaign session: wall, against {checks} empty tests", f"{ratio:.2f}x", "under 1.8x")


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
        rounds=rounds(5),
    )
    ratio = median(costs["ours"], "wall") / median(costs["empty"], "wall")
    report("3", "2,000 checks: wall, against 2,000 empty tests", f"{ratio:.2f}x", "under 1.5x")
    memory = {
        count: run_once(["--metaopt-campaign", CAMPAIGN_NAME], ours).memory
        for count, (ours, _) in folders.items()
    }
    growth = (memory[4000] - memory[2000]) / (memory[2000] - memory[1000])
    reported = " / ".join(f"{memory[count]:.0f}" for count in sorted(memory))
    report("3", "1,000 / 2,000 / 4,000 checks: peak memory, MiB", reported, "linear")
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
        rounds=rounds(3),
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
            rounds=rounds(3),
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
    jobs = size(10_000)
    ours = base / "fleet"
    ours.mkdir()
    (ours / MANIFEST_NAME).write_text(mixed(jobs))
    empty = empty_tests(base / "empty_fleet", 2 + 5 * jobs)
    costs = by_turns(
        {
            "ours": lambda: run_once(["--metaopt-manifest", MANIFEST_NAME], ours),
            "empty": lambda: run_once(BARE, empty),
        },
        rounds=rounds(1),
        warm_up=0,
    )
    for column, unit in (("wall", "s"), ("memory", "MiB")):
        own, other = median(costs["ours"], column), median(costs["empty"], column)
        reported = f"{own / other:.2f}x ({own:.0f} / {other:.0f} {unit})"
        report("6", f"{jobs:,} jobs: {column}, against {2 + 5 * jobs:,} empty tests", reported, "under 1.5x")


def run_configs(base: Path) -> None:
    """7. 1,000 run configs against as many empty parametrized tests as they have items, plus parsing."""
    count = size(1_000)
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
        rounds=rounds(3),
        warm_up=WARM_UP,
    )
    own, other, parsing = (median(costs[name], "wall") for name in ("ours", "empty", "parsing"))
    reported = f"{own / (other + parsing):.2f}x ({own:.1f} / {other:.1f} + {parsing:.1f} s)"
    report("7", f"{count:,} run configs: wall, against {items:,} empty tests", reported, "under 1.5x")


def nodes_over_ssh(base: Path) -> None:
    """8. All facts of N nodes, 50 ms away, against one ``ssh host true`` each, as many at a time."""
    missing = available()
    if missing is not None:
        report("8", "nodes over ssh", "not measured", missing)
        return
    for count in (1, 8, 64):
        with Lab(base / f"lab{count}", count, delay=0.05) as lab:
            document = base / f"launch{count}.yaml"
            entries = [{"host": host.spec, "address": host.address} for host in lab.hosts.values()]
            storage = {"checkpoint_dir": "/var/tmp/checkpoints"}
            document.write_text(json.dumps({"nodes": entries, "gpus": {"count": 1}, "storage": storage}))
            commands = [["ssh", "-F", str(lab.ssh_config), name, "true"] for name in lab.hosts]
            costs = by_turns(
                {
                    "facts": lambda document=document: ask_nodes(document),  # type: ignore[misc]
                    "ssh": lambda commands=commands: at_a_time(commands),  # type: ignore[misc]
                },
                rounds=rounds(3),
                warm_up=WARM_UP,
            )
        own, other = median(costs["facts"], "wall"), median(costs["ssh"], "wall")
        reported = f"{own / other:.2f}x ({own:.2f} / {other:.2f} s)"
        name = f"{count} node{'' if count == 1 else 's'}, 50 ms away: wall, against ssh host true"
        report("8", name, reported, "under 1.5x")


def ask_nodes(document: Path) -> Cost:
    """Ask every node of a launch spec everything, as a session does, and return the wall time."""
    started = time.perf_counter()
    fleet = Fleet(load_launch(document).facts, limit=60, connections=DEFAULT_CONNECTIONS)
    troubles = [trouble for node in fleet.nodes if (trouble := fleet.answer(node).trouble) is not None]
    if troubles:
        raise RuntimeError(troubles[0].message)
    return Cost(time.perf_counter() - started, 0.0, 0.0)


def at_a_time(commands: Sequence[Sequence[str]]) -> Cost:
    """Run commands side by side, as many as a session asks nodes at a time, and return the wall time."""
    started = time.perf_counter()
    with ThreadPoolExecutor(DEFAULT_CONNECTIONS) as threads:
        list(threads.map(lambda command: command_once(command, os.environ), commands))
    return Cost(time.perf_counter() - started, 0.0, 0.0)


def many_nodes(base: Path) -> None:
    """9. 1,000 nodes that are all this machine, which is queried once, against as many empty tests."""
    count = size(1_000)
    ours, tools = base / "many_nodes", base / "node_tools"
    ours.mkdir()
    tools.mkdir()
    recorded = Path(__file__).parents[1] / "recorded" / "nvidia" / "smi-535.54.03-a100-mig.xml"
    (tools / "nvidia-smi").write_text(f"#!/bin/sh\nexec cat '{recorded}'\n")
    (tools / "dmesg").write_text("#!/bin/sh\necho '[ 0.000000] Linux version 6.1.0'\n")
    (tools / "df").write_text("#!/bin/sh\necho Filesystem\necho tmpfs 99999999999 0 99999999999 0% /\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    document = {
        "nodes": [{"name": f"n{n}", "host": "local://", "address": "127.0.0.1"} for n in range(count)],
        "gpus": {"name": "A100"},
        "storage": {"checkpoint_dir": "/var/tmp", "durable_mounts": ["/"]},
        "env": {"NCCL_SOCKET_IFNAME": "^lo", "NCCL_IB_DISABLE": 1, "TORCH_NCCL_ASYNC_ERROR_HANDLING": 1},
        "launcher": {"collective_timeout": "10m"},
    }
    (ours / "launch.yaml").write_text(json.dumps(document))
    environ = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    arguments = ["--metaopt-launch", "launch.yaml"]
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments],
        cwd=ours,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
    )
    items = listed.stdout.count("::")
    empty = empty_tests(base / "empty_nodes", items)
    costs = by_turns(
        {"ours": lambda: run_once(arguments, ours, environ), "empty": lambda: run_once(BARE, empty)},
        rounds=rounds(3),
        warm_up=WARM_UP,
    )
    own, other = median(costs["ours"], "wall"), median(costs["empty"], "wall")
    reported = f"{own / other:.2f}x ({own:.1f} / {other:.1f} s)"
    report("9", f"{count:,} nodes: wall, against {items:,} empty tests", reported, "under 1.5x")


BENCHMARKS = (
    idle, session, many, side_by_side, real_skypilot, fleet, run_configs, nodes_over_ssh, many_nodes,
)  # fmt: skip


def main() -> None:
    """Run every benchmark, or those that are named on the command line."""
    # An installed package has its bytecode; without, every session would compile all of it.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    named = [word for word in sys.argv[1:] if not word.startswith("-")]
    with tempfile.TemporaryDirectory() as folder:
        for benchmark in BENCHMARKS:
            if named and benchmark.__name__ not in named:
                continue
            benchmark(Path(folder))


if __name__ == "__main__":
    main()
