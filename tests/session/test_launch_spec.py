"""Launch specs through pytest: what may stand in one, and the checks of a launch as a whole."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from _pytest.pytester import RunResult
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_metaopt.checks import launch as launch_checks
from pytest_metaopt.core import quantity
from pytest_metaopt.core.document import DocumentError
from pytest_metaopt.core.finding import NotApplicable
from pytest_metaopt.documents.launch_reader import load_launch
from pytest_metaopt.launch import hosts as hostspec
from pytest_metaopt.launch.launcher import of_command
from pytest_metaopt.session.catalog import checks_of_module
from pytest_metaopt.session.evaluation import evaluate
from tests.support.launches import (
    BAD,
    FULL,
    GOOD,
    LAUNCH_NAME,
    NOT_IN_JSON,
    PASSWORDS,
    SECRET,
    SKYPILOT,
    nodes,
    spec,
)
from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project
from tests.support.scale import examples

needs_jsonschema = pytest.mark.skipif(
    importlib.util.find_spec("check_jsonschema") is None, reason="check-jsonschema is not installed"
)


class Session:
    """A session over launch specs: how each item came out, and what it said, by file and node id."""

    def __init__(self, result: RunResult, report: dict[str, Any]) -> None:
        self.result = result
        self.ret = result.ret
        self.items: dict[str, dict[str, dict[str, Any]]] = {}
        for test in report["tests"]:
            path, _, item = test["nodeid"].partition("::")
            self.items.setdefault(Path(path).stem, {})[item] = test["metadata"]["metaopt"]

    def reported(self, name: str) -> dict[str, str]:
        """What failed items and advice of a file say, with the line."""
        return {
            item: f"{found['line']}: {found['message']}"
            for item, found in self.items[name].items()
            if found["outcome"] in {"failed", "warning"}
        }


def preflight(project: Project, files: dict[str, str], *arguments: str) -> Session:
    options = []
    for name, text in files.items():
        project.write(f"runs/{name}.yaml", text)
        options += ["--metaopt-launch", f"runs/{name}.yaml"]
    result = project.pytest(*options, "-q", "--json-report", "--json-report-file=r.json", *arguments)
    return Session(result, json.loads((project.path / "r.json").read_text()))


def collected(project: Project, *arguments: str) -> list[str]:
    output = project.pytest("--collect-only", "-q", *arguments).stdout.str()
    return [line for line in output.splitlines() if "::" in line]


ONLY_SCHEMA = ("-k", "launch[schema]")


# -- what may stand in a launch spec ---------------------------------------------------------------


def test_good_specs_are_accepted(project: Project) -> None:
    session = preflight(project, GOOD, *ONLY_SCHEMA)
    assert {name: session.reported(name) for name in GOOD if session.reported(name)} == {}
    assert set(session.items) == set(GOOD)
    assert session.ret == 0


def test_the_full_spec_has_every_key_and_every_value_is_what_was_meant(tmp_path: Path) -> None:
    from pytest_metaopt.documents.launch_model import LaunchModel

    path = tmp_path / LAUNCH_NAME
    path.write_text(FULL)
    launch = load_launch(path)
    assert set(launch.data) == set(LaunchModel.model_fields)
    assert not launch.problems
    local, remote = launch.nodes
    facts = launch.facts
    assert (local.name, local.address, local.host.text) == ("local", None, "local://")
    assert (remote.name, remote.address, dict(remote.env)) == (
        "gpu-1",
        "10.0.0.1",
        {"NCCL_SOCKET_IFNAME": "eth1"},
    )
    assert remote.host.text == f"ssh://me@gpu-1.test:2222?ssh_config={tmp_path}/cluster.conf"
    assert (remote.host.host, str(remote.host)) == ("gpu-1.test", "ssh://me@gpu-1.test:2222")
    assert (str(facts.gpus.value), facts.node_count) == ("8 A100 with 80GB+", 2)
    assert facts.memory.value == 200 * 10**9
    assert facts.disk_budget == 3 * 40 * 10**9 + round(1.5 * (1 << 40))
    assert facts.collective_timeout.value == 600
    assert facts.time_between_preemptions.value == 6 * 3600
    assert facts.launcher.value is not None
    assert facts.launcher.value.options == {
        "max_restarts": "3",
        "rdzv_backend": "c10d",
        "nnodes": "2",
        "no_python": "",
    }
    assert facts.env == {
        "SKY": "x",
        "LATER": "",
        "TORCH_NCCL_ASYNC_ERROR_HANDLING": "1",
        "NCCL_DEBUG": "INFO",
    }


def test_wrong_specs_are_reported_and_nothing_else_is_collected(project: Project) -> None:
    session = preflight(project, {name: text for name, (text, _) in BAD.items()}, "--tb=no")
    assert session.ret == 1
    wrong = {}
    for name, (_, reported) in BAD.items():
        found = session.reported(name)
        if set(session.items[name]) != {"launch[schema]"} or reported not in found.get("launch[schema]", ""):
            wrong[name] = found
    assert wrong == {}
    assert "Traceback" not in session.result.stdout.str()


def test_everything_that_is_wrong_is_reported_at_once_each_with_its_line(project: Project) -> None:
    text = """\
nods: 3
nodes:
  - ssh://a
  - {hots: b}
  - telnet://c
  - {host: "me:x@d", adress: e}
  - a
gpus:
  count: many
  nme: A100
network: {mtu: 1}
envs: {A: x}
env: {A: y}
storage:
  checkpoint_dir: here
