"""NVIDIA's GPUs on a node: the commands that tell how they are, and what their answers mean.

Nothing here runs anything: a script runs :data:`SECTIONS` on each node, and each answer goes to its parser as
an :class:`~.sections.Output`. The answers come from a rented machine: they are bounded, made printable, and
none makes a parser raise.

Read in answers of real machines (``tests/recorded/nvidia/README.md`` names the source of each), from driver
375.66 to 590.44.01, and in NVIDIA's documents:

- ``nvidia-smi`` and its fields: https://docs.nvidia.com/deploy/nvidia-smi/index.html
- Xid: https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html
- ECC, remapped rows and retired pages: https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/index.html and
  https://docs.nvidia.com/deploy/dynamic-page-retirement/index.html
- Fabric Manager: https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/index.html
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ...core.text import one_line, printable, shortened
from .sections import NO_SUCH_COMMAND, Output

# The lists of clocks and of past processes are nine tenths of the answer (120 kB a GPU), and are cut out.
# They may be one line too ("N/A"), where a range of sed would not end. The text is kept first, since a pipe
# has the status of its last command.
_NVIDIA_SMI = (
    "command -v nvidia-smi >/dev/null 2>&1 || { echo 'nvidia-smi: not found'; exit 127; };"
    " told=$(nvidia-smi -q -x 2>&1); status=$?;"
    " printf '%s\\n' \"$told\" | sed -e '/<supported_clocks>.*<\\/supported_clocks>/d'"
    " -e '/<accounted_processes>.*<\\/accounted_processes>/d'"
    " -e '/<supported_clocks>/,/<\\/supported_clocks>/d'"
    " -e '/<accounted_processes>/,/<\\/accounted_processes>/d'; exit $status"
)

# A log without a line of interest must differ from one that can't be read, so a first line tells how it was
# read. An empty log counts as unreadable: journalctl shows one to those who may not read it. The files hold
# older boots too; "Linux version" begins each boot. Where that is missing, the ring buffer was overwritten or
# the file rotated: the next source is read, too, but on a node without the driver, of which nothing is told.
_KERNEL_LOG = (
    'read_with() { "$@" 2>/dev/null | awk -v how="$*" \''
    "/ Linux version [0-9]/ { found = 0; boot = 1 }"
    " /NVRM: Xid |NVRM: The NVIDIA GPU |NVRM: .*fallen off the bus/ { kept[found++ % 200] = $0 }"
    ' END { if (!NR) exit 1; print "kernel log: " how ": " NR " lines"'
    ' (boot ? "" : ", not from boot on");'
    " for (i = found > 200 ? found - 200 : 0; i < found; i++) print kept[i % 200]; exit boot ? 0 : 2 }'; };"
    ' part=; try() { read_with "$@"; case $? in 0) exit 0 ;; 2) part=yes ;; esac; };'
    " try dmesg;"
    ' [ -n "$part" ] && [ ! -e /proc/driver/nvidia ] && ! command -v nvidia-smi >/dev/null 2>&1 && exit 0;'
    " command -v journalctl >/dev/null 2>&1 && try journalctl -q -k -b --no-pager;"
    " for f in /var/log/kern.log /var/log/messages; do [ -r $f ] && try cat $f; done;"
    ' [ -n "$part" ] && exit 0;'
    " command -v sudo >/dev/null 2>&1 && { try sudo -n dmesg; try sudo -n journalctl -q -k -b --no-pager; };"
    ' [ -n "$part" ] && exit 0;'
    " echo 'kernel log: not readable'; dmesg 2>&1 | tail -n 1; exit 1"
)

# The kernel cuts the name of a process to 15 characters: "nv-fabricmanage". In a container there may be no
# systemd, but the process.
_FABRIC_MANAGER = (
    "systemctl show -p LoadState,ActiveState,SubState,Result nvidia-fabricmanager 2>&1;"
    " command -v nv-fabricmanager >/dev/null 2>&1 && nv-fabricmanager --version 2>&1;"
    " if grep -qsx nv-fabricmanage /proc/[0-9]*/comm; then echo 'process: running';"
    " else echo 'process: none'; fi;"
    " journalctl -q -b -u nvidia-fabricmanager -n 20 --no-pager 2>/dev/null; exit 0"
)

_NCCL_LIBRARY = (
    "PATH=$PATH:/usr/sbin:/sbin; ldconfig -p 2>/dev/null | sed -n 's/.*libnccl\\.so\\.2 .*=> //p'"
    ' | while read -r file; do echo "$file => $(readlink -f "$file")"; done; exit 0'
)

SECTIONS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "nvidia_smi": (20, _NVIDIA_SMI),
        "kernel_log": (10, _KERNEL_LOG),
        "fabric_manager": (10, _FABRIC_MANAGER),
        "nccl_library": (0, _NCCL_LIBRARY),
    }
)
"""The commands to run on a node: name of the section, seconds that it may take (0: it waits for nothing),
line for ``sh -c``.

