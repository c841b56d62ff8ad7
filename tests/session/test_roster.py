"""The nodes of a launch in the closing section, in node lists and in reports."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from _pytest.pytester import RunResult

from tests.support.machines import A100, LAUNCH, Machine, nodes, recorded, smi
from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project

GPUS = "gpus: {name: A100, count: 1, memory: 80GB}\n"
ONLY_NODES = """\
import json
import pathlib

def pytest_metaopt_modify_checks(document, checks):
    for name in list(checks):
        if not name.startswith(("gpu_", "reachable")) and document.path.name == "launch.yaml":
            del checks[name]

def pytest_metaopt_readiness(readiness):
    pathlib.Path("reported.json").write_text(json.dumps(readiness["nodes"]))
"""


class Rack:
    """Containers that ``docker exec`` finds: this machine, each with GPUs of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machines: dict[str, Machine] = {}
        self.controller = Machine(folder / "controller")
        self.controller.script(
            "docker",
            '[ "$1" = exec ] || exit 64\nshift\n'
            "while [ $# -gt 0 ]; do case $1 in -u) shift 2 ;; -*) shift ;; *) break ;; esac; done\n"
            f"there={shlex.quote(str(folder))}/$1; shift\n"
            'if [ ! -d "$there" ]; then echo "Error: No such container" >&2; exit 1; fi\n'
            'PATH=$there:$PATH; export PATH\nexec "$@"',
        )

    def add(self, name: str, said: str | None = None) -> Machine:
        """Add a container with an A100 that is well, or with what its nvidia-smi says."""
        self.machines[name] = machine = Machine(self.folder / name)
        machine.smi(smi(A100) if said is None else said)
        return machine

    @property
    def spec(self) -> str:
        return nodes(list(self.machines)) + GPUS


@pytest.fixture
def rack(project: Project, monkeypatch: pytest.MonkeyPatch) -> Rack:
    """No container yet."""
    found = Rack(project.path.parent / f"{project.path.name}-rack")
    monkeypatch.setenv("PATH", f"{found.controller.folder}{os.pathsep}{os.environ['PATH']}")
    return found


def hot(text: str) -> str:
    return text.replace("<gpu_temp>27 C<", "<gpu_temp>85 C<")


def ill(text: str) -> str:
    return text.replace("<reset_required>No<", "<reset_required>Yes<")


@pytest.fixture
def mixed(project: Project, rack: Rack) -> Rack:
    """Nodes that are well, hot, ill, not there, and hot and ill."""
    rack.add("gpu-01")
    rack.add("gpu-02", hot(smi(A100)))
    rack.add("gpu-03", ill(smi(A100)))
    rack.add("gpu-05").kernel("Linux version 6\n" + recorded("kernel-xid-79.txt"))
    rack.machines["gpu-04"] = rack.machines["gpu-01"]
    project.write(LAUNCH, rack.spec)
    return rack


def run(project: Project, *arguments: str) -> RunResult:
    """Run the checks of the nodes and their GPUs, and no others."""
    project.write("conftest.py", ONLY_NODES)
    return project.pytest("--metaopt-launch", LAUNCH, *arguments)


def section(result: RunResult) -> list[str]:
    """Return the lines of the closing section."""
    lines = result.stdout.lines
    begin = next(number for number, line in enumerate(lines) if "= preflight readiness =" in line)
    end = next(number for number, line in enumerate(lines) if number > begin and line.startswith("=="))
    return [line.rstrip() for line in lines[begin + 1 : end]]


def table(result: RunResult) -> list[str]:
    """Return the roster's rows."""
    lines = section(result)
    if "nodes:" not in lines:
        return []
    begin = lines.index("nodes:") + 1
    return lines[begin : lines.index("", begin)]


# -- the table -------------------------------------------------------------------------------------


