"""The GPUs of a node, through pytest: NVIDIA's tools say what they said on real machines."""

from __future__ import annotations

import os
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.support.machines import (
    A10G,
    A100,
    LAUNCH,
    P100,
    T4,
    V100S,
    Machine,
    changed,
    preflight,
    recorded,
    smi,
)
from tests.support.project import CAMPAIGN, CAMPAIGN_NAME, Project

ONE = "gpus: {name: A100, count: 1, memory: 80GB}\n"
GPU_CHECKS = ["gpu_present", "gpu_health", "gpu_xid", "gpu_throttling", "gpu_processes"]
NO_DRIVER = "no NVIDIA driver: nvidia-smi not found"


@pytest.fixture
def machine(project: Project, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """This machine, with an A100 that is well."""
    found = Machine(project.path.parent / f"{project.path.name}-bin")
    monkeypatch.setenv("PATH", f"{found.folder}{os.pathsep}{os.environ['PATH']}")
    found.smi(smi(A100))
    return found


def has_driver() -> bool:
    return Path("/dev/nvidiactl").exists()


@pytest.fixture
def no_driver(machine: Machine) -> Machine:
    """This machine without a driver, whatever it is."""
    if has_driver():
        pytest.skip("this machine has a driver of NVIDIA's")
    (machine.folder / "nvidia-smi").unlink()
    return machine


# -- what is queried ---------------------------------------------------------------------------------


def test_without_a_driver_exactly_the_checks_that_need_one_say_so(
    project: Project, no_driver: Machine
) -> None:
    session = preflight(project, "name: one\n" + ONE, "-v", "--junitxml=j.xml")
    assert session.ret == 1
    assert session.nodeids == [
        f"{LAUNCH}::{name}"
        for name in (
            "launch[schema]",
            "launch[nodes_named]",
            *(f"node[{check}-local]" for check in GPU_CHECKS),
        )
    ]
    assert session.red == {"gpu_present-local", "gpu_health-local", "gpu_throttling-local"}
    assert session.advised == {"gpu_processes-local"}
    for check in session.red | session.advised:
        item = session.item(check)
        assert item["message"] == f"local: {NO_DRIVER}"
        assert item["line"] == 2
        assert item["subject"] == "local"
        assert item["remediation"].startswith("Run where the GPUs are, or install NVIDIA's driver")
    flat = " ".join(session.result.stdout.str().split())
    assert (
        f"1. gpu_present, gpu_health, gpu_throttling and gpu_processes of local: {NO_DRIVER} ({LAUNCH}:2)"
        in flat
    )
    assert "advisory (does not block)" not in flat
    cases = {case.get("name"): case for case in ET.parse(project.path / "j.xml").iter("testcase")}
    failure = cases["node[gpu_present-local]"].find("failure")
    assert failure is not None
    assert NO_DRIVER in " ".join((failure.text or "").split())
    assert cases["node[gpu_processes-local]"].find("skipped") is not None


@pytest.mark.parametrize(
    "text", ["name: x\n", "gpus: {count: 0}\n", "resources: {accelerators: 'CPU:1'}\n", "memory: 1MB\n"]
)
def test_a_spec_without_gpus_asks_for_none(project: Project, no_driver: Machine, text: str) -> None:
    session = preflight(project, text)
    assert session.ret == 0
    assert not any("gpu" in name or "MN1" in name for name in session.items)
    assert session.words("passed") >= {"schema"}


def test_a_machine_that_has_what_is_queried_for_is_ready(project: Project, machine: Machine) -> None:
    session = preflight(project, ONE)
    assert session.ret == 0
    assert session.words("passed") == {f"{check}-local" for check in GPU_CHECKS} | {"schema", "nodes_named"}
    session.result.stdout.fnmatch_lines([f"{LAUNCH}: READY (7 checks: 7 passed)"])


def test_each_check_can_be_named(project: Project, no_driver: Machine) -> None:
    project.write(LAUNCH, ONE)
    result = project.pytest(f"{LAUNCH}::node[gpu_xid-local]")
    result.assert_outcomes(passed=1)
    assert result.ret == 0
    assert project.pytest(f"{LAUNCH}::node[gpu_present-local]").ret == 1


# -- count, model and memory -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recording", "gpus", "expected"),
    [
        (A100, 1, "name: A100"),
        (A100, 1, "name: A100-80GB, memory: 40GB+"),
        (A100, 8, "count: 8, name: A100-SXM4-80GB, memory: 80GB"),
        (A100, 4, "count: 2, memory: 24GB+"),
        (T4, 1, "name: T4, memory: 16GB"),
        (A10G, 2, "name: A10G, count: 2, memory: 24GB"),
        (V100S, 1, "name: V100S, memory: 32GB+"),
        (P100, 1, "name: P100, count: 2, memory: 12GB"),
    ],
)
def test_gpus_as_they_are_expected(
    project: Project, machine: Machine, recording: str, gpus: int, expected: str
) -> None:
    machine.smi(smi(recording, gpus=gpus))
    session = preflight(project, f"gpus: {{{expected}}}\n")
    assert session.item("gpu_present-local")["outcome"] == "passed"
    assert session.red <= {"shm-local"}


