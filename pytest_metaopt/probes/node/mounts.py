"""The mounts of a node, as ``/proc/self/mountinfo`` lists them."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOUNTS_COMMAND = r"""
R=$r awk 'BEGIN { r = ENVIRON["R"] }
  { m = $5
    gsub(/\\040/, " ", m); gsub(/\\011/, "\t", m); gsub(/\\012/, "\n", m); gsub(/\\134/, "\\\\", m)
    if (m == "/" || r == m || index(r, m "/") == 1) print "mount " $0 }
' /proc/self/mountinfo
"""


@dataclass(frozen=True)
class Mount:
    """The file system that really holds a path, as ``/proc/self/mountinfo`` has it."""

    point: str
    type: str
    source: str
    read_only: bool


def mount_of(lines: list[str]) -> Mount | None:
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
