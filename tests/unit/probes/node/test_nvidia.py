"""What NVIDIA's tools say: as on real machines (``tests/recorded/nvidia``), or with one value changed."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_metaopt.launch.gpu_memory import memory_problem
from pytest_metaopt.launch.gpu_model import accepts_model
from pytest_metaopt.probes.node.fabric import Fabric, FabricManager, fabric_manager
from pytest_metaopt.probes.node.gpu import Gpu, Process, RemappedRows
from pytest_metaopt.probes.node.nccl import nccl_versions
from pytest_metaopt.probes.node.nvidia_smi import Driver, driver
from pytest_metaopt.probes.node.questions import GPU_COMMANDS
from pytest_metaopt.probes.node.sections import Output
from pytest_metaopt.probes.node.xid import DEAD_XIDS, KernelLog, Xid, xids
from tests.support.paths import RECORDED
from tests.support.scale import examples

FOLDER = RECORDED / "nvidia"
XMLS = sorted(FOLDER.glob("smi-*.xml"))


def recorded(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def smi(name: str, *changes: tuple[str, str]) -> Driver:
    """Return what is read from a recording, after each change of one value in it."""
    text = recorded(f"smi-{name}.xml")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return driver(Output(text, 0))


def only(found: Driver) -> Gpu:
    assert found.problem is None
    (gpu,) = found.gpus
    return gpu


# -- nvidia-smi -------------------------------------------------------------------------------

NO_ROW = RemappedRows(correctable=0, uncorrectable=0, pending=False, failure=False)


def test_pascal_with_a_driver_of_2017() -> None:
    found = smi("375.66-p100")
    assert (found.version, found.cuda, found.attached, found.problem) == ("375.66", None, 2, None)
    one, two = found.gpus
    assert one == Gpu(
        index=0,
        name="Tesla P100-PCIE-12GB",
        uuid="GPU-28604e81-21ec-cc48-6759-bf2648b22e16",
        pci="0000:04:00",
        memory_mib=12193,
        memory_used_mib=0,
        temperature_c=31,
        sm_clock_mhz=405,
        sm_clock_max_mhz=1328,
        reasons=("gpu_idle",),
        ecc=True,
        uncorrected_volatile=0,
        uncorrected_aggregate=0,
        retired_pending=False,
    )
    assert (two.index, two.pci) == (1, "0000:82:00")
    assert two.uuid == "GPU-46915a82-3fd2-8e11-ae26-a80b607c04f3"


def test_volta() -> None:
    found = smi("460.73.01-v100s")
    assert (found.version, found.cuda, found.attached) == ("460.73.01", "11.2", 8)
    assert only(found) == Gpu(
        index=0,
        name="Tesla V100S-PCIE-32GB",
        uuid="GPU-76098dc1-d3bc-9a1b-7ea6-f7b48837829e",
        pci="0000:00:0d",
        memory_mib=32510,
        memory_used_mib=31689,
        temperature_c=66,
        sm_clock_mhz=1410,
        sm_clock_max_mhz=1597,
        ecc=True,
        uncorrected_volatile=0,
        uncorrected_aggregate=0,
        retired_pending=False,
        processes=(Process(37305, "python", 31683),),
    )


def test_turing() -> None:
    found = smi("515.105.01-t4")
    assert (found.version, found.cuda, found.attached) == ("515.105.01", "11.7", 1)
    assert only(found) == Gpu(
        index=0,
        name="Tesla T4",
        uuid="GPU-d37e67a5-91dd-3774-a5cb-99096249601a",
        pci="0000:00:1e",
        memory_mib=15360,
        memory_used_mib=1032,
        temperature_c=40,
        sm_clock_mhz=585,
        sm_clock_max_mhz=1590,
        ecc=True,
        uncorrected_volatile=0,
        uncorrected_aggregate=0,
        retired_pending=False,
    )


def test_ampere() -> None:
    assert only(smi("515.105.01-a10g")) == Gpu(
        index=0,
        name="NVIDIA A10G",
        uuid="GPU-9a9a6c50-2a47-2f51-a902-b82c3b127e94",
        pci="0000:00:1e",
        memory_mib=23028,
        memory_used_mib=22,
        temperature_c=17,
        sm_clock_mhz=210,
        sm_clock_max_mhz=1710,
        reasons=("gpu_idle",),
        ecc=True,
        uncorrected_volatile=0,
        uncorrected_aggregate=0,
        remapped=NO_ROW,
    )


def test_ampere_cut_into_instances() -> None:
    found = smi("535.54.03-a100-mig")
    assert (found.version, found.cuda, found.attached) == ("535.54.03", "12.2", 4)
    assert only(found) == Gpu(
        index=0,
        name="NVIDIA A100-SXM4-80GB",
        uuid="GPU-513536b6-7d19-9063-b049-1e69664bb298",
        pci="0000:01:00",
        memory_mib=81920,
        memory_used_mib=50,
        temperature_c=27,
        sm_clock_mhz=1275,
        sm_clock_max_mhz=1410,
        ecc=True,
        uncorrected_volatile=0,
        uncorrected_aggregate=0,
        mig=True,
        instances=(19968,),
    )


def test_a_laptop() -> None:
    found = smi("575.51.02-rtx4070-laptop")
    assert (found.version, found.cuda, found.attached) == ("575.51.02", "12.9", 1)
    assert only(found) == Gpu(
        index=0,
        name="NVIDIA GeForce RTX 4070 Laptop GPU",
        uuid="GPU-529b3263-c96d-b557-bc75-697f04917eda",
        pci="0000:01:00",
        memory_mib=8188,
        memory_used_mib=2026,
        temperature_c=41,
        sm_clock_mhz=675,
        sm_clock_max_mhz=3105,
        reasons=("gpu_idle",),
        remapped=NO_ROW,
        processes=(
            Process(1802, "/run/current-system/sw/bin/Hyprland", 1448),
            Process(1890, "Xwayland", 23),
            Process(
                19044,
                "/nix/store/iy92fqcbwk30f5cjr0cd9g6wljkks27a-google-chrome-139.0.7258.154/share/google/chrome"
                "/chrome",
                52,
            ),
        ),
    )


def test_blackwell() -> None:
    found = smi("590.44.01-rtx-pro-6000")
    assert (found.version, found.cuda, found.attached) == ("590.44.01", "13.1", 1)
    assert only(found) == Gpu(
        index=0,
        name="NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition",
        uuid="GPU-12345678-aaaa-bbbb-cccc-0123456789ab",
        pci="0000:61:00",
        memory_mib=97887,
        memory_used_mib=65720,
        temperature_c=24,
        sm_clock_mhz=180,
        sm_clock_max_mhz=3090,
        ecc=False,
        remapped=NO_ROW,
    )


NO_VALUES = ["N/A", "[N/A]", "Not Supported", "[Not Supported]", "Unknown Error", "ERR!", "", "many"]


@pytest.mark.parametrize("value", NO_VALUES)
def test_a_value_that_is_none(value: str) -> None:
    gpu = only(smi("515.105.01-t4", ("<gpu_temp>40 C<", f"<gpu_temp>{value}<")))
    assert gpu.temperature_c is None
    assert gpu.fault is None
    assert gpu.unreadable == (("gpu_temp",) if value in ("Unknown Error", "ERR!") else ())


@pytest.mark.parametrize(
    "value", ["GPU requires reset", "[GPU requires reset]", "GPU is lost", "[GPU is lost]"]
)
def test_a_fault_in_place_of_a_value(value: str) -> None:
    gpu = only(smi("515.105.01-t4", ("<gpu_temp>40 C<", f"<gpu_temp>{value}<")))
    assert gpu.temperature_c is None
    assert gpu.fault == value.strip("[]")
    assert gpu.unreadable == ("gpu_temp",)


@pytest.mark.parametrize(
    ("reason", "slowdowns"),
    [
        ("hw_slowdown", ("hw_slowdown",)),
        ("hw_thermal_slowdown", ("hw_thermal_slowdown",)),
        ("hw_power_brake_slowdown", ("hw_power_brake_slowdown",)),
        ("sw_thermal_slowdown", ("sw_thermal_slowdown",)),
        ("sw_power_cap", ()),
    ],
)
@pytest.mark.parametrize(
    ("recording", "kind"), [("515.105.01-t4", "throttle"), ("535.54.03-a100-mig", "event")]
)
def test_what_holds_the_clocks_back(
    recording: str, kind: str, reason: str, slowdowns: tuple[str, ...]
) -> None:
    tag = f"clocks_{kind}_reason_{reason}"
    gpu = only(smi(recording, (f"<{tag}>Not Active<", f"<{tag}>Active<")))
    assert gpu.reasons == (reason,)
    assert gpu.slowdowns == slowdowns


def test_uncorrected_errors_of_sram_and_dram() -> None:
    gpu = only(
        smi(
            "515.105.01-a10g",
            ("<sram_uncorrectable>0<", "<sram_uncorrectable>2<"),
            ("<dram_uncorrectable>0<", "<dram_uncorrectable>5<"),
        )
    )
    assert (gpu.uncorrected_volatile, gpu.uncorrected_aggregate) == (7, 7)


def test_uncorrected_errors_of_sram_distinguished() -> None:
    gpu = only(
        smi(
            "590.44.01-rtx-pro-6000",
            ("<sram_uncorrectable_parity>N/A<", "<sram_uncorrectable_parity>1<"),
            ("<sram_uncorrectable_secded>N/A<", "<sram_uncorrectable_secded>2<"),
            ("<sram_threshold_exceeded>N/A<", "<sram_threshold_exceeded>Yes<"),
        )
    )
    assert (gpu.uncorrected_volatile, gpu.uncorrected_aggregate) == (3, 3)
    assert gpu.sram_threshold_exceeded is True


def test_double_bit_errors() -> None:
    text = recorded("smi-460.73.01-v100s.xml")
    head, middle, tail = text.partition("<aggregate>")
    total = tail.rindex("<total>0<", 0, tail.index("</aggregate>"))
    gpu = only(driver(Output(head + middle + tail[:total] + "<total>4<" + tail[total + 9 :], 0)))
    assert (gpu.uncorrected_volatile, gpu.uncorrected_aggregate) == (0, 4)


def test_remapped_rows() -> None:
    gpu = only(
        smi(
            "515.105.01-a10g",
            ("<remapped_row_unc>0<", "<remapped_row_unc>1<"),
            ("<remapped_row_pending>No<", "<remapped_row_pending>Yes<"),
        )
    )
    assert gpu.remapped == RemappedRows(correctable=0, uncorrectable=1, pending=True, failure=False)


def test_pages_that_await_retirement() -> None:
    pending = ("<pending_retirement>No<", "<pending_retirement>Yes<")
    blacklist = ("<pending_blacklist>No<", "<pending_blacklist>Yes<")
    assert only(smi("515.105.01-t4", pending)).retired_pending is True
    assert only(smi("515.105.01-t4", blacklist)).retired_pending is True
    assert smi("375.66-p100", pending).gpus[0].retired_pending is True


@pytest.mark.parametrize(
    ("state", "status", "fabric", "ready"),
    [
        ("Completed", "Success", Fabric("Completed", "Success"), True),
        ("Completed", "Insufficient Resources", Fabric("Completed", "Insufficient Resources"), False),
        ("In Progress", "N/A", Fabric("In Progress", None), False),
    ],
)
def test_the_fabric(state: str, status: str, fabric: Fabric, ready: bool) -> None:
    """The states as ``nvidia-smi -q`` prints them of H100 and GB200: none is published as XML.

    https://github.com/Azure/azhpc-images/pull/506, https://github.com/NVIDIA/gpu-operator/issues/2511
    """
    gpu = only(
        smi(
            "535.54.03-a100-mig",
            ("<state>N/A<", f"<state>{state}<"),
            ("<status>N/A<", f"<status>{status}<"),
        )
    )
    assert gpu.fabric == fabric
    assert fabric.ready is ready


def test_what_the_driver_asks_for() -> None:
    queried = ("<gpu_recovery_action>None<", "<gpu_recovery_action>Drain and Reset<")
    assert only(smi("590.44.01-rtx-pro-6000", queried)).recovery == "Drain and Reset"
    required = ("<reset_required>No<", "<reset_required>Yes<")
    assert only(smi("535.54.03-a100-mig", required)).recovery == "Reset"
    recommended = ("<drain_and_reset_recommended>No<", "<drain_and_reset_recommended>Yes<")
    assert only(smi("535.54.03-a100-mig", recommended)).recovery == "Drain and Reset"


def test_a_process_of_another_container() -> None:
    name = ("<process_name>python<", "<process_name>[Not Found]<")
    memory = ("<used_memory>31683 MiB<", "<used_memory>N/A<")
    assert only(smi("460.73.01-v100s", name, memory)).processes == (Process(37305, "[Not Found]", None),)


LOST = "Unable to determine the device handle for GPU1: 0000:34:00.0: Unknown Error"


def test_a_lost_gpu_among_others() -> None:
    text = recorded("smi-lost-610.57.04.txt") + recorded("smi-590.44.01-rtx-pro-6000.xml")
    found = driver(Output(text, 0))
    assert found.lost == (LOST,)
    assert only(found).name.startswith("NVIDIA RTX PRO 6000")


@pytest.mark.parametrize(
    ("recording", "status", "problem"),
    [
        ("missing", 127, "no NVIDIA driver: nvidia-smi not found"),
        ("missing", 0, "no NVIDIA driver: nvidia-smi not found"),
        ("no-communication", 9, "nvidia-smi cannot communicate with the NVIDIA driver"),
        ("no-devices", 6, "nvidia-smi finds no devices"),
        (
            "mismatch",
            18,
            (
                "nvidia-smi says: Failed to initialize NVML: Driver/library version mismatch"
                " NVML library version: 580.126"
            ),
        ),
        (
            "lost-old",
            255,
            "nvidia-smi says: Unable to determine the device handle for GPU0000:CB:00.0: Unknown Error",
        ),
    ],
)
def test_no_answer(recording: str, status: int, problem: str) -> None:
    found = driver(Output(recorded(f"smi-{recording}.txt"), status))
    lost = ("Unable to determine the device handle for GPU0000:CB:00.0: Unknown Error",)
    assert found == Driver(problem=problem, lost=lost if recording == "lost-old" else ())


@pytest.mark.parametrize("status", [None, 124])
def test_a_driver_that_hangs(status: int | None) -> None:
    assert driver(Output("", status)) == Driver(problem="nvidia-smi hangs: the driver does not answer")


def test_nothing_said() -> None:
    assert driver(Output(" \n", 3)).problem == "nvidia-smi printed nothing (exit status 3)"


def test_an_answer_that_is_cut_off() -> None:
    text = recorded("smi-515.105.01-t4.xml")
    assert driver(Output(text[:2000], 0)) == Driver(problem="the XML of nvidia-smi is cut off")


def test_an_answer_that_is_no_xml() -> None:
    found = smi("515.105.01-t4", ("</fb_memory_usage>", "</fb>"))
    assert found.problem is not None
    assert found.problem.startswith("the XML of nvidia-smi cannot be read: mismatched tag")


def test_no_gpu_in_the_answer() -> None:
    found = driver(Output("<nvidia_smi_log><driver_version>1.2</driver_version></nvidia_smi_log>", 0))
    assert found == Driver(version="1.2", problem="nvidia-smi lists no GPU")


LAUGHS = '<!DOCTYPE nvidia_smi_log [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


def test_entities_are_refused() -> None:
    text = f"{LAUGHS}<nvidia_smi_log><gpu><product_name>&b;</product_name></gpu></nvidia_smi_log>"
    assert driver(Output(text, 0)).problem == "the XML of nvidia-smi declares entities, which it never does"
    hidden = f"<nvidia_smi_log>{LAUGHS}<gpu><product_name>&b;</product_name></gpu></nvidia_smi_log>"
    problem = driver(Output(hidden, 0)).problem
    assert problem is not None
    assert problem.startswith("the XML of nvidia-smi cannot be read")


def test_too_long_an_answer() -> None:
    assert driver(Output(" " * (5 << 20), 0)).problem == "nvidia-smi printed more than 4 MiB"


@pytest.mark.parametrize(
    "text",
    [
        "<nvidia_smi_log>" + "<a>" * 400_000 + "</nvidia_smi_log>",
        "<nvidia_smi_log>" + "<a>" * 200_000 + "</a>" * 200_000 + "</nvidia_smi_log>",
        "<!DOCTYPE" * 400_000 + "<nvidia_smi_log></nvidia_smi_log>",
        "<nvidia_smi_log><gpu>" + "<a/>" * 500_000 + "</gpu></nvidia_smi_log>",
        "\n" * (3 << 20),
        "Fabric Manager version is" + " " * (3 << 20),
        "kernel log: x: 1 lines\n" + "NVRM: Xid (" * 200_000,
    ],
    ids=["open", "deep", "doctypes", "wide", "lines", "spaces", "xids"],
)
def test_hostile_answers_take_no_long(text: str) -> None:
    started = time.monotonic()
    for parser in (driver, xids, fabric_manager, nccl_versions):
        parser(Output(text, 0))
    assert time.monotonic() - started < 10


def test_what_a_machine_says_steers_no_terminal() -> None:
    gpu = only(smi("515.105.01-t4", ("Tesla T4", "\x9b2J \u202e" + "x" * 5000)))
    assert gpu.name.isprintable()
    assert len(gpu.name) == 200


# -- the kernel's log -------------------------------------------------------------------------


def log(name: str) -> tuple[Xid, ...]:
    found = xids(Output(f"kernel log: dmesg: 4000 lines\n{recorded(f'kernel-{name}.txt')}", 0))
    assert found.readable
    assert found.problem is None
    return found.xids


@pytest.mark.parametrize(
    ("recording", "numbers", "pci"),
    [
        ("xid-13-109", [13, 13, 13, 109], "0000:cb:00"),
        ("xid-31-old", [31], "0000:01:00"),
        ("xid-31-thread", [31], "0000:2b:00"),
        ("xid-48-63-94", [48, 63, 94], "0000:52:00"),
        ("journal-xid-48-154", [48, 171, 48, 63, 154], "0000:55:00"),
        ("xid-74", [74], "0000:c1:00"),
        ("xid-79", [79], "0000:06:00"),
        ("xid-79-arm", [79], "0004:01:00"),
        ("xid-119", [119] * 5, "0000:9b:00"),
        ("fallen-without-xid", [79], "0000:b3:00"),
    ],
)
def test_xids(recording: str, numbers: list[int], pci: str) -> None:
    found = log(recording)
    assert [xid.number for xid in found] == numbers
    assert {xid.pci for xid in found} == {pci}
    assert [xid.dead for xid in found] == [number in DEAD_XIDS for number in numbers]
    assert all("catalogue" not in xid.meaning for xid in found)


def test_what_a_xid_says() -> None:
    assert log("xid-79") == (Xid(79, "0000:06:00", "GPU has fallen off the bus."),)
    (fallen,) = log("fallen-without-xid")
    assert fallen.text == "fallen off the bus and is not responding to commands."
    (old,) = log("xid-31-old")
    assert old.text == "Ch 0000000b, engmask 00000120, intr 10000000"
    assert Xid(4711, None, "").meaning == "not a common one; see NVIDIA's catalogue"


def test_one_fall_counts_once() -> None:
    line = "[155044.078600] NVRM: GPU 0000:06:00.0: GPU has fallen off the bus.\n"
    text = f"kernel log: dmesg: 9 lines\n{recorded('kernel-xid-79.txt')}{line}"
    assert [xid.number for xid in xids(Output(text, 0)).xids] == [79]


def test_a_xid_of_an_instance() -> None:
    text = "kernel log: dmesg: 9 lines\n" + recorded("kernel-xid-74.txt").replace(
        ":c1:00)", ":c1:00 GPU-I:05)"
    )
    assert xids(Output(text, 0)).xids[0].pci == "0000:c1:00"


def test_no_xid_in_a_readable_log() -> None:
    assert xids(Output("kernel log: dmesg: 366 lines\n", 0)) == KernelLog(True, None, ())


DENIED = "dmesg: read kernel buffer failed: Operation not permitted"


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (Output(f"kernel log: not readable\n{DENIED}\n", 1), f"the kernel's log cannot be read: {DENIED}"),
        (Output("", 1), "the kernel's log cannot be read"),
        (Output("", None), "reading the kernel's log hangs"),
        (Output("", 124), "reading the kernel's log hangs"),
    ],
)
def test_an_unreadable_log(output: Output, problem: str) -> None:
    assert xids(output) == KernelLog(False, problem, ())


# -- Fabric Manager ---------------------------------------------------------------------------


def shown(load: str, active: str, sub: str, result: str = "success") -> str:
    """Return the properties as ``systemctl show`` writes them (systemctl(1))."""
    return f"LoadState={load}\nActiveState={active}\nSubState={sub}\nResult={result}\n"


VERSION = recorded("fabric-manager-version-535.161.08.txt")
MISMATCH = recorded("fabric-manager-journal-mismatch.txt")
NO_SWITCH = recorded("fabric-manager-journal-no-switch.txt")
NONE = "process: none\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            shown("loaded", "active", "running") + VERSION + "process: running\n",
            FabricManager("active", "535.161.08"),
        ),
        (
            recorded("fabric-manager-version-450.102.04.txt") + "process: running\n",
            FabricManager("active", "450.102.04"),
        ),
        (
            shown("loaded", "failed", "failed", "exit-code") + VERSION + NONE + MISMATCH,
            FabricManager(
                "failed",
                "535.161.08",
                "fabric manager NVIDIA GPU driver interface version 550.127.05 don't match with driver"
                " version 550.120. Please update with matching NVIDIA driver package.",
            ),
        ),
        (
            shown("loaded", "activating", "auto-restart", "exit-code") + NONE + NO_SWITCH,
            FabricManager(
                "failed",
                None,
                "request to query NVSwitch device information from NVSwitch driver failed with error:WARNING"
                " Nothing to do [NV_WARN_NOTHING_TO_DO]",
            ),
        ),
        (
            shown("loaded", "failed", "failed", "signal") + NONE,
            FabricManager("failed", None, "it ended: signal"),
        ),
        (
            shown("loaded", "inactive", "dead") + VERSION + NONE,
            FabricManager("inactive", "535.161.08", "its service is inactive"),
        ),
        (
            shown("loaded", "activating", "start") + NONE,
            FabricManager("inactive", None, "its service is activating"),
        ),
        (
            shown("masked", "inactive", "dead") + NONE,
            FabricManager("inactive", None, "its service is masked"),
        ),
        (
            VERSION + NONE,
            FabricManager("inactive", "535.161.08", "it is installed, but does not run"),
        ),
        (shown("not-found", "inactive", "dead") + NONE, FabricManager("absent")),
        (recorded("fabric-manager-no-systemd.txt"), FabricManager("absent")),
        ("", FabricManager("unknown", None, "the node printed: nothing")),
    ],
)
def test_the_fabric_manager(text: str, expected: FabricManager) -> None:
    assert fabric_manager(Output(text, 0)) == expected


@pytest.mark.parametrize("status", [None, 124])
def test_a_fabric_manager_that_hangs(status: int | None) -> None:
    expected = FabricManager("unknown", None, "the query of the fabric manager hangs")
    assert fabric_manager(Output("", status)) == expected


# -- NCCL -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        ("/lib/libnccl.so.2 => /lib/libnccl.so.2.19.3\n", ("2.19.3",)),
        (
            "/a/libnccl.so.2 => /a/libnccl.so.2.19.3\n/b/libnccl.so.2 => /b/libnccl.so.2.3.7",
            ("2.3.7", "2.19.3"),
        ),
        ("/a/libnccl.so.2 => /a/libnccl.so.2.19.3\n" * 2, ("2.19.3",)),
        ("/a/libnccl.so.2 => /a/libnccl.so.2\n", ()),
        ("", ()),
    ],
)
def test_nccl(text: str, versions: tuple[str, ...]) -> None:
    assert nccl_versions(Output(text, 0)) == versions


# -- the commands -----------------------------------------------------------------------------

TOOLS = ("awk", "cat", "grep", "head", "readlink", "sed", "sort", "tail")


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A folder that is all of PATH: what the commands need, and none of NVIDIA's tools.

    No links: a test that replaces a tool must never write through one to the tool of this machine.
    """
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        real = shutil.which(name)
        assert real is not None
        write_tool(folder / name, f'exec {real} "$@"')
    return folder


