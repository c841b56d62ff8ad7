"""The path to a neighbour, and the largest packets that get through."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from .text import keyed_lines, whole_number

IPV4_OVERHEAD = 28
"""Bytes of the IPv4 and ICMP headers around what ``ping -s`` counts (contract of the launch spec)."""
IPV6_OVERHEAD = 48
STANDARD_MTU = 1500
_LARGEST_PING = 65507

PATH_COMMAND = r"""
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


def is_ip_address(address: str) -> bool:
    """Whether *address* is an IP address, so that no name has to be looked up."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class PathToNeighbour:
    """What came of packets to the neighbour.

    :param device: the interface that they leave by.
    :param mtu: its MTU.
    :param whole: whether one of the full MTU arrives; None: that could not be tried.
    :param standard: whether one of 1500 bytes does; None: not tried.
    :param small: whether a small one does; None: not tried.
    :param output: what ``ping`` said of the first that did not arrive.
    :param problem: why it is not known.
    """

    address: str | None = None
    device: str | None = None
    mtu: int | None = None
    whole: bool | None = None
    standard: bool | None = None
    small: bool | None = None
    output: str = ""
    problem: str | None = None


def path_to_neighbour(text: str) -> PathToNeighbour:
    """Return what the question ``path`` found."""
    address: str | None = None
    device: str | None = None
    mtu: int | None = None
    tried: list[tuple[int, bool, str]] = []
    for word, rest in keyed_lines(text):
        if word == "unresolved":
            return PathToNeighbour(problem="the neighbour's name does not resolve there")
        if word == "unrouted":
            return PathToNeighbour(address, problem="no route to the neighbour, or command ip not found")
        if word == "noping":
            return PathToNeighbour(address, device, mtu, problem="command ping not found")
        if word == "to":
            address = rest
        elif word == "by":
            device, _, size = rest.partition(" ")
            mtu = whole_number(size)
        elif word == "ping":
            size, status, output = (*rest.split(" ", 2), "", "")[:3]
            if status not in {"0", "1"}:
                # An option that this ping has not, or no right to send one: that says nothing of the path.
                return PathToNeighbour(address, device, mtu, problem=f"ping could not be used: {output}")
            tried.append((whole_number(size) or 0, status == "0", output))
    if mtu is None:
        return PathToNeighbour(address, device, problem=f"interface {device} not found")
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
        next((output for _, arrived, output in tried if not arrived), ""),
    )
