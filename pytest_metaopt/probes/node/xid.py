"""Xids: the errors of GPUs that NVIDIA's driver writes into the kernel's log.

The catalogue: https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .pcie import pci_address
from .sections import Output
from .text import LONGEST_OUTPUT, clean

# A log without a line of interest must differ from one that cannot be read, so a first line says how it was
# read. An empty log counts as unreadable: journalctl shows one to those who may not read it. The files hold
# older boots too; "Linux version" begins each boot. Where that is missing, the ring buffer was overwritten or
# the file rotated: the next source is read, too, but on a node without the driver, which has none.
KERNEL_LOG_COMMAND = (
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

_MOST_XIDS = 200

DEAD_XIDS: frozenset[int] = frozenset({48, 79})
"""The Xids after which the GPU cannot be trusted until it is reset or replaced."""

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

    :param pci: the GPU: its domain, bus and device (:attr:`Gpu.pci`); None: not known.
    :param text: what the driver says of it.
    """

    number: int
    pci: str | None
    text: str

    @property
    def dead(self) -> bool:
        """Whether the GPU cannot be trusted any more."""
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
    lines = output.text[:LONGEST_OUTPUT].splitlines()
    heads = [(number, head) for number, line in enumerate(lines) if (head := _READ.fullmatch(line.strip()))]
    if not heads:
        return KernelLog(False, _unread(output), ())
    whole = any(head["part"] is None for _, head in heads)
    found: list[Xid] = []
    gpu: str | None = None
    for line in lines[heads[0][0] + 1 :]:
        named = _FALLEN_GPU.search(line)
        if named:
            gpu = pci_address(named[1])
        match = _XID.search(line)
        if match:
            # A GPU that is cut into instances has the instance behind it: "PCI:0000:b7:00 GPU-I:05".
            place = match[1].split()
            found.append(Xid(int(match[2]), pci_address(place[0]) if place else None, clean(match[3] or "")))
        elif "fallen off the bus" in line and not any((xid.number, xid.pci) == (79, gpu) for xid in found):
            found.append(Xid(79, gpu, clean(line.rpartition("NVRM:")[2])))
    problem = None if whole else "the kernel's log does not go back to the boot, its beginning is overwritten"
    return KernelLog(True, problem, tuple(found[-_MOST_XIDS:]))


def _unread(output: Output) -> str:
    if output.hung:
        return "reading the kernel's log hangs"
    said = clean(output.text.replace("kernel log: not readable", "", 1))
    return f"the kernel's log cannot be read{f': {said}' if said else ''}"