def write_tool(path: Path, does: str) -> None:
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)


@pytest.fixture
def tool(node: Path) -> Callable[[str, str], None]:
    """Put a tool on PATH that does what it is given."""

    def put(name: str, does: str) -> None:
        write_tool(node / name, does)

    return put


def said(section: str, node: Path) -> Output:
    _, command = GPU_COMMANDS[section]
    assert "\n" not in command
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        env={"PATH": str(node)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=20,
    )
    return Output(done.stdout, done.returncode)


def test_commands_where_no_tool_is(node: Path) -> None:
    assert driver(said("nvidia_smi", node)).problem == "no NVIDIA driver: nvidia-smi not found"
    assert fabric_manager(said("fabric_manager", node)).state == "absent"
    assert said("fabric_manager", node).status == 0


@pytest.mark.parametrize("recording", XMLS, ids=lambda path: path.stem)
def test_command_of_nvidia_smi(recording: Path, node: Path, tool: Callable[[str, str], None]) -> None:
    tool("nvidia-smi", f"cat {recording}; exit 3")
    output = said("nvidia_smi", node)
    assert output.status == 3
    assert "supported_graphics_clock" not in output.text
    assert "<accounted_process_info>" not in output.text
    assert driver(output) == driver(Output(recording.read_text(), 0))


