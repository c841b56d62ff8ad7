"""Nodes that are reached by docker, podman and kubectl.

There is no daemon and no cluster here, so the commands are stand-ins: they take the command lines that
pytest-testinfra makes (10.2.2) and run them on this machine. What the real clients say where there is no
daemon or cluster was recorded from docker 28.2.2 and kubectl 1.32.4.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.project import Project

RECORDED = {
    "docker": "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."
    " Is the docker daemon running?",
    "kubectl": "The connection to the server localhost:8080 was refused"
    " - did you specify the right host or port?",
}
STAND_IN = """#!/bin/sh
echo "$0 $*" | tr '\\n' ' ' | cut -c1-200 >>"$CALLS"
while [ "$1" != /bin/sh ]; do shift; done
exec "$@"
"""
REFUSING = "#!/bin/sh\necho 'noise' >&2\necho '{reported}' >&2\nexit 1\n"


@pytest.fixture
def tools(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = project.path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(project.path / "calls"))
    return folder


def tool(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("spec", "call"),
    [
        ("docker://box", "docker exec box /bin/sh -c "),
        ("docker://user@box", "docker exec -u user box /bin/sh -c "),
        ("podman://box", "podman exec box /bin/sh -c "),
        ("kubectl://pod?namespace=ml&container=main", "kubectl -n ml -c main exec pod -- /bin/sh -c "),
    ],
)
def test_node_is_queried_by_the_command_of_its_transport(
    project: Project, tools: Path, spec: str, call: str
) -> None:
    tool(tools, spec.partition(":")[0], STAND_IN)
    project.write("launch.yaml", f'nodes: ["{spec}"]\nstorage: {{scratch: 1KB}}\n')
    result = project.pytest("--metaopt-launch", "launch.yaml")
    assert result.ret == 0, result.stdout.str()
    result.assert_outcomes(passed=5)
    (made,) = (project.path / "calls").read_text().splitlines()
    assert call in made


@pytest.mark.parametrize("name", RECORDED)
def test_client_without_its_server_is_reported_by_its_own_words(
    project: Project, tools: Path, name: str
) -> None:
    tool(tools, name, REFUSING.format(reported=RECORDED[name]))
    project.write("launch.yaml", f'nodes: ["{name}://box?namespace=ml"]\n')
    result = project.pytest("--metaopt-launch", "launch.yaml")
    assert result.ret == 1
    reported = " ".join(result.stdout.str().split())
    assert RECORDED[name] in reported
    assert {"docker": "docker exec box true", "kubectl": "kubectl -n ml exec box -- true"}[name] in reported


def test_client_that_is_not_there_is_named(
    project: Project, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}/usr/bin{os.pathsep}/bin")
    if (Path("/usr/bin") / "podman").exists():
        pytest.skip("podman is installed here")
    project.write("launch.yaml", 'nodes: ["podman://box"]\n')
    result = project.pytest("--metaopt-launch", "launch.yaml")
    assert result.ret == 1
    assert "command 'podman' not found on this machine" in " ".join(result.stdout.str().split())


def test_without_testinfra_other_machines_are_named_as_not_reached(project: Project) -> None:
    project.write(
        "launch.yaml", "nodes: [local://, {name: other, host: ssh://other}]\nstorage: {scratch: 1KB}\n"
    )
    project.write("conftest.py", "import sys\nsys.modules['testinfra'] = None\n")
    result = project.pytest("--metaopt-launch", "launch.yaml", "-p", "no:pytest11.testinfra", "-v")
    assert result.ret == 1
    assert "node[disk_space-local] PASSED" in result.stdout.str()
    assert "pip install 'pytest-metaopt[nodes]'" in " ".join(result.stdout.str().split())


def test_a_mistake_in_ssh_config_is_reported_as_one(project: Project) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("ssh is not installed")
    project.write("bad.conf", "Bogus yes\n")
    project.write("launch.yaml", "nodes: ['ssh://root@127.0.0.1:2222?ssh_config=bad.conf']\n")
    result = project.pytest("--metaopt-launch", "launch.yaml")
    assert result.ret == 1
    text = " ".join(result.stdout.str().split())
    assert "terminating, 1 bad configuration options" in text
    assert "Correct the file of ssh_config that is named there" in text
