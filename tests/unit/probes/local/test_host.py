"""The capability of this host: what a process here may use."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_metaopt.probes.command import Deadline, Runner
from pytest_metaopt.probes.local import host
from pytest_metaopt.probes.local.host import (
    Capability,
    Gpu,
    cores,
    gpus_of_smi,
    memory_limit,
    visible,
)
from pytest_metaopt.probes.pool import Pool, probes_of_module

(CAPABILITY,) = probes_of_module(host)
AFFINITY = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
GPUS = [Gpu(0, "A", "GPU-aa11", 24.0), Gpu(1, "B", "GPU-aa22", 80.0), Gpu(2, "C", "GPU-bb33", 10.0)]


@pytest.fixture
def pool() -> Iterator[Pool]:
    found = Pool(limit=10)
    yield found
    found.close()


def queried(pool: Pool, root: Path) -> Capability:
    fact = pool.get(CAPABILITY, {"project_root": root})
    assert fact.failure is None
    assert isinstance(fact.value, Capability)
    return fact.value


def tree(root: Path, cgroup: str, files: dict[str, str]) -> Path:
    for name, text in {"proc/self/cgroup": cgroup, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V1 = "7:cpu,cpuacct:/docker/x\n5:memory:/docker/x\n1:name=systemd:/docker/x\n"

QUOTAS = {
    "none": ("0::/a/b\n", {"sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, AFFINITY),
    "v2": ("0::/a/b\n", {"sys/fs/cgroup/a/b/cpu.max": "100000 100000\n"}, 1),
    "v2_around": ("0::/a/b\n", {"sys/fs/cgroup/a/cpu.max": "50000 100000\n", "sys/fs/cgroup/a/b/x": ""}, 1),
    "v2_in_a_container": ("0::/docker/x\n", {"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1),
    "v2_above_the_box": ("0::/\n", {"sys/fs/cgroup/cpu.max": "99900000 100000\n"}, AFFINITY),
    "v1": (
        V1,
        {
            "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us": "100000",
            "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000",
        },
        1,
    ),
    "v1_in_a_container": (
        V1,
        {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "20000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "10000"},
        min(2, AFFINITY),
    ),
    "v1_none": (
        V1,
        {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
        AFFINITY,
    ),
    "garbage": ("0::/a\nx\n::\n0::/../../etc\n", {"sys/fs/cgroup/cpu.max": "a b c"}, AFFINITY),
    "no_cgroups": ("", {}, AFFINITY),
}


@pytest.mark.parametrize("name", QUOTAS)
def test_cores_are_those_of_affinity_and_quota(tmp_path: Path, name: str) -> None:
    cgroup, files, expected = QUOTAS[name]
    assert cores(tree(tmp_path, cgroup, files)) == expected


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or AFFINITY < 2, reason="needs two cores to choose from"
)
def test_cores_follow_the_affinity(tmp_path: Path) -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert cores(tree(tmp_path, "", {})) == 1
    finally:
        os.sched_setaffinity(0, allowed)


LIMITS = {
    "v2": (
        "0::/a/b\n",
        {"sys/fs/cgroup/a/b/memory.max": "max", "sys/fs/cgroup/a/memory.max": str(3 << 30)},
        3 << 30,
    ),
    "v2_least": (
        "0::/a\n",
        {"sys/fs/cgroup/a/memory.max": str(5 << 30), "sys/fs/cgroup/memory.max": str(9 << 30)},
        5 << 30,
    ),
    "v1": (V1, {"sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": str(2 << 30)}, 2 << 30),
    "v1_none": (V1, {"sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": "9223372036854771712"}, None),
    "no_cgroups": ("", {}, None),
}


@pytest.mark.parametrize("name", LIMITS)
def test_memory_is_the_limit_of_the_cgroups(tmp_path: Path, name: str) -> None:
    cgroup, files, expected = LIMITS[name]
    assert memory_limit(tree(tmp_path, cgroup, files)) == expected


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("1", [1]),
        ("2,0", [2, 0]),
        ("0,7,1", [0]),
        ("GPU-bb33", [2]),
        ("GPU-aa", []),  # of two GPUs
        ("NoDevFiles", []),
    ],
)
def test_gpus_are_those_that_cuda_would_show(reported: str | None, expected: list[int]) -> None:
    environ = {} if reported is None else {"CUDA_VISIBLE_DEVICES": reported}
    assert [gpu.index for gpu in visible(GPUS, environ)] == expected


def program(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


SMI = "0, NVIDIA H100 80GB HBM3, GPU-1234, 81559\n1, NVIDIA L4, GPU-5678, 23034\nNo devices were found\n"


@pytest.fixture
def smi_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A PATH with whatever the test puts there first; nvidia-ml-py, if installed, is out of the way."""
    monkeypatch.setattr(host, "_gpus_of_nvml", lambda: None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "bin"


def test_gpus_that_nvidia_smi_lists(pool: Pool, smi_only: Path, tmp_path: Path) -> None:
    program(
        smi_only,
        "nvidia-smi",
        f"import sys\nassert '--format=csv,noheader,nounits' in sys.argv\nprint({SMI!r})",
    )
    found = queried(pool, tmp_path)
    assert [(gpu.name, gpu.vram_gib) for gpu in found.gpus] == [
        ("NVIDIA H100 80GB HBM3", 79.65),
        ("NVIDIA L4", 22.49),
    ]
    assert found.cuda is (found.torch is None or not found.torch.endswith("+cpu"))
    assert (found.vram_gib, found.driver) == (79.65, None)
    assert "NVIDIA L4 22 GiB" in str(found)


def test_a_driver_that_does_not_answer_is_no_cuda_and_reported(
    pool: Pool, smi_only: Path, tmp_path: Path
) -> None:
    program(smi_only, "nvidia-smi", "import sys\nprint('NVIDIA-SMI has failed')\nsys.exit(9)")
    found = queried(pool, tmp_path)
    assert (found.cuda, found.gpus) == (False, ())
    assert found.driver == "nvidia-smi: exit status 9: NVIDIA-SMI has failed"
    short = found.short_of(cores=0, ram_gib=0, cuda=True, vram_gib=1)
    assert short == ["CUDA (nvidia-smi: exit status 9: NVIDIA-SMI has failed)", "VRAM (0.0 of 1 GiB)"]


def test_a_driver_that_hangs_costs_no_more_than_the_limit(smi_only: Path, tmp_path: Path) -> None:
    program(smi_only, "nvidia-smi", "import time\ntime.sleep(60)")
    pool = Pool(limit=1)
    fact = pool.get(CAPABILITY, {"project_root": tmp_path})
    assert fact.seconds < 5
    assert fact.value is None or fact.value.driver == "nvidia-smi: timed out after 1 s"
    pool.close()


def test_this_host_tells_its_name_commit_and_torch_without_importing_it(
    pool: Pool, tmp_path: Path, git: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "site"
    (library / "torch").mkdir(parents=True)
    (library / "torch" / "__init__.py").write_text("raise RuntimeError('torch was imported')\n")
    (library / "torch-2.4.0+cpu.dist-info").mkdir()
    (library / "torch-2.4.0+cpu.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torch\nVersion: 2.4.0+cpu\n"
    )
    monkeypatch.syspath_prepend(str(library))
    monkeypatch.setattr(host, "_gpus", lambda run: (GPUS, None))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "p").mkdir()
    for command in (
        ["init", "-q"],
        ["-c", "user.name=x", "-c", "user.email=x", "commit", "-qm", "x", "--allow-empty"],
    ):
        subprocess.run([git, *command], cwd=tmp_path / "p", check=True)
    commit = subprocess.run(
        [git, "rev-parse", "HEAD"], cwd=tmp_path / "p", capture_output=True, text=True
    ).stdout.strip()
    found = queried(pool, tmp_path / "p")
    assert found.hostname
    assert found.cores == cores()
    assert found.ram_gib is not None
    assert 0 < found.ram_gib < 1 << 20
    assert (found.torch, found.git_commit) == ("2.4.0+cpu", commit)
    assert (found.cuda, found.vram_gib) == (False, 80.0)
    assert found.short_of(cores=1, ram_gib=0, cuda=True, vram_gib=80) == [
        "CUDA (torch is built for CPUs only)"
    ]
    assert set(found.to_json()) == {
        *("hostname", "cores", "ram_gib", "cuda", "vram_gib", "gpus", "torch", "git_commit", "driver"),
    }
    assert queried(pool, tmp_path / "site").git_commit is None


def test_what_nvidia_smi_writes_otherwise_is_no_gpu() -> None:
    assert list(gpus_of_smi("x\n0, a, b\n[N/A], n, u, [N/A]\n\n")) == []


def test_a_sound_host_has_enough() -> None:
    found = Capability("h", 8, 32.0, (GPUS[1],), None, None)
    assert found.short_of(cores=8, ram_gib=32, cuda=True, vram_gib=80) == []
    assert found.short_of(cores=9, ram_gib=32.5, cuda=True, vram_gib=80.5) == [
        "cores (8 of 9)",
        "RAM (32.0 of 32.5 GiB)",
        "VRAM (80.0 of 80.5 GiB)",
    ]


def test_psutil_and_the_system_agree_on_the_memory() -> None:
    pytest.importorskip("psutil")
    assert host._physical() == pytest.approx(
        os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), rel=0.01
    )


def test_nvml_and_nvidia_smi_agree_on_the_gpus() -> None:
    pytest.importorskip("pynvml")
    listed, trouble = host._gpus(Runner(Deadline.after(20)))
    found = host._gpus_of_nvml()
    if shutil.which("nvidia-smi") is None:
        assert (found or [], trouble) == ([], None)
        return
    query = ["nvidia-smi", "--query-gpu=index,name,uuid,memory.total", "--format=csv,noheader,nounits"]
    reported = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    assert found == listed
    assert [(gpu.index, gpu.uuid) for gpu in listed] == [
        (gpu.index, gpu.uuid) for gpu in gpus_of_smi(reported)
    ]
    assert [gpu.vram_gib for gpu in listed] == pytest.approx(
        [gpu.vram_gib for gpu in gpus_of_smi(reported)], rel=0.02
    )
