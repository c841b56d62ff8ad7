from __future__ import annotations

import re

import pytest

from pytest_metaopt.documents.kinds import KINDS
from tests import lab, mistakes, nodes_page, readme
from tests.conftest import Project


def test_generated_parts_are_what_the_code_prints_today() -> None:
    text = readme.README.read_text()
    assert readme.generated(text) == text, "run: python -m tests.readme"


def test_page_of_mistakes_is_what_the_code_prints_today() -> None:
    page = mistakes.PAGE.read_text()
    assert mistakes.page() == page, "run: python -m tests.readme"
    assert page.count("\n## ") == 10


def test_page_of_nodes_is_what_the_code_prints_today() -> None:
    missing = lab.available()
    if missing is not None:
        pytest.skip(f"no network namespaces here: {missing}")
    assert nodes_page.page() == nodes_page.PAGE.read_text(), "run: python -m tests.readme"


def test_ci_runs_the_readmes_test_command_and_nothing_else() -> None:
    script = (readme.ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in script if line and not line.startswith("#")]
    assert commands[0].startswith("set ")
    assert commands[1].startswith("cd ")
    assert commands[2:] == [readme.readme_commands()[-1]]


@pytest.mark.parametrize(
    "option",
    [
        "campaign",
        "manifest",
        "run-config",
        "launch",
        "max-connections",
        "override",
        "root",
        "no-bootstrap",
        "readiness",
        "timeout",
        "online",
        "checks",
    ],
)
def test_every_option_has_a_line(option: str) -> None:
    assert f"| `--metaopt-{option}" in readme.README.read_text()


def test_launch_spec_of_the_readme_has_nothing_wrong(project: Project) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", readme.README.read_text(), re.DOTALL)
    (example,) = [block for block in blocks if block.startswith("nodes:")]
    project.write("launch.yaml", example)
    # By keyword, since no node of it is there to be asked.
    result = project.pytest("--metaopt-launch", "launch.yaml", "-k", "schema or MN3 or MN5", "-rA")
    result.assert_outcomes(passed=2)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*NCCL_DEBUG is not set*"])


def test_every_key_of_a_launch_spec_has_a_line() -> None:
    page = (readme.ROOT / "docs" / "launch.md").read_text()
    documented = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    keys = KINDS["launch"].json_schema()["properties"]
    ours = {key for key, value in keys.items() if "SkyPilot's" not in value.get("description", "")}
    assert documented == ours - {"name", "resources", "envs", "candidates"}
