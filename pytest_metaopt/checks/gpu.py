"""Checks of the GPUs of each node (contract of the launch spec, "GPU health")."""

from __future__ import annotations

from collections.abc import Iterator

from .. import Finding, check, fail
from ..core.text import enumeration, shortened, some
from ..documents.launch import Launch
from ..launch.gpu_memory import memory_problem
from ..launch.gpu_model import accepts_model
from ..launch.gpus import GpuNeed
from ..launch.nodes import Node
from ..probes.node.fleet import Fleet
from ..probes.node.gpu import SLOWDOWNS, Gpu
from ..probes.node.nvidia_smi import Driver
from ..probes.node.xid import Xid
from .problems import fail_with_findings, finding

HOT = 83
"""Degrees Celsius from which a GPU slows itself down (contract of the launch spec)."""
LEAST_CLOCK = 0.7
"""The part of the highest SM clock below which a hot GPU is throttled (contract of the launch spec)."""
MOST_IDLE_MIB = 2048
"""MiB of a GPU in use from which somebody must hold them, though a container's pid namespace hides who. What
the driver takes itself is less: 869 MiB were the most in the recordings, of an A100."""
_HARDWARE = frozenset({"hw_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown"})
_MOST_NAMED = 5
_LONGEST_PROGRAM = 40
_WHOLE = "If the launch needs whole GPUs, with no process on them: sudo nvidia-smi -i INDEX -mig 0."


def _requests_gpus(launch: Launch) -> bool:
    return launch.facts.gpus.given


def _has_nvswitch(launch: Launch) -> bool:
    return _requests_gpus(launch) and launch.facts.has_nvswitch


def _driver(fleet: Fleet, node: Node) -> Driver:
    """Return what the driver reports; ends the check where it reports nothing."""
    driver = fleet.facts(node, "nvidia_smi").driver
    if driver.problem is not None and not driver.gpus:
        more = [problem for problem in driver.lost if problem not in driver.problem]
        lost = f" ({'; '.join(more)})" if more else ""
        fail(
            f"{node.name}: {driver.problem}{lost}",
            remediation=_advice(driver),
            at=fleet.launch.gpus.position,
        )
    return driver


def _advice(found: Driver) -> str:
    """Return what an operator does about a driver that reports nothing."""
    problem = (found.problem or "").lower()
    if "nvidia-smi not found" in problem:
        return "Run where the GPUs are, or install NVIDIA's driver (in a container: docker run --gpus all)."
    if "version mismatch" in problem:
        return "The driver was updated but not reloaded: reboot, or reload its kernel modules."
    if "communicate" in problem:
        return (
            "Load the driver (modprobe nvidia), and check dmesg: its module may be built for another kernel."
        )
    if "hangs" in problem:
        return "Check dmesg for Xid, then reboot: a driver that hangs does not recover."
    return "Run nvidia-smi by hand, and check dmesg for NVRM."


@check(
    "gpu_present",
    group="node",
    document="launch",
    each="node",
    when=_requests_gpus,
    remediation="Use a machine with the GPUs that the spec requests, or correct the spec; in a container,"
    " give it all GPUs (docker run --gpus all).",
)
def gpus_are_there(launch: Launch, fleet: Fleet, node: Node) -> None:
    """The driver answers, and shows the count, model and memory that the spec requests."""
    need, place = launch.facts.gpus.value, launch.facts.gpus.position
    assert need is not None, "collected only where GPUs are"
    driver = _driver(fleet, node)
    names = enumeration(sorted({gpu.name for gpu in driver.gpus}))
    found = f"{len(driver.gpus)} GPU{'' if len(driver.gpus) == 1 else 's'} ({names})"
    shows = f"the driver reports {found}; expected {need}"
    short = [list(_short_of(driver, one, shows)) for one in need.alternatives or (need,)]
    # Of several alternatives none is the one that was meant, so the finding only says what is there.
    problems = [] if not all(short) else [shows] if need.alternatives else short[0]
    fail_with_findings([finding(f"{node.name}: {problem}", place) for problem in (*driver.lost, *problems)])
    cut = [str(gpu.index) for gpu in driver.gpus if gpu.mig]
    if cut:
        fail(
            f"{node.name}: GPU {enumeration(cut)} {'is' if len(cut) == 1 else 'are'} partitioned into MIG"
            " instances; a process gets one instance, not the whole GPU",
            remediation=_WHOLE,
            at=place,
            advisory=True,
        )