def test_command_of_nvidia_smi_keeps_what_is_after_clocks_on_one_line(
    node: Path, tool: Callable[[str, str], None], tmp_path: Path
) -> None:
    text = recorded("smi-375.66-p100.xml").replace(
        "</ecc_mode>", "</ecc_mode><supported_clocks>N/A</supported_clocks>"
    )
    text = text.replace("<supported_clocks>", "\n<supported_clocks>")
    (tmp_path / "smi.xml").write_text(text)
    tool("nvidia-smi", f"cat {tmp_path}/smi.xml")
    assert driver(said("nvidia_smi", node)) == smi("375.66-p100")


BOOT = "kernel: [    0.000000] Linux version 5.15.0-112-generic (buildd@lcy02-amd64-051)"


def test_command_of_the_kernel_log(node: Path, tool: Callable[[str, str], None]) -> None:
    tool("dmesg", f"echo '{BOOT}'; cat {FOLDER}/kernel-xid-119.txt {FOLDER}/kernel-fallen-without-xid.txt")
    output = said("kernel_log", node)
    assert output.text.startswith("kernel log: dmesg: 18 lines\n")
    assert "clocksource" not in output.text
    assert [xid.number for xid in xids(output).xids] == [119] * 5 + [79]


def test_command_of_the_kernel_log_is_bounded(node: Path, tool: Callable[[str, str], None]) -> None:
    tool("dmesg", f"i=0; while [ $i -lt 300 ]; do cat {FOLDER}/kernel-xid-79.txt; i=$((i+1)); done")
    found = xids(said("kernel_log", node))
    assert found.readable
    assert len(found.xids) == 200


