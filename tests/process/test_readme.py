from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_metaopt.documents.kinds import KINDS
from tests.pages import checks as check_pages
from tests.pages import messages, mistakes, readme
from tests.pages import nodes as nodes_page
from tests.support import lab
from tests.support.in_process import run_here
from tests.support.paths import ROOT
from tests.support.project import LIGHT, Project


def test_generated_parts_are_what_the_code_prints_today() -> None:
    stale = [path.name for path, text in readme.pages().items() if path.read_text() != text]
    assert not stale, "run: python -m tests.pages"


def test_pages_of_messages_have_every_message_of_the_code() -> None:
    assert not messages.stale(), "run: python -m tests.pages"


def test_readme_is_short() -> None:
    assert len(readme.README.read_bytes()) <= 6144


def test_every_check_has_a_page_with_its_anchor() -> None:
    for group, checks in check_pages.by_group().items():
        page = (check_pages.FOLDER / f"{group}.md").read_text()
        for check in checks:
            assert f"\n## {check.id}\n" in page, check.id


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in (readme.README, ROOT / "CHANGELOG.md", *readme.DOCS.rglob("*.md"))
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
        if not target.startswith("https://") and not _leads_somewhere(page, target)
    ]
    assert not broken


def _leads_somewhere(page: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.exists():
        return False
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE) if anchor else ()
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return not anchor or anchor in anchors


def test_page_of_mistakes_is_what_the_code_prints_today() -> None:
    def run(folder: Path, arguments: Sequence[str]) -> tuple[int, str]:
        done = run_here(pytest.main, [*arguments], folder, environment)
        return done.returncode, done.stdout + done.stderr

    environment = {**os.environ, "COLUMNS": "80", "PYTEST_ADDOPTS": LIGHT}
    page = mistakes.PAGE.read_text()
    assert mistakes.page(run) == page, "run: python -m tests.pages"
    assert page.count("\n## ") == 10


def test_page_of_nodes_is_what_the_code_prints_today() -> None:
    missing = lab.available()
    if missing is not None:
        pytest.skip(f"no network namespaces here: {missing}")
    assert nodes_page.page() == nodes_page.PAGE.read_text(), "run: python -m tests.pages"


def test_ci_runs_the_readmes_test_command_and_nothing_else() -> None:
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in script if line and not line.startswith("#")]
    assert commands[0].startswith("set ")
    assert commands[1].startswith("cd ")
    assert commands[2:] == [readme.readme_commands()[-1]]


def test_launch_spec_of_the_docs_has_nothing_wrong(project: Project) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (readme.DOCS / "launch.md").read_text(), re.DOTALL)
    (example,) = [block for block in blocks if block.startswith("nodes:")]
    project.write("launch.yaml", example)
    # By keyword, since no node of it is there to be queried.
    result = project.pytest("--metaopt-launch", "launch.yaml", "-k", "schema or MN3 or MN5", "-rA")
    result.assert_outcomes(passed=2)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*NCCL_DEBUG is not set*"])


def test_every_key_of_a_launch_spec_has_a_line() -> None:
    page = (ROOT / "docs" / "launch.md").read_text()
    documented = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    keys = KINDS["launch"].json_schema()["properties"]
    ours = {key for key, value in keys.items() if "SkyPilot's" not in value.get("description", "")}
    assert documented == ours - {"name", "resources", "envs", "candidates"}
