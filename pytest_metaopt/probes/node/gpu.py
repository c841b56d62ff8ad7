"""A GPU: what its driver reports of its memory, clocks, errors and processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .fabric import Fabric

SLOWDOWNS: Mapping[str, str] = MappingProxyType(
    {
        "hw_slowdown": "slowed down by the hardware",
        "hw_thermal_slowdown": "slowed down by the hardware: too hot",
        "hw_power_brake_slowdown": "slowed down by the hardware: the power supply requests it",
        "sw_thermal_slowdown": "slowed down by the driver: too hot",
    }
)
"""The event reasons that mean a fault, with an explanation; the others are how a GPU normally works.

Driver 375 reports ``hw_slowdown`` alone, those from 460 on also which of the two it is.
"""


@dataclass(frozen=True)
class Process:
    """A process that uses a GPU.

    :param name: its program, without arguments; None: not known (it may be in another container).
    :param used_mib: the memory of the GPU that it holds; None: not known.
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
class Gpu:
    """A GPU as ``nvidia-smi -q -x`` reports it; a field is None where that gives no value.

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
    :param recovery: what the driver requests (``Reset``, ``Reboot``, ``Drain and Reset``); None: nothing.
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
        """Those of the reasons that mean a fault."""
        return tuple(reason for reason in self.reasons if reason in SLOWDOWNS)
