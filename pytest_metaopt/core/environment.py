"""Our environment, as a thread beside pytest's may read it.

pytest sets and removes ``PYTEST_CURRENT_TEST`` for each phase of a test. A thread that starts a process with
the environment itself may do so at that moment, and gets EFAULT; one that goes through it may miss what it
has just listed.
"""

from __future__ import annotations

import os


def our_environment() -> dict[str, str]:
    """Return a copy of our environment, which another thread may be changing."""
    return {name: value for name in list(os.environ) if (value := os.environ.get(name)) is not None}