num_nodes: 9
"""
    session = preflight(project, {"all": text}, "--tb=no")
    assert session.ret == 1
    assert session.reported("all")["launch[schema]"].splitlines() == [
        "1: 13 problems",
        "line 1: unknown key nods",
        "line 4: nodes.1.host is missing; expected a string",
        "line 4: unknown key nodes.1.hots; did you mean 'host'?",
        "line 5: nodes.2 has a transport that is not one of local, ssh, docker, podman, kubectl, ansible",
        "line 6: nodes.3 has a password in it; use a key and ssh-agent, or a Host block of ssh_config",
        "line 6: unknown key nodes.3.adress; did you mean 'address'?",
        "line 7: nodes.4 has the name a, as nodes.0 has; name it",
        "line 9: gpus.count is a string; expected an integer from 0 to 64",
        "line 10: unknown key gpus.nme; did you mean 'name'?",
        "line 11: network.mtu is 1; expected an integer from 576 to 65535",
        "line 12: envs.A is in env too; keep one of them",
        (
            "line 15: storage.checkpoint_dir is not an absolute path;"
            " nodes have no common directory to start from"
        ),
        "line 16: num_nodes is 9, but nodes names 5",
    ]


def test_the_page_of_a_wrong_spec_fits_in_80_columns(project: Project) -> None:
    project.write(LAUNCH_NAME, "nodes: [a, a]\ngpus: {nme: A100}\n")
    result = project.pytest("--metaopt-launch", LAUNCH_NAME)
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "launch.yaml:1:12: nodes.1 has the name a, as nodes.0 has; name it",
            "launch.yaml:2:13: unknown key gpus.nme; did you mean 'name'?",
            "FAILED launch.yaml::launch[[]schema[]]*",
        ]
    )
    page = result.stdout.str()
    assert max(map(len, page[page.index("= FAILURES =") - 40 :].splitlines())) <= 80


@pytest.mark.parametrize(
    ("data", "reported"),
    [
        (b"", "is empty; a launch spec is a YAML mapping"),
        (b"# nothing\n", "holds only comments; a launch spec is a YAML mapping"),
        (b"- a\n", "is a list; a launch spec is a YAML mapping"),
        (b"nodes: [a\0]\n", ":1:10: holds a NUL byte"),
        (b"gpus:\n\tcount: 1\n", ":2:1: a tab is used as indentation"),
        (GOOD["local"].encode() + b"#" * (1 << 20), "is larger than 1048576 bytes"),
        (b"nodes: [\n", "is not YAML"),
        (b"nodes: " + b"[" * 70 + b"]" * 70, "is nested deeper than 64 levels"),
    ],
    ids=["empty", "comment", "list", "NUL", "tab", "large", "broken", "deep"],
)
def test_what_can_not_be_read_ends_with_2_and_one_line(project: Project, data: bytes, reported: str) -> None:
    (project.path / LAUNCH_NAME).write_bytes(data)
    result = project.pytest("--metaopt-launch", LAUNCH_NAME)
    assert result.ret == 2
    assert reported in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


MUCH = {
    "keys": "".join(f"node{n}: 1\n" for n in range(2_000)),
    "resources": "resources:\n" + "".join(f"  acceler{n}: 1\n" for n in range(2_000)),
    "nodes": f"nodes: [{'-x,' * 2_000}]\n",
    "args": f"launcher: {{args: {{{''.join(f'a{n}: [],' for n in range(2_000))}}}}}\n",
    "run": f"nodes: [a, a]\nrun: '{'srun ' * 150_000}$(`'\n",
}


def test_thousands_of_mistakes_are_reported_in_a_few_lines(project: Project) -> None:
    session = preflight(project, MUCH, "--tb=no")
    assert session.ret == 1
    for name in MUCH:
        reported = session.reported(name)["launch[schema]"]
        assert len(reported) < 10_000
        assert name == "run" or " more" in reported, name


# -- secrets ---------------------------------------------------------------------------------------


def test_passwords_in_host_specs_are_refused_and_shown_nowhere(project: Project) -> None:
    session = preflight(project, PASSWORDS, "-v", "-rA", "--tb=long", "-l", "--junitxml=j.xml")
    assert session.ret == 1
    for name in PASSWORDS:
        assert set(session.items[name]) == {"launch[schema]"}
        assert session.reported(name)["launch[schema]"].startswith("2: nodes.0 "), name
    for name in ("plain", "bare", "at", "docker", "local", "ansible"):
        if name != "local":
            assert "has a password in it; use a key and ssh-agent" in session.reported(name)["launch[schema]"]
    reports = session.result.stdout.str() + session.result.stderr.str() + (project.path / "j.xml").read_text()
    assert SECRET not in reports + (project.path / "r.json").read_text()


def test_secrets_of_a_skypilot_task_are_shown_nowhere(project: Project) -> None:
    files = {
        "good": SKYPILOT,
        "wrong": f"{SKYPILOT}nodez: 1\nenv: {{WANDB_API_KEY: {SECRET}, 1: {SECRET}}}\n",
    }
    session = preflight(project, files, "-v", "-rA", "--tb=long", "-k", "launch[", "--junitxml=j.xml")
    assert session.ret == 1
    assert "envs.WANDB_API_KEY is in env too" in session.reported("wrong")["launch[schema]"]
    reports = session.result.stdout.str() + (project.path / "j.xml").read_text()
    assert SECRET not in reports + (project.path / "r.json").read_text()


# -- what is taken as a launch spec, and from whom -------------------------------------------------


def test_a_skypilot_task_and_a_portable_job_request_say_what_is_queried(tmp_path: Path) -> None:
    path = tmp_path / LAUNCH_NAME
    path.write_text(SKYPILOT)
    launch = load_launch(path)
    assert launch.valid
    task = launch.facts
    assert (str(task.gpus.value), task.node_count, task.names_nodes) == ("8 A100", 2, False)
    assert task.memory.value == 64 * 10**9
    assert task.env == {"NCCL_DEBUG": "INFO", "WANDB_API_KEY": SECRET, "HF_TOKEN": ""}
    launcher = task.launcher.value
    assert launcher is not None
    assert launcher.name == "torchrun"
    assert launcher.option("max-restarts") == "3"
    assert launcher.option("rdzv_backend") == "c10d"
    path.write_text(GOOD["portable"])
    request = load_launch(path).facts
    assert (str(request.gpus.value), request.node_count) == ("1 A100 with 24GB+", 1)
    assert (request.disk_budget, request.storage_path.value) == (100 * 10**9, ".")
    assert not request.launcher.given


@pytest.mark.parametrize(
    ("accelerators", "reported"),
    [
        ("A100:8", "8 A100"),
        ("H100", "1 H100"),
        ("80GB+:2", "2 GPU with 80GB+"),
        ("NVIDIA:80GB+:2", "2 GPU with 80GB+"),
        ({"A100": 4}, "4 A100"),
        ({"A100": None}, "1 A100"),
        (["A100:8"], "8 A100"),
        ("L4:0.5", "1 L4"),
        (["A100:8", "H100:4"], "8 A100 or 4 H100"),
        ({"A100": 8, "A100-80GB": 8}, "8 A100 or 8 A100-80GB"),
        (["A100:8", "tpu-v5e-8"], "None"),
        ("tpu-v5e-8", "None"),
    ],
)
def test_accelerators_as_skypilot_writes_them(tmp_path: Path, accelerators: Any, reported: str) -> None:
    path = tmp_path / LAUNCH_NAME
    path.write_text(spec(resources={"accelerators": accelerators}))
    assert str(load_launch(path).facts.gpus.value) == reported


def test_a_file_is_recognised_by_its_name_or_its_keys(project: Project) -> None:
    for name in ("launch.yaml", "my-launch.yml", "train.yaml", "other.yaml"):
        project.write(name, "nodes: [local://]\n" if name == "train.yaml" else "name: x\n")
    for name in ("launch.yaml", "my-launch.yml", "train.yaml"):
        assert collected(project, name) == [f"{name}::launch[schema]", f"{name}::launch[nodes_named]"]
    assert collected(project, "other.yaml") == []
    assert collected(project, "launch.yaml::launch[schema]") == ["launch.yaml::launch[schema]"]
    assert collected(project, "--metaopt-launch", "other.yaml")[0] == "other.yaml::launch[schema]"
    result = project.pytest("--metaopt-launch", "lunch.yaml")
    assert result.ret == 2
    result.stderr.fnmatch_lines(["ERROR: *lunch.yaml: no such launch* did you mean 'launch.yaml'?"])


def test_a_launch_spec_is_a_campaigns_companion(project: Project) -> None:
    project.campaign.write_text(f"{CAMPAIGN}preflight:\n  launch: {LAUNCH_NAME}\n")
    project.write(LAUNCH_NAME, "nodes: [local://]\n")
    assert project.preflight("-q").ret == 0
    artifact = project.artifact()
    assert {check["document"] for check in artifact["checks"]} == {CAMPAIGN_NAME, LAUNCH_NAME}
    project.write(LAUNCH_NAME, "nodes: [local://local]\n")
    assert project.preflight("-q", "--tb=no").ret == 1
    artifact = project.artifact()
    assert artifact["status"] == "FAILED"
    assert [failure["check_id"] for failure in artifact["failures"]] == ["schema"]


@pytest.mark.parametrize("value", ["0", "-1", "1025", "many", "", "1.5", "1e3", "²"])
def test_wrong_numbers_of_connections_end_with_4(project: Project, value: str) -> None:
    project.write(LAUNCH_NAME, "nodes: [local://]\n")
    result = project.pytest("--metaopt-launch", LAUNCH_NAME, f"--metaopt-max-connections={value}")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        [f"ERROR: --metaopt-max-connections: {value} is not a whole number from 1 to 1024"]
    )
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


# -- Ansible ---------------------------------------------------------------------------------------

INVENTORY = """\
[gpu]
gpu-1 ansible_host=127.0.0.1
gpu-2 ansible_host=127.0.0.1
[cpu]
web-1 ansible_host=127.0.0.1
"""


@pytest.fixture
def inventory(project: Project, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A host spec for the group gpu of an inventory, whose path is relative to the launch spec's folder."""
    pytest.importorskip("ansible")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    project.write("runs/hosts.ini", INVENTORY)
    return "ansible://gpu?ansible_inventory=hosts.ini"


