"""The network interfaces of a node, as ``/sys/class/net`` and ``ip addr`` list them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .text import keyed_lines, whole_number

_LOOPBACK = 772
_IFF_UP = 1

LINKS_COMMAND = r"""
for i in /sys/class/net/*; do
  [ -r "$i/mtu" ] || continue
  state=- mtu=- type=- flags=- kind=virtual
  read -r state <"$i/operstate"; read -r mtu <"$i/mtu"; read -r type <"$i/type"; read -r flags <"$i/flags"
  [ -e "$i/device" ] && kind=device
  [ -d "$i/bridge" ] && kind=bridge
  echo "link ${i##*/} $state $mtu $type $flags $kind"
done
"""
ADDRESSES_COMMAND = r"""
most=1000
ip -o addr show 2>/dev/null | while [ "$most" -gt 0 ] && read -r n name family address rest; do
  echo "address $name $family $address"; most=$((most - 1))
done
"""


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


def interfaces(text: str) -> Mapping[str, Interface]:
    """Return the interfaces by name, from the ``link`` and ``address`` lines of *text*."""
    found: dict[str, Interface] = {}
    addresses: dict[str, list[str]] = {}
    for word, rest in keyed_lines(text):
        parts = rest.split()
        if word == "link" and len(parts) == 6:
            name, state, mtu, type_number, flags, kind = parts
            try:
                administratively_up = bool(int(flags, 16) & _IFF_UP)
            except ValueError:
                administratively_up = False
            loopback = type_number == str(_LOOPBACK)
            found[name] = Interface(name, state, whole_number(mtu) or 0, kind, loopback, administratively_up)
        elif word == "address" and len(parts) == 3 and parts[1].startswith("inet"):
            addresses.setdefault(parts[0].split("@", 1)[0], []).append(parts[2].split("/", 1)[0])
    return {
        name: replace(interface, addresses=tuple(addresses.get(name, ())))
        for name, interface in found.items()
    }