def test_the_roster_has_a_row_a_node_worst_first(project: Project, mixed: Rack) -> None:
    result = run(project)
    assert result.ret == 1
    assert table(result) == [
        "  gpu-03  failed    gpu_health: GPU 0 (NVIDIA A100-SXM4-80GB) requests a",
        "                    recovery: Reset",
        "  gpu-05  failed    gpu_xid: Xid 79 (GPU has fallen off the bus) of GPU",
        "                    0000:06:00 in the kernel's log",
        "  gpu-04  failed    reachable: could not be queried (exit status 1): Error: No",
        "                    such container",
        "  gpu-02  advisory  gpu_throttling: GPU 0 is at 85 C",
        "  gpu-01  passed    6 checks",
    ]
    assert max(map(len, section(result))) <= 80


def test_a_node_that_is_down_is_one_entry(project: Project, mixed: Rack) -> None:
    text = " ".join(" ".join(section(run(project))).split())
    assert text.count("No such container") == 2  # in the roster, and in what to do
    assert (
        "1. reachable, gpu_present, gpu_health, gpu_xid and 2 more of gpu-04:"
        f" could not be queried (exit status 1): Error: No such container ({LAUNCH}:6)"
        " -> Make this command work" in text
    )
    assert f"advisory (does not block): 1. gpu_throttling-gpu-02: GPU 0 is at 85 C ({LAUNCH}:3) ->" in text
    assert "-> Make this command work: docker exec gpu-04 true" in text


def test_one_node_needs_no_table(project: Project, rack: Rack) -> None:
    rack.add("gpu-01", ill(smi(A100)))
    project.write(LAUNCH, rack.spec)
    result = run(project)
    assert result.ret == 1
    assert table(result) == []
    assert "gpu_health-gpu-01: GPU 0" in result.stdout.str()


def test_nodes_of_one_host_are_distinguished(project: Project, rack: Rack) -> None:
    rack.controller.smi(ill(smi(A100)))
    rack.controller.kernel("Linux version 6\n")
    names = ["head", "worker"]
    project.write(
        LAUNCH, "nodes:\n" + "".join(f"  - {{host: 'local://', name: {n}}}\n" for n in names) + GPUS
    )
    result = run(project)
    rows = table(result)
    assert [row.split()[:2] for row in rows if not row.startswith("     ")] == [
        [name, "failed"] for name in names
    ]
    text = " ".join(" ".join(section(result)).split())
    assert "1. gpu_health-head: GPU 0" in text
    assert "2. gpu_health-worker: GPU 0" in text


def test_of_many_nodes_those_that_need_somebody_are_shown(project: Project, rack: Rack) -> None:
    for number in range(30):
        rack.add(f"gpu-{number:02}")
    rack.machines["gpu-17"].smi(ill(smi(A100)))
    project.write(LAUNCH, rack.spec)
    assert table(run(project)) == [
        "  gpu-17  failed    gpu_health: GPU 0 (NVIDIA A100-SXM4-80GB) requests a",
        "                    recovery: Reset",
        "  and 29 passed",
    ]


def test_a_long_name_has_a_line_of_its_own(project: Project, rack: Rack) -> None:
    long = "ip-10-0-0-1.eu-central-1.compute.internal.cluster.example.com"
    rack.add(long, ill(smi(A100)))
    rack.add("head")
    project.write(LAUNCH, rack.spec)
    result = run(project)
    assert table(result) == [
        f"  {long}",
        "        failed    gpu_health: GPU 0 (NVIDIA A100-SXM4-80GB) requests a recovery:",
        "                  Reset",
        "  head  passed    6 checks",
    ]
    assert max(map(len, section(result))) <= 80


def test_a_node_that_was_not_queried_everything_is_unknown(project: Project, mixed: Rack) -> None:
    result = project.pytest("--metaopt-launch", LAUNCH, "-k", "gpu_present or gpu_throttling")
    words = {row.split()[0]: row.split()[1] for row in table(result) if not row.startswith("     ")}
    assert words == {
        "gpu-01": "unknown",
        "gpu-02": "unknown",
        "gpu-03": "unknown",
        "gpu-04": "failed",
        "gpu-05": "unknown",
    }
    assert next(iter(words)) == "gpu-04"
    assert "  gpu-01  unknown   2 checks; others were left out" in table(result)