They change nothing, never ask for a password, and end with something said also where the tool is missing.
Answered by: :func:`driver`, :func:`xids`, :func:`fabric_manager`, :func:`nccl_versions`.
"""

_LONGEST_TEXT = 4 << 20
_LONGEST_LOG = 1 << 18
_LONGEST_VALUE = 200
_MOST_GPUS = 64
_MOST_FIELDS = 64
_MOST_PROCESSES = 256
_MOST_XIDS = 200

_NUMBER = re.compile(r"([0-9]{1,15})(?:\.[0-9]+)?(?: ?(?:MiB|MHz|C))?")
_NO_VALUE = frozenset({"", "none", "n/a", "not supported", "requested functionality has been deprecated"})
_FAULTS = frozenset({"gpu is lost", "gpu requires reset"})
_UNREADABLE = frozenset({"unknown error", "err!", *_FAULTS})

SLOWDOWNS: Mapping[str, str] = MappingProxyType(
    {
        "hw_slowdown": "slowed down by the hardware",
        "hw_thermal_slowdown": "slowed down by the hardware: too hot",
        "hw_power_brake_slowdown": "slowed down by the hardware: the power supply asks for it",
        "sw_thermal_slowdown": "slowed down by the driver: too hot",
    }
)
"""The event reasons that tell of a fault, with what they mean; the others are how a GPU normally works.

