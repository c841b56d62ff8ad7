"""NCCL on a node: its settings, and the versions that are installed."""

from __future__ import annotations

import re

from .sections import Output
from .text import LONGEST_OUTPUT

ENVIRONMENT_COMMAND = r"""
env | grep -E '^(TORCH_)?NCCL_[A-Z0-9_]*='
for f in "$HOME/.nccl.conf" /etc/nccl.conf; do
  [ -r "$f" ] && sed -n "s|^[[:space:]]*\(NCCL_[A-Z0-9_]*[[:space:]]*=\)|$f: \1|p" "$f"
done
true
"""
NCCL_LIBRARY_COMMAND = (
    "PATH=$PATH:/usr/sbin:/sbin; ldconfig -p 2>/dev/null | sed -n 's/.*libnccl\\.so\\.2 .*=> //p'"
    ' | while read -r file; do echo "$file => $(readlink -f "$file")"; done; exit 0'
)

_NCCL = re.compile(r"libnccl\.so\.([0-9]{1,4}(?:\.[0-9]{1,4}){1,3})(?![0-9.])")


def nccl_versions(output: Output) -> tuple[str, ...]:
    """Return the versions of NCCL that the section ``nccl_library`` says the linker finds, ascending.

    The version stands in the name of the file that ``libnccl.so.2`` leads to. The library that comes within a
    wheel of PyTorch is not among them: the linker does not know it.
    """
    found = set(_NCCL.findall(output.text[:LONGEST_OUTPUT]))
    return tuple(sorted(found, key=lambda version: [int(part) for part in version.split(".")]))
