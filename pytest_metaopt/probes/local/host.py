"""The host that we are on: what a worker of the fleet would report of itself.

What counts is what a process here may use, not what the box has: CPU affinity and cgroup quota for cores, the
cgroup's limit for memory, ``CUDA_VISIBLE_DEVICES`` for GPUs. NVML (nvidia-ml-py) is queried where it is
installed, else ``nvidia-smi``; torch is not imported, only looked up.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ...core.environment import our_environment
from ...core.text import one_line, printable
from ..command import Deadline, Runner
from ..pool import Fact, Pool, Probe, probe

_GIB = 1 << 30
_MIB_PER_GIB = 1024
_LEAST_LIMIT = 1 << 20
_UNLIMITED = 1 << 60
# Version 1 of cgroups writes "no limit" as a number near 2**63.


@dataclass(frozen=True)
class Gpu:
    """A GPU that a process here may use.

    :param index: its number on the box.
    :param vram_gib: its memory, whoever uses it now.
    """

    index: int
    name: str
    uuid: str
    vram_gib: float


@dataclass(frozen=True)
class Capability:
    """What this host can run.

    :param cores: whole CPU cores that a process here may use.
    :param ram_gib: memory that a process here may use; None: unknown.
    :param gpus: the GPUs that it may use.
    :param torch: the version of torch that is installed here; None: none.
    :param git_commit: the commit that the project is at; None: it is not a git repository.
    :param driver: why GPUs could not be listed; None where they could, or where there is no driver.
    """

    hostname: str
    cores: int
    ram_gib: float | None
    gpus: tuple[Gpu, ...]
    torch: str | None
    git_commit: str | None
    driver: str | None = None

    @property
    def cuda(self) -> bool:
        """Whether CUDA can be used: there is a GPU, and torch, if it is here, is not built for CPUs only."""
        return bool(self.gpus) and not self.cpu_only_torch

    @property
    def cpu_only_torch(self) -> bool:
        """Whether torch is here, but without CUDA."""
        return self.torch is not None and self.torch.endswith("+cpu")

    @property
    def vram_gib(self) -> float:
        """The memory of the largest GPU; 0 without one."""
        return max((gpu.vram_gib for gpu in self.gpus), default=0.0)

    def short_of(self, *, cores: int, ram_gib: float, cuda: bool, vram_gib: float) -> list[str]:
        """Return what this host has less of than is needed, as phrases; empty: it has enough."""
        short = []
        if cores > self.cores:
            short.append(f"cores ({self.cores} of {cores})")
        if self.ram_gib is not None and ram_gib > self.ram_gib:
            short.append(f"RAM ({self.ram_gib:.1f} of {ram_gib:g} GiB)")
        if cuda and not self.cuda:
            why = (
                " (torch is built for CPUs only)" if self.gpus else f" ({self.driver})" if self.driver else ""
            )
            short.append(f"CUDA{why}")
        if vram_gib > self.vram_gib:
            short.append(f"VRAM ({self.vram_gib:.1f} of {vram_gib:g} GiB)")
        return short

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, as a worker reports it."""
        found = asdict(self)
        return {**found, "gpus": list(found["gpus"]), "cuda": self.cuda, "vram_gib": self.vram_gib}

    def __str__(self) -> str:
        """Tell it in one line."""
        ram = "RAM unknown" if self.ram_gib is None else f"{self.ram_gib:.1f} GiB RAM"
        gpus = ", ".join(f"{gpu.name} {gpu.vram_gib:.0f} GiB" for gpu in self.gpus) or "no CUDA"
        if self.gpus and not self.cuda:
            gpus = f"{gpus} (not usable by this torch)"
        commit = self.git_commit[:12] if self.git_commit else "none"
        return (
            f"{self.hostname}: {self.cores} core{'' if self.cores == 1 else 's'}, {ram}, {gpus},"
            f" torch {self.torch or 'none'}, commit {commit}"
        )


LONGEST_LOOK = 15.0
"""Seconds that ``nvidia-smi`` may take: with a sick driver it never answers."""


def query_host(root: Path, limit: float = LONGEST_LOOK) -> Fact:
    """Return what this host has, or why that is not known.

    :param root: the project, whose commit is read.
    """
    pool = Pool(limit=limit)
    try:
        return pool.get(Probe("capability", capability), {"project_root": root})
    finally:
        pool.close()


