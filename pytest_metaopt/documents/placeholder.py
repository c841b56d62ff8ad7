"""Placeholders: strings of a template that somebody was to replace."""

from __future__ import annotations

MARKERS = ("YOUR_", "replace-me")
"""Each of these makes a string a placeholder, and so do both of ``BRACKETS`` together."""
BRACKETS = ("<", ">")


def is_placeholder(value: object) -> bool:
    """Return whether *value* is a string that somebody was to replace (campaign contract)."""
    return isinstance(value, str) and (
        any(marker in value for marker in MARKERS) or all(bracket in value for bracket in BRACKETS)
    )