def _short_of(driver: Driver, need: GpuNeed, shows: str) -> Iterator[str]:
    """Yield what GPUs lack of one need; *shows* is the message where there are too few."""
    name, memory = need.name, need.memory
    if len(driver.gpus) < need.count:
        yield shows
    for gpu in driver.gpus:
        if name is not None and not accepts_model(name, gpu.name):
            yield f"GPU {gpu.index} is a {gpu.name}; expected {name}"
        elif gpu.mig and not gpu.instances:
            yield f"GPU {gpu.index} is in MIG mode and has no instance that a process could use"
        elif gpu.mig and memory is not None:
            largest = max(gpu.instances)
            if (message := memory_problem(memory, largest)) is not None:
                yield f"GPU {gpu.index} ({gpu.name}) is in MIG instances; the largest: {message}"
        elif memory is not None and gpu.memory_mib is None:
            yield f"GPU {gpu.index} does not report its memory; expected {memory}"
        elif memory is not None and (message := memory_problem(memory, gpu.memory_mib or 0)) is not None:
            yield f"GPU {gpu.index} ({gpu.name}): {message}"


@check(
    "gpu_health",
    group="node",
    document="launch",
    each="node",
    when=_requests_gpus,
    remediation="Take the GPU out: drain the node, then nvidia-smi --gpu-reset -i INDEX or reboot; if it"
    " comes back, have it replaced.",
)
def gpus_are_healthy(fleet: Fleet, node: Node) -> None:
    """No GPU has uncorrected ECC errors, a pending row remap or page retirement, or requests a reset."""
    driver = _driver(fleet, node)
    fail_with_findings([Finding(f"{node.name}: {problem}") for gpu in driver.gpus for problem in _ill(gpu)])


def _ill(gpu: Gpu) -> Iterator[str]:
    where = f"GPU {gpu.index} ({gpu.name})"
    if gpu.fault is not None:
        yield f"{where} does not answer: {gpu.fault}"
    if gpu.uncorrected_volatile:
        yield f"{where} has {gpu.uncorrected_volatile} uncorrected ECC errors since the driver was loaded"
    if gpu.sram_threshold_exceeded:
        yield f"{where} has exceeded the threshold of uncorrected SRAM errors: it must be replaced"
    if gpu.remapped is not None and gpu.remapped.pending:
        yield f"{where} has a row remap pending: it needs a reset"
    if gpu.remapped is not None and gpu.remapped.failure:
        yield f"{where} has no spare row left for a remap: it must be replaced"
    if gpu.retired_pending:
        yield f"{where} has a page retirement pending: it needs a reset"
    if gpu.recovery is not None and gpu.fault is None:
        yield f"{where} requests a recovery: {gpu.recovery}"
    if gpu.unreadable and gpu.fault is None:
        yield f"{where} reports errors instead of {some(list(gpu.unreadable), _MOST_NAMED)}"


@check(
    "gpu_xid",
    group="node",
    document="launch",
    each="node",
    when=_requests_gpus,
    remediation="Xid 48 and 79 mean a dead GPU: drain the node, reboot it, and have the GPU replaced if it"
    " comes back. Others: look them up in NVIDIA's Xid catalogue.",
)
def kernel_log_has_no_xid(fleet: Fleet, node: Node) -> None:
    """The kernel's log has no Xid 48 or 79; advice where it has others, or cannot be read."""
    log = fleet.facts(node, "kernel_log").kernel_log
    dead = [xid for xid in log.xids if xid.dead]
    if dead:
        fail_with_findings([Finding(f"{node.name}: {_describe(xid)}") for xid in _latest(dead)])
    if log.problem is not None and not log.xids:
        fail(
            f"{node.name}: cannot rule out a dead GPU: {log.problem}",
            remediation="Let the user read the kernel's log: sudo sysctl kernel.dmesg_restrict=0, or the"
            " group adm or systemd-journal for the user.",
            advisory=True,
        )
    if log.xids:
        fail_with_findings(
            [Finding(f"{node.name}: {_describe(xid)}") for xid in _latest(log.xids)], advisory=True
        )


def _latest(xids: list[Xid] | tuple[Xid, ...]) -> list[Xid]:
    """Return the last of each number and GPU."""
    return list({(xid.number, xid.pci): xid for xid in xids}.values())


def _describe(xid: Xid) -> str:
    place = f" of GPU {xid.pci}" if xid.pci else ""
    return f"Xid {xid.number}{f' ({xid.meaning})' if xid.meaning else ''}{place} in the kernel's log"


