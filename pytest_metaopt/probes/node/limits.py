"""What a process on a node may use: locked memory, shared memory, and memory within its cgroups."""

from __future__ import annotations

from dataclasses import dataclass

from .df import COLUMNS
from .text import keyed_lines, whole_number

_UNLIMITED = 1 << 60
# Version 1 of cgroups writes "no limit" as a number near 2**63.

LIMITS_COMMAND = (
    COLUMNS
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


def limits(text: str) -> Limits:
    """Return what the question ``limits`` found."""
    memlock: int | None = None
    memlock_known = False
    shm: int | None = None
    total: int | None = None
    cgroups = []
    for word, rest in keyed_lines(text):
        first = rest.split(" ", 1)[0]
        amount = whole_number(first)
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
