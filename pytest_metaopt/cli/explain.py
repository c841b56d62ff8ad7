"""``metaopt-preflight explain``: what a built-in check asks, and how to fix what it finds."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator

from ..core.check import Check
from ..core.text import did_you_mean, wrapped
from ..session.catalog import builtin_checks
from .exit_status import READY, USAGE

_WIDEST = 100


def explanation(check: Check, width: int) -> str:
    """Return what is known of *check*, in lines of at most *width* columns."""
    return "\n".join(wrapped(text, width=width, rest=rest) for text, rest in _paragraphs(check))


def _paragraphs(check: Check) -> Iterator[tuple[str, str]]:
    """Yield each paragraph, and what its lines after the first begin with."""
    yield f"{check.label}: {check.description}", "  "
    evaluated = f"each {check.each} of a {check.document}" if check.each else f"a {check.document}"
    yield f"  evaluated on: {evaluated}", "    "
    yield f"  severity: {check.severity}", "    "
    if check.online:
        yield "  collected only with --metaopt-online", "    "
    if check.setting:
        yield f"  collected only with the ini key {check.setting}", "    "
    if check.bootstrap:
        yield f"  bootstrap: {check.bootstrap} fixes it, then the check is evaluated again", "    "
    yield f"  fix: {check.remediation}", "    "
    if check.page:
        yield f"  see: {check.page}", "    "


def _is_named(check: Check, name: str) -> bool:
    """Return whether *name* is the id of *check*, or a node id of it."""
    item = name.rpartition("::")[2]
    return item in {check.id, check.label} or item.startswith(f"{check.label[:-1]}-")


def run(arguments: list[str]) -> int:
    """Explain the checks that *arguments* name."""
    parser = argparse.ArgumentParser(
        prog="metaopt-preflight explain",
        description="Run no check; print what a built-in check asks, its severity and its fix.",
        epilog="Exit status: 0; 2 if a check does not exist. All checks, your own included: pytest"
        " --metaopt-checks.",
    )
    parser.add_argument(
        "check", nargs="+", metavar="CHECK", help="an id such as R7, or a node id: FILE::repo[R7]"
    )
    checks = list(builtin_checks())
    chosen: list[Check] = []
    for name in parser.parse_args(arguments).check:
        found = [check for check in checks if _is_named(check, name)]
        if not found:
            hint = did_you_mean(name, [check.id for check in checks]) or "; see pytest --metaopt-checks"
            sys.stderr.write(f"ERROR: unknown check {name!r}{hint}\n")
            return USAGE
        chosen += found
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    print("\n\n".join(explanation(check, width) for check in dict.fromkeys(chosen)))
    return READY