@pytest.mark.parametrize(
    ("recording", "gpus", "expected", "reported"),
    [
        (
            A100,
            1,
            "name: A100, count: 8",
            "the driver reports 1 GPU (NVIDIA A100-SXM4-80GB); expected 8 A100",
        ),
        (T4, 1, "name: A100, count: 1", "GPU 0 is a Tesla T4; expected A100"),
        (
            A10G,
            1,
            "memory: 40GB+",
            "GPU 0 (NVIDIA A10G): it has 23028 MiB, less than a card of 40 GB",
        ),
        (
            A100,
            1,
            "name: A100, memory: 40GB",
            "GPU 0 (NVIDIA A100-SXM4-80GB): it has 81920 MiB, more than a card of 40 GB",
        ),
        (T4, 1, "name: A100, count: 2", "2 problems"),
    ],
)
def test_gpus_that_are_not_those_that_are_expected(
    project: Project, machine: Machine, recording: str, gpus: int, expected: str, reported: str
) -> None:
    machine.smi(smi(recording, gpus=gpus))
    session = preflight(project, f"name: x\ngpus: {{{expected}}}\n")
    assert session.ret == 1
    assert session.red - {"shm-local"} == {"gpu_present-local"}
    assert reported in session.message("gpu_present-local")
    assert session.item("gpu_present-local")["line"] == 2


# -- faults: each makes its own check red, and no other --------------------------------------------

HEALTHY = "[    1.000000] Linux version 6.1.0\n"
NOT_SLOW = "Not Active</clocks_event_reason_hw_slowdown>"
SLOW = NOT_SLOW.removeprefix("Not ")
NO_BRAKE = "Not Active</clocks_event_reason_hw_power_brake_slowdown>"
BRAKE = NO_BRAKE.removeprefix("Not ")
NOT_TOO_HOT = "Not Active</clocks_event_reason_hw_thermal_slowdown>"
TOO_HOT = NOT_TOO_HOT.removeprefix("Not ")
COOL, HOT, WARM = ("<gpu_temp>27 C<", "<gpu_temp>83 C<", "<gpu_temp>82 C<")
CLOCK = "<sm_clock>1275 MHz<"
DRAM = "<dram_uncorrectable>0</dram_uncorrectable>\n            </volatile>"
NO_ROWS = "<remapped_rows>N/A</remapped_rows>"
ROWS = (
    "<remapped_rows><remapped_row_corr>0</remapped_row_corr><remapped_row_unc>1</remapped_row_unc>"
    "<remapped_row_pending>{}</remapped_row_pending><remapped_row_failure>{}</remapped_row_failure>"
    "</remapped_rows>"
)
PAGES = "<pending_retirement>N/A<"
RESET = "<reset_required>No<"