Driver 375 tells ``hw_slowdown`` alone, those from 460 on also which of the two it is.
"""


@dataclass(frozen=True)
class Process:
    """A process that uses a GPU.

    :param name: its program, without arguments; None: not told (it may be another's container).
    :param used_mib: the memory of the GPU that it holds; None: not told.
    """

    pid: int
    name: str | None
    used_mib: int | None


@dataclass(frozen=True)
class RemappedRows:
    """The rows of a GPU's memory that spare ones stand in for (Ampere and newer).

    :param pending: a row is marked: the GPU needs a reset.
    :param failure: there was no spare row left: the GPU is to be replaced.
    """

    correctable: int | None
    uncorrectable: int | None
    pending: bool | None
    failure: bool | None


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
class Gpu:
    """A GPU as ``nvidia-smi -q -x`` tells it; None in each field: it was not told.

    :param index: its number, as in ``nvidia-smi -i``.
    :param pci: where it sits, as Xids name it: ``0000:1b:00``.
    :param memory_mib: its memory, whoever uses it.
    :param reasons: what holds its clocks back (``hw_thermal_slowdown``, ``sw_power_cap``, ``gpu_idle``).
    :param ecc: whether its memory is checked.
    :param uncorrected_volatile: memory errors since the driver was loaded that ECC could not correct.
    :param uncorrected_aggregate: those of its whole life.
    :param sram_threshold_exceeded: so many of them in SRAM that NVIDIA replaces it.
    :param retired_pending: a page of memory awaits retirement (before Ampere): the GPU needs a reset.
    :param mig: whether it is cut into instances.
    :param instances: the memory of each of these, in MiB.
    :param recovery: what the driver asks for (``Reset``, ``Reboot``, ``Drain and Reset``); None: nothing.
    :param fault: ``GPU is lost`` or ``GPU requires reset``, where it stands in place of any value.
    :param unreadable: the fields that answered with an error in place of a value.
    """

    index: int
    name: str
    uuid: str
    pci: str | None = None
    memory_mib: int | None = None
    memory_used_mib: int | None = None
    temperature_c: int | None = None
    sm_clock_mhz: int | None = None
    sm_clock_max_mhz: int | None = None
    reasons: tuple[str, ...] = ()
    ecc: bool | None = None
    uncorrected_volatile: int | None = None
    uncorrected_aggregate: int | None = None
    sram_threshold_exceeded: bool | None = None
    remapped: RemappedRows | None = None
    retired_pending: bool | None = None
    processes: tuple[Process, ...] = ()
    fabric: Fabric | None = None
    mig: bool | None = None
    instances: tuple[int, ...] = ()
    recovery: str | None = None
    fault: str | None = None
    unreadable: tuple[str, ...] = ()

    @property
    def slowdowns(self) -> tuple[str, ...]:
        """Those of the reasons that tell of a fault."""
        return tuple(reason for reason in self.reasons if reason in SLOWDOWNS)


@dataclass(frozen=True)
class Driver:
    """What NVIDIA's driver tells of a node.

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
        return Driver(problem=f"nvidia-smi says more than {_LONGEST_TEXT >> 20} MiB")
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
        # Only the root is parsed, and a document type can't stand within it: so no entity is ever known,
        # and there is nothing to expand or to fetch. That is what defusedxml would see to.
        root = ET.fromstring(text[begin:end])  # noqa: S314
    except (ET.ParseError, ValueError) as problem:
        return Driver(lost=lost, problem=f"the XML of nvidia-smi can't be read: {_clean(str(problem))}")
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
    ("couldn't communicate with the nvidia driver", "nvidia-smi can't communicate with the NVIDIA driver"),
    ("no devices were found", "nvidia-smi finds no devices"),
)


def _unanswered(output: Output) -> str:
    told = _clean(output.text)
    lowered = told.lower()
    if output.status == NO_SUCH_COMMAND or re.search(r"nvidia-smi: (?:command )?not found", lowered):
        return "no NVIDIA driver: there is no nvidia-smi"
    for sentence, meaning in _SAID:
        if sentence in lowered:
            return meaning
    if told:
        return f"nvidia-smi says: {told}"
    return f"nvidia-smi says nothing (exit status {output.status})"


def _lost(text: str) -> tuple[str, ...]:
    """Return the lines that tell of a GPU that does not answer.

    Older drivers stop there ("Unable to determine the device handle for GPU0000:CB:00.0: Unknown Error"), 610
    goes on with the others. "GPU is lost" comes with an advice to reboot.
    """
    lines = text[:_LONGEST_LOG].splitlines()
    found = [
        line for line in lines if re.search("unable to determine the device handle|gpu is lost", line, re.I)
    ]
    return tuple(_clean(line) for line in found[:_MOST_GPUS])


def _gpu(index: int, node: ET.Element) -> Gpu:
    errors = node.find("ecc_errors")
    unreadable = dict.fromkeys(
        _clean(found.tag) for found in node.iter() if _bare(found.text or "") in _UNREADABLE
    )
    fault = next((told for found in node.iter() if _bare(told := found.text or "") in _FAULTS), None)
    return Gpu(
        index=index,
        name=_value(node, "product_name") or "unknown",
        uuid=_value(node, "uuid") or "unknown",
        pci=_pci(node.get("id", "")),
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
        fault=_clean(fault).strip("[]") if fault is not None else None,
        unreadable=tuple(unreadable)[:_MOST_FIELDS],
    )


