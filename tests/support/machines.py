"""Launch specs queried of machines that are played back: NVIDIA's tools as recorded, by scripts on PATH."""

from __future__ import annotations

import json
import shlex
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _pytest.pytester import RunResult

from tests.support.paths import RECORDED
from tests.support.project import Project

NVIDIA = RECORDED / "nvidia"
LAUNCH = "launch.yaml"

A100 = "535.54.03-a100-mig"
T4 = "515.105.01-t4"
A10G = "515.105.01-a10g"
V100S = "460.73.01-v100s"
P100 = "375.66-p100"


def recorded(name: str) -> str:
    """Return a recording."""
    return (NVIDIA / name).read_text(encoding="utf-8")


def changed(text: str, *changes: tuple[str, str]) -> str:
    """Return *text* with every occurrence of something replaced, which must be there."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


CUT, WHOLE = "<current_mig>Enabled<", "<current_mig>Disabled<"


def smi(name: str, *changes: tuple[str, str], gpus: int = 1, cut: bool = False) -> str:
    """Return what ``nvidia-smi -q -x`` said, with values changed, for *gpus* GPUs that are alike.

    :param cut: one that was partitioned into MIG instances is left so; else it is whole.
    """
    text = changed(recorded(f"smi-{name}.xml"), *changes)
    text = text if cut else text.replace(CUT, WHOLE)
    begin, end = text.index("<gpu id="), text.rindex("</gpu>") + len("</gpu>\n")
    return text[:begin] + text[begin:end] * gpus + text[end:]


class Machine:
    """Stand-ins for what a node has, as scripts in a folder of their own that is to stand on PATH.

    A new one has a kernel log without a line of interest.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.kernel("[    0.000000] Linux version 6.1.0\n")

    def script(self, name: str, body: str) -> None:
        """Put a shell script there; a new file each time, so that nothing is ever written through a link."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def play(self, name: str, said: str, status: int = 0) -> None:
        """Let a command say the same each time."""
        file = self.folder / f"{name}.said"
        file.write_text(said, encoding="utf-8")
        self.script(name, f"/bin/cat {shlex.quote(str(file))}; exit {status}")

    def smi(self, said: str, status: int = 0) -> None:
        """Let nvidia-smi say this."""
        if status == 0:
            ET.fromstring(said[said.index("<nvidia_smi_log") :])
        self.play("nvidia-smi", said, status)

    def kernel(self, said: str, status: int = 0) -> None:
        """Let dmesg say this."""
        self.play("dmesg", said, status)

    def fabric_manager(
        self, *, version: str | None = None, active: str = "active", load: str = "loaded", journal: str = ""
    ) -> None:
        """Let systemctl, journalctl and nv-fabricmanager report a fabric manager."""
        sub = {"active": "running", "failed": "failed"}.get(active, "dead")
        result = "exit-code" if active == "failed" else "success"
        self.play(
            "systemctl", f"LoadState={load}\nActiveState={active}\nSubState={sub}\nResult={result}\n", 0
        )
        self.play("journalctl", journal)
        if version is not None:
            self.play("nv-fabricmanager", f"Fabric Manager version is : {version}\n")

    def hides(self, *names: str) -> None:
        """Let commands be there that can do nothing, as for one who may not."""
        for name in names:
            self.play(name, f"{name}: Operation not permitted\n", 1)


class Session:
    """A session over a launch spec: how each item came out, and what it said."""

    def __init__(self, result: RunResult, report: dict[str, Any]) -> None:
        self.result = result
        self.ret = result.ret
        self.report = report
        self.nodeids = [test["nodeid"] for test in report["tests"]]
        self.items = {
            test["nodeid"].split("::", 1)[1]: test["metadata"]["metaopt"] for test in report["tests"]
        }

    def words(self, word: str) -> set[str]:
        """Return the checks of that outcome, without group: ``gpu_present-local``."""
        return {_short(name) for name, item in self.items.items() if item["outcome"] == word}

    @property
    def red(self) -> set[str]:
        return self.words("failed")

    @property
    def advised(self) -> set[str]:
        return self.words("warning")

    def message(self, check: str) -> str:
        """Return what a check said."""
        return str(self.item(check)["message"])

    def item(self, check: str) -> dict[str, Any]:
        """Return what reports know of a check."""
        found: list[dict[str, Any]] = [item for name, item in self.items.items() if _short(name) == check]
        assert len(found) == 1, check
        return found[0]


def _short(name: str) -> str:
    return name.split("[", 1)[1].removesuffix("]")


def preflight(project: Project, text: str, *arguments: str | Path, name: str = LAUNCH) -> Session:
    """Run pytest on a launch spec."""
    project.write(name, text)
    report = project.path / "r.json"
    report.unlink(missing_ok=True)
    result = project.pytest(
        "--metaopt-launch", name, "-q", "--json-report", "--json-report-file=r.json", *arguments
    )
    return Session(result, json.loads(report.read_text()))


def nodes(names: Sequence[str]) -> str:
    """Return the nodes of a launch as containers of these names."""
    return "nodes:\n" + "".join(f"  - docker://{name}\n" for name in names)
