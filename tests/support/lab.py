"""A laboratory of real hosts: network namespaces on a bridge, each with an sshd, a hostname and an /etc.

The bridge lives in a namespace of its own (the "switch"); the machine's own namespace, where the tests run
and which is called the controller here, gets a single device with an address, so plain ``ssh`` reaches the
hosts. All names begin with ``mlab`` and the process id, by which leftovers of a killed run are reported.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import ipaddress
import os
import re
import select
import shlex
import shutil
import signal
import socket
import string
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal, TypeVar, get_args
from urllib.parse import quote

State = Literal["normal", "silent", "wrong_key", "denied", "refused", "down"]
"""What a host does when ssh calls it.

``normal`` lets in, ``silent`` accepts TCP and never says a byte, ``wrong_key`` has another host key than
known_hosts, ``denied`` knows no key that may log in, ``refused`` has its port closed, ``down`` has its link
down.
"""

_Result = TypeVar("_Result")
_NETNS = Path("/run/netns")
_NAME = re.compile(r"mlab(\d+)([a-z])(-.*)?")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_SIOCETHTOOL, _ETHTOOL_STSO, _ETHTOOL_SGSO = 0x8946, 0x1F, 0x24
_PATIENCE = 15.0
"""Seconds for anything the lab waits for; all of it takes less than one on an idle machine."""

_KEEPER = """\
set -e
hostname "$1"
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 2>/dev/null || :
ip -batch "$2"
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/sshd /run/etc /run/work
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work overlay /etc 2>/dev/null || :
if [ -e "$HOME/.bashrc" ]; then mount --bind /dev/null "$HOME/.bashrc"; fi
echo ready
exec sleep infinity
"""
# /sys/class/net is of the network namespace in which it was mounted.
# bash reads .bashrc in a shell that sshd starts, and the one of this machine's root may change PATH.

_SILENT = """\
import socket
server = socket.create_server(("", 22), backlog=200)
held = []
while True:
    held.append(server.accept())
"""


def _sbin() -> dict[str, str]:
    """Return the environment with the folders of system programs on PATH, which a test run may lack."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"}


def _which(program: str) -> str | None:
    return shutil.which(program, path=_sbin()["PATH"])