def _reasons(node: ET.Element) -> Iterator[str]:
    """Yield what holds the clocks back; driver 535 renamed "throttle" to "event"."""
    for kind in ("event", "throttle"):
        prefix = f"clocks_{kind}_reason_"
        for found in node.findall(f"clocks_{kind}_reasons/*")[:_MOST_FIELDS]:
            if found.tag.startswith(prefix) and _bare(found.text or "") == "active":
                yield _clean(found.tag.removeprefix(prefix))


def _uncorrected(errors: ET.Element | None, period: str) -> int | None:
    """Return the errors that ECC found and could not correct.

    Up to Volta they are ``double_bit``, with a total; then of SRAM and of DRAM. Newer drivers tell those
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
            # New drivers tell the whole command line, which may hold a secret.
            name = (_value(found, "process_name") or "").split(" -", 1)[0]
            yield Process(pid, name or None, _number(found, "used_memory"))


def _fabric(node: ET.Element) -> Fabric | None:
    state = _value(node, "fabric/state")
    return Fabric(state, _value(node, "fabric/status")) if state else None


def _recovery(node: ET.Element) -> str | None:
    """Return what the driver asks for: 535 has two switches for it, 575 says it in words."""
    action = _value(node, "gpu_recovery_action")
    if action:
        return action
    if _switch(node, "gpu_reset_status/reset_required"):
        return "Reset"
    return "Drain and Reset" if _switch(node, "gpu_reset_status/drain_and_reset_recommended") else None


def _clean(text: str) -> str:
    """Return *text* as one bounded line that a terminal can take."""
    return shortened(printable(one_line(text[: 8 * _LONGEST_VALUE])), _LONGEST_VALUE)


def _bare(text: str) -> str:
    return one_line(text[: 2 * _LONGEST_VALUE]).strip("[]").lower()


def _value(node: ET.Element, path: str) -> str | None:
    """Return the text there; None where it says in any of its ways that there is none."""
    text = node.findtext(path) or ""
    bare = _bare(text)
    return None if bare in _NO_VALUE or bare in _UNREADABLE else _clean(text)


def _number(node: ET.Element, path: str) -> int | None:
    found = _NUMBER.fullmatch(_value(node, path) or "")
    return int(found[1]) if found else None


_SWITCHES = {"enabled": True, "yes": True, "active": True, "disabled": False, "no": False}


def _switch(node: ET.Element, path: str) -> bool | None:
    return _SWITCHES.get((_value(node, path) or "").lower())


def _either(one: bool | None, other: bool | None) -> bool | None:
    return other if one is None else one or bool(other)


_PCI = re.compile(r"(?:[0-9a-f]{4})?([0-9a-f]{4}):([0-9a-f]{2}):([0-9a-f]{2})(?:\.[0-9a-f])?")


def _pci(text: str) -> str | None:
    """Return domain, bus and device of ``00000000:1B:00.0``, ``PCI:0000:1b:00`` or the like."""
    found = _PCI.fullmatch(text.strip().lower().removeprefix("pci:"))
    return ":".join(found.groups()) if found else None


# -- the kernel's log -------------------------------------------------------------------------

DEAD_XIDS: frozenset[int] = frozenset({48, 79})
"""The Xids after which the GPU can't be trusted until it is reset or replaced."""