def test_command_of_the_kernel_log_asks_the_journal(node: Path, tool: Callable[[str, str], None]) -> None:
    tool("dmesg", f"echo '{DENIED}' >&2; exit 1")
    tool("journalctl", f"echo '{BOOT}'; cat {FOLDER}/kernel-journal-xid-48-154.txt")
    output = said("kernel_log", node)
    assert output.text.startswith("kernel log: journalctl -q -k -b --no-pager: 8 lines\n")
    assert [xid.number for xid in xids(output).xids] == [48, 171, 48, 63, 154]


@pytest.mark.parametrize("journal", ["whole", "part", "none"])
def test_command_of_the_kernel_log_knows_that_its_beginning_is_gone(
    node: Path, tool: Callable[[str, str], None], journal: str
) -> None:
    """A ring buffer that was overwritten is not a log of this boot; the journal may be."""
    tool("nvidia-smi", "exit 0")
    tool("cat", "exit 1")  # no files; what is played back is printed by sed
    said_by = {"whole": f"echo '{BOOT}'; ", "part": "", "none": "exit 1; "}[journal]
    tool("dmesg", f"echo '[900000.1] eth0: link up'; sed '' {FOLDER}/kernel-xid-74.txt")
    tool("journalctl", f"{said_by}sed '' {FOLDER}/kernel-xid-79.txt")
    found = xids(said("kernel_log", node))
    assert found.readable
    assert (found.problem is None) == (journal == "whole")
    assert {xid.number for xid in found.xids} == ({74} if journal == "none" else {74, 79})


