"""PCI addresses, in the spelling of NVIDIA's tools or of the kernel."""

from __future__ import annotations

import re

_PCI = re.compile(r"(?:[0-9a-f]{4})?([0-9a-f]{4}):([0-9a-f]{2}):([0-9a-f]{2})(?:\.[0-9a-f])?")


def pci_address(text: str) -> str | None:
    """Return domain, bus and device of ``00000000:1B:00.0``, ``PCI:0000:1b:00`` or the like."""
    found = _PCI.fullmatch(text.strip().lower().removeprefix("pci:"))
    return ":".join(found.groups()) if found else None
