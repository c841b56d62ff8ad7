"""``--metaopt-checks``: the catalog, printed as ``--fixtures`` prints fixtures."""

from __future__ import annotations

from itertools import groupby

import pytest

from ..core.check import Check
from ..core.text import wrapped
from . import compat
from .catalog import CATALOG
from .parts import shown


def show(config: pytest.Config) -> int:
    """Print every known check and return the exit status."""

    def print_catalog(_session: pytest.Session) -> None:
        terminal = config.get_terminal_writer()
        catalog = config.stash[CATALOG]
        for (document, group), members in groupby(
            list(catalog), key=lambda check: (check.document, check.group)
        ):
            terminal.line()
            terminal.sep("-", f"{document}: {group}")
            for check in members:
                _show_check(check)

    def _show_check(check: Check) -> None:
        terminal = config.get_terminal_writer()
        terminal.write(check.id, green=True)
        terminal.write(f"  {check.severity}")
        if check.each:
            terminal.write(f"  each {check.each}")
        if check.online:
            terminal.write("  online")
        if check.setting:
            terminal.write(f"  needs {check.setting}")
        if check.bootstrap:
            terminal.write(f"  bootstrap: {check.bootstrap}", cyan=True)
        terminal.line(f" -- {_place(check)}" if check.scope or config.option.verbose > 0 else "")
        width = max(40, terminal.fullwidth)
        terminal.line(wrapped(check.description, width=width, first="    "))
        if check.remediation:
            terminal.line(wrapped(check.remediation, width=width, first="    fix: ", rest="         "))

    def _place(check: Check) -> str:
        path, _, line = check.source.rpartition(":")
        return f"{shown(path, config)}:{line}"

    return compat.print_in_session(config, print_catalog)