@pytest.mark.parametrize(
    ("changes", "check", "reported"),
    [
        ([(NOT_SLOW, SLOW)], "gpu_throttling", "GPU 0 is slowed down by the hardware"),
        (
            [(NOT_SLOW, SLOW), (NO_BRAKE, BRAKE)],
            "gpu_throttling",
            "GPU 0 is slowed down by the hardware: the power supply requests it",
        ),
        (
            [(NOT_SLOW, SLOW), (NOT_TOO_HOT, TOO_HOT)],
            "gpu_throttling",
            "GPU 0 is slowed down by the hardware: too hot",
        ),
        (
            [(COOL, HOT), (CLOCK, "<sm_clock>986 MHz<")],
            "gpu_throttling",
            "GPU 0 is at 83 C, and its SM clock at 986 of 1410 MHz",
        ),
        (
            [(DRAM, DRAM.replace(">0<", ">3<"))],
            "gpu_health",
            "GPU 0 (NVIDIA A100-SXM4-80GB) has 3 uncorrected ECC errors since the driver was loaded",
        ),
        ([(NO_ROWS, ROWS.format("Yes", "No"))], "gpu_health", "has a row remap pending: it needs a reset"),
        ([(NO_ROWS, ROWS.format("No", "Yes"))], "gpu_health", "has no spare row left for a remap"),
        (
            [(PAGES, "<pending_retirement>Yes<")],
            "gpu_health",
            "has a page retirement pending: it needs a reset",
        ),
        ([(RESET, "<reset_required>Yes<")], "gpu_health", "requests a recovery: Reset"),
        ([(COOL, "<gpu_temp>Unknown Error<")], "gpu_health", "reports errors instead of gpu_temp"),
        ([(COOL, "<gpu_temp>GPU is lost<")], "gpu_health", "does not answer: GPU is lost"),
    ],
)
def test_a_fault_of_a_gpu_blocks(
    project: Project, machine: Machine, changes: list[tuple[str, str]], check: str, reported: str
) -> None:
    machine.smi(smi(A100, *changes))
    session = preflight(project, ONE)
    assert session.ret == 1
    assert session.red == {f"{check}-local"}
    assert session.advised == set()
    assert reported in session.message(f"{check}-local")


@pytest.mark.parametrize(
    "changes",
    [
        [(COOL, WARM), (CLOCK, "<sm_clock>210 MHz<")],
        [(CLOCK, "<sm_clock>210 MHz<")],
        [("Not Active</clocks_event_reason_gpu_idle>", "Active</clocks_event_reason_gpu_idle>")],
        [("Not Active</clocks_event_reason_sw_power_cap>", "Active</clocks_event_reason_sw_power_cap>")],
        [(NO_ROWS, ROWS.format("No", "No"))],
    ],
)
def test_what_is_no_fault_of_a_gpu(
    project: Project, machine: Machine, changes: list[tuple[str, str]]
) -> None:
    machine.smi(smi(A100, *changes))
    session = preflight(project, ONE)
    assert session.ret == 0
    assert session.advised == set()


@pytest.mark.parametrize("clock", [1275, 987])
def test_a_hot_gpu_at_its_clock_is_advice(project: Project, machine: Machine, clock: int) -> None:
    machine.smi(smi(A100, (COOL, HOT), (CLOCK, f"<sm_clock>{clock} MHz<")))
    session = preflight(project, ONE)
    assert session.ret == 0
    assert session.advised == {"gpu_throttling-local"}
    assert session.message("gpu_throttling-local") == "local: GPU 0 is at 83 C"


def test_a_slow_gpu_does_not_hide_a_hot_one(project: Project, machine: Machine) -> None:
    text = smi(A100, (COOL, HOT), gpus=2)
    at = text.rindex(NOT_SLOW)
    machine.smi(text[:at] + SLOW + text[at + len(NOT_SLOW) :])
    session = preflight(project, "gpus: {count: 2}\n", "-k", "gpu_throttling")
    assert session.red == {"gpu_throttling-local"}
    assert "GPU 1 is slowed down by the hardware" in session.message("gpu_throttling-local")
    assert "GPU 0 is at 83 C" in session.message("gpu_throttling-local")


@pytest.mark.parametrize(
    ("recording", "reported"),
    [
        (
            "kernel-xid-48-63-94.txt",
            "local: Xid 48 (double-bit ECC error) of GPU 0000:52:00 in the kernel's log",
        ),
        (
            "kernel-xid-79.txt",
            "local: Xid 79 (GPU has fallen off the bus) of GPU 0000:06:00 in the kernel's log",
        ),
        (
            "kernel-fallen-without-xid.txt",
            "local: Xid 79 (GPU has fallen off the bus) of GPU 0000:b3:00 in the kernel's log",
        ),
    ],
)
def test_an_xid_of_a_dead_gpu_blocks(
    project: Project, machine: Machine, recording: str, reported: str
) -> None:
    machine.kernel(HEALTHY + recorded(recording) * 2)
    session = preflight(project, ONE)
    assert session.ret == 1
    assert session.red == {"gpu_xid-local"}
    assert session.message("gpu_xid-local") == reported  # once, however often it stands in the log
    assert "drain the node" in session.item("gpu_xid-local")["remediation"]


