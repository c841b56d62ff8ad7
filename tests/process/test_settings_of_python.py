"""Python's own options: those that change what a check says."""

from __future__ import annotations

import sys

import pytest

from tests.support.project import CAMPAIGN_NAME, Project


def test_python_that_removes_assertions_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    result = project.pytester.run(sys.executable, "-O", "-m", "pytest", "--metaopt-campaign", CAMPAIGN_NAME)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*python -O removes assert statements*run without -O*"])
    assert not {".ml-metaopt", ".gitignore"} & set(project.tree())
    # Who does not use us is not bothered.
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    project.write("test_own.py", "def test_own():\n    pass\n")
    assert project.pytest().ret == 0
    assert project.preflight().ret == 4
