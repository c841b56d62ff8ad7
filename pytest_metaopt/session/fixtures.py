"""The fixtures that checks take: views of the document and of the project around it.

They are registered only in a session that a document was named in. A view looks at the disk when it is
asked, not when the fixture is set up, so that a second evaluation sees what a bootstrap changed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ..core.document import Document
from ..core.state_folder import GitIgnore, StateFolder
from .items import CheckItem, DocumentFile
from .preflight import KEY


@pytest.fixture
def _metaopt_bootstrap(request: pytest.FixtureRequest) -> None:
    """Run the check's bootstrap ahead of its own fixtures, where the first look said no."""
    item = request.node
    if isinstance(item, CheckItem):
        item.bootstrap_if_needed(request)


def _item(request: pytest.FixtureRequest) -> CheckItem:
    item = request.node
    if not isinstance(item, CheckItem):
        pytest.fail(f"the fixture {request.fixturename!r} of pytest-metaopt is for checks only")
    return item


def _document(node: DocumentFile, kind: str | None) -> Document:
    if node.view is not None and node.view[0].name == kind:
        return node.view[1]
    if node.kind.name != kind:
        pytest.fail(f"the fixture {kind!r} is for checks of a {kind}; this is one of a {node.kind.name}")
    assert node.document is not None  # noqa: S101 - checks are collected from a parsed document
    return node.document


def _subject(request: pytest.FixtureRequest) -> object:
    item = _item(request)
    if item.subject is None:
        pytest.fail(f'the fixture {request.fixturename!r} is for checks with each="{request.fixturename}"')
    return item.subject.value


def _root(request: pytest.FixtureRequest) -> Path:
    # Not taken from the fixture project_root: a conftest may well have one of that name, for its own tests.
    item = _item(request)
    return item.config.stash[KEY].roots[item.path]


@pytest.fixture
def campaign(request: pytest.FixtureRequest) -> Document:
    """The campaign that is asked about: ``get("project.repo")``, ``line("project.repo")``, ``path``."""
    return _document(_item(request).parent, request.fixturename)


@pytest.fixture(scope="module")
def manifest(request: pytest.FixtureRequest) -> Document:
    """The training manifest that is asked about: ``jobs``, ``hosts``, ``eligible(job)``, ``line(...)``."""
    node = request.node
    if not isinstance(node, DocumentFile):
        pytest.fail(f"the fixture {request.fixturename!r} of pytest-metaopt is for checks only")
    return _document(node, request.fixturename)


@pytest.fixture(scope="module")
def run_config(request: pytest.FixtureRequest) -> Document:
    """The run config that is asked about: ``get("compute")``, ``line(...)``, ``model``, ``root_path``."""
    node = request.node
    if not isinstance(node, DocumentFile):
        pytest.fail(f"the fixture {request.fixturename!r} of pytest-metaopt is for checks only")
    return _document(node, request.fixturename)


@pytest.fixture(scope="module")
def launch(request: pytest.FixtureRequest) -> Document:
    """The launch spec that is asked about: ``nodes``, ``gpus``, ``storage``, ``launcher``, ``env``."""
    node = request.node
    if not isinstance(node, DocumentFile):
        pytest.fail(f"the fixture {request.fixturename!r} of pytest-metaopt is for checks only")
    return _document(node, request.fixturename)


@pytest.fixture
def node(request: pytest.FixtureRequest) -> object:
    """The node that is asked about, in a check with ``each="node"``."""
    return _subject(request)


@pytest.fixture
def job(request: pytest.FixtureRequest) -> object:
    """The job that is asked about, in a check with ``each="job"``."""
    return _subject(request)


@pytest.fixture
def project_root(request: pytest.FixtureRequest) -> Path:
    """The folder that ``.ml-metaopt/`` and ``.gitignore`` belong in."""
    return _root(request)


@pytest.fixture
def state_folder(request: pytest.FixtureRequest) -> StateFolder:
    """The project's ``.ml-metaopt`` folder: ``problem()``, ``problem("handoffs")``."""
    return StateFolder(_root(request))


@pytest.fixture
def gitignore(request: pytest.FixtureRequest) -> GitIgnore:
    """The project's ``.gitignore``: ``excludes_state_folder()``, ``problem()``."""
    return GitIgnore(_root(request))
