"""A node: what it is asked, all in one round trip, and what it said, typed.

Everything is read; nothing on the node is changed. Sources are Linux's own: ``/sys/class/net``, ``/proc``,
cgroups of either version, and ``df``, ``ip`` and ``ping`` (iproute2, iputils) where a file does not tell.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ...documents.launch import Launch
from ...launch.nodes import Node
from . import nvidia
from .sections import NOT_SAID, Output, Question

IPV4_OVERHEAD = 28
"""Bytes of the IPv4 and ICMP headers around what ``ping -s`` counts (contract of the launch spec)."""
IPV6_OVERHEAD = 48
STANDARD_MTU = 1500
_LARGEST_PING = 65507

_LOOPBACK = 772
_IFF_UP = 1
_UNLIMITED = 1 << 60
# Version 1 of cgroups writes "no limit" as a number near 2**63.

_CLOCK = "date +%s.%N"
# No check of ours reads it; a project's own may.
_SYSTEM = "uname -srm"
_ENV = r"""
env | grep -E '^(TORCH_)?NCCL_[A-Z0-9_]*='
for f in "$HOME/.nccl.conf" /etc/nccl.conf; do
  [ -r "$f" ] && sed -n "s|^[[:space:]]*\(NCCL_[A-Z0-9_]*[[:space:]]*=\)|$f: \1|p" "$f"
done
true
"""
_INTERFACES = r"""
for i in /sys/class/net/*; do
  [ -r "$i/mtu" ] || continue
  state=- mtu=- type=- flags=- kind=virtual
  read -r state <"$i/operstate"; read -r mtu <"$i/mtu"; read -r type <"$i/type"; read -r flags <"$i/flags"
  [ -e "$i/device" ] && kind=device
  [ -d "$i/bridge" ] && kind=bridge
  echo "link ${i##*/} $state $mtu $type $flags $kind"
