"""Sessions in a process of their own: workers, locks, crashes, signals, exit statuses, installed packages."""

from __future__ import annotations

import pytest

from tests.support.project import Project


@pytest.fixture
def project(project: Project) -> Project:
    """A new project, whose sessions each have a process of their own."""
    project.own_process = True
    return project
