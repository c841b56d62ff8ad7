from __future__ import annotations

from tests.support.project import CAMPAIGN_NAME, Project


def test_empty_project_is_bootstrapped_and_ready(project: Project) -> None:
    result = project.preflight("-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [f"{CAMPAIGN_NAME}::repo[[]R1[]] BOOTSTRAPPED*", "*17 passed, 6 bootstrapped*"]
    )
    assert project.artifact()["checks_summary"] == {
        "total": 23,
        "passed": 17,
        "failed": 0,
        "bootstrapped": 6,
        "warnings": 0,
    }
