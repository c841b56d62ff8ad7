"""The pages of the built-in checks, one a group: ``python -m tests.pages`` writes them from the catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_metaopt.core.check import Check
from pytest_metaopt.session.catalog import builtin_checks
from tests.support.paths import ROOT

FOLDER = ROOT / "docs" / "checks"
INDEX = FOLDER / "README.md"
_FILES = {
    "campaign": "ml_metaopt_campaign.yaml",
    "manifest": "training_manifest.toml",
    "run_config": "run.yaml",
    "launch": "launch.yaml",
}
"""What the file of a document is called in the node ids that the pages show."""


def pages() -> Mapping[Path, str]:
    """Return the text of every page by its path, the index included."""
    groups = by_group()
    return {
        INDEX: _index(groups),
        **{FOLDER / f"{group}.md": _page(group, groups[group]) for group in groups},
    }


def by_group() -> Mapping[str, Sequence[Check]]:
    """Return the built-in checks by their groups, in the order of the catalog."""
    groups: dict[str, list[Check]] = {}
    for check in builtin_checks():
        groups.setdefault(check.group, []).append(check)
    return groups


def _index(groups: Mapping[str, Sequence[Check]]) -> str:
    rows = [
        f"| [`{group}[{check.id}]`]({(check.page or '').removeprefix('docs/checks/')}) | {_severity(check)} |"
        f" {check.description} |"
        for group, checks in groups.items()
        for check in checks
    ]
    return "\n".join(
        [
            "# The checks",
            "",
            "Every built-in check, by group. `pytest --metaopt-checks` lists them with your own checks.",
            "",
            "| check | severity | holds when |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _page(group: str, checks: Sequence[Check]) -> str:
    parts = [f"# Checks of the group {group}\n\n[All checks](README.md)\n"]
    for check in checks:
        lines = [f"## {check.id}", "", check.description, ""]
        lines += [f"- node id: `{_node_id(check)}`", f"- severity: {_severity(check)}"]
        if check.setting:
            lines.append(f"- collected only with the ini key `{check.setting}`")
        if check.bootstrap:
            lines.append(f"- bootstrap: `{check.bootstrap}` fixes it, then the check is evaluated again")
        lines += [f"- fix: {_escaped(check.remediation)}", ""]
        parts.append("\n".join(lines))
    return "\n".join(parts)


def _node_id(check: Check) -> str:
    subject = f"-{check.each.upper()}" if check.each else ""
    return f"{_FILES[check.document]}::{check.group}[{check.id}{subject}]"


def _severity(check: Check) -> str:
    return f"{check.severity}, with `--metaopt-online`" if check.online else check.severity


def _escaped(text: str) -> str:
    return text.replace("*", r"\*").replace("~", r"\~").replace("<", r"\<")
