"""Counts what keeps the package easy to find one's way in; run as ``python -m tests.support.structure``.

A circle is a group of modules that import each other; lazy imports and those for types only count. Exit
status 1 where one of the figures is above its limit.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp

from tests.support.paths import ROOT

PACKAGE = "pytest_metaopt"
MOST_LINES = 400
MOST_AT_ROOT = 6

_ROOT = ROOT / PACKAGE


def circles() -> list[list[str]]:
    """Return the groups of modules that import each other, directly or through others."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    reached = {module: {module, *graph.find_downstream_modules(module)} for module in sorted(graph.modules)}
    groups: list[list[str]] = []
    for module, importers in reached.items():
        group = sorted(other for other in importers if module in reached[other])
        if len(group) > 1 and group not in groups:
            groups.append(group)
    return groups


def large_modules() -> list[str]:
    """Return the modules with more than ``MOST_LINES`` lines, each with the number."""
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in _ROOT.rglob("*.py")}
    return [f"{path.relative_to(_ROOT)} ({count})" for path, count in lines.items() if count > MOST_LINES]


def probe_functions_in_checks() -> list[str]:
    """Return the imports by which a check reaches a probe itself, not its types or constants.

    A check is given facts by fixtures, so that a test, or a user's conftest, can put others in their place.
    """
    return [
        f"{path.relative_to(_ROOT)}:{line} ({name})"
        for path in sorted((_ROOT / "checks").rglob("*.py"))
        for line, module, name in _names_imported(path)
        if "probes" in module.split(".") and not name[:1].isupper()
    ]


def _names_imported(path: Path) -> Iterator[tuple[int, str, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, node.module or "", name.name) for name in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, name.name, name.name) for name in node.names)


def main() -> int:
    """Print the figures and return the exit status."""
    at_root = sorted(path.name for path in _ROOT.glob("*.py"))
    figures = [
        ("circles", [" <-> ".join(group) for group in circles()], 0),
        (f"modules over {MOST_LINES} lines", large_modules(), 0),
        ("modules in the package root", at_root, MOST_AT_ROOT),
        ("probe functions imported by checks", probe_functions_in_checks(), 0),
    ]
    for name, found, most in figures:
        print(f"{name}: {len(found)} (at most {most})")
        if len(found) > most:
            print("".join(f"  {entry}\n" for entry in found), end="")
    return int(any(len(found) > most for _, found, most in figures))


if __name__ == "__main__":
    sys.exit(main())
