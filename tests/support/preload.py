"""Imports the whole package and what it imports on demand, once for all sessions of this process.

pytester drops the modules that a session in this process was the first to import. Those of an
extension module (PyYAML, pydantic, psutil) do not survive a second import, and classes of ours would
be there twice.
"""

from __future__ import annotations

import importlib.util
import pkgutil

import pytest_metaopt

OPTIONAL = ("xdist", "pytest_jsonreport", "psutil", "pynvml", "testinfra", "yaml", "filelock", "pydantic")


def preload() -> None:
    """Import every module of the package, and of the packages it imports on demand those installed."""
    for module in pkgutil.walk_packages(pytest_metaopt.__path__, "pytest_metaopt."):
        importlib.import_module(module.name)
    for name in OPTIONAL:
        if importlib.util.find_spec(name):
            importlib.import_module(name)
