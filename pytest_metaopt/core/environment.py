"""Our environment, as a thread beside pytest's may read it.

pytest sets and removes ``PYTEST_CURRENT_TEST`` for each phase of a test. A thread that starts a process with
the environment itself may do so at that moment, and gets EFAULT; one that goes through it may miss what it
has just listed.
"""

from __future__ import annotations

import os
from collections.abc import Callable


def our_environment(kept: Callable[[str], object] | None = None) -> dict[str, str]:
    """Return a copy of our environment, which another thread may be changing.

    :param kept: returns whether the variable of a name is to be in it; None: all are.
    """
    names = [name for name in list(os.environ) if kept is None or kept(name)]
    return {name: value for name in names if (value := os.environ.get(name)) is not None}
