"""The queries to each node of a launch, all in one round trip."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from types import MappingProxyType

from ...launch.facts import LaunchFacts
from ...launch.nodes import Node
from . import clock, network
from .fabric import FABRIC_MANAGER_COMMAND
from .limits import LIMITS_COMMAND
from .nccl import ENVIRONMENT_COMMAND, NCCL_LIBRARY_COMMAND
from .nvidia_smi import NVIDIA_SMI_COMMAND
from .path_mtu import PATH_COMMAND, is_ip_address
from .sections import Question
from .storage import STORAGE_COMMAND
from .xid import KERNEL_LOG_COMMAND

# No check of ours reads it; a project's own may.
_SYSTEM_COMMAND = "uname -srm"

GPU_COMMANDS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        # A driver that hangs keeps its own answer back, which therefore comes last.
        "kernel_log": (10, KERNEL_LOG_COMMAND),
        "fabric_manager": (10, FABRIC_MANAGER_COMMAND),
        "nccl_library": (0, NCCL_LIBRARY_COMMAND),
        "nvidia_smi": (20, NVIDIA_SMI_COMMAND),
    }
)
"""The queries to a node with GPUs: seconds that the answer may take (0: it waits for nothing), and command.

They change nothing, never prompt for a password, and end with output also where the tool is missing.
"""


def questions(launch: LaunchFacts, neighbour: Node | None) -> Mapping[str, Question]:
    """Return the queries to each node of a launch: what may hang comes last.

    :param neighbour: the node that a packet of full size is sent to; None: none.
    """
    queries = {
        "clock": clock.QUESTION,
        "system": Question(_SYSTEM_COMMAND, 0),
        "env": Question(ENVIRONMENT_COMMAND, 5),
        "interfaces": network.QUESTION,
    }
    queries["limits"] = Question(LIMITS_COMMAND, 0)
    if neighbour is not None and neighbour.address is not None:
        interface = launch.interface.value or ""
        given = f"neighbour={shlex.quote(neighbour.address)} interface={shlex.quote(interface)}"
        # A ping waits a second; what may wait for longer is the look-up of a name.
        queries["path"] = Question(f"{given}\n{PATH_COMMAND}", 0 if is_ip_address(neighbour.address) else 20)
    if launch.storage_path.value is not None:
        # A network file system whose server is gone answers never.
        queries["storage"] = Question(f"p={shlex.quote(launch.storage_path.value)}\n{STORAGE_COMMAND}", 10)
    if launch.gpus.given:
        # A driver that hangs keeps its own answer back, not the Xid that explains it.
        for name, (seconds, command) in GPU_COMMANDS.items():
            if name != "fabric_manager" or launch.has_nvswitch:
                queries[name] = Question(command, seconds)
    queries["clock_at_end"] = clock.QUESTION
    return queries
