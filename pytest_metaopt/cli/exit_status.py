"""Exit status of the command ``metaopt-preflight``."""

from __future__ import annotations

READY = 0
FAILED = 1
USAGE = 2
"""Nothing could be looked at."""
INTERRUPTED = 130
