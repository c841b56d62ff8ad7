"""Preflight for GPU training campaigns: every readiness question is a pytest test item.

Users import :func:`check`, :func:`fail` and :func:`not_applicable` to declare checks of
their own in a ``conftest.py``, and :func:`probe` for the slow facts that those need.
They are imported on first use, because this package is imported in every pytest session of
everyone who has it installed.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .core.check import check
    from .core.finding import Finding, fail, not_applicable
    from .probes.pool import probe

__all__ = ["Finding", "__version__", "check", "fail", "not_applicable", "probe"]

__version__ = "0.1.0"

_MODULES = {
    "check": "core.check",
    "Finding": "core.finding",
    "fail": "core.finding",
    "not_applicable": "core.finding",
    "probe": "probes.pool",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