@pytest.mark.soak
def test_workers_give_the_same_section(project: Project, mixed: Rack) -> None:
    alone, shared = section(run(project)), section(run(project, "-n", "2"))
    assert alone[: alone.index("to do:")] == shared[: shared.index("to do:")]
    assert alone == shared


# -- the lists -------------------------------------------------------------------------------------


def lists(folder: Path) -> tuple[list[str], list[str]] | None:
    """Return the passing and the failing nodes; None where neither file is there."""
    files = [folder / f"{word}_nodes.txt" for word in ("passing", "failing")]
    if not any(file.exists() for file in files):
        return None
    passing, failing = (file.read_text() for file in files)
    assert all(not text or text.endswith("\n") for text in (passing, failing))
    return passing.splitlines(), failing.splitlines()


@pytest.fixture
def local(project: Project, rack: Rack) -> Callable[..., RunResult]:
    """A launch of three nodes as a scheduler would have it, without checks over all of them."""
    rack.add("gpu-02", ill(smi(A100)))
    rack.add("gpu-01")
    rack.add("gpu-03", hot(smi(A100)))
    project.write("conftest.py", ONLY_NODES)
    project.write(LAUNCH, rack.spec)

    def query(*arguments: str) -> RunResult:
        return project.pytest("--metaopt-launch", LAUNCH, *arguments)

    return query


def test_this_machine_alone_makes_no_list(project: Project) -> None:
    project.write(LAUNCH, "storage: {scratch: 1KB}\n")
    result = project.pytest("--metaopt-launch", LAUNCH, "--metaopt-readiness", "out/r.json")
    assert result.ret == 0
    assert (project.path / "out" / "r.json").exists()
    assert lists(project.path / "out") is None
    assert "beside it" not in result.stdout.str()


@pytest.mark.parametrize("workers", ["0", pytest.param("1", marks=pytest.mark.soak)])
def test_lists_lie_beside_the_artifact(
    project: Project, local: Callable[..., RunResult], workers: str
) -> None:
    (project.path / "out").mkdir()
    report = ["--json-report", "--json-report-file=j.json"]
    result = local("--metaopt-readiness", "out/r.json", "-n", workers, *report)
    assert result.ret == 1
    assert lists(project.path / "out") == (["gpu-01", "gpu-03"], ["gpu-02"])
    assert "beside it: passing_nodes.txt (2) and failing_nodes.txt (1)" in result.stdout.str()
    reported = json.loads((project.path / "j.json").read_text())["readiness"]["nodes"]
    assert [(node["name"], node["outcome"]) for node in reported] == [
        ("gpu-02", "failed"),
        ("gpu-01", "passed"),
        ("gpu-03", "advisory"),
    ]
    assert reported[0]["findings"] == [
        {
            "check": "gpu_health",
            "message": "gpu-02: GPU 0 (NVIDIA A100-SXM4-80GB) requests a recovery: Reset",
        }
    ]
    assert json.loads((project.path / "reported.json").read_text()) == reported
    artifact: dict[str, Any] = json.loads((project.path / "out" / "r.json").read_text())
    assert {check["subject"] for check in artifact["checks"]} - {None} == {"gpu-01", "gpu-02", "gpu-03"}


def test_lists_lie_beside_the_artifact_of_the_campaign_that_names_the_launch(
    project: Project, rack: Rack, local: Callable[..., RunResult]
) -> None:
    project.campaign.write_text(CAMPAIGN + f"preflight:\n  launch: {LAUNCH}\n")
    result = project.preflight()
    assert result.ret == 1
    assert lists(project.artifact_path.parent) == (["gpu-01", "gpu-03"], ["gpu-02"])
    assert project.artifact()["status"] == "FAILED"
    rack.machines["gpu-02"].smi(smi(A100))
    assert project.preflight().ret == 0
    assert lists(project.artifact_path.parent) == (["gpu-02", "gpu-01", "gpu-03"], [])
    assert project.artifact()["status"] == "READY"