def test_a_dead_gpu_of_an_earlier_boot_is_no_news(project: Project, machine: Machine) -> None:
    machine.kernel(HEALTHY + recorded("kernel-xid-79.txt") + HEALTHY)
    assert preflight(project, ONE).ret == 0


def test_another_xid_is_advice(project: Project, machine: Machine) -> None:
    machine.kernel(HEALTHY + recorded("kernel-xid-31-old.txt"))
    session = preflight(project, ONE)
    assert session.ret == 0
    assert session.advised == {"gpu_xid-local"}
    assert session.message("gpu_xid-local") == (
        "local: Xid 31 (GPU memory page fault, mostly the program's own fault) of GPU 0000:01:00"
        " in the kernel's log"
    )


def test_a_kernel_log_that_cannot_be_read_is_advice_never_a_pass(project: Project, machine: Machine) -> None:
    machine.play("dmesg", "dmesg: read kernel buffer failed: Operation not permitted\n", 1)
    machine.script("dmesg", "echo 'dmesg: read kernel buffer failed: Operation not permitted' >&2; exit 1")
    machine.script("journalctl", "exit 0")  # to those who may not read it, it shows an empty log
    machine.script("sudo", "exit 1")
    # A real log of this machine is read by this name; another's file cannot be hidden.
    machine.script("cat", "exit 1")
    session = preflight(project, ONE)
    assert session.ret == 0
    assert session.advised == {"gpu_xid-local"}
    reported = session.message("gpu_xid-local")
    assert reported.startswith("local: cannot rule out a dead GPU: the kernel's log cannot be read")
    assert "Operation not permitted" in reported
    assert "dmesg_restrict" in session.item("gpu_xid-local")["remediation"]


def test_a_kernel_log_whose_beginning_is_gone_is_advice_never_a_pass(
    project: Project, machine: Machine
) -> None:
    machine.kernel("[900000.1] eth0: link up\n")
    for other in ("journalctl", "cat", "sudo"):
        machine.script(other, "exit 1")
    machine.script("nvidia-smi", f"exec sed '' {machine.folder}/nvidia-smi.said")
    machine.script("dmesg", f"exec sed '' {machine.folder}/dmesg.said")
    session = preflight(project, ONE)
    assert session.ret == 0
    assert session.advised == {"gpu_xid-local"}
    assert "does not go back to the boot" in session.message("gpu_xid-local")
    machine.play("journalctl", recorded("kernel-xid-79.txt"))
    session = preflight(project, ONE)
    assert session.ret == 1
    assert session.red == {"gpu_xid-local"}


def test_processes_that_hold_memory_are_advice_with_their_pids(project: Project, machine: Machine) -> None:
    machine.smi(smi(V100S))
    session = preflight(project, "gpus: {name: V100S}\n")
    assert session.ret == 0
    assert session.advised == {"gpu_processes-local"}
    reported = session.message("gpu_processes-local")
    assert reported == "local: GPU 0 is held by pid 37305 (python), 31683 MiB"
    assert "ps -o" in session.item("gpu_processes-local")["remediation"]


def test_memory_that_nobody_seen_holds_is_advice(project: Project, machine: Machine) -> None:
    used = "<used>50 MiB</used>"
    machine.smi(smi(A100, (used, "<used>2047 MiB</used>")))
    assert preflight(project, ONE).advised == set()
    machine.smi(smi(A100, (used, "<used>78000 MiB</used>")))
    session = preflight(project, ONE)
    assert session.ret == 0
    assert session.advised == {"gpu_processes-local"}
    reported = "local: 78000 MiB of GPU 0 are in use by processes that are not visible here"
    assert session.message("gpu_processes-local") == reported


def test_a_process_with_a_long_path_is_reported_by_its_name(project: Project, machine: Machine) -> None:
    machine.smi(smi(V100S, ("<process_name>python<", f"<process_name>/nix/{'x' * 90}/bin/python3<")))
    session = preflight(project, "gpus: {name: V100S}\n")
    assert session.message("gpu_processes-local") == "local: GPU 0 is held by pid 37305 (python3), 31683 MiB"


