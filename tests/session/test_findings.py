from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tests.support.project import CAMPAIGN_NAME, Project

CONFTEST = """
from pytest_metaopt import Finding, check, fail

@check("sizes", group="own", remediation="Mend both.")
def sizes():
    first, second = Finding("the first is 3; 5 is needed", 3, 4), Finding("the second is\\nmissing", 5)
    fail([first, second, Finding("no place")])

@check("one", group="own", severity="advisory")
def one():
    fail([Finding("only this", 2, 7)])

@check("local_only", group="own", when=lambda campaign: campaign.get("compute.provider") == "local")
def local_only():
    pass
"""


def test_several_findings_are_reported_at_once_each_with_its_place(project: Project) -> None:
    project.write("conftest.py", CONFTEST)
    result = project.preflight("-v", "--junitxml=j.xml")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            f"{CAMPAIGN_NAME}: sizes: 3 problems",
            f"{CAMPAIGN_NAME}:3:4: the first is 3; 5 is needed",
            f"{CAMPAIGN_NAME}:5: the second is missing",
            f"{CAMPAIGN_NAME}:1:1: no place",
            "  fix: Mend both.",
            "to do:",
            f"  1. sizes: 3 problems ({CAMPAIGN_NAME}:3)",
            "     line 3: the first is 3; 5 is needed",
            "     line 5: the second is missing",
            "     line 1: no place",
            "     -> Mend both.",
            f"  1. one: only this ({CAMPAIGN_NAME}:2)",
        ]
    )
    failure = project.artifact()["failures"][0]
    assert failure["message"].splitlines() == [
        "3 problems",
        "line 3: the first is 3; 5 is needed",
        "line 5: the second is missing",
        "line 1: no place",
    ]
    case = next(
        case for case in ET.parse(project.path / "j.xml").iter("testcase") if case.get("name") == "own[sizes]"
    )
    reported = case.find("failure")
    assert reported is not None
    assert reported.get("message") == (
        "3 problems; line 3: the first is 3; 5 is needed; line 5: the second is missing; line 1: no place."
        " Fix: Mend both."
    )


def test_a_failure_without_a_finding_is_a_mistake_of_the_check(project: Project) -> None:
    project.write(
        "conftest.py",
        "from pytest_metaopt import check, fail\n\n@check('X', group='own')\ndef x():\n    fail([])\n",
    )
    result = project.preflight("-q")
    assert result.ret == 1
    message = project.artifact()["failures"][0]["message"]
    assert message == "the check crashed: ValueError: fail() was called without a finding"


@pytest.mark.parametrize(("provider", "queried"), [("local", True), ("vast_ai", False)])
def test_a_check_is_queried_only_of_the_documents_that_it_says(
    project: Project, provider: str, queried: bool
) -> None:
    project.write("conftest.py", CONFTEST)
    project.edit("provider: local", f"provider: {provider}")
    result = project.preflight("--collect-only", "-q")
    assert (f"{CAMPAIGN_NAME}::own[local_only]" in result.stdout.lines) == queried