def _call(*argv: str | Path, given: str | None = None) -> str:
    """Run a command that must succeed and return what it printed; its complaint is in the error."""
    done = subprocess.run(
        [str(part) for part in argv],
        input=given if given is not None else "",
        capture_output=True,
        text=True,
        env=_sbin(),
        timeout=60,
    )
    if done.returncode:
        raise RuntimeError(f"{shlex.join(map(str, argv))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _batch(commands: Iterable[str], *options: str) -> None:
    """Give many commands to one ``ip``: 64 hosts would otherwise cost hundreds of processes."""
    _call("ip", *options, "-batch", "-", given="".join(f"{command}\n" for command in commands))


def _enter(descriptor: int) -> None:
    """Move the calling thread to the network namespace of an open file; os.setns is Python 3.12's."""
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _in_namespace(name: str, act: Callable[[], _Result]) -> _Result:
    """Call *act* in a network namespace, in a thread of its own: only a thread can enter one and go."""
    results: list[_Result] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with open(_NETNS / name) as file:
                _enter(file.fileno())
            results.append(act())
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _send_real_packets(device: str) -> None:
    """Switch segmentation offload off, so that what crosses the wire is as long as the MTU allows.

    A veth passes on segments of 64 KiB that are to be cut later, which no bridge port compares with its MTU:
    TCP would get through a black hole for jumbo frames.
    """
    with socket.socket() as handle:
        for command in (_ETHTOOL_STSO, _ETHTOOL_SGSO):
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP8x", device.encode(), ctypes.addressof(value))
            fcntl.ioctl(handle, _SIOCETHTOOL, request)


def _open_tap(device: str) -> int:
    """Make a TAP device in the calling thread's namespace, which lives as long as the descriptor."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TAP | _IFF_NO_PI))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def relay(left: int, right: int, delay: float) -> None:
    """Carry frames between two TAP devices, each held for *delay* seconds, until standard input ends.

    All frames wait equally long, so each direction is a queue in the order of arrival.
    """
    held: deque[tuple[float, int, bytes]] = deque()
    other = {left: right, right: left}
    # Three descriptors are too few for epoll to pay, and it rounds its timeout up to a millisecond.
    while True:
        timeout = max(0.0, held[0][0] - time.monotonic()) if held else None
        readable, _, _ = select.select([0, left, right], [], [], timeout)
        now = time.monotonic()
        while held and held[0][0] <= now:
            _, target, frame = held.popleft()
            with suppress(OSError):  # a device that is down, or full: the wire loses the frame
                os.write(target, frame)
        if 0 in readable:
            return
        for source in readable:
            with suppress(OSError):  # EAGAIN once it is empty
                while True:
                    held.append((now + delay, other[source], os.read(source, 65536)))


def _processes_in(names: Iterable[str]) -> list[int]:
    """Return the processes whose network namespace is one of the named ones."""
    found = []
    with ExitStack() as stack:
        expected = set()
        for name in names:
            with suppress(OSError):
                # Held open, its number cannot go to a new namespace while another process removes this one.
                expected.add(os.fstat(stack.enter_context(open(_NETNS / name)).fileno()).st_ino)
        expected.discard(
            Path("/proc/self/ns/net").stat().st_ino
        )  # never, whatever is wrong: the machine's own
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended just now
                if (entry / "ns" / "net").stat().st_ino in expected:
                    found.append(int(entry.name))
    return found


def _namespaces() -> list[str]:
    if not _NETNS.is_dir():
        return []
    return [path.name for path in _NETNS.iterdir() if _NAME.fullmatch(path.name)]


def _end_processes(names: Sequence[str]) -> None:
    """End all processes of these namespaces."""
    end = time.monotonic() + _PATIENCE
    while pids := _processes_in(names):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > end:
            raise RuntimeError(f"processes {pids} do not end")
        time.sleep(0.005)


def _remove(names: Sequence[str]) -> None:
    """End all processes of these namespaces, and remove the namespaces and the devices to the controller."""
    _end_processes(names)
    # A namespace is taken apart some time after it is deleted; its device here has to be gone now.
    for device in {name.split("-")[0] for name in names}:
        if Path(f"/sys/class/net/{device}").exists():
            with suppress(RuntimeError):  # gone in the meantime
                _batch([f"link del {device}"])
    present = set(_namespaces())
    if gone := [name for name in names if name in present]:
        with suppress(RuntimeError):  # two labs that start at once remove the same leftovers
            _batch((f"netns del {name}" for name in gone), "-force")


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def remove_leftovers() -> list[str]:
    """Remove what labs of processes that are gone have left, and return its names."""
    names = []
    for name in _namespaces():
        found = _NAME.fullmatch(name)
        if found and not _alive(int(found[1])):
            names.append(name)
    if names:
        _remove(names)
    return names


def available() -> str | None:
    """Return why no lab can be made here, or ``None``."""
    if sys.platform != "linux":
        return "a lab needs Linux"
    if os.geteuid() != 0:
        return "a lab needs root"
    for program in ("ip", "ping", "sshd", "ssh", "ssh-keygen", "nsenter", "unshare", "mount"):
        if _which(program) is None:
            return f"a lab needs {program}"
    # One try in a namespace that goes with its process: it shows all that the kernel may refuse.
    script = (
        "ip link add name x0 type bridge && ip link add name x1 type veth peer name x2 "
        "&& mount -t tmpfs tmpfs /run"
    )
    command = ["unshare", "--net", "--uts", "--mount", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=_sbin(), timeout=60)
    if done.returncode:
        return f"namespaces, a bridge or veth are refused: {done.stderr.strip()}"
    if _NETNS.is_dir() and not os.access(_NETNS, os.W_OK):
        return f"{_NETNS} is not writable"
    return None


class Host:
    """One host of a lab; made by :meth:`Lab.add`."""

    def __init__(self, lab: Lab, name: str, index: int, *, mtu: int, port_mtu: int) -> None:
        self.lab = lab
        self.name = name
        self.index = index
        self.address = f"{lab.subnet}.{index + 1}"
        self.mtu = mtu
        self.port_mtu = port_mtu
        self.port = f"p{index}"
        """The bridge port of the host, a device in the switch's namespace."""
        self.namespace = f"{lab.tag}-{name}"
        self.folder = lab.folder / name
        self.path = self.folder / "bin"
        """The folder that is first on PATH of what runs on the host: for programs that play recordings."""
        self.state: State = "down"
        self.environment: dict[str, str] = {}
        self.keeper: subprocess.Popen[str] | None = None
        """The process that holds the namespaces; all that runs on the host enters them."""
        self._server: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.address} {self.state}>"

    @property
    def spec(self) -> str:
        """The host as pytest-testinfra takes it."""
        # safe: "/" keeps the path readable; a comma would end the host where several are given in one string.
        return f"ssh://root@{self.name}?ssh_config={quote(str(self.lab.ssh_config), safe='/')}"

    @property
    def pid(self) -> int:
        if self.keeper is None:
            raise RuntimeError(f"{self.name} is not running")
        return self.keeper.pid

    def script(self, name: str, text: str) -> Path:
        """Put a program on the host's PATH before all others; text without ``#!`` is for sh."""
        path = self.path / name
        path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def play(self, name: str, stdout: str = "", *, stderr: str = "", exit_code: int = 0) -> Path:
        """Put a program on the host's PATH that prints what was recorded, byte by byte."""
        lines = []
        for number, text in ((1, stdout), (2, stderr)):
            recorded = self.folder / f"{name}.{number}"
            recorded.write_text(text)
            lines.append(f"cat {shlex.quote(str(recorded))} >&{number}")
        return self.script(name, "\n".join([*lines, f"exit {exit_code}"]))

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file below the host's own /etc or /run; no other host and not this machine has it."""
        parts = Path(path).parts
        if parts[:2] not in {("/", "etc"), ("/", "run")} or ".." in parts:
            raise ValueError(f"{path}: only /etc and /run are the host's own")
        if parts[1] == "etc" and not self._own_etc():
            raise RuntimeError("this kernel has no overlay, so the host has no /etc of its own")
        # The folder is seen through the process that holds the host's mounts.
        inside = Path(f"/proc/{self.pid}/root") / Path(path).relative_to("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.write_text(text)
        inside.chmod(mode)

    def _own_etc(self) -> bool:
        mounts = Path(f"/proc/{self.pid}/mountinfo").read_text()
        return any(line.split()[4] == "/etc" for line in mounts.splitlines())

    def run(
        self, argv: Sequence[str | Path], *, timeout: float = 60, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host, without ssh."""
        path = f"{self.path}:{_SYSTEM_PATH}"
        environment = {"PATH": path, "HOME": os.path.expanduser("~"), "LC_ALL": "C", **self.environment}  # noqa: PTH111
        return subprocess.run(
            [*self._enter(), *map(str, argv)],
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
        )

    def setenv(self, **variables: str) -> None:
        """Set environment variables for what comes by ssh from now on (and by :meth:`run`)."""
        self.environment.update(variables)
        self.become(self.state)

    def become(self, state: State) -> None:
        """Change what the host does when ssh calls it; sessions that are open end."""
        self._begin(state)
        self._wait()

    def _enter(self) -> list[str]:
        return [_which("nsenter") or "nsenter", "-t", str(self.pid), "-n", "-u", "-m", "--"]

    def _begin(self, state: State) -> None:
        if state not in get_args(State):
            raise ValueError(f"{state!r} is not one of {', '.join(get_args(State))}")
        self._stop_server()
        if (state == "down") != (self.state == "down"):
            _batch([f"link set eth0 {'down' if state == 'down' else 'up'}"], "-n", self.namespace)
        self.state = state
        if state == "down":
            # As if it had been down for long: one who still knows its hardware address gets no error.
            with suppress(RuntimeError):
                _batch([f"neighbour del {self.address} dev {self.lab.tag}"])
        other = self.folder / "other_host_key"
        if state == "wrong_key" and not other.exists() and self.lab._make_key(other).wait():
            raise RuntimeError("ssh-keygen failed")
        if state in {"normal", "wrong_key", "denied"}:
            self._write_sshd_config()
            sshd = _which("sshd") or "sshd"  # it insists on an absolute path
            self._server = self._start(sshd, "-D", "-f", self.folder / "sshd_config", "-E", self.log)
        elif state == "silent":
            self._server = self._start(sys.executable, "-I", "-S", "-c", _SILENT)

    def _start(self, *argv: str | Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._enter(), *map(str, argv)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": _SYSTEM_PATH},
            start_new_session=True,  # an interrupt from the keyboard is for the tests
        )

    @property
    def log(self) -> Path:
        """What the host's sshd has to say."""
        return self.folder / "sshd.log"

    def _write_sshd_config(self) -> None:
        variables = {"PATH": f"{self.path}:{_SYSTEM_PATH}", **self.environment}
        # sshd heeds only the first SetEnv line.
        values = " ".join(_quoted(f"{name}={value}") for name, value in variables.items())
        key = "other_host_key" if self.state == "wrong_key" else "host_key"
        authorized = self.lab.folder / "id.pub"
        if self.state == "denied":
            authorized = self.folder / "no_keys"
            authorized.touch()
        (self.folder / "sshd_config").write_text(
            "\n".join(
                [
                    "Port 22",
                    "ListenAddress 0.0.0.0",
                    f"HostKey {_quoted(self.folder / key)}",
                    f"AuthorizedKeysFile {_quoted(authorized, percent=True)}",
                    f"PidFile {_quoted(self.folder / 'sshd.pid')}",
                    "UsePAM no",
                    "PermitRootLogin prohibit-password",
                    "PasswordAuthentication no",
                    "KbdInteractiveAuthentication no",
                    "StrictModes no",
                    "UseDNS no",
                    "MaxStartups 200",
                    "MaxSessions 200",
                    "PrintMotd no",
                    "PrintLastLog no",
                    f"SetEnv {values}",
                    "",
                ]
            )
        )

    def _stop_server(self) -> None:
        """End the server with its sessions: everything in the network namespace but the keeper."""
        if self._server is None:
            return
        for pid in _processes_in([self.namespace]):
            if pid != self.pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._server.wait()
        self._server = None

    def _wait(self) -> None:
        """Wait until the port answers, by connecting to it as ssh will."""
        if self._server is None:
            return
        end = time.monotonic() + _PATIENCE
        while True:
            with suppress(OSError), socket.create_connection((self.address, 22), timeout=_PATIENCE):
                return
            if self._server.poll() is not None:
                log = self.log.read_text() if self.log.exists() else ""
                raise RuntimeError(f"the server of {self.name} ended: {log.strip()}")
            if time.monotonic() > end:
                raise RuntimeError(f"{self.name} does not answer on port 22")
            time.sleep(0.02)


def _quoted(text: str | Path, *, percent: bool = False) -> str:
    """Quote a word for the configuration of ssh or sshd, some of whose paths have percent signs that mean."""
    text = str(text).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + (text.replace("%", "%%") if percent else text) + '"'


class Lab:
    """Hosts on a bridge, each a network namespace with an sshd of its own; leaves nothing behind.

    ``with Lab(tmp_path, 3) as lab:`` has the hosts node1, node2, node3; :meth:`add` makes more.
    *folder* keeps keys, configurations and logs, and is the caller's to remove. *mtu* is that of the bridge
    and of the controller's device, and what hosts get unless said otherwise; *delay* is the extra round-trip
    time, in seconds, between the controller and every host (hosts among themselves have none).
    """

    _open: dict[str, Lab] = {}  # noqa: RUF012 - the labs of this process, by letter
    _lock = threading.Lock()

    def __init__(self, folder: Path, count: int = 0, *, mtu: int = 1500, delay: float = 0.0) -> None:
        self.folder = folder.resolve()
        if self.folder.is_relative_to("/run"):
            raise ValueError("hosts have a /run of their own, and would not see the folder of the lab there")
        if "\n" in str(self.folder) or '"' in str(self.folder):
            raise ValueError("ssh_config can hold no such path")
        self.count = count
        self.mtu = mtu
        self.delay = delay
        self.delayed_by: Literal["nothing", "netem", "relay"] = "nothing"
        self.hosts: dict[str, Host] = {}
        self.ssh_config = self.folder / "ssh_config"
        self.known_hosts = self.folder / "known_hosts"
        self.tag = ""
        """The name of the controller's device and of the switch's namespace; hosts' begin with it."""
        self.subnet = ""
        self._index = 0
        self._relay: subprocess.Popen[bytes] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Lab:
        try:
            self._set_up()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def address(self) -> str:
        """The controller's address as the hosts see it."""
        return f"{self.subnet}.1"

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def add(
        self, name: str, *, mtu: int | None = None, port_mtu: int | None = None, sshd: State = "normal"
    ) -> Host:
        """Add a host; *port_mtu* is that of its bridge port, the same as the host's if not given.

        A port with a smaller MTU than the host is a black hole for big packets, in both directions.
        """
        return self._add([name], mtu=mtu, port_mtu=port_mtu, sshd=sshd)[0]

    def run(
        self, host: Host | str, argv: Sequence[str | Path], *, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host, without ssh."""
        return (self.hosts[host] if isinstance(host, str) else host).run(argv, timeout=timeout)

    def ssh(
        self,
        host: Host | str,
        *arguments: str | Path,
        options: Sequence[str | Path] = (),
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host by ssh from the controller; *options* go before the host's name."""
        name = host if isinstance(host, str) else host.name
        command = ["ssh", "-F", str(self.ssh_config), *map(str, options), name, *map(str, arguments)]
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
        )

    def switch(self, *argv: str) -> str:
        """Run a command in the namespace of the bridge ``bridge0``, where hosts' ports are p1, p2..."""
        return _call("nsenter", f"--net={_NETNS / self.tag}", "--", *argv)

    def _set_up(self) -> None:
        remove_leftovers()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._claim_names()
        self._stack.callback(self._tear_down)
        _call("ip", "netns", "add", self.tag)
        _batch(
            [
                "link set lo up",
                "link add name bridge0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
                # Once set by hand it stays; of itself it would follow the smallest port's.
                f"link set bridge0 mtu {self.mtu} up",
            ],
            "-n",
            self.tag,
        )
        self._connect_controller()
        if self._make_key(self.folder / "id").wait():
            raise RuntimeError("ssh-keygen failed")
        for path in (self.ssh_config, self.known_hosts):
            path.write_text("")
        self._add([f"node{number}" for number in range(1, self.count + 1)])

    def _claim_names(self) -> None:
        with Lab._lock:
            letter = next((each for each in string.ascii_lowercase if each not in Lab._open), None)
            if letter is None:
                raise RuntimeError("too many labs in one process")
            Lab._open[letter] = self
        self._stack.callback(Lab._open.pop, letter)
        self.tag = f"mlab{os.getpid()}{letter}"
        if mine := [name for name in _namespaces() if name.split("-")[0] == self.tag]:
            _remove(mine)  # of an earlier process with this number
        self._claim_subnet()

    def _claim_subnet(self) -> None:
        """Take a /24 of 10.231.0.0/16 that no other process has.

        An abstract socket is a claim that no two processes can have and that no process can leave behind.
        """
        routes = [ipaddress.ip_network(text) for text in _ipv4_routes()]
        for step in range(155):
            # Three digits, so that what is printed of it wraps the same in each run.
            number = 100 + (os.getpid() * 7 + step) % 155
            network = ipaddress.ip_network(f"10.231.{number}.0/24")
            if any(network.overlaps(route) for route in routes):
                continue
            claim = socket.socket(socket.AF_UNIX)
            try:
                claim.bind(f"\0metaopt-lab-{number}")
            except OSError as error:
                claim.close()
                if error.errno == errno.EADDRINUSE:
                    continue
                raise
            self._stack.callback(claim.close)
            self.subnet = f"10.231.{number}"
            return
        raise RuntimeError("10.231.0.0/16 is taken")

    def _connect_controller(self) -> None:
        if self.delay and not self._cable_with_netem():
            self._cable_with_relay()
        elif not self.delay:
            self._cable()
        disable = Path(f"/proc/sys/net/ipv6/conf/{self.tag}/disable_ipv6")
        with suppress(OSError):
            disable.write_text("1")
        _batch(
            [
                f"link set {self.tag} mtu {self.mtu} up",
                f"address add {self.address}/24 broadcast + dev {self.tag}",
            ]
        )
        _batch([f"link set uplink mtu {self.mtu}", "link set uplink master bridge0 up"], "-n", self.tag)

    def _cable(self) -> None:
        _batch([f"link add name {self.tag} type veth peer name uplink netns {self.tag}"])
        _send_real_packets(self.tag)

    def _cable_with_netem(self) -> bool:
        """Have the kernel delay what leaves either end of the cable; false where it has no netem."""
        if _which("tc") is None:
            return False
        self._cable()
        each_way = f"{self.delay / 2 * 1000:.3f}ms"
        for device, options in ((self.tag, ()), ("uplink", ("-n", self.tag))):
            command = ["tc", *options, "qdisc", "add", "dev", device, "root", "netem", "delay", each_way]
            if subprocess.run([*command, "limit", "10000"], capture_output=True, env=_sbin()).returncode:
                _batch([f"link del {self.tag}"])
                return False
        self.delayed_by = "netem"
        return True

    def _cable_with_relay(self) -> None:
        """Make the cable of two TAP devices and a process that carries each frame over after its delay.

        It is a process, not a thread, for pytest's own work would add to the delay.
        """
        with ExitStack() as stack:
            ends = [_open_tap(self.tag), _in_namespace(self.tag, lambda: _open_tap("uplink"))]
            for end in ends:
                stack.callback(os.close, end)
            command = [sys.executable, "-I", "-S", __file__, *map(str, ends), str(self.delay / 2)]
            # Its standard input is a pipe that ends with this process, however that ends.
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, pass_fds=ends, start_new_session=True, cwd="/"
            )
        self._relay = process
        self.delayed_by = "relay"

    def _make_key(self, path: Path) -> subprocess.Popen[bytes]:
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)]
        for old in (path, path.with_name(f"{path.name}.pub")):
            old.unlink(missing_ok=True)  # it would ask
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def _add(
        self,
        names: Sequence[str],
        *,
        mtu: int | None = None,
        port_mtu: int | None = None,
        sshd: State = "normal",
    ) -> list[Host]:
        """Add hosts, each step for all of them before the next: the waiting is then for all at once."""
        hosts = []
        for name in names:
            if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?", name) or name in self.hosts:
                raise ValueError(f"{name!r} is not a name for a host, or taken")
            if self._index == 253:
                raise RuntimeError("a lab has no room for more hosts")
            self._index += 1
            own = mtu or self.mtu
            host = Host(self, name, self._index, mtu=own, port_mtu=port_mtu or own)
            host.path.mkdir(parents=True, exist_ok=True)
            self.hosts[name] = host
            hosts.append(host)
        if not hosts:
            return []
        keys = [self._make_key(host.folder / "host_key") for host in hosts]
        _batch(f"netns add {host.namespace}" for host in hosts)
        _batch((line for host in hosts for line in _plug(host)), "-n", self.tag)
        for host in hosts:
            _in_namespace(host.namespace, lambda: _send_real_packets("eth0"))
            host.keeper = self._start_keeper(host)
        for key in keys:
            if key.wait():
                raise RuntimeError("ssh-keygen failed")
        for host in hosts:
            self._make_known(host)
            self._wait_for_keeper(host)
            host._begin(sshd)
        # Each of them waits, so threads cost nothing; one by one they would take a round trip each.
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(Host._wait, hosts))
        return hosts

    def _start_keeper(self, host: Host) -> subprocess.Popen[str]:
        commands = host.folder / "ip_commands"
        # It begins with its link down, as its state says.
        commands.write_text(
            "link set lo up\n"
            f"address add {host.address}/24 broadcast + dev eth0\n"
            f"link set eth0 mtu {host.mtu}\n"
        )
        command = ["nsenter", f"--net={_NETNS / host.namespace}", "--"]
        # Slave: a namespace that is deleted is unmounted here too, else it would live as long as this host.
        command += ["unshare", "--uts", "--mount", "--propagation", "slave"]
        return subprocess.Popen(
            [*command, "sh", "-c", _KEEPER, "keeper", host.name, str(commands)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_sbin(),
            cwd="/",
            start_new_session=True,
        )

    def _wait_for_keeper(self, host: Host) -> None:
        if host.keeper is None or host.keeper.stdout is None:
            raise RuntimeError(f"{host.name} was not started")
        with host.keeper.stdout as output:
            said = output.readline()
            if said != "ready\n":
                raise RuntimeError(f"{host.name} did not start: {said}{output.read()}")

    def _make_known(self, host: Host) -> None:
        kind, key = (host.folder / "host_key.pub").read_text().split()[:2]
        with self.known_hosts.open("a") as file:
            file.write(f"{host.name},{host.address} {kind} {key}\n")
        lines = [
            f"Host {host.name}",
            f"    HostName {host.address}",
            "    User root",
            f"    IdentityFile {_quoted(self.folder / 'id', percent=True)}",
            "    IdentitiesOnly yes",
            f"    UserKnownHostsFile {_quoted(self.known_hosts, percent=True)}",
            f"    GlobalKnownHostsFile {os.devnull}",
            "    StrictHostKeyChecking yes",
            "",
        ]
        with self.ssh_config.open("a") as file:
            file.write("\n".join(lines))

    def _tear_down(self) -> None:
        names = [name for name in _namespaces() if name.split("-")[0] == self.tag]
        try:
            _end_processes(names)
            # What ended connections say last is under way; without it an ssh here would wait for ever.
            if self.delay:
                time.sleep(2 * self.delay + 0.1)
            _remove(names)
        finally:
            if self._relay is not None:
                _end(self._relay)
            for host in self.hosts.values():
                for process in (host.keeper, host._server):
                    if process is not None:
                        process.kill()
                        process.wait()
                if host.keeper is not None and host.keeper.stdout is not None:
                    host.keeper.stdout.close()
                host.keeper = host._server = None


def _plug(host: Host) -> Iterator[str]:
    yield f"link add name {host.port} mtu {host.port_mtu} type veth peer name eth0 netns {host.namespace}"
    yield f"link set {host.port} master bridge0 up"


def _ipv4_routes() -> Iterator[str]:
    for line in _call("ip", "-4", "-o", "route", "show", "table", "all").splitlines():
        words = [word for word in line.split() if word[0].isdigit()]
        if words and not line.startswith("default"):
            with suppress(ValueError):
                yield str(ipaddress.ip_network(words[0], strict=False))


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.kill()
    process.wait()


@contextmanager
def full_of_inodes(folder: Path, size: str = "1m") -> Iterator[Path]:
    """Mount a file system on *folder* (made if absent) that has free bytes and not one free inode."""
    with mounted(folder, f"size={size},nr_inodes=16"):
        _until_full(lambda number: (folder / f"file{number}").touch())
        yield folder


@contextmanager
def small_disk(folder: Path, size: int, *, full: bool = True) -> Iterator[Path]:
    """Mount a file system of *size* bytes on *folder* (made if absent), by default without a free one."""
    with mounted(folder, f"size={size}"):
        if full:
            with (folder / "filler").open("wb", buffering=0) as file:
                _until_full(lambda _: file.write(bytes(65536)))
        yield folder


def _until_full(act: Callable[[int], object]) -> None:
    number = 0
    try:
        while True:
            act(number)
            number += 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """Mount a new tmpfs on *folder* (made if absent)."""
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    _call("mount", "-t", "tmpfs", "-o", options, "tmpfs", folder)
    try:
        yield
    finally:
        # Lazily: a process of the test that still has a file open there must not keep the mount.
        _call("umount", "--lazy", folder)
        if made:
            folder.rmdir()


if __name__ == "__main__":
    relay(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
