from __future__ import annotations

import pytest

from tests import mistakes, readme


def test_generated_parts_are_what_the_code_prints_today() -> None:
    text = readme.README.read_text()
    assert readme.generated(text) == text, "run: python -m tests.readme"


def test_page_of_mistakes_is_what_the_code_prints_today() -> None:
    page = mistakes.PAGE.read_text()
    assert mistakes.page() == page, "run: python -m tests.readme"
    assert page.count("\n## ") == 10


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