done
for p in /sys/class/infiniband/*/ports/*; do
  [ -r "$p/state" ] || continue
  d=${p%/ports/*} state=- layer=-
  read -r state <"$p/state"; [ -r "$p/link_layer" ] && read -r layer <"$p/link_layer"
  echo "port ${d##*/} ${p##*/} $layer $state"
done
most=1000
ip -o addr show 2>/dev/null | while [ "$most" -gt 0 ] && read -r n name family address rest; do
  echo "address $name $family $address"; most=$((most - 1))
done
true
"""
# What is mounted may have spaces in its name ("//nas/AI Share"): the numbers are counted from the right.
_DF = r"""
columns() {
  read -r line; read -r line || return 0
  case $line in *'% /'*) line=${line%%'% /'*} ;; *' - /'*) line="${line%%' - /'*} -" ;; esac
  set -f; word=$1; set -- $line
  [ $# -ge 4 ] || return 0
  shift $(($# - 4)); echo "$word $1 $3"
}
"""
_LIMITS = (
    _DF
    + r"""
echo "memlock $(ulimit -l)"
df -Pk /dev/shm 2>/dev/null | columns shm
while read -r key amount unit; do
  case $key in MemTotal:|MemAvailable:) echo "$key $amount" ;; esac
done </proc/meminfo
while IFS=: read -r number names path; do
  case "$number:$names" in
    0:) base=/sys/fs/cgroup; file=memory.max ;;
    *:memory|*:memory,*|*:*,memory|*:*,memory,*) base=/sys/fs/cgroup/memory; file=memory.limit_in_bytes ;;
    *) continue ;;
  esac
  case $path in *..*) path= ;; esac
  while :; do
    [ -r "$base$path/$file" ] && read -r limit <"$base$path/$file" && echo "cgroup $limit"
    case $path in ''|/) break ;; esac
    path=${path%/*}
  done
done </proc/self/cgroup
true
"""
)
_STORAGE = (
    _DF
    + r"""
case $p in '~/'*) p=$HOME/${p#'~/'} ;; esac
e=$p
until [ -e "$e" ] || [ -L "$e" ]; do
  case $e in */*) e=${e%/*} ;; *) e=. ;; esac
  [ -n "$e" ] || e=/
done
[ "$e" = "$p" ] && echo there || echo "missing"
if [ ! -e "$e" ]; then echo "dangling $(readlink "$e")"; exit 0; fi
r=$(readlink -f "$e" 2>/dev/null) || r=$(cd -P "$e" && pwd -P)
echo "real $r"
[ -d "$r" ] && echo folder
[ -w "$r" ] && echo writable
df -Pk "$r" | columns bytes
df -Pi "$r" 2>/dev/null | columns inodes
R=$r awk 'BEGIN { r = ENVIRON["R"] }
  { m = $5
    gsub(/\\040/, " ", m); gsub(/\\011/, "\t", m); gsub(/\\012/, "\n", m); gsub(/\\134/, "\\\\", m)
    if (m == "/" || r == m || index(r, m "/") == 1) print "mount " $0 }
' /proc/self/mountinfo
"""
)
_PATH = r"""
a=$neighbour
case $a in
  *:*) ;;
  *[!0-9.]*) a=$(getent ahosts "$a" 2>/dev/null | sed -n '1s/[[:space:]].*//p') ;;
esac
if [ -z "$a" ]; then echo unresolved; exit 0; fi
echo "to $a"
over=28; case $a in *:*) over=48 ;; esac
dev=$interface
if [ -z "$dev" ]; then
  route=$(ip -o route get "$a" 2>/dev/null)
  case $route in *' dev '*) dev=${route#* dev }; dev=${dev%% *} ;; esac
fi
if [ -z "$dev" ]; then echo unrouted; exit 0; fi
mtu=
[ -r "/sys/class/net/$dev/mtu" ] && read -r mtu <"/sys/class/net/$dev/mtu"
echo "by $dev ${mtu:--}"
[ -n "$mtu" ] || exit 0
if ! command -v ping >/dev/null 2>&1; then echo noping; exit 0; fi
# One that is lost by chance is sent once more.
try() {
  said=$(ping -n -q -c 1 -W 1 -M do -I "$dev" -s "$1" "$a" 2>&1) ||
    said=$(ping -n -q -c 1 -W 1 -M do -I "$dev" -s "$1" "$a" 2>&1)
  status=$?
  echo "ping $1 $status" $said
  return $status
}
whole=$((mtu - over))
[ "$whole" -gt 65507 ] && whole=65507
if ! try "$whole" && try 56 && [ "$whole" -gt $((1500 - over)) ]; then try $((1500 - over)); fi
true
"""


def questions(launch: Launch, neighbour: Node | None) -> Mapping[str, Question]:
    """Return what each node of a launch is asked: what may hang comes last.

    :param neighbour: the node that a packet of full size is sent to; None: none.
    """
    asked = {"clock": Question(_CLOCK, 0), "system": Question(_SYSTEM, 0), "env": Question(_ENV, 5)}
    asked["interfaces"] = Question(_INTERFACES, 0)
    asked["limits"] = Question(_LIMITS, 0)
    if neighbour is not None and neighbour.address is not None:
        network = launch.model.network if launch.model is not None else None
        interface = (network.interface if network is not None else None) or ""
        given = f"neighbour={shlex.quote(neighbour.address)} interface={shlex.quote(interface)}"
        # A ping waits a second; what may wait for longer is the look-up of a name.
        asked["path"] = Question(f"{given}\n{_PATH}", 0 if _is_ip(neighbour.address) else 20)
    if launch.storage_path is not None:
        # A network file system whose server is gone answers never.
        asked["storage"] = Question(f"p={shlex.quote(launch.storage_path)}\n{_STORAGE}", 10)
    if launch.gpus is not None:
        # A driver that hangs keeps its own answer back, not the Xid that explains it.
        for name in sorted(nvidia.SECTIONS, key=lambda name: name == "nvidia_smi"):
            seconds, command = nvidia.SECTIONS[name]
            if name != "fabric_manager" or launch.has_nvswitch:
                asked[name] = Question(command, seconds)
    asked["clock_at_end"] = Question(_CLOCK, 0)
    return asked


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Interface:
    """A network interface.

    :param state: as the kernel calls it: up, down, unknown, ...
    :param mtu: in bytes.
    :param kind: device, virtual or bridge.
    :param loopback: whether it is that.
    :param administratively_up: whether it was set up.
    :param addresses: the IP addresses that it has.
    """

    name: str
    state: str
    mtu: int
    kind: str
    loopback: bool
    administratively_up: bool
    addresses: tuple[str, ...] = ()

    @property
    def up(self) -> bool:
        """Whether packets can be sent over it; virtual ones never say more than unknown."""
        return self.administratively_up and self.state in {"up", "unknown"}


@dataclass(frozen=True)
class Port:
    """A port of an RDMA adapter (HCA): ``mlx5_0`` port 1."""

    adapter: str
    number: str
    layer: str
    state: str

    @property
    def active(self) -> bool:
        """Whether its link is up."""
        return "ACTIVE" in self.state.upper()


@dataclass(frozen=True)
class Network:
    """The interfaces and RDMA ports of a node.

    :param problem: why they are not known.
    """

    interfaces: Mapping[str, Interface] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class Limits:
    """What a process may use, in bytes; None: it is not known, or there is no limit.

    :param memlock: None where it is unlimited.
    :param memory: the least of the machine's memory and the limits of the cgroups around us.
    :param cgroup: the least limit of these cgroups.
    """

    memlock: int | None = None
    memlock_known: bool = False
    shm: int | None = None
    memory: int | None = None
    cgroup: int | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Mount:
    """The file system that really holds a path, as ``/proc/self/mountinfo`` has it."""

    point: str
    type: str
    source: str
    read_only: bool


@dataclass(frozen=True)
class Place:
    """A path on a node and what holds it; amounts are those of the mount.

    :param there: whether the path itself is there; else ``real`` is the nearest folder around it that is.
    :param real: it, with links followed.
    :param dangling: where a link on the way leads that leads nowhere.
    :param free_inodes: None where the file system counts none.
    """

    there: bool = False
    real: str | None = None
    folder: bool = False
    writable: bool = False
    dangling: str | None = None
    free_bytes: int | None = None
    total_bytes: int | None = None
    free_inodes: int | None = None
    total_inodes: int | None = None
    mount: Mount | None = None
    problem: str | None = None


@dataclass(frozen=True)
class PathToNeighbour:
    """What came of packets to the neighbour.

    :param device: the interface that they leave by.
    :param mtu: its MTU.
    :param whole: whether one of the full MTU arrives; None: that could not be tried.
    :param standard: whether one of 1500 bytes does; None: not tried.
    :param small: whether a small one does; None: not tried.
    :param told: what ``ping`` said of the first that did not arrive.
    :param problem: why it is not known.
    """

    address: str | None = None
    device: str | None = None
    mtu: int | None = None
    whole: bool | None = None
    standard: bool | None = None
    small: bool | None = None
    told: str = ""
    problem: str | None = None


class NodeFacts:
    """What a node said.

    :param outputs: by the name of the question.
    :param sent_at: the time here when it was asked, in seconds since 1970.
    :param got_at: the time here when its answer was there.
    """

    def __init__(self, node: Node, outputs: Mapping[str, Output], sent_at: float, got_at: float) -> None:
        self.node = node
        self.outputs = outputs
        self.sent_at = sent_at
        self.got_at = got_at

    def output(self, name: str) -> Output:
        """Return what it said to a question; :data:`NOT_SAID` where it did not come to it."""
        return self.outputs.get(name, NOT_SAID)

    @cached_property
    def offset(self) -> tuple[float, float] | None:
        """How far its clock is ahead of ours, in seconds: the least and the most; None: unknown."""
        begin, end = (_seconds(self.output(name).text) for name in ("clock", "clock_at_end"))
        if begin is None:
            return None
        last = end if end is not None else begin
        return last[0] - self.got_at, begin[1] - self.sent_at

    @cached_property
    def nccl_env(self) -> Mapping[str, tuple[str, str]]:
        """``NCCL_*`` and ``TORCH_NCCL_*`` as found on the node: the value, and where it is from.

        NCCL reads the environment, then ``~/.nccl.conf``, then ``/etc/nccl.conf``; the first counts.
        """
        found: dict[str, tuple[str, str]] = {}
        for line in self.output("env").text.splitlines():
            source, colon, rest = line.partition(": ")
            if not colon or not source.startswith("/"):
                source, rest = "the environment", line
            name, equals, value = rest.partition("=")
            if equals:
                found.setdefault(name.strip(), (value.strip(), source))
        return found

    @cached_property
    def network(self) -> Network:
        """Its interfaces and RDMA ports."""
        said = self.output("interfaces")
        if said.problem is not None:
            return Network(problem=said.problem)
        return _network(said.text)

    @cached_property
    def limits(self) -> Limits:
        """What a process may use."""
        said = self.output("limits")
        return Limits(problem=said.problem) if said.problem is not None else _limits(said.text)

    @cached_property
    def place(self) -> Place:
        """The checkpoint directory, and what holds it."""
        said = self.output("storage")
        if said.problem is not None and "real " not in said.text:
            return Place(problem=said.problem)
        return _place(said.text)

    @cached_property
    def path(self) -> PathToNeighbour:
        """What came of packets to its neighbour."""
        if "path" not in self.outputs:
            return PathToNeighbour(problem="it was not tried")
        said = self.outputs["path"]
        return PathToNeighbour(problem=said.problem) if said.status != 0 else _path(said.text)

    @cached_property
    def driver(self) -> nvidia.Driver:
        """Its GPUs, as the driver tells."""
        return nvidia.driver(self.output("nvidia_smi"))

    @cached_property
    def kernel_log(self) -> nvidia.KernelLog:
        """The GPU errors in the kernel's log."""
        return nvidia.xids(self.output("kernel_log"))

    @cached_property
    def fabric_manager(self) -> nvidia.FabricManager:
        """The state of the fabric manager."""
        return nvidia.fabric_manager(self.output("fabric_manager"))

    @cached_property
    def nccl_libraries(self) -> tuple[str, ...]:
        """The versions of NCCL that are installed for all."""
        return nvidia.nccl_versions(self.output("nccl_library"))


def _seconds(text: str) -> tuple[float, float] | None:
    """Return the least and the most that a clock may show that says *text*."""
    found = re.match(r"\s*([0-9]{1,12})(?:\.([0-9]+))?", text)
    if found is None:
        return None
    least = float(f"{found[1]}.{found[2] or 0}")
    # busybox leaves %N as it is: of its clock the whole seconds are known.
    return least, least if found[2] else least + 1


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word, rest.strip()


def _network(text: str) -> Network:
    interfaces: dict[str, Interface] = {}
    addresses: dict[str, list[str]] = {}
    ports = []
    for word, rest in _lines(text):
        parts = rest.split()
        if word == "link" and len(parts) == 6:
            name, state, mtu, kind_number, flags, kind = parts
            try:
                set_up = bool(int(flags, 16) & _IFF_UP)
            except ValueError:
                set_up = False
            loopback = kind_number == str(_LOOPBACK)
            interfaces[name] = Interface(name, state, _number(mtu) or 0, kind, loopback, set_up)
        elif word == "port" and len(parts) >= 4:
            ports.append(Port(parts[0], parts[1], parts[2], " ".join(parts[3:])))
        elif word == "address" and len(parts) == 3 and parts[1].startswith("inet"):
            addresses.setdefault(parts[0].split("@", 1)[0], []).append(parts[2].split("/", 1)[0])
    known = {
        name: Interface(
            name,
            found.state,
            found.mtu,
            found.kind,
            found.loopback,
            found.administratively_up,
            tuple(addresses.get(name, ())),
        )
        for name, found in interfaces.items()
    }
    return Network(known, tuple(ports), None if known else "no interface was listed")


def _limits(text: str) -> Limits:
    memlock: int | None = None
    memlock_known = False
    shm: int | None = None
    total: int | None = None
    cgroups = []
    for word, rest in _lines(text):
        first = rest.split(" ", 1)[0]
        amount = _number(first)
        if word == "memlock":
            memlock_known = first == "unlimited" or amount is not None
            memlock = amount * 1024 if amount is not None else None
        elif word == "shm" and amount is not None:
            shm = amount * 1024
        elif word == "MemTotal:" and amount is not None:
            total = amount * 1024
        elif word == "cgroup" and amount is not None and 0 < amount < _UNLIMITED:
            cgroups.append(amount)
    cgroup = min(cgroups, default=None)
    known = [amount for amount in (total, cgroup) if amount is not None]
    return Limits(memlock, memlock_known, shm, min(known, default=None), cgroup)


def _place(text: str) -> Place:
    words: dict[str, str] = {}
    mounts = []
    for word, rest in _lines(text):
        if word == "mount":
            mounts.append(rest)
        else:
            words[word] = rest
    if "dangling" in words:
        return Place(there=True, dangling=words["dangling"])
    if "real" not in words:
        return Place(problem="its place could not be found")
    (total, free), (total_inodes, free_inodes) = _pair(words.get("bytes")), _pair(words.get("inodes"))
    return Place(
        there="there" in words,
        real=words["real"],
        folder="folder" in words,
        writable="writable" in words,
        free_bytes=free * 1024 if free is not None else None,
        total_bytes=total * 1024 if total is not None else None,
        # Btrfs and some network file systems make inodes as they need them, and count none.
        free_inodes=free_inodes if total_inodes else None,
        total_inodes=total_inodes or None,
        mount=_mount(mounts),
    )


def _pair(text: str | None) -> tuple[int | None, int | None]:
    parts = (text or "").split()
    return (_number(parts[0]), _number(parts[1])) if len(parts) == 2 else (None, None)


def _mount(lines: list[str]) -> Mount | None:
    """Return the mount that is nearest to the path: the deepest, and of several there the last."""
    best: Mount | None = None
    for line in lines:
        before, dash, behind = line.partition(" - ")
        fields, rest = before.split(), behind.split(" ", 2)
        if not dash or len(fields) < 6 or len(rest) < 2:
            continue
        point = _unescaped(fields[4])
        options = {*fields[5].split(","), *(rest[2].split(",") if len(rest) > 2 else ())}
        if best is None or len(point) >= len(best.point):
            best = Mount(point, rest[0], _unescaped(rest[1]), "ro" in options)
    return best


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _path(text: str) -> PathToNeighbour:
    address: str | None = None
    device: str | None = None
    mtu: int | None = None
    tried: list[tuple[int, bool, str]] = []
    for word, rest in _lines(text):
        if word == "unresolved":
            return PathToNeighbour(problem="the neighbour's name is not known there")
        if word == "unrouted":
            return PathToNeighbour(address, problem="there is no route to the neighbour, or no command ip")
        if word == "noping":
            return PathToNeighbour(address, device, mtu, problem="there is no command ping")
        if word == "to":
            address = rest
        elif word == "by":
            device, _, size = rest.partition(" ")
            mtu = _number(size)
        elif word == "ping":
            size, status, told = (*rest.split(" ", 2), "", "")[:3]
            if status not in {"0", "1"}:
                # An option that this ping has not, or no right to send one: that says nothing of the path.
                return PathToNeighbour(address, device, mtu, problem=f"ping could not be used: {told}")
            tried.append((_number(size) or 0, status == "0", told))
    if mtu is None:
        return PathToNeighbour(address, device, problem=f"there is no interface {device}")
    if not tried:
        return PathToNeighbour(address, device, mtu, problem="no packet was sent")
    overhead = IPV6_OVERHEAD if ":" in (address or "") else IPV4_OVERHEAD
    by_size = {size: arrived for size, arrived, _ in tried}
    # The loopback has an MTU that no packet has.
    whole = min(mtu - overhead, _LARGEST_PING)
    return PathToNeighbour(
        address,
        device,
        mtu,
        by_size.get(whole),
        by_size.get(STANDARD_MTU - overhead),
        by_size.get(56),
        next((told for _, arrived, told in tried if not arrived), ""),
    )
