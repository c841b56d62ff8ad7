"""A path on a node, and the file system that holds it."""

from __future__ import annotations

from dataclasses import dataclass

from .df import COLUMNS
from .mounts import MOUNTS_COMMAND, Mount, mount_of
from .text import keyed_lines, whole_number

STORAGE_COMMAND = (
    COLUMNS
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
"""
    + MOUNTS_COMMAND.lstrip()
)


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


def place(text: str) -> Place:
    """Return what the question ``storage`` found."""
    words: dict[str, str] = {}
    mounts = []
    for word, rest in keyed_lines(text):
        if word == "mount":
            mounts.append(rest)
        else:
            words[word] = rest
    if "dangling" in words:
        return Place(there=True, dangling=words["dangling"])
    if "real" not in words:
        return Place(problem="it could not be located")
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
        mount=mount_of(mounts),
    )


def _pair(text: str | None) -> tuple[int | None, int | None]:
    parts = (text or "").split()
    return (whole_number(parts[0]), whole_number(parts[1])) if len(parts) == 2 else (None, None)
