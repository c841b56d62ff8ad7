"""The ports of a node's RDMA adapters, as ``/sys/class/infiniband`` lists them."""

from __future__ import annotations

from dataclasses import dataclass

from .text import keyed_lines

PORTS_COMMAND = r"""
for p in /sys/class/infiniband/*/ports/*; do
  [ -r "$p/state" ] || continue
  d=${p%/ports/*} state=- layer=-
  read -r state <"$p/state"; [ -r "$p/link_layer" ] && read -r layer <"$p/link_layer"
  echo "port ${d##*/} ${p##*/} $layer $state"
done
"""


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


def ports(text: str) -> tuple[Port, ...]:
    """Return the ports, from the ``port`` lines of *text*."""
    lines = [rest.split() for word, rest in keyed_lines(text) if word == "port"]
    return tuple(
        Port(parts[0], parts[1], parts[2], " ".join(parts[3:])) for parts in lines if len(parts) >= 4
    )
