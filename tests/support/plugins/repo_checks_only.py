"""A pytest plugin for the tests of the spine: of the built-in checks only R1 to R9.

What is counted there shall not depend on the checks that are added from issue to issue.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, cast

import pytest

from pytest_metaopt.session import options


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Take the other modules of checks out of the table, unless nothing of ours is imported anyway."""
    if options.is_requested(config):
        from pytest_metaopt.documents.kinds import KINDS

        kinds = cast("dict[str, Any]", KINDS)
        config.add_cleanup(partial(kinds.update, dict(kinds)))
        for name, kind in kinds.items():
            modules = ("pytest_metaopt.checks.repo",) if name == "campaign" else ()
            kinds[name] = replace(kind, check_modules=modules, online_check_modules=())