def test_command_of_the_kernel_log_forgets_older_boots(node: Path, tool: Callable[[str, str], None]) -> None:
    tool("dmesg", f"cat {FOLDER}/kernel-xid-79.txt; echo '{BOOT}'; cat {FOLDER}/kernel-xid-74.txt")
    assert [xid.number for xid in xids(said("kernel_log", node)).xids] == [74]


def test_command_of_the_kernel_log_without_a_right_to_read(
    node: Path, tool: Callable[[str, str], None]
) -> None:
    tool("dmesg", f"echo '{DENIED}' >&2; exit 1")
    tool("cat", "exit 1")  # nor the files
    assert xids(said("kernel_log", node)) == KernelLog(
        False, f"the kernel's log cannot be read: {DENIED}", ()
    )


def test_command_of_the_fabric_manager(node: Path, tool: Callable[[str, str], None]) -> None:
    tool("nv-fabricmanager", f"cat {FOLDER}/fabric-manager-version-535.161.08.txt")
    tool(
        "systemctl", "printf 'LoadState=loaded\\nActiveState=failed\\nSubState=failed\\nResult=exit-code\\n'"
    )
    tool("journalctl", f"cat {FOLDER}/fabric-manager-journal-mismatch.txt")
    found = fabric_manager(said("fabric_manager", node))
    assert (found.state, found.version) == ("failed", "535.161.08")
    assert found.problem is not None
    assert "don't match with driver version 550.120" in found.problem