def test_lists_are_left_alone_by_what_is_no_full_look(
    project: Project, rack: Rack, local: Callable[..., RunResult]
) -> None:
    at = ["--metaopt-readiness", "r.json"]
    result = local(*at, "-k", "gpu_present")
    assert result.ret == 0
    assert "INCOMPLETE" in result.stdout.str()
    assert lists(project.path) is None
    assert local(*at).ret == 1
    before = (lists(project.path), (project.path / "r.json").read_bytes())
    rack.machines["gpu-02"].smi(smi(A100))
    assert local(*at, "-k", "gpu_present").ret == 0
    assert (lists(project.path), (project.path / "r.json").read_bytes()) == before


def test_lists_of_an_earlier_session_do_not_stay_beside_a_new_artifact(
    project: Project, local: Callable[..., RunResult]
) -> None:
    at = ["--metaopt-readiness", "out/r.json"]
    assert local(*at).ret == 1
    assert lists(project.path / "out") is not None
    before = lists(project.path / "out")
    good, hooks = (project.path / LAUNCH).read_text(), (project.path / "conftest.py").read_text()
    project.write(LAUNCH, "nodes: [{host: local://, nme: a}]\n")
    # Here no check is left to say no.
    assert "INCOMPLETE" in local(*at).stdout.str()
    assert lists(project.path / "out") == before
    (project.path / "conftest.py").unlink()
    assert local(*at).ret == 1
    assert json.loads((project.path / "out" / "r.json").read_text())["status"] == "FAILED"
    assert lists(project.path / "out") is None
    project.write(LAUNCH, good)
    project.write("conftest.py", hooks)
    assert local(*at).ret == 1
    project.write(LAUNCH, "memory: 1KB\n")
    (project.path / "conftest.py").unlink()
    result = local(*at)
    assert result.ret == 0
    assert lists(project.path / "out") is None
    assert "beside it" not in result.stdout.str()


def test_lists_of_a_launch_stay_beside_an_artifact_of_other_documents(
    project: Project, local: Callable[..., RunResult]
) -> None:
    assert local("--metaopt-readiness", "out/launch.json").ret == 1
    before = lists(project.path / "out")
    assert before is not None
    assert project.preflight("--metaopt-readiness", "out/campaign.json").ret == 0
    assert lists(project.path / "out") == before


def test_a_campaign_that_names_no_launch_any_more_has_no_lists(
    project: Project, local: Callable[..., RunResult]
) -> None:
    project.campaign.write_text(CAMPAIGN + f"preflight:\n  launch: {LAUNCH}\n")
    assert project.preflight().ret == 1
    assert lists(project.artifact_path.parent) is not None
    project.campaign.write_text(CAMPAIGN)
    assert project.preflight().ret == 0
    assert lists(project.artifact_path.parent) is None


def test_a_node_that_is_not_known_well_is_in_neither_list(
    project: Project, rack: Rack, local: Callable[..., RunResult]
) -> None:
    rack.machines["gpu-03"].smi(recorded("smi-mismatch.txt"), 1)
    result = local("--metaopt-readiness", "r.json", "-k", "gpu_present")
    assert result.ret == 1
    assert lists(project.path) == ([], ["gpu-03"])
    words = {row.split()[0]: row.split()[1] for row in table(result) if not row.startswith("     ")}
    assert words == {"gpu-03": "failed", "gpu-02": "unknown", "gpu-01": "unknown"}


def test_without_nodes_there_are_no_lists(project: Project) -> None:
    assert project.preflight().ret == 0
    assert lists(project.artifact_path.parent) is None


def test_quiet_sessions_show_no_table(local: Callable[..., RunResult]) -> None:
    text = local("-q").stdout.str()
    assert "nodes:" not in text
    assert f"{LAUNCH}: FAILED" in text
    assert CAMPAIGN_NAME not in text