def test_a_gpu_that_is_cut_into_instances_is_no_whole_one(project: Project, machine: Machine) -> None:
    machine.smi(smi(A100, cut=True))
    session = preflight(project, ONE)
    assert session.ret == 1
    assert session.red == {"gpu_present-local"}
    assert session.message("gpu_present-local") == (
        "local: GPU 0 (NVIDIA A100-SXM4-80GB) is in MIG instances; the largest: it has 19968 MiB,"
        " less than a card of 80 GB"
    )
    # Where an instance will do, or nobody said how much memory is expected, it is reported.
    for text in ("gpus: {name: A100, memory: 20GB}\n", "gpus: {name: A100}\n"):
        session = preflight(project, text)
        assert session.ret == 0
        assert session.advised == {"gpu_present-local"}
        assert "GPU 0 is partitioned into MIG instances; a process gets one instance" in session.message(
            "gpu_present-local"
        )
    text = smi(A100, cut=True)
    begin, end = text.index("<mig_device>"), text.index("</mig_device>") + len("</mig_device>")
    machine.smi(text[:begin] + text[end:])
    session = preflight(project, "gpus: {name: A100}\n")
    assert session.red == {"gpu_present-local"}
    assert "is in MIG mode and has no instance that a process could use" in session.message(
        "gpu_present-local"
    )


@pytest.mark.parametrize(
    ("text", "red"),
    [
        ("resources: {accelerators: [A100:1, H100:8]}\n", set()),
        ("resources: {accelerators: {H100: 8, A100-80GB: 1}}\n", set()),
        ("resources: {any_of: [{accelerators: H100:8}, {accelerators: A100}]}\n", set()),
        ("resources: {accelerators: [A100:2, H100:8]}\n", {"gpu_present-local"}),
        ("resources: {ordered: [{accelerators: A100:8}, {accelerators: H100:8}]}\n", {"gpu_present-local"}),
        ("fabric: nvlink\n", set()),
    ],
)
def test_one_of_several_will_do(project: Project, machine: Machine, text: str, red: set[str]) -> None:
    session = preflight(project, text)
    assert session.red == red
    assert {f"node[{check}-local]" for check in GPU_CHECKS} <= set(session.items)
    if red:
        reported = session.message("gpu_present-local")
        assert reported.startswith("local: the driver reports 1 GPU (NVIDIA A100-SXM4-80GB); expected ")
        assert " or 8 H100" in reported


@pytest.mark.parametrize(
    "text",
    [
        "fabric: nvswitch\n",
        "fabric: nvswitch\nresources: {accelerators: [A100:8, A100-80GB:8]}\n",
        "resources: {any_of: [{accelerators: A100:8}, {accelerators: H100:8}]}\n",
    ],
)
def test_gpus_are_queried_for_however_they_are_said(project: Project, no_driver: Machine, text: str) -> None:
    session = preflight(project, text)
    assert session.ret == 1
    assert {"gpu_present-local", "gpu_health-local"} <= session.red
    assert ("MN1-local" in session.red) == ("nvswitch" in text)


@pytest.mark.parametrize("text", ["gpus: {count: 0}\nfabric: nvlink\n", "resources: {any_of: [{cpus: 4}]}\n"])
def test_gpus_are_not_queried_for_where_none_is_expected(
    project: Project, no_driver: Machine, text: str
) -> None:
    assert preflight(project, text).ret == 0


def test_two_faults_on_two_gpus_are_both_reported(project: Project, machine: Machine) -> None:
    machine.smi(smi(A100, (RESET, "<reset_required>Yes<"), (NOT_SLOW, SLOW), gpus=2))
    machine.kernel(HEALTHY + recorded("kernel-xid-79.txt"))
    session = preflight(project, "gpus: {name: A100, count: 2}\n")
    assert session.red - {"shm-local"} == {"gpu_health-local", "gpu_throttling-local", "gpu_xid-local"}
    for check in ("gpu_health", "gpu_throttling"):
        reported = session.message(f"{check}-local")
        assert "GPU 0" in reported
        assert "GPU 1" in reported