XIDS: Mapping[int, str] = MappingProxyType(
    {
        13: "graphics engine exception, mostly the program's own fault",
        31: "GPU memory page fault, mostly the program's own fault",
        32: "invalid or corrupted push buffer stream",
        38: "driver firmware error",
        43: "GPU stopped processing, mostly the program's own fault",
        45: "preemptive cleanup, due to an earlier error or a program that was ended",
        48: "double-bit ECC error",
        61: "internal micro-controller breakpoint or warning",
        62: "internal micro-controller halt",
        63: "memory row remapped or page retired, active after a reset",
        64: "memory row could not be remapped, or page not retired",
        68: "video decoder exception",
        69: "graphics engine class error",
        74: "NVLink error",
        79: "GPU has fallen off the bus",
        92: "many single-bit ECC errors",
        94: "contained uncorrectable ECC error: one program is hit",
        95: "uncontained uncorrectable ECC error: all programs are hit",
        109: "context switch timeout",
        119: "GPU's own processor (GSP) does not answer",
        120: "error of the GPU's own processor (GSP)",
        140: "unrecovered ECC error",
        145: "NVLink error (RLW)",
        149: "NVLink error (NETIR)",
        154: "the driver's advice for recovery has changed",
        171: "uncorrectable DRAM error",
    }
)
"""What the common Xids mean, after NVIDIA's catalogue."""


@dataclass(frozen=True)
class Xid:
    """An error that the driver wrote into the kernel's log.

    :param pci: the GPU: its domain, bus and device (:attr:`Gpu.pci`); None: not told.
    :param text: what the driver says of it.
    """

    number: int
    pci: str | None
    text: str

    @property
    def dead(self) -> bool:
        """Whether the GPU can't be trusted any more."""
        return self.number in DEAD_XIDS

    @property
    def meaning(self) -> str:
        """What its number stands for."""
        return XIDS.get(self.number, "not a common one; see NVIDIA's catalogue")


@dataclass(frozen=True)
class KernelLog:
    """The kernel's log of this boot, as far as it is about NVIDIA's GPUs.

    :param readable: whether it could be read at all; if not, no Xid means nothing.
    :param problem: why it could not, or not all of it.
    :param xids: the last of them, the oldest first.
    """

    readable: bool
    problem: str | None
    xids: tuple[Xid, ...]


_READ = re.compile(r"kernel log: .+: [0-9]+ lines(?P<part>, not from boot on)?")
_XID = re.compile(r"NVRM: Xid \(([^()]{1,64})\): ([0-9]{1,5})(?:,(.*))?$")
_FALLEN_GPU = re.compile(r"NVRM: (?:The NVIDIA )?GPU ([0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2})")


def xids(output: Output) -> KernelLog:
    """Return what the section ``kernel_log`` says.

    A GPU that is gone before the driver knows it gets no Xid: "The NVIDIA GPU 0000:b3:00.0 ... fallen off the
    bus and is not responding to commands" on three lines. That counts as a 79.
    """
    lines = output.text[:_LONGEST_LOG].splitlines()
    heads = [(number, head) for number, line in enumerate(lines) if (head := _READ.fullmatch(line.strip()))]
    if not heads:
        return KernelLog(False, _unread(output), ())
    whole = any(head["part"] is None for _, head in heads)
    found: list[Xid] = []
    gpu: str | None = None
    for line in lines[heads[0][0] + 1 :]:
        named = _FALLEN_GPU.search(line)
        if named:
            gpu = _pci(named[1])
        told = _XID.search(line)
        if told:
            # A GPU that is cut into instances has the instance behind it: "PCI:0000:b7:00 GPU-I:05".
            place = told[1].split()
            found.append(Xid(int(told[2]), _pci(place[0]) if place else None, _clean(told[3] or "")))
        elif "fallen off the bus" in line and not any((xid.number, xid.pci) == (79, gpu) for xid in found):
            found.append(Xid(79, gpu, _clean(line.rpartition("NVRM:")[2])))
    problem = None if whole else "the kernel's log does not go back to the boot, its beginning is overwritten"
    return KernelLog(True, problem, tuple(found[-_MOST_XIDS:]))


def _unread(output: Output) -> str:
    if output.hung:
        return "reading the kernel's log hangs"
    said = _clean(output.text.replace("kernel log: not readable", "", 1))
    return f"the kernel's log can't be read{f': {said}' if said else ''}"