@check(
    "gpu_throttling",
    group="node",
    document="launch",
    each="node",
    when=_requests_gpus,
    remediation="Check cooling and power of the node: nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER; one"
    " slow GPU makes all ranks wait.",
)
def gpus_are_not_throttled(fleet: Fleet, node: Node) -> None:
    """No GPU is slowed down by the hardware, or hot and below 70 % of its clock; advice where one is hot."""
    driver = _driver(fleet, node)
    slow = {gpu.index: list(_slowed(gpu)) for gpu in driver.gpus}
    hot = [
        f"GPU {gpu.index} is at {gpu.temperature_c} C"
        for gpu in driver.gpus
        if gpu.temperature_c is not None and gpu.temperature_c >= HOT and not slow[gpu.index]
    ]
    blocking = [reason for problems in slow.values() for reason in problems]
    findings = [Finding(f"{node.name}: {reason}") for reason in (*blocking, *hot)]
    fail_with_findings(findings, advisory=not blocking)


def _slowed(gpu: Gpu) -> Iterator[str]:
    active = [reason for reason in gpu.reasons if reason in _HARDWARE]
    # hw_slowdown stands beside the one that says why.
    for reason in [reason for reason in active if reason != "hw_slowdown"] or active:
        yield f"GPU {gpu.index} is {SLOWDOWNS[reason]}"
    if active or gpu.temperature_c is None or gpu.temperature_c < HOT:
        return
    clock, most = gpu.sm_clock_mhz, gpu.sm_clock_max_mhz
    if clock is not None and most and clock < LEAST_CLOCK * most:
        yield f"GPU {gpu.index} is at {gpu.temperature_c} C, and its SM clock at {clock} of {most} MHz"


@check(
    "gpu_processes",
    group="node",
    document="launch",
    each="node",
    severity="advisory",
    when=_requests_gpus,
    remediation="Find their owners (ps -o pid,user,etime,cmd -p PID), and end those that nobody needs.",
)
def gpus_are_free(fleet: Fleet, node: Node) -> None:
    """No process holds memory of a GPU."""
    driver = _driver(fleet, node)
    findings = []
    for gpu in driver.gpus:
        holding = [process for process in gpu.processes if process.used_mib is None or process.used_mib > 0]
        if holding:
            holders = [
                f"pid {process.pid}{f' ({_program(process.name)})' if process.name else ''}"
                f"{f', {process.used_mib} MiB' if process.used_mib else ''}"
                for process in holding
            ]
            findings.append(Finding(f"{node.name}: GPU {gpu.index} is held by {some(holders, _MOST_NAMED)}"))
        elif gpu.memory_used_mib is not None and gpu.memory_used_mib >= MOST_IDLE_MIB:
            in_use = f"{gpu.memory_used_mib} MiB of GPU {gpu.index} are in use"
            findings.append(Finding(f"{node.name}: {in_use} by processes that are not visible here"))
    fail_with_findings(findings)


def _program(name: str) -> str:
    """Return the name of a process without its folders, which may be longer than a line."""
    return shortened(name.rsplit("/", 1)[-1] or name, _LONGEST_PROGRAM)


@check(
    "MN1",
    group="node",
    document="launch",
    each="node",
    when=_has_nvswitch,
    remediation="Install the nvidia-fabricmanager of the driver's version, then: systemctl enable --now"
    " nvidia-fabricmanager. One node without it hangs the whole launch at NCCL init.",
)
def fabric_manager_runs(fleet: Fleet, node: Node) -> None:
    """The fabric manager of an NVSwitch machine is active, and of the driver's version."""
    facts = fleet.facts(node, "fabric_manager")
    manager, driver = facts.fabric_manager, facts.driver
    unready = [gpu for gpu in driver.gpus if gpu.fabric is not None and not gpu.fabric.ready]
    ready = bool(driver.gpus) and all(gpu.fabric is not None and gpu.fabric.ready for gpu in driver.gpus)
    findings = [
        f"GPU {gpu.index} is not registered with the fabric: {gpu.fabric.state}"
        f"{f' ({gpu.fabric.status})' if gpu.fabric.status else ''}"
        for gpu in unready
        if gpu.fabric is not None
    ]
    if manager.state != "active" and not (manager.state == "absent" and ready):
        # In a container the host's daemon is not seen, but the GPUs show whether it did its work.
        why = f": {manager.problem}" if manager.problem else ""
        state = "not installed" if manager.state == "absent" else manager.state
        findings.insert(0, f"nvidia-fabricmanager is {state}{why}")
    elif manager.version is not None and driver.version is not None and manager.version != driver.version:
        findings.insert(0, f"nvidia-fabricmanager is {manager.version}, the driver {driver.version}")
    fail_with_findings([Finding(f"{node.name}: {problem}") for problem in findings])
