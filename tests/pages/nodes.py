"""docs/nodes.md: a session over two nodes that fails, as it prints; ``python -m tests.pages`` makes it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tests.pages.readme import unversioned
from tests.session.test_nodes import NVIDIA, healthy, spec
from tests.support.lab import Lab
from tests.support.paths import ROOT

PAGE: Path = ROOT / "docs" / "nodes.md"

HEAD = """\
# Two nodes of which one is sick, and what the preflight says

Two machines with jumbo frames, reached over ssh. A GPU of `gpu-02` fell off the bus, its checkpoint
directory is on a small tmpfs, and the switch port of `gpu-02` takes frames of 1500 bytes only. The hosts,
their network and its fault are real (Linux network namespaces with an sshd each); what `nvidia-smi` and the
kernel's log say is played back from recordings (`tests/recorded/nvidia`). The lines that name versions are
left out. This page is generated (`python -m tests.pages`) and checked by a test.

"""


def page() -> str:
    """Return the whole page, its session run anew."""
    with tempfile.TemporaryDirectory() as folder, Lab(Path(folder) / "lab") as lab:
        healthy(lab.add("gpu-01", mtu=9000))
        sick = healthy(lab.add("gpu-02", mtu=9000, port_mtu=1500))
        sick.play("dmesg", (NVIDIA / "kernel-xid-79.txt").read_text())
        made = sick.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", "/mnt"])
        assert made.returncode == 0, made.stderr
        document = spec(lab)
        document["storage"] |= {"checkpoint_dir": "/mnt/ckpt", "checkpoint_size": "500MB", "checkpoints": 2}
        document["run"] = document["run"].replace("--nnodes 3", "--nnodes 2")
        project = Path(folder) / "project"
        project.mkdir()
        (project / "launch.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        output, lists = _session(project)
        shown = [{"host": f"ssh://root@{host.name}", "address": host.address} for host in lab.hosts.values()]
        subnet = lab["gpu-01"].address.rpartition(".")[0]
        text = yaml.safe_dump({**document, "nodes": shown}, sort_keys=False)
    parts = [
        HEAD,
        f"```yaml\n{text}```\n\n",
        "```text\n$ pytest --metaopt-launch launch.yaml --metaopt-readiness out/readiness.json\n",
        f"{output}\n```\n\n",
        "The node lists beside the artifact, for a scheduler:\n\n",
        f"```text\n{lists}```\n",
    ]
    return "".join(parts).replace(subnet, "10.0.0")


def _session(project: Path) -> tuple[str, str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    arguments = ["--metaopt-launch", "launch.yaml", "--metaopt-readiness", "out/readiness.json"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=project,
        env={**environment, "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    reported = "".join(
        f"$ cat out/{path.name}\n{path.read_text()}" for path in sorted((project / "out").glob("*_nodes.txt"))
    )
    # How much is free depends on the machine.
    return re.sub(r"[0-9.]+ MB free", "67 MB free", unversioned(done.stdout)), reported