# -- Fabric Manager ---------------------------------------------------------------------------


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
    text = output.text[:_LONGEST_LOG]
    found = _FABRIC_VERSION.search(text)
    version = found[1].rstrip(".") if found else None
    if output.hung:
        return FabricManager("unknown", version, "asking for the fabric manager hangs")
    shown = dict(_SHOWN.findall(text))
    active, load, sub = (shown.get(f"{name}State") for name in ("Active", "Load", "Sub"))
    running = re.search(r"^process: running$", text, re.MULTILINE) is not None
    if running or active in ("active", "reloading"):
        return FabricManager("active", version)
    if active == "failed" or sub == "auto-restart":
        told = _complaint(text) or f"it ended: {shown.get('Result', 'failed')}"
        return FabricManager("failed", version, told)
    if load == "masked":
        return FabricManager("inactive", version, "its service is masked")
    if load == "loaded" and active is not None:
        return FabricManager("inactive", version, f"its service is {active}")
    if not re.search(r"^process: none$", text, re.MULTILINE):
        return FabricManager("unknown", version, f"the node says: {_clean(text) or 'nothing'}")
    if version is not None:
        return FabricManager("inactive", version, "it is installed, but does not run")
    return FabricManager("absent", None)


def _complaint(text: str) -> str | None:
    """Return the last line of its journal that tells why it gave up."""
    lines = [line for line in text.splitlines() if _COMPLAINT.search(line)]
    return _clean(re.sub(r"^.{0,200}?\[[0-9]+\]: ", "", lines[-1])) if lines else None


# -- NCCL -------------------------------------------------------------------------------------


_NCCL = re.compile(r"libnccl\.so\.([0-9]{1,4}(?:\.[0-9]{1,4}){1,3})(?![0-9.])")


def nccl_versions(output: Output) -> tuple[str, ...]:
    """Return the versions of NCCL that the section ``nccl_library`` says the linker finds, ascending.

    The version stands in the name of the file that ``libnccl.so.2`` leads to. The library that comes within a
    wheel of PyTorch is not among them: the linker does not know it.
    """
    found = set(_NCCL.findall(output.text[:_LONGEST_LOG]))
    return tuple(sorted(found, key=lambda version: [int(part) for part in version.split(".")]))


# -- what was ordered -------------------------------------------------------------------------

_BRANDS = frozenset({"NVIDIA", "TESLA", "GEFORCE", "QUADRO"})
_NEUTRAL = frozenset(
    [
        "RTX",
        "GPU",
        # Air-cooled: "NVIDIA B300 SXM6 AC".
        "AC",
        "NVL",
        "PCIE",
        "FHHL",
        "DGXS",
        "GENERATION",
        "BLACKWELL",
        "SERVER",
        "WORKSTATION",
        "EDITION",
    ]
)
_FORM = re.compile(r"SXM[0-9]?|HBM[0-9]?E?|MEGA")
_MEMORY = re.compile(r"([0-9]+)GB?")
_WORD = re.compile(r"(RTX|GTX)?(PRO(?=[0-9]))?([A-Z]*[0-9]+)?(TI|SUPER)?")


def accepts_model(wanted: str, found: str) -> bool:
    """Return whether the product name *found* is one of the model *wanted*.

    *wanted* is what people, SkyPilot and Vast write: ``A100``, ``A100-80GB``, ``H100-SXM``, ``RTX4090``,
    ``RTX 4090``, ``RTX6000-Ada``. Each word of it has to stand in the name, and the name may add brand,
    memory and form, nothing that makes it another product (Ti, SUPER, Ada, Laptop, Max-Q).

    SXM boards of Hopper and Blackwell do not say so ("NVIDIA H100 80GB HBM3"), the others do ("NVIDIA H100
    PCIe", "NVIDIA H100 NVL"): what is neither is SXM. A name without memory does not contradict one with.
    """
    asked, have = _words(wanted), _words(found)
    model = {word for word in asked if not _is_form(word)}
    if not model - _NEUTRAL or not model <= have:
        return False
    if any(not _is_form(word) and word not in _NEUTRAL for word in have - model):
        return False
    memories = {word for word in have if _MEMORY.fullmatch(word)}
    if memories and not {word for word in asked if _MEMORY.fullmatch(word)} <= memories:
        return False
    forms = {word for word in asked if word.startswith("SXM")}
    if forms and have & {"PCIE", "NVL"}:
        return False
    told = {word for word in have if word.startswith("SXM")}
    return not (told and forms) or "SXM" in forms or bool(forms & told)