def test_command_of_nccl(node: Path, tool: Callable[[str, str], None], tmp_path: Path) -> None:
    real = tmp_path / "libnccl.so.2.19.3"
    real.touch()
    (tmp_path / "libnccl.so.2").symlink_to(real)
    listed = recorded("ldconfig-nccl.txt").replace("/lib/x86_64-linux-gnu", str(tmp_path))
    (tmp_path / "listed").write_text(listed)
    tool("ldconfig", f"cat {tmp_path}/listed")
    output = said("nccl_library", node)
    assert output.text == f"{tmp_path}/libnccl.so.2 => {real}\n"
    assert nccl_versions(output) == ("2.19.3",)


# -- what was ordered -------------------------------------------------------------------------

A100 = "NVIDIA A100-SXM4-80GB"
H100 = "NVIDIA H100 80GB HBM3"


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ("A100", A100),
        ("A100", "NVIDIA A100-SXM4-40GB"),
        ("A100", "A100-SXM4-40GB"),
        ("A100", "NVIDIA A100-PG509-200"),
        ("a100-80gb", A100),
        ("A100-80GB", "NVIDIA A100 80GB PCIe"),
        ("A100 SXM4", A100),
        ("A100-80GB-SXM", A100),
        ("A100 PCIE", "NVIDIA A100-PCIE-40GB"),
        ("H100", H100),
        ("H100-80GB", H100),
        ("H100-MEGA-80GB", H100),
        ("H100-SXM", H100),
        ("H100_SXM5", H100),
        (H100, H100),
        ("H100", "NVIDIA H100 PCIe"),
        ("H100-80GB", "NVIDIA H100 PCIe"),
        ("H100-PCIe", "NVIDIA H100 PCIe"),
        ("H100 NVL", "NVIDIA H100 NVL"),
        ("H200", "NVIDIA H200"),
        ("H200-SXM", "NVIDIA H200"),
        ("H200", "NVIDIA H200 NVL"),
        ("B200", "NVIDIA B200"),
        ("B300", "NVIDIA B300 SXM6 AC"),
        ("GH200", "NVIDIA GH200 480GB"),
        ("V100", "Tesla V100-SXM2-16GB"),
        ("V100-32GB", "Tesla V100-SXM2-32GB"),
        ("T4", "Tesla T4"),
        ("K80", "Tesla K80"),
        ("L4", "NVIDIA L4"),
        ("L40", "NVIDIA L40"),
        ("L40S", "NVIDIA L40S"),
        ("A10", "NVIDIA A10"),
        ("A10G", "NVIDIA A10G"),
        ("A6000", "NVIDIA RTX A6000"),
        ("RTXA6000", "NVIDIA RTX A6000"),
        ("RTX-A6000", "NVIDIA RTX A6000"),
        ("RTX4090", "NVIDIA GeForce RTX 4090"),
        ("RTX 4090", "NVIDIA GeForce RTX 4090"),
        ("RTX_4090", "NVIDIA GeForce RTX 4090"),
        ("rtx-4090", "GeForce RTX 4090"),
        ("RTX3090Ti", "NVIDIA GeForce RTX 3090 Ti"),
        ("RTX4080-SUPER", "NVIDIA GeForce RTX 4080 SUPER"),
        ("RTX6000-Ada", "NVIDIA RTX 6000 Ada Generation"),
        ("RTX6000", "Quadro RTX 6000"),
        ("RTXPRO6000", "NVIDIA RTX PRO 6000 Blackwell Server Edition"),
    ],
)
def test_a_model_that_is_as_ordered(expected: str, found: str) -> None:
    assert accepts_model(expected, found)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ("L4", "NVIDIA L40"),
        ("L4", "NVIDIA L40S"),
        ("L40", "NVIDIA L40S"),
        ("A10", A100),
        ("A10", "NVIDIA A10G"),
        ("A10G", "NVIDIA A10"),
        ("A100", "NVIDIA A10"),
        ("A100", "NVIDIA A100X"),
        ("A100", H100),
        ("A100-80GB", "NVIDIA A100-SXM4-40GB"),
        ("A100-SXM4", "NVIDIA A100-PCIE-40GB"),
        ("V100-SXM3", "Tesla V100-SXM2-16GB"),
        ("V100", "Tesla V100S-PCIE-32GB"),
        ("V100-32GB", "Tesla V100-SXM2-16GB"),
        ("H100", "NVIDIA GH100"),
        ("H100", "NVIDIA GH200 480GB"),
        ("H200", "NVIDIA GH200 480GB"),
        ("H100-SXM", "NVIDIA H100 PCIe"),
        ("H100-SXM", "NVIDIA H100 NVL"),
        ("H100-NVL", H100),
        ("H100-PCIe", H100),
        ("B200", "NVIDIA GB200"),
        ("RTX3080", "NVIDIA GeForce RTX 3080 Ti"),
        ("RTX4070", "NVIDIA GeForce RTX 4070 Laptop GPU"),
        ("RTX4080", "NVIDIA GeForce RTX 4080 SUPER"),
        ("RTX4090", "NVIDIA GeForce RTX 4090 D"),
        ("RTX6000", "NVIDIA RTX 6000 Ada Generation"),
        ("RTX6000", "NVIDIA RTX A6000"),
        ("RTXPRO6000", "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition"),
        ("RTX", "NVIDIA GeForce RTX 4090"),
        ("T4", "NVIDIA T4G"),
        ("MI300X", H100),
        ("80GB", H100),
        ("", H100),
        ("A100", ""),
        ("A100", "unknown"),
    ],
)
def test_a_model_that_is_not_as_ordered(expected: str, found: str) -> None:
    assert not accepts_model(expected, found)


