"""Where things are in this repository."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The root of the repository."""

RECORDED = ROOT / "tests" / "recorded"
"""What real tools printed, a folder a tool; its README names their versions."""