def _is_form(word: str) -> bool:
    return bool(_FORM.fullmatch(word) or _MEMORY.fullmatch(word))


def _words(name: str) -> frozenset[str]:
    """Return the words of a name, glued ones taken apart; boards of clouds carry a number of their own."""
    plain = re.sub(r"-PG[0-9]{3}-[0-9]{3}", "", name[:_LONGEST_VALUE].upper())
    words: set[str] = set()
    for word in re.findall(r"[A-Z0-9]+", plain):
        memory = _MEMORY.fullmatch(word)
        parts = _WORD.fullmatch(word)
        if memory and word.endswith(("G", "GB")):
            words.add(f"{memory[1]}GB")
        elif parts:
            words.update(part for part in parts.groups() if part)
        else:
            words.add(word)
    return frozenset(words - _BRANDS)


LEAST_OF_CLASS = 0.92
"""How much of the memory that a card is sold by ``nvidia-smi`` shows at least.

ECC takes a sixteenth of GDDR memory, and with older drivers what the driver keeps is missing too. The least
that was found is a T4: 15079 MiB of 16 GiB (0.9203); with a newer driver 15360 (0.9375). Others: A10G 23028
of 24 GiB (0.937), RTX A6000 45634 and 46068 of 48 (0.928, 0.937), B200 183359 of 192 (0.933), H100 81559 of
80 (0.996). The nearest class below another is 11 to 12 GB: a GTX 1080 Ti has 11178 MiB, 0.910 of 12 GiB.
"""

MOST_OF_CLASS = 1.02
"""And at most: none was found that shows more than the GiB that it is sold by."""

_SPEC = re.compile(r"\s*([0-9]{1,6})(?:\.([0-9]{1,3}))?\s*(?:Gi?B?)?\s*(\+?)\s*", re.IGNORECASE)


def memory_problem(spec: str, memory_mib: int) -> str | None:
    """Return why a GPU of *memory_mib* is not what *spec* asks for, as a phrase; None: it is.

    :param spec: ``40GB``: a card of that class; ``40GB+``: at least one of that class.
    """
    asked = _SPEC.fullmatch(spec)
    if not asked:
        return f"{_clean(spec)!r} is no amount of memory"
    gib = float(f"{asked[1]}.{asked[2] or 0}")
    if memory_mib < gib * 1024 * LEAST_OF_CLASS:
        return f"it has {memory_mib} MiB, less than a card of {gib:g} GB"
    if not asked[3] and memory_mib > gib * 1024 * MOST_OF_CLASS:
        return f"it has {memory_mib} MiB, more than a card of {gib:g} GB"
    return None


def advice(found: Driver) -> str:
    """Return what an operator does where :func:`driver` gives a problem."""
    told = (found.problem or "").lower()
    if "there is no nvidia-smi" in told:
        return "Run where the GPUs are, or install NVIDIA's driver (in a container: docker run --gpus all)."
    if "version mismatch" in told:
        return "The driver was updated and not loaded anew: reboot, or unload and load its kernel modules."
    if "communicate" in told:
        return "Load the driver (modprobe nvidia), and look at dmesg: its module fits another kernel, maybe."
    if "hangs" in told:
        return "Look at dmesg for Xid, then reboot: a driver that hangs does not come back."
    return "Run nvidia-smi by hand, and look at dmesg for NVRM."
