"""The NVLink fabric of NVSwitches: the daemon that sets it up, and the registration of a GPU with it.

The guide: https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/index.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from .sections import Output
from .text import LONGEST_OUTPUT, clean

# The kernel cuts the name of a process to 15 characters: "nv-fabricmanage". In a container there may be no
# systemd, but the process.
FABRIC_MANAGER_COMMAND = (
    "systemctl show -p LoadState,ActiveState,SubState,Result nvidia-fabricmanager 2>&1;"
    " command -v nv-fabricmanager >/dev/null 2>&1 && nv-fabricmanager --version 2>&1;"
    " if grep -qsx nv-fabricmanage /proc/[0-9]*/comm; then echo 'process: running';"
    " else echo 'process: none'; fi;"
    " journalctl -q -b -u nvidia-fabricmanager -n 20 --no-pager 2>/dev/null; exit 0"
)


@dataclass(frozen=True)
class Fabric:
    """The registration of a GPU with the NVLink fabric (HGX H100 and newer).

    :param state: ``Completed``, ``In Progress``, ``Not Started``.
    :param status: ``Success``, or the error; it counts only where the state is ``Completed``.
    """

    state: str
    status: str | None

    @property
    def ready(self) -> bool:
        """Whether the GPU can be used over the fabric; until then CUDA fails with error 802."""
        return self.state == "Completed" and self.status in (None, "Success")


@dataclass(frozen=True)
class FabricManager:
    """The daemon that sets up NVSwitches (HGX and DGX boards; others have none, and need none).

    From within a container the host's is ``absent``: what counts there is :attr:`Gpu.fabric`.

    :param version: it must be the driver's, else it refuses to start.
    :param problem: why it is not active, as a phrase; None where nothing more is known.
    """

    state: Literal["active", "inactive", "failed", "absent", "unknown"]
    version: str | None = None
    problem: str | None = None


_FABRIC_VERSION = re.compile(r"Fabric Manager version is\s{0,9}:?\s{0,9}([0-9][0-9.]{0,30})", re.IGNORECASE)
_SHOWN = re.compile(r"^(LoadState|ActiveState|SubState|Result)=([a-z-]{1,40})\r?$", re.MULTILINE)
_COMPLAINT = re.compile(
    r"match with (?:the )?driver version|NV_WARN_NOTHING_TO_DO|failed with error|\berror:"
)


def fabric_manager(output: Output) -> FabricManager:
    """Return what the section ``fabric_manager`` says."""
    text = output.text[:LONGEST_OUTPUT]
    found = _FABRIC_VERSION.search(text)
    version = found[1].rstrip(".") if found else None
    if output.hung:
        return FabricManager("unknown", version, "the query of the fabric manager hangs")
    shown = dict(_SHOWN.findall(text))
    active, load, sub = (shown.get(f"{name}State") for name in ("Active", "Load", "Sub"))
    running = re.search(r"^process: running$", text, re.MULTILINE) is not None
    if running or active in ("active", "reloading"):
        return FabricManager("active", version)
    if active == "failed" or sub == "auto-restart":
        message = _complaint(text) or f"it ended: {shown.get('Result', 'failed')}"
        return FabricManager("failed", version, message)
    if load == "masked":
        return FabricManager("inactive", version, "its service is masked")
    if load == "loaded" and active is not None:
        return FabricManager("inactive", version, f"its service is {active}")
    if not re.search(r"^process: none$", text, re.MULTILINE):
        return FabricManager("unknown", version, f"the node printed: {clean(text) or 'nothing'}")
    if version is not None:
        return FabricManager("inactive", version, "it is installed, but does not run")
    return FabricManager("absent", None)


def _complaint(text: str) -> str | None:
    """Return the last line of its journal that says why it gave up."""
    lines = [line for line in text.splitlines() if _COMPLAINT.search(line)]
    return clean(re.sub(r"^.{0,200}?\[[0-9]+\]: ", "", lines[-1])) if lines else None