# -- a driver that does not answer -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("recording", "reported", "advice"),
    [
        ("smi-mismatch.txt", "version mismatch", "The driver was updated but not reloaded"),
        ("smi-no-communication.txt", "cannot communicate with the NVIDIA driver", "modprobe nvidia"),
        ("smi-no-devices.txt", "nvidia-smi finds no devices", "Run nvidia-smi by hand"),
        ("smi-lost-old.txt", "Unable to determine the device handle", "Run nvidia-smi by hand"),
    ],
)
def test_a_driver_that_cannot_be_used(
    project: Project, machine: Machine, recording: str, reported: str, advice: str
) -> None:
    machine.smi(recorded(recording), 9)
    session = preflight(project, ONE)
    assert session.ret == 1
    assert session.red == {"gpu_present-local", "gpu_health-local", "gpu_throttling-local"}
    assert session.advised == {"gpu_processes-local"}
    for check in session.red:
        assert reported in session.message(check)
        assert advice in session.item(check)["remediation"]


def test_a_gpu_that_is_lost_while_others_answer(project: Project, machine: Machine) -> None:
    machine.smi(recorded("smi-lost-610.57.04.txt") + smi(A100, gpus=3))
    session = preflight(project, "gpus: {name: A100, count: 4}\n")
    assert session.red - {"shm-local"} == {"gpu_present-local"}
    reported = session.message("gpu_present-local")
    assert "Unable to determine the device handle" in reported
    assert "the driver reports 3 GPUs (NVIDIA A100-SXM4-80GB); expected 4 A100" in reported


def test_a_driver_that_hangs_costs_its_own_checks_only(project: Project, machine: Machine) -> None:
    machine.script("nvidia-smi", "exec sleep 60")
    text = (
        "gpus: {name: A100}\nmemory: 1MB\nstorage: {checkpoint_dir: /, checkpoint_size: 1KB}\n"
        "fabric: nvswitch\n"
    )
    started = time.monotonic()
    session = preflight(project, text, "--metaopt-timeout", "2")
    assert time.monotonic() - started < 20
    assert session.ret == 1
    assert session.words("passed") >= {"memory-local", "checkpoint_dir-local", "disk_inodes-local"}
    gpu = {"gpu_present-local", "gpu_health-local", "gpu_throttling-local"}
    # The kernel's log, which may say why it hangs, and the fabric manager were queried before.
    assert session.red == gpu | {"MN1-local"}
    assert "gpu_xid-local" in session.words("passed")
    assert session.message("MN1-local") == "local: nvidia-fabricmanager is not installed"
    for check in gpu:
        assert session.message(check) == "local: nvidia-smi hangs: the driver does not answer"
        assert "Xid" in session.item(check)["remediation"]


# -- the fabric manager (MN1) ----------------------------------------------------------------------

SWITCHED = ONE + "fabric: nvswitch\n"
VERSION = "535.54.03"
REGISTERED = "<fabric><state>{}</state><status>{}</status></fabric>\n        <utilization>"


def test_the_fabric_manager_of_the_drivers_version_passes(project: Project, machine: Machine) -> None:
    machine.fabric_manager(version=VERSION)
    session = preflight(project, SWITCHED)
    assert session.ret == 0
    assert "MN1-local" in session.words("passed")


@pytest.mark.parametrize("fabric", ["", "fabric: nvlink\n", "fabric: pcie\n"])
def test_without_nvswitch_no_fabric_manager_is_is_requested(
    project: Project, machine: Machine, fabric: str
) -> None:
    session = preflight(project, ONE + fabric)
    assert session.ret == 0
    assert "MN1-local" not in session.words("passed")


@pytest.mark.parametrize(
    ("state", "reported"),
    [
        ({"version": "535.161.08"}, "nvidia-fabricmanager is 535.161.08, the driver 535.54.03"),
        ({"version": VERSION, "active": "inactive"}, "nvidia-fabricmanager is inactive: its service is"),
        (
            {"version": VERSION, "active": "inactive", "load": "masked"},
            "nvidia-fabricmanager is inactive: its service is masked",
        ),
        (
            {
                "version": VERSION,
                "active": "failed",
                "journal": recorded("fabric-manager-journal-mismatch.txt"),
            },
            "interface version 550.127.05 don't match with driver version 550.120",
        ),
        ({"load": "not-found", "active": "inactive"}, "nvidia-fabricmanager is not installed"),
    ],
)
def test_a_fabric_manager_that_does_not_do(
    project: Project, machine: Machine, state: dict[str, str], reported: str
) -> None:
    machine.fabric_manager(**state)
    session = preflight(project, SWITCHED)
    assert session.ret == 1
    assert session.red == {"MN1-local"}
    assert reported in session.message("MN1-local")
    assert "systemctl enable --now nvidia-fabricmanager" in session.item("MN1-local")["remediation"]