def test_a_group_of_an_inventory_stands_for_its_hosts(project: Project, inventory: str) -> None:
    files = {
        "group": nodes(inventory, "web-2", num_nodes=3),
        "all": nodes(inventory.replace("gpu", "")),
        "count": nodes(inventory, num_nodes=3),
        "unknown": nodes(inventory.replace("gpu", "gpus")),
        "nowhere": nodes(inventory.replace("hosts", "host")),
        "name": nodes({"host": inventory, "name": "one"}),
        "twice": nodes(inventory, "gpu-2"),
        "broken": nodes("ansible://gpu?ansible_inventory=broken.yml"),
    }
    project.write("runs/broken.yml", "all: [\n")
    session = preflight(project, files, "--tb=no", *ONLY_SCHEMA)
    assert session.reported("group") == session.reported("all") == {}
    reported = {name: session.reported(name).get("launch[schema]") for name in files}
    assert reported["count"] == "3: num_nodes is 3, but nodes names 2"
    assert reported["unknown"] == "2: nodes.0 names gpus, which is not a host or group of the inventory"
    assert reported["nowhere"] == (
        "2: nodes.0 has an ansible_inventory that does not exist; a path is relative to the launch spec"
    )
    assert reported["name"] == "2: nodes.0 has a name, but expands to 2 hosts"
    assert reported["twice"] == "3: nodes.1 has the name gpu-2, as nodes.0 has; name it"
    launch = load_launch(project.path / "runs/group.yaml")
    assert [(node.name, node.host.transport) for node in launch.nodes] == [
        ("gpu-1", "ansible"),
        ("gpu-2", "ansible"),
        ("web-2", "ssh"),
    ]
    assert launch.nodes[0].host.text == f"ansible://gpu-1?ansible_inventory={project.path}/runs/hosts.ini"
    assert reported["broken"] is not None
    assert "Traceback" not in session.result.stdout.str()


