"""The memory of a GPU: whether it is of the requested class."""

from __future__ import annotations

import re

from ..core.text import one_line, printable, shortened

LEAST_OF_CLASS = 0.92
"""How much of the memory that a card is sold by ``nvidia-smi`` shows at least.

ECC takes a sixteenth of GDDR memory, and with older drivers what the driver keeps is missing too. The least
that was found is a T4: 15079 MiB of 16 GiB (0.9203); with a newer driver 15360 (0.9375). Others: A10G 23028
of 24 GiB (0.937), RTX A6000 45634 and 46068 of 48 (0.928, 0.937), B200 183359 of 192 (0.933), H100 81559 of
80 (0.996). The nearest class below another is 11 to 12 GB: a GTX 1080 Ti has 11178 MiB, 0.910 of 12 GiB.
"""

MOST_OF_CLASS = 1.02
"""And at most: none was found that shows more than the GiB that it is sold by."""

_LONGEST_SPEC = 200
_SPEC = re.compile(r"\s*([0-9]{1,6})(?:\.([0-9]{1,3}))?\s*(?:Gi?B?)?\s*(\+?)\s*", re.IGNORECASE)


def memory_problem(spec: str, memory_mib: int) -> str | None:
    """Return why a GPU of *memory_mib* is not what *spec* requests, as a phrase; None: it is.

    :param spec: ``40GB``: a card of that class; ``40GB+``: at least one of that class.
    """
    match = _SPEC.fullmatch(spec)
    if not match:
        return f"{shortened(printable(one_line(spec)), _LONGEST_SPEC)!r} is not an amount of memory"
    gib = float(f"{match[1]}.{match[2] or 0}")
    if memory_mib < gib * 1024 * LEAST_OF_CLASS:
        return f"it has {memory_mib} MiB, less than a card of {gib:g} GB"
    if not match[3] and memory_mib > gib * 1024 * MOST_OF_CLASS:
        return f"it has {memory_mib} MiB, more than a card of {gib:g} GB"
    return None