@probe("capability")
def capability(project_root: Path, run: Runner) -> Capability:
    """What a worker of the fleet would report of this host."""
    gpus, trouble = _gpus(run)
    ram = _ram()
    return Capability(
        hostname=platform.node() or "unknown",
        cores=cores(),
        ram_gib=round(ram / _GIB, 2) if ram is not None else None,
        gpus=tuple(visible(gpus, our_environment())),
        torch=_version("torch"),
        git_commit=_commit(project_root, run),
        driver=trouble,
    )


def cores(root: Path = Path("/")) -> int:
    """Return how many whole cores a process here may use: by affinity, and by the quota of its cgroups.

    :param root: where ``proc`` and ``sys`` are.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _cgroups(root, "cpu") if (quota := _cpu_quota(folder)) is not None]
    return max(1, int(min([allowed, *quotas])))


def memory_limit(root: Path = Path("/")) -> int | None:
    """Return the least memory limit of the cgroups that we are in, in bytes; None: there is none."""
    limits = [
        limit
        for folder in _cgroups(root, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
        if (limit := _number(folder / name)) is not None and _LEAST_LIMIT <= limit < _UNLIMITED
    ]
    return min(limits, default=None)


def _cpu_quota(folder: Path) -> float | None:
    both = _read(folder / "cpu.max").split()
    if len(both) == 2 and both[0].isdigit() and both[1].isdigit() and int(both[1]):
        return int(both[0]) / int(both[1])
    quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _cgroups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of the cgroups that this process is in, with those around them."""
    base = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0" and not names:
            mounts = [base, base / "unified"]
        elif controller in names.split(","):
            mounts = [base / names, base / controller]
        else:
            continue
        parts = [part for part in path.split("/") if part]
        if ".." in parts:
            parts = []
        for mount in mounts:
            # In a container the path may be the one that the box knows, with our own group as the mount.
            for end in range(len(parts), -1, -1):
                folder = mount.joinpath(*parts[:end])
                if folder.is_dir():
                    yield folder


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(_read(path))
    except ValueError:
        return None  # "max", or there is no such file


def _ram() -> int | None:
    found = [amount for amount in (_physical(), memory_limit()) if amount is not None]
    return min(found, default=None)


def _physical() -> int | None:
    try:
        import psutil
    except ImportError:
        pass
    else:
        return int(psutil.virtual_memory().total)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _gpus(run: Runner) -> tuple[list[Gpu], str | None]:
    """Return the GPUs of the box, and what went wrong in asking for them."""
    found = _gpus_of_nvml()
    if found is not None:
        return found, None
    hurried = run.deadline.remaining <= LONGEST_LOOK
    in_time = run if hurried else Runner(Deadline.after(LONGEST_LOOK), run.stop)
    done = in_time(
        ["nvidia-smi", "--query-gpu=index,name,uuid,memory.total", "--format=csv,noheader,nounits"]
    )
    if done.ending == "missing":
        return [], None
    if not done.succeeded:
        output = one_line(printable(done.stdout or done.stderr))[:200]
        return [], f"nvidia-smi: {done.problem}{f': {output}' if output else ''}"
    return list(gpus_of_smi(done.stdout)), None


def gpus_of_smi(text: str) -> Iterator[Gpu]:
    """Yield the GPUs that ``nvidia-smi`` lists, with index, name, UUID and memory in MiB."""
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) != 4:
            continue
        index, name, uuid, memory = parts
        if index.isdigit() and memory.replace(".", "", 1).isdigit():
            yield Gpu(int(index), printable(name), uuid, round(float(memory) / _MIB_PER_GIB, 2))


def _gpus_of_nvml() -> list[Gpu] | None:
    """Return the GPUs as NVML knows them; None where it is not installed, or there is no driver."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            name, uuid = (
                _text(read(handle)) for read in (pynvml.nvmlDeviceGetName, pynvml.nvmlDeviceGetUUID)
            )
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle).total
            found.append(Gpu(index, printable(name), uuid, round(memory / _GIB, 2)))
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()
    return found


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def visible(gpus: list[Gpu], environ: Mapping[str, str]) -> Iterator[Gpu]:
    """Yield those of *gpus* that CUDA would show, in its order: up to the first that there is not."""
    given = environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        yield from gpus
        return
    for word in (part.strip() for part in given.split(",")):
        known = [
            gpu
            for gpu in gpus
            if (word.isdigit() and gpu.index == int(word))
            or (word.startswith("GPU-") and gpu.uuid.startswith(word))
        ]
        if len(known) != 1:
            return
        yield known[0]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit(project_root: Path, run: Runner) -> str | None:
    done = run(["git", "rev-parse", "HEAD"], cwd=project_root)
    commit = done.stdout.strip()
    return commit if done.succeeded and len(commit) >= 40 and commit.isalnum() else None
