"""``nvidia-smi -q -x``: what NVIDIA's driver reports of a node's GPUs."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

from ...core.text import one_line
from .fabric import Fabric
from .gpu import Gpu, Process, RemappedRows
from .pcie import pci_address
from .sections import NO_SUCH_COMMAND, Output
from .text import LONGEST_OUTPUT, LONGEST_VALUE, clean

# The lists of clocks and of past processes are nine tenths of the answer (120 kB a GPU), and are cut out.
# They may be one line too ("N/A"), where a range of sed would not end. The text is kept first, since a pipe
# has the status of its last command.
NVIDIA_SMI_COMMAND = (
    "command -v nvidia-smi >/dev/null 2>&1 || { echo 'nvidia-smi: not found'; exit 127; };"
    " output=$(nvidia-smi -q -x 2>&1); status=$?;"
    " printf '%s\\n' \"$output\" | sed -e '/<supported_clocks>.*<\\/supported_clocks>/d'"
    " -e '/<accounted_processes>.*<\\/accounted_processes>/d'"
    " -e '/<supported_clocks>/,/<\\/supported_clocks>/d'"
    " -e '/<accounted_processes>/,/<\\/accounted_processes>/d'; exit $status"
)

_LONGEST_TEXT = 4 << 20
_MOST_GPUS = 64
_MOST_FIELDS = 64
_MOST_PROCESSES = 256

_NUMBER = re.compile(r"([0-9]{1,15})(?:\.[0-9]+)?(?: ?(?:MiB|MHz|C))?")
_NO_VALUE = frozenset({"", "none", "n/a", "not supported", "requested functionality has been deprecated"})
_FAULTS = frozenset({"gpu is lost", "gpu requires reset"})
_UNREADABLE = frozenset({"unknown error", "err!", *_FAULTS})


@dataclass(frozen=True)
class Driver:
    """What NVIDIA's driver reports about a node.

    :param version: of the driver.
    :param cuda: the newest CUDA that it runs.
    :param attached: how many GPUs it says that there are.
    :param lost: what was said of GPUs that do not answer, a sentence each.
    :param problem: why there is no answer, as a phrase; the other fields are empty then, but for ``lost``.
    """

    version: str | None = None
    cuda: str | None = None
    attached: int | None = None
    gpus: tuple[Gpu, ...] = ()
    lost: tuple[str, ...] = ()
    problem: str | None = None


def driver(output: Output) -> Driver:
    """Return what the section ``nvidia_smi`` says."""
    if output.hung:
        return Driver(problem="nvidia-smi hangs: the driver does not answer")
    text = output.text
    if len(text) > _LONGEST_TEXT:
        return Driver(problem=f"nvidia-smi printed more than {_LONGEST_TEXT >> 20} MiB")
    begin = text.find("<nvidia_smi_log")
    if begin < 0:
        return Driver(lost=_lost(text), problem=_unanswered(output))
    end = text.rfind("</nvidia_smi_log>")
    if end < begin:
        return Driver(lost=_lost(text[:begin]), problem="the XML of nvidia-smi is cut off")
    end += len("</nvidia_smi_log>")
    lost = _lost(text[:begin] + "\n" + text[end:])
    _, doctype, declared = text[:begin].partition("<!DOCTYPE")
    if doctype and "[" in declared:
        return Driver(lost=lost, problem="the XML of nvidia-smi declares entities, which it never does")
    try:
        # Only the root is parsed, and a document type cannot stand within it: so no entity is ever known,
        # and there is nothing to expand or to fetch. That is what defusedxml would see to.
        root = ET.fromstring(text[begin:end])  # noqa: S314
    except (ET.ParseError, ValueError) as problem:
        return Driver(lost=lost, problem=f"the XML of nvidia-smi cannot be read: {clean(str(problem))}")
    gpus = tuple(_gpu(index, node) for index, node in enumerate(root.findall("gpu")[:_MOST_GPUS]))
    return Driver(
        version=_value(root, "driver_version"),
        cuda=_value(root, "cuda_version"),
        attached=_number(root, "attached_gpus"),
        gpus=gpus,
        lost=lost,
        problem=None if gpus else "nvidia-smi lists no GPU",
    )


_SAID = (
    ("couldn't communicate with the nvidia driver", "nvidia-smi cannot communicate with the NVIDIA driver"),
    ("no devices were found", "nvidia-smi finds no devices"),
)


def _unanswered(output: Output) -> str:
    message = clean(output.text)
    lowered = message.lower()
    if output.status == NO_SUCH_COMMAND or re.search(r"nvidia-smi: (?:command )?not found", lowered):
        return "no NVIDIA driver: nvidia-smi not found"
    for sentence, meaning in _SAID:
        if sentence in lowered:
            return meaning
    if message:
        return f"nvidia-smi says: {message}"
    return f"nvidia-smi printed nothing (exit status {output.status})"


def _lost(text: str) -> tuple[str, ...]:
    """Return the lines about a GPU that does not answer.

    Older drivers stop there ("Unable to determine the device handle for GPU0000:CB:00.0: Unknown Error"), 610
    goes on with the others. "GPU is lost" comes with an advice to reboot.
    """
    lines = text[:LONGEST_OUTPUT].splitlines()
    found = [
        line for line in lines if re.search("unable to determine the device handle|gpu is lost", line, re.I)
    ]
    return tuple(clean(line) for line in found[:_MOST_GPUS])


def _gpu(index: int, node: ET.Element) -> Gpu:
    errors = node.find("ecc_errors")
    unreadable = dict.fromkeys(
        clean(found.tag) for found in node.iter() if _bare(found.text or "") in _UNREADABLE
    )
    fault = next((value for found in node.iter() if _bare(value := found.text or "") in _FAULTS), None)
    return Gpu(
        index=index,
        name=_value(node, "product_name") or "unknown",
        uuid=_value(node, "uuid") or "unknown",
        pci=pci_address(node.get("id", "")),
        memory_mib=_number(node, "fb_memory_usage/total"),
        memory_used_mib=_number(node, "fb_memory_usage/used"),
        temperature_c=_number(node, "temperature/gpu_temp"),
        sm_clock_mhz=_number(node, "clocks/sm_clock"),
        sm_clock_max_mhz=_number(node, "max_clocks/sm_clock"),
        reasons=tuple(_reasons(node)),
        ecc=_switch(node, "ecc_mode/current_ecc"),
        uncorrected_volatile=_uncorrected(errors, "volatile"),
        uncorrected_aggregate=_uncorrected(errors, "aggregate"),
        sram_threshold_exceeded=_switch(node, "ecc_errors/aggregate/sram_threshold_exceeded"),
        remapped=_remapped(node),
        retired_pending=_either(
            _switch(node, "retired_pages/pending_retirement"),
            _switch(node, "retired_pages/pending_blacklist"),
        ),
        processes=tuple(_processes(node)),
        fabric=_fabric(node),
        mig=_switch(node, "mig_mode/current_mig"),
        instances=tuple(
            size
            for device in node.findall("mig_devices/mig_device")[:_MOST_FIELDS]
            if (size := _number(device, "fb_memory_usage/total")) is not None
        ),
        recovery=_recovery(node),
        fault=clean(fault).strip("[]") if fault is not None else None,
        unreadable=tuple(unreadable)[:_MOST_FIELDS],
    )


def _reasons(node: ET.Element) -> Iterator[str]:
    """Yield what holds the clocks back; driver 535 renamed "throttle" to "event"."""
    for kind in ("event", "throttle"):
        prefix = f"clocks_{kind}_reason_"
        for found in node.findall(f"clocks_{kind}_reasons/*")[:_MOST_FIELDS]:
            if found.tag.startswith(prefix) and _bare(found.text or "") == "active":
                yield clean(found.tag.removeprefix(prefix))


def _uncorrected(errors: ET.Element | None, period: str) -> int | None:
    """Return the errors that ECC found and could not correct.

    Up to Volta they are ``double_bit``, with a total; then of SRAM and of DRAM. Newer drivers report those
    of SRAM apart by how they were found.
    """
    if errors is None:
        return None
    total = _number(errors, f"{period}/double_bit/total")
    if total is not None:
        return total
    names = (
        "sram_uncorrectable",
        "sram_uncorrectable_parity",
        "sram_uncorrectable_secded",
        "dram_uncorrectable",
    )
    known = [count for name in names if (count := _number(errors, f"{period}/{name}")) is not None]
    return sum(known) if known else None


def _remapped(node: ET.Element) -> RemappedRows | None:
    found = RemappedRows(
        correctable=_number(node, "remapped_rows/remapped_row_corr"),
        uncorrectable=_number(node, "remapped_rows/remapped_row_unc"),
        pending=_switch(node, "remapped_rows/remapped_row_pending"),
        failure=_switch(node, "remapped_rows/remapped_row_failure"),
    )
    return None if found == RemappedRows(None, None, None, None) else found


def _processes(node: ET.Element) -> Iterator[Process]:
    for found in node.findall("processes/process_info")[:_MOST_PROCESSES]:
        pid = _number(found, "pid")
        if pid is not None:
            # New drivers give the whole command line, which may hold a secret.
            name = (_value(found, "process_name") or "").split(" -", 1)[0]
            yield Process(pid, name or None, _number(found, "used_memory"))


def _fabric(node: ET.Element) -> Fabric | None:
    state = _value(node, "fabric/state")
    return Fabric(state, _value(node, "fabric/status")) if state else None


def _recovery(node: ET.Element) -> str | None:
    """Return the recovery that the driver requests: 535 has two switches for it, 575 says it in words."""
    action = _value(node, "gpu_recovery_action")
    if action:
        return action
    if _switch(node, "gpu_reset_status/reset_required"):
        return "Reset"
    return "Drain and Reset" if _switch(node, "gpu_reset_status/drain_and_reset_recommended") else None


def _bare(text: str) -> str:
    return one_line(text[: 2 * LONGEST_VALUE]).strip("[]").lower()


def _value(node: ET.Element, path: str) -> str | None:
    """Return the text there; None where it says in any of its ways that there is none."""
    text = node.findtext(path) or ""
    bare = _bare(text)
    return None if bare in _NO_VALUE or bare in _UNREADABLE else clean(text)


def _number(node: ET.Element, path: str) -> int | None:
    found = _NUMBER.fullmatch(_value(node, path) or "")
    return int(found[1]) if found else None


_SWITCHES = {"enabled": True, "yes": True, "active": True, "disabled": False, "no": False}


def _switch(node: ET.Element, path: str) -> bool | None:
    return _SWITCHES.get((_value(node, path) or "").lower())


def _either(one: bool | None, other: bool | None) -> bool | None:
    return other if one is None else one or bool(other)