@pytest.mark.parametrize(
    ("spec", "mib"),
    [
        # What nvidia-smi shows of real cards.
        ("8GB", 8188),
        ("8GB", 8192),
        ("11GB", 11178),
        ("12GB", 12193),
        ("16GB", 15079),
        ("16GB", 15360),
        ("24GB", 23028),
        ("24GB", 23034),
        ("24GB", 24564),
        ("32GB", 32510),
        ("40GB", 40960),
        ("48GB", 45634),
        ("48GB", 46068),
        ("80GB", 81559),
        ("80GB", 81920),
        ("96GB", 97887),
        ("141GB", 143771),
        ("180GB", 183359),
        ("192GB", 183359),
        ("40GB+", 81559),
        ("24GB+", 23028),
        ("24+", 24564),
        ("24", 24564),
        ("24 gb", 24564),
        ("24GiB", 24564),
        ("0.5GB+", 8188),
    ],
)
def test_enough_memory(spec: str, mib: int) -> None:
    assert memory_problem(spec, mib) is None


@pytest.mark.parametrize(
    ("spec", "mib", "problem"),
    [
        ("12GB", 11178, "it has 11178 MiB, less than a card of 12 GB"),
        ("24GB", 15360, "it has 15360 MiB, less than a card of 24 GB"),
        ("80GB+", 46068, "it has 46068 MiB, less than a card of 80 GB"),
        ("40GB", 46068, "it has 46068 MiB, more than a card of 40 GB"),
        ("40GB", 81559, "it has 81559 MiB, more than a card of 40 GB"),
        ("much", 81559, "'much' is not an amount of memory"),
        ("", 81559, "'' is not an amount of memory"),
    ],
)
def test_another_memory(spec: str, mib: int, problem: str) -> None:
    assert memory_problem(spec, mib) == problem