def test_without_ansible_inventory_on_path_it_is_reported(
    project: Project, inventory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    session = preflight(project, {"group": nodes(inventory)}, "--tb=no", *ONLY_SCHEMA)
    assert session.reported("group") == {
        "launch[schema]": "2: nodes.0 needs ansible-inventory, which is not on PATH; install ansible-core"
    }


def test_without_testinfra_it_is_reported(project: Project, inventory: str) -> None:
    project.write("conftest.py", "import sys\nsys.modules['testinfra.backend.ansible'] = None\n")
    session = preflight(project, {"group": nodes(inventory)}, "--tb=no", *ONLY_SCHEMA)
    assert session.reported("group") == {
        "launch[schema]": "2: nodes.0 needs pytest-testinfra: pip install 'pytest-metaopt[nodes]'"
    }


# -- the checks of a launch as a whole -------------------------------------------------------------

TWO: dict[str, Any] = {"num_nodes": 2, "gpus": {"count": 8}}
ASYNC = "TORCH_NCCL_ASYNC_ERROR_HANDLING"
NOTICED: dict[str, Any] = {
    **TWO,
    "env": {ASYNC: 1, "NCCL_DEBUG": "INFO"},
    "launcher": {"collective_timeout": "10m"},
}
RESTART = "torchrun --max-restarts=3 --rdzv-backend=c10d train.py"
KEPT = {"checkpoint_dir": "/c", "resume": True}
RESUMED: dict[str, Any] = {**TWO, "run": RESTART, "storage": KEPT}
ELASTIC = "horovodrun -np 8 --min-np 6 --max-np 8 --elastic-timeout 60 python train.py"
GOES_ON: dict[str, Any] = {
    "run": ELASTIC,
    "elasticity": {"expected_lost_workers": 2, "pinned_to_max_np": True},
}
CADENCE: dict[str, Any] = {"elasticity": {"time_between_preemptions": "6h"}}


def without(keys: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in keys.items() if name not in names}


def noticed(env: dict[str, Any]) -> dict[str, Any]:
    return {**NOTICED, "env": env}


def resumed(run: str, **more: Any) -> dict[str, Any]:
    return {**RESUMED, "run": run, **more}


def elastic(run: str, **more: Any) -> dict[str, Any]:
    return {**GOES_ON, "run": run, **more}


def cadence(**storage: Any) -> dict[str, Any]:
    return {**CADENCE, "storage": storage}


NAMED, MN3, MN5, MN6, YOUNG = (
    f"launch[{name}]" for name in ("nodes_named", "MN3", "MN5", "MN6", "checkpoint_cadence")
)
NO_RESTARTS = "--max-restarts is not given: it is 0, and the first lost rank ends the launch"
NO_C10D = "--rdzv-backend is not given: it is static, with which ranks cannot rejoin; expected c10d"

QUERIED: dict[str, tuple[dict[str, Any], str, str | None]] = {
    # the spec, the check, and what it says: None: nothing, it passes; "": it is not collected
    "named": ({"nodes": ["local://"]}, NAMED, None),
    "named_one": ({"num_nodes": 1}, NAMED, None),
    "not_named": (TWO, NAMED, "the launch has 2 nodes and names none: only this machine was checked"),
    "mn3": (NOTICED, MN3, None),
    "mn3_old_name": (noticed({"NCCL_ASYNC_ERROR_HANDLING": "3", "NCCL_DEBUG": "WARN"}), MN3, None),
    "mn3_horovod": ({**NOTICED, "run": ELASTIC}, MN3, ""),
    "mn3_one_node": ({**NOTICED, "num_nodes": 1}, MN3, ""),
    "mn3_no_gpus": ({"num_nodes": 2}, MN3, ""),
    "mn3_not_set": (noticed({"NCCL_DEBUG": "INFO"}), MN3, f"{ASYNC} is not set, so a rank that waits"),
    "mn3_off": (
        noticed({ASYNC: 0}),
        MN3,
        f"{ASYNC} is 0, which keeps a rank running after its collective failed",
    ),
    "mn3_clean_up": (noticed({ASYNC: 2}), MN3, f"{ASYNC} is 2, which keeps a rank running"),
    "mn3_debug": (
        noticed({ASYNC: 1}),
        MN3,
        "NCCL_DEBUG is not set, so a first launch that hangs leaves no trace",
    ),
    "mn3_timeout": (
        without(NOTICED, "launcher"),
        MN3,
        "launcher.collective_timeout is not given: the default",
    ),
    "mn3_node": (
        {**without(NOTICED, "num_nodes"), "nodes": ["local://", {"host": "h.invalid", "env": {ASYNC: 0}}]},
        MN3,
        f"{ASYNC} is 0 on h.invalid, which keeps a rank running there",
    ),
    "mn5": (RESUMED, MN5, None),
    "mn5_spaces": (resumed("torchrun --max_restarts 3 --rdzv_backend c10d t.py"), MN5, None),
    "mn5_module": (
        resumed("python3 -u -m torch.distributed.run --max-restarts=3 --rdzv-backend=c10d t.py"),
        MN5,
        None,
    ),
    "mn5_lines": (
        resumed("cd /x\n# don't\ntorchrun \\\n  --max-restarts=3 \\\n  --rdzv-backend=c10d \\\n  t.py\n"),
        MN5,
        None,
    ),
    "mn5_srun": (resumed(f"srun --nodes=2 -N 2 {RESTART}"), MN5, None),
    "mn5_shell": (resumed(f"srun bash -c '{RESTART}'"), MN5, None),
    "mn5_exec": (resumed(f"export A=b; A=1 exec env -u X C=2 {RESTART}"), MN5, None),
    "mn5_substitution": (resumed(f"torchrun --rdzv-endpoint=$(head -1 hosts):1 {RESTART[9:]}"), MN5, None),
    "mn5_pet": (
        resumed("torchrun t.py", env={"PET_MAX_RESTARTS": 3, "PET_RDZV_BACKEND": "c10d"}),
        MN5,
        None,
    ),
    "mn5_args": (
        resumed("torchrun t.py", launcher={"args": {"max-restarts": 3, "rdzv_backend": "c10d"}}),
        MN5,
        None,
    ),
    "mn5_variable": (
        resumed(RESTART.replace("3", "$RESTARTS")),
        MN5,
        "--max-restarts is only known at launch; set launcher.args.max_restarts",
    ),
    "mn5_variable_said": (
        resumed(RESTART.replace("3", "$RESTARTS"), launcher={"args": {"max_restarts": 3}}),
        MN5,
        None,
    ),
    "mn5_variable_known": (
        resumed(RESTART.replace("3", "$R").replace("c10d", "${B}"), env={"R": 3, "B": "c10d"}),
        MN5,
        None,
    ),
    "mn5_variable_zero": (
        resumed(RESTART.replace("3", "$R"), envs={"R": 0}),
        MN5,
        "--max-restarts is 0: the first lost rank ends",
    ),
    "mn5_backend_later": (
        resumed(RESTART.replace("c10d", "$B")),
        MN5,
        "--rdzv-backend is only known at launch; set launcher.args.rdzv_backend",
    ),
    "mn5_word": (
        resumed(RESTART.replace("3", "three")),
        MN5,
        "--max-restarts is three; expected a whole number",
    ),
    "mn5_pet_zero": (
        resumed("torchrun t.py", env={"PET_MAX_RESTARTS": 0, "PET_RDZV_BACKEND": "c10d"}),
        MN5,
        "PET_MAX_RESTARTS is 0: the first lost rank ends",
    ),
    "mn5_nnodes": ({"run": "torchrun --nnodes 1:4 t.py", "gpus": {"count": 1}}, MN5, NO_RESTARTS),
    "mn5_nnodes_one": ({"run": "torchrun --nnodes 1 t.py", "gpus": {"count": 1}}, MN5, ""),
    **{
        f"mn5_behind_{number}": (
            resumed(f"{front} {RESTART[9:].replace('3', '0')}"),
            MN5,
            "--max-restarts is 0",
        )
        for number, front in enumerate(
            (
                "uv run torchrun",
                "poetry run torchrun",
                "conda run -n x --no-capture-output torchrun",
                "apptainer exec --nv img.sif torchrun",
                "srun --nodes 2 singularity exec --nv -B /a:/b img.sif torchrun",
                "docker run --gpus all --rm img:latest torchrun",
                "coverage run -m torch.distributed.run",
                "python /opt/conda/bin/torchrun",
                "python -Xfaulthandler -W ignore -m torch.distributed.run",
            )
        )
    },
    "mn5_no_launcher": (resumed("uv run python t.py torchrun"), MN5, ""),
    "mn5_no_runner": (resumed("uv pip install torchrun"), MN5, ""),
    "mn5_one_node": ({**RESUMED, "num_nodes": 1}, MN5, ""),
    "mn5_python": (resumed("python train.py torchrun"), MN5, ""),
    "mn5_echo": (resumed("echo torchrun"), MN5, ""),
    "mn5_none": (resumed("torchrun t.py"), MN5, NO_RESTARTS),
    "mn5_static": (resumed("torchrun --max-restarts=3 t.py"), MN5, NO_C10D),
    "mn5_script": (
        resumed("torchrun --rdzv-backend=c10d t.py --max-restarts=3"),
        MN5,
        NO_RESTARTS,
    ),
    "mn5_of_module": (resumed("torchrun --rdzv-backend c10d -m t --max-restarts=3"), MN5, NO_RESTARTS),
    "mn5_zero": (resumed(RESTART.replace("3", "0")), MN5, "--max-restarts is 0: the first lost rank ends"),
    "mn5_negative": (
        resumed(RESTART.replace("3", "-1")),
        MN5,
        "--max-restarts is -1: the first lost rank ends",
    ),
    "mn5_superscript": (
        resumed(RESTART.replace("3", "²")),
        MN5,
        "--max-restarts is ²; expected a whole number",
    ),
    "mn5_etcd": (resumed(RESTART.replace("c10d", "etcd")), MN5, "--rdzv-backend is etcd, with which ranks"),
    "mn5_standalone": (resumed(f"torchrun --standalone {RESTART[9:]}"), MN5, "--standalone is for one node"),
    "mn5_nowhere": (resumed(RESTART, storage={"resume": True}), MN5, "storage.checkpoint_dir is not given"),
    "mn5_not_resumed": (
        resumed(RESTART, storage={"checkpoint_dir": "/c"}),
        MN5,
        "storage.resume is not given",
    ),
    "mn5_resume_no": (resumed(RESTART, storage={**KEPT, "resume": False}), MN5, "storage.resume is false"),
    "mn6": (GOES_ON, MN6, None),
    "mn6_long_names": (
        elastic(
            "horovodrun --num-proc=8 --min-num-proc=6 --max-num-proc=8 --blacklist-cooldown-range 60 300"
            " --elastic-timeout=60 python t.py"
        ),
        MN6,
        None,
    ),
    "mn6_np": (elastic("horovodrun --no-stall-check -np 8 --min-np 6 --elastic-timeout 9 x"), MN6, None),
    "mn6_env": (
        elastic(ELASTIC.replace("--elastic-timeout 60 ", ""), env={"HOROVOD_ELASTIC_TIMEOUT": 60}),
        MN6,
        None,
    ),
    "mn6_module": (elastic(ELASTIC.replace("horovodrun", "python -m horovod.runner")), MN6, None),
    "mn6_plain": ({"run": "horovodrun -np 8 python t.py"}, MN6, ""),
    "mn6_plain_cadence": ({**CADENCE, "run": "horovodrun -np 8 python t.py"}, MN6, ""),
    "mn6_torchrun": (elastic(RESTART), MN6, ""),
    "mn6_discovery": (
        {"run": "horovodrun --host-discovery-script ./d.sh -np 8 x"},
        MN6,
        "--min-np is not given, so the loss of any worker pauses the launch",
    ),
    "mn6_no_min": (
        elastic(ELASTIC.replace("--min-np 6 ", "")),
        MN6,
        "--min-np is not given, so the loss of any",
    ),
    "mn6_no_max": (
        elastic("horovodrun --min-np 6 --elastic-timeout 9 x"),
        MN6,
        "--max-np is not given, so the full size is not known",
    ),
    "mn6_script": (
        elastic("horovodrun --elastic-timeout 9 python t.py --min-np 6 -np 8"),
        MN6,
        "--min-np is not given",
    ),
    "mn6_high": (
        elastic(ELASTIC.replace("6 ", "7 ")),
        MN6,
        "--min-np is 7: with 2 of 8 workers lost, 6 are too few",
    ),
    "mn6_all_lost": (
        {**GOES_ON, "elasticity": {"expected_lost_workers": 9, "pinned_to_max_np": True}},
        MN6,
        "--min-np is 6: with 9 of 8 workers lost, 0 are too few",
    ),
    "mn6_later": (
        elastic(ELASTIC.replace("min-np 6", "min-np $MIN")),
        MN6,
        "--min-np is only known at launch; set launcher.args.min_np",
    ),
    "mn6_later_said": (
        elastic(ELASTIC.replace("min-np 6", "min-np $MIN"), launcher={"args": {"min_np": 6}}),
        MN6,
        None,
    ),
    "mn6_lost": (
        {**GOES_ON, "elasticity": {"pinned_to_max_np": True}},
        MN6,
        "elasticity.expected_lost_workers is not given, so --min-np cannot be judged",
    ),
    "mn6_timeout": (
        elastic(ELASTIC.replace("--elastic-timeout 60 ", "")),
        MN6,
        "HOROVOD_ELASTIC_TIMEOUT is given: a launch below --min-np pauses for 600 s before it ends",
    ),
    "mn6_timeout_word": (
        elastic(ELASTIC.replace("--elastic-timeout 60", "--elastic-timeout abc")),
        MN6,
        "--elastic-timeout is abc; expected whole seconds, above 0",
    ),
    "mn6_pinned": (
        {**GOES_ON, "elasticity": {"expected_lost_workers": 2}},
        MN6,
        "elasticity.pinned_to_max_np is not true: learning rate and shards change with the workers",
    ),
    "young": (cadence(write_time="2m", checkpoint_every="38m"), YOUNG, None),
    "young_twice": (cadence(write_time=120, checkpoint_every=2 * 2276), YOUNG, None),
    "young_half": (cadence(write_time="2m", checkpoint_every="19m"), YOUNG, None),
    "young_seldom": (
        cadence(write_time="2m", checkpoint_every="2h"),
        YOUNG,
        "a checkpoint every 37.9 min is optimal; at one every 2 h more is lost at a preemption",
    ),
    "young_often": (
        cadence(write_time="2m", checkpoint_every="5m"),
        YOUNG,
        "a checkpoint every 37.9 min is optimal; at one every 5 min more time is spent on writing",
    ),
    "young_none": (
        cadence(write_time="2m"),
        YOUNG,
        "a checkpoint every 37.9 min is optimal, and storage.checkpoint_every is not given",
    ),
    "young_one_time": (cadence(checkpoint_every="5m"), YOUNG, ""),
}

ADVICE = {NAMED, YOUNG}


def test_the_checks_of_a_launch_as_a_whole(project: Project) -> None:
    files = {name: spec(**keys) for name, (keys, _, _) in QUERIED.items()}
    session = preflight(project, files, "-k", "launch[", "--tb=no", "--junitxml=j.xml")
    wrong = {}
    for name, (_, check, reported) in QUERIED.items():
        items = session.items[name]
        assert items["launch[schema]"]["outcome"] == "passed", session.reported(name)
        if reported == "":
            right = check not in items
        elif reported is None:
            right = items[check]["outcome"] == "passed"
        else:
            advice = check in ADVICE or name == "mn3_debug"
            right = reported in session.reported(name).get(check, "") and items[check]["outcome"] == (
                "warning" if advice else "failed"
            )
        if not right:
            wrong[name] = (session.reported(name), list(items))
    assert wrong == {}
    assert session.ret == 1
    assert "Traceback" not in session.result.stdout.str()
    assert 'name="launch[MN5]"' in (project.path / "j.xml").read_text()


def test_advice_alone_does_not_block(project: Project) -> None:
    keys = {**cadence(write_time="2m"), "num_nodes": 2, "name": "x"}
    session = preflight(project, {"x": spec(**keys)}, "-k", "launch[")
    assert session.ret == 0
    assert set(session.reported("x")) == {NAMED, YOUNG}


def test_what_is_wrong_is_reported_with_the_line_that_it_belongs_to(project: Project) -> None:
    text = f"""\
num_nodes: 2
gpus: {{count: 8}}
run: torchrun --max-restarts=0 t.py
env:
  {ASYNC}: 0
storage:
  checkpoint_dir: /c
  resume: false
"""
    session = preflight(project, {"x": text}, "-k", "launch[", "--tb=no")
    assert session.reported("x") == {
        NAMED: "1: the launch has 2 nodes and names none: only this machine was checked",
        MN3: session.reported("x")[MN3],
        MN5: "3: 3 problems\n"
        "line 3: --max-restarts is 0: the first lost rank ends the launch\n"
        f"line 3: {NO_C10D}\n"
        "line 8: storage.resume is false: a restart that loads nothing begins at step 0",
    }
    assert f"line 5: {ASYNC} is 0, which keeps a rank running" in session.reported("x")[MN3]


@pytest.mark.parametrize(
    ("command", "name", "options"),
    [
        ("torchrun --nnodes=1:4 --standalone t.py", "torchrun", {"nnodes": "1:4", "standalone": ""}),
        ("cd x && torchrun t.py", "torchrun", {}),
        ("(torchrun --nnodes 2 t.py)", "torchrun", {"nnodes": "2"}),
        ("if true; then torchrun t.py; fi", "torchrun", {}),
        ("timeout -k 5 3h /opt/bin/torchrun t.py", "torchrun", {}),
        ("sudo -u me torchrun t.py", "torchrun", {}),
        ("srun -l hostname", "srun", {"l": "hostname"}),
        ("srun hostname\nsrun torchrun --nnodes=2 t.py", "torchrun", {"nnodes": "2"}),
        ("torchrun --nnodes=2 -- t.py --x", "torchrun", {"nnodes": "2"}),
        ("echo 'it isn\\'t' # don't\ntorchrun --nnodes=2 t.py", "torchrun", {"nnodes": "2"}),
        ("python -m deepspeed.launcher.runner --num_gpus 8 t.py", "deepspeed", {"num_gpus": "8"}),
        ("mpirun -np 8 python t.py", "mpirun", {"np": "8"}),
        ("cat torchrun", None, {}),
        ("python -m pip install torchrun", None, {}),
        ("bash run_queue.sh queue.txt", None, {}),
        ("# torchrun t.py", None, {}),
        ("", None, {}),
    ],
)
def test_launchers_of_command_lines(command: str, name: str | None, options: dict[str, str]) -> None:
    found = of_command(command)
    assert (found.name if found else None, dict(found.options) if found else {}) == (name, options)


# -- the schema ------------------------------------------------------------------------------------


@needs_jsonschema
def test_the_schema_says_what_the_check_says(project: Project) -> None:
    done = project.command("schema", "launch")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert all(value.get("description") or "$ref" in value for value in found["properties"].values())
    schema = project.write("s.json", done.stdout)
    command = [sys.executable, "-m", "check_jsonschema"]
    assert subprocess.run([*command, "--check-metaschema", str(schema)], capture_output=True).returncode == 0
    good = [project.write(f"good/{name}.yaml", text) for name, text in GOOD.items()]
    checked = subprocess.run(
        [*command, "--schemafile", str(schema), *map(str, good)], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
    bad = [
        project.write(f"bad/{name}.yaml", text) for name, (text, _) in BAD.items() if name not in NOT_IN_JSON
    ]
    checked = subprocess.run(
        [*command, "--schemafile", str(schema), *map(str, bad)], capture_output=True, text=True
    )
    assert checked.returncode == 1
    assert [path.name for path in bad if f"{path.name}::" not in checked.stdout] == []


# -- whatever there may be -------------------------------------------------------------------------

few = settings(max_examples=examples(200), deadline=None, suppress_health_check=list(HealthCheck))


@few
@given(
    number=st.integers(0, 10**9 - 1),
    unit=st.sampled_from(["k", "KB", "MB", "G", "GB", "GiB", "TiB", "p", "Pib"]),
    space=st.sampled_from(["", " "]),
)
def test_sizes_are_read_and_reported(number: int, unit: str, space: str) -> None:
    base = 1024 if "i" in unit else 1000
    count = quantity.size(f" {number}{space}{unit}\n")
    assert count == pytest.approx(number * base ** ("kmgtp".index(unit[0].lower()) + 1))
    reported = quantity.format_size(count)
    assert "e" not in reported
    figure, word = reported.split()
    power = ["B", "KB", "MB", "GB", "TB", "PB"].index(word)
    assert float(figure) * 1000**power == pytest.approx(count, rel=0.006)
    assert float(figure) < 1000 or word == "PB"
    if power and float(figure) < 10**9:
        assert quantity.size(reported) == pytest.approx(count, rel=0.006)


@few
@given(number=st.decimals(0, 10**9 - 1, places=3), unit=st.sampled_from("smhd"))
def test_durations_are_read_and_reported(number: Any, unit: str) -> None:
    seconds = quantity.duration(f"{number}{unit}")
    assert seconds == pytest.approx(float(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit])
    figure, word = quantity.format_duration(seconds).split()
    assert float(figure) * {"s": 1, "min": 60, "h": 3600}[word] == pytest.approx(seconds, rel=0.006)


@few
@given(text=st.text(max_size=20) | st.from_regex(r"[0-9]{0,12}\.?[0-9]{0,12} ?[a-zA-Z]{0,3}\n?"))
def test_amounts_are_read_or_refused(text: str) -> None:
    for read in (quantity.size, quantity.duration):
        try:
            found = read(text)
        except ValueError:
            continue
        assert 0 <= found < float("inf")


_HOSTS = st.text("ab1-.:@/[]%#?=&\\ \té²+~;$", max_size=12)


@few
@given(
    text=st.text(max_size=30)
    | st.builds("{}{}".format, st.sampled_from(["", "ssh://", "ansible://"]), _HOSTS)
)
def test_any_text_is_a_host_spec_or_refused(text: str) -> None:
    testinfra = pytest.importorskip("testinfra.backend.base")
    try:
        found = hostspec.parse(text, Path("/folder"))
    except ValueError as error:
        assert str(error).isprintable()
        return
    assert found.transport in hostspec.TRANSPORTS
    assert found.text.isprintable()
    assert found.name
    assert hostspec.parse(found.text, Path("/else")) == found
    if found.transport == "ssh":
        # What testinfra makes of it is what was meant, and no option of ssh.
        read = testinfra.BaseBackend.parse_hostspec(found.text.partition("://")[2].partition("?")[0])
        assert (read.name, read.password) == (found.host, None)
        assert not read.name.startswith("-")
        assert read.port is None or read.port.isdigit()


@few
@given(
    before=_HOSTS,
    behind=_HOSTS,
    scheme=st.sampled_from(["", "ssh://", "docker://", "kubectl://", "ansible://", "local://", "x://"]),
    user=st.sampled_from(["me", "", "a@b", "a b"]),
)
def test_a_password_is_in_no_message_and_in_no_spec(before: str, behind: str, scheme: str, user: str) -> None:
    text = f"{scheme}{user}:{before}{SECRET}{behind}@host"
    with pytest.raises(ValueError) as caught:
        hostspec.parse(text, Path("/folder"))
    assert SECRET not in str(caught.value)


_PIECES = st.sampled_from(
    [
        *(
            "torchrun",
            "srun",
            "python",
            "-m",
            "torch.distributed.run",
            "horovodrun",
            "-np",
            "8",
            "bash",
            "-c",
        ),
        *(
            "--max-restarts",
            "--max-restarts=3",
            "--",
            "t.py",
            "&&",
            "\n",
            "\\\n",
            "'",
            '"',
            "$(",
            ")",
            "`",
            "#",
        ),
        *("env", "A=b", "<<EOF", "2>&1", "|", "-l", "--nodes=2", "then", "²", "\0"),
    ]
)


@few
@given(command=st.text(max_size=60) | st.lists(_PIECES, max_size=12).map(" ".join))
def test_any_text_is_a_command(command: str) -> None:
    found = of_command(command)
    for name in found.options if found is not None else ():
        assert found is not None
        assert (found.integer(name) or 0) >= 0


_WORD = st.text("abcxyz/._$", min_size=1, max_size=6).filter(lambda text: not text.startswith("-"))


@few
@given(
    options=st.dictionaries(st.sampled_from(["nnodes", "max-restarts", "rdzv_backend"]), _WORD),
    script=_WORD.map("s{}.py".format),
    behind=st.lists(st.sampled_from(["--nnodes=9", "--max-restarts", "9", "--rdzv-id=9"]), max_size=4),
    equals=st.booleans(),
    module=st.booleans(),
)
def test_options_in_front_of_the_script_are_the_launchers(
    options: dict[str, str], script: str, behind: list[str], equals: bool, module: bool
) -> None:
    words = [
        word
        for key, value in options.items()
        for word in ([f"--{key}={value}"] if equals else [f"--{key}", value])
    ]
    start = "python -m torch.distributed.run" if module else "torchrun"
    found = of_command(" ".join([start, *words, script, *behind]))
    assert found is not None
    assert found.options == {key.replace("-", "_"): value for key, value in options.items()}


CHECKS = list(checks_of_module(launch_checks, None))
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.sampled_from([10**4000, float("inf"), float("nan"), -0.0, 1e300])
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
    | st.sampled_from(
        ["40GB", "10m", "A100:8", "ssh://a", "local://", "/a", RESTART, ELASTIC, "torchrun", "eth0"]
    )
)


def _keys(depth: int = 2) -> st.SearchStrategy[Any]:
    from pytest_metaopt.documents import launch_model as models

    names = {
        name
        for block in (
            *(models.LaunchModel, models.NodeEntry, models.Gpus, models.Network, models.LauncherEntry),
            *(models.Storage, models.Elasticity, models.Resources),
        )
        for name in block.model_fields
    }
    inner = _SCALARS if depth == 0 else _SCALARS | st.lists(_keys(depth - 1), max_size=3) | _keys(depth - 1)
    return st.dictionaries(st.sampled_from(sorted(names)) | _SCALARS, inner, max_size=5)


_PLAUSIBLE: dict[str, st.SearchStrategy[Any]] = {
    "nodes": st.lists(st.sampled_from(["a", "b", "local://", "me@c:22"]), max_size=3),
    "num_nodes": st.integers(0, 3),
    "gpus": st.fixed_dictionaries({}, optional={"count": st.integers(0, 9), "name": st.just("A100")}),
    "run": st.sampled_from([RESTART, ELASTIC, "torchrun --max-restarts=² x", "horovodrun --min-np $A x"]),
    "env": st.dictionaries(st.sampled_from([ASYNC, "NCCL_DEBUG", "PET_MAX_RESTARTS"]), _SCALARS, max_size=2),
    "launcher": st.fixed_dictionaries(
        {}, optional={"args": st.dictionaries(st.sampled_from(["max_restarts", "min_np", "np"]), _SCALARS)}
    ),
    "storage": st.fixed_dictionaries({}, optional={"write_time": _SCALARS, "checkpoint_every": _SCALARS}),
    "elasticity": st.fixed_dictionaries(
        {}, optional={"expected_lost_workers": st.integers(0, 10**30), "time_between_preemptions": _SCALARS}
    ),
    "resources": st.fixed_dictionaries({}, optional={"accelerators": _SCALARS, "memory": _SCALARS}),
}


@few
@given(tree=_keys() | st.fixed_dictionaries({}, optional=_PLAUSIBLE))
def test_any_launch_spec_is_judged(tmp_path: Path, tree: Any) -> None:
    path = tmp_path / LAUNCH_NAME
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    try:
        launch = load_launch(path)
    except DocumentError as error:
        assert str(error).isprintable()
        return
    # What is queried of nodes asks for these.
    facts = launch.facts
    assert facts.node_count >= 0
    assert (facts.memory.value or 0) >= 0
    assert facts.disk_budget >= 0
    assert facts.uses_nccl in {True, False}
    for check in CHECKS:
        if check.when is not None and not check.when(launch):
            continue
        try:
            failure = evaluate(check, {"launch": launch})
        except NotApplicable:
            continue
        assert failure is None or not failure.crash, failure
        assert failure is None or failure.message.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "accelerator", [f"A100:{'9' * 400}", "A100:1e3", "1TB+:8", "A100:inf", "A100:nan", "8x"]
)
def test_a_campaigns_accelerator_breaks_no_session(
    project: Project, accelerator: str, script: Callable[[str, str], Path]
) -> None:
    project.edit("accelerator: CPU:1", f"accelerator: {accelerator}")
    result = project.preflight("--collect-only", "-q")
    assert result.ret == 0, result.stdout.str()