def in_container(machine: Machine) -> None:
    machine.play("systemctl", recorded("fabric-manager-no-systemd.txt").replace("process: none\n", ""), 1)
    machine.play("journalctl", "")


def test_in_a_container_the_gpus_tell_whether_the_fabric_is_up(project: Project, machine: Machine) -> None:
    in_container(machine)
    done = ("<utilization>", REGISTERED.format("Completed", "Success"))
    machine.smi(smi(A100, done))
    assert preflight(project, SWITCHED).ret == 0
    machine.smi(smi(A100, ("<utilization>", REGISTERED.format("In Progress", "N/A"))))
    session = preflight(project, SWITCHED)
    assert session.red == {"MN1-local"}
    assert "GPU 0 is not registered with the fabric: In Progress" in session.message("MN1-local")
    machine.smi(smi(A100))
    session = preflight(project, SWITCHED)
    assert session.red == {"MN1-local"}
    assert session.message("MN1-local") == "local: nvidia-fabricmanager is not installed"


def test_a_running_fabric_manager_does_not_excuse_a_gpu_that_is_not_registered(
    project: Project, machine: Machine
) -> None:
    machine.fabric_manager(version=VERSION)
    machine.smi(smi(A100, ("<utilization>", REGISTERED.format("Completed", "Failed (0x12)"))))
    session = preflight(project, SWITCHED)
    assert session.red == {"MN1-local"}
    assert session.message("MN1-local") == (
        "local: GPU 0 is not registered with the fabric: Completed (Failed (0x12))"
    )


# -- a campaign that trains on this machine --------------------------------------------------------

ON_A100 = CAMPAIGN.replace("accelerator: CPU:1", "accelerator: A100:1")
FROM_CAMPAIGN = [*GPU_CHECKS, "disk_space", "disk_inodes"]


def test_a_campaign_on_this_machine_asks_it_for_its_gpus(project: Project, machine: Machine) -> None:
    project.campaign.write_text(ON_A100)
    result = project.preflight("-v")
    assert result.ret == 0
    for check in FROM_CAMPAIGN:
        assert f"{CAMPAIGN_NAME}::node[{check}-local] PASSED" in result.stdout.str()
    artifact = project.artifact()
    assert artifact["status"] == "READY"
    found = {
        check["id"]: (check["subject"], check["outcome"])
        for check in artifact["checks"]
        if check["category"] == "node"
    }
    assert found == dict.fromkeys(FROM_CAMPAIGN, ("local", "passed"))
    result.stdout.no_fnmatch_line("nodes:")


def test_a_campaign_is_not_ready_without_the_driver_for_its_gpu(project: Project, no_driver: Machine) -> None:
    project.campaign.write_text(ON_A100)
    result = project.preflight()
    assert result.ret == 1
    artifact = project.artifact()
    assert artifact["status"] == "FAILED"
    assert {failure["check_id"] for failure in artifact["failures"]} == {
        "gpu_present-local",
        "gpu_health-local",
        "gpu_throttling-local",
    }
    line = 1 + ON_A100.splitlines().index("  accelerator: A100:1")
    assert f"({CAMPAIGN_NAME}:{line})" in " ".join(result.stdout.str().split())
    assert {check["line"] for check in artifact["checks"] if check["id"] == "gpu_present"} == {line}


@pytest.mark.parametrize(
    ("provider", "accelerator"), [("local", "CPU:1"), ("runpod", "A100:1"), ("vast_ai", "A100:1")]
)
def test_a_campaign_without_a_gpu_here_asks_no_node(
    project: Project, machine: Machine, provider: str, accelerator: str
) -> None:
    text = changed(CAMPAIGN, ("CPU:1", accelerator), ("provider: local", f"provider: {provider}"))
    project.campaign.write_text(text)
    result = project.preflight("--collect-only", "-q")
    result.stdout.no_fnmatch_line("*::node[[]*")


def test_more_gpus_than_are_there(project: Project, machine: Machine) -> None:
    project.campaign.write_text(ON_A100.replace("A100:1", "A100:8"))
    result = project.preflight()
    assert result.ret == 1
    reported = {failure["check_id"]: failure["message"] for failure in project.artifact()["failures"]}
    assert "expected 8 A100" in reported["gpu_present-local"]
    assert set(reported) <= {"gpu_present-local", "shm-local"}