# -- whatever is said -------------------------------------------------------------------------

STATUSES = st.sampled_from([None, 0, 1, 9, 124, 127])
RECORDINGS = [path.read_text(encoding="utf-8") for path in sorted(FOLDER.iterdir()) if path.suffix != ".md"]


def parse_all(output: Output) -> None:
    found = driver(output)
    assert found.gpus or found.problem
    assert found.problem is None or (found.problem.isprintable() and "\n" not in found.problem)
    assert all(gpu.name.isprintable() and gpu.slowdowns is not None for gpu in found.gpus)
    kernel = xids(output)
    assert kernel.readable is (kernel.problem is None)
    assert all(xid.text.isprintable() and xid.meaning for xid in kernel.xids)
    assert fabric_manager(output).state in ("active", "inactive", "failed", "absent", "unknown")
    nccl_versions(output)


@settings(max_examples=examples(100), deadline=None)
@given(st.text(), STATUSES)
def test_no_text_makes_a_parser_raise(text: str, status: int | None) -> None:
    parse_all(Output(text, status))
    parse_all(Output(f"kernel log: dmesg: 1 lines\nNVRM: Xid ({text}): 79, {text}", status))
    parse_all(Output(f"<nvidia_smi_log><gpu><uuid>{text}</uuid></gpu></nvidia_smi_log>", status))


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_no_changed_recording_makes_a_parser_raise(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(RECORDINGS))
    begin = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 200))
    inserted = data.draw(
        st.text(max_size=20) | st.sampled_from(["<gpu>", "</gpu>", "N/A", "&b;", "<!--", "\x00"])
    )
    parse_all(Output(text[:begin] + inserted + text[begin + length :], data.draw(STATUSES)))


@settings(max_examples=examples(100), deadline=None)
@given(st.text(), st.text(), st.integers(0, 1 << 40))
def test_no_order_makes_a_judge_raise(expected: str, found: str, mib: int) -> None:
    accepts_model(expected, found)
    memory_problem(expected, mib)


def test_every_recording_has_a_source() -> None:
    reported = recorded("README.md")
    assert [path.name for path in sorted(FOLDER.iterdir()) if f"`{path.name}`" not in reported] == [
        "README.md"
    ]
