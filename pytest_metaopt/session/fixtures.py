"""The fixtures that checks take: the document, its part, and the project around it.

They are registered only in a session with a document. Those for something on disk read it when a check uses
them, not when they are set up, so that a second evaluation sees what a bootstrap changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

import pytest

from ..core.document import Document
from ..core.state_folder import GitIgnore, StateFolder
from ..documents.kinds import Kind
from .document_file import DocumentFile
from .items import CheckItem


@pytest.fixture
def _metaopt_bootstrap(request: pytest.FixtureRequest) -> None:
    """Run the check's bootstrap ahead of its own fixtures, where the first evaluation failed."""
    item = request.node
    if isinstance(item, CheckItem):
        item.bootstrap_if_needed(request)


def _item(request: pytest.FixtureRequest) -> CheckItem:
    item = request.node
    if not isinstance(item, CheckItem):
        pytest.fail(f"the fixture {request.fixturename!r} of pytest-metaopt is for checks only")
    return item


def _root(request: pytest.FixtureRequest) -> Path:
    # Not taken from the fixture project_root: a conftest may well have one of that name, for its own tests.
    item = _item(request)
    return item.parts.documents.roots[item.path]


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


def of_kinds(kinds: Iterable[Kind]) -> ModuleType:
    """Return a module with a fixture for the document of each kind, and for each kind of part."""
    module = ModuleType(f"{__name__}_of_documents")
    for kind in kinds:
        _declare(module, kind.name, _document, kind.fixture_help or f"The {kind.title}.", scope="module")
        for part in kind.subjects:
            _declare(
                module, part, _subject, f'The {part} of the {kind.title}, in a check with ``each="{part}"``.'
            )
    return module


def _declare(
    module: ModuleType,
    name: str,
    value: Callable[[pytest.FixtureRequest], object],
    doc: str,
    *,
    scope: str = "function",
) -> None:
    def fixture(request: pytest.FixtureRequest) -> object:
        return value(request)

    fixture.__doc__ = doc
    setattr(module, name, pytest.fixture(name=name, scope=scope)(fixture))  # type: ignore[call-overload]


def _document(request: pytest.FixtureRequest) -> Document:
    node, name = request.node, request.fixturename
    if not isinstance(node, DocumentFile):
        pytest.fail(f"the fixture {name!r} of pytest-metaopt is for checks only")
    if node.view is not None and node.view.kind.name == name:
        return node.view.document
    if node.kind.name != name:
        pytest.fail(f"the fixture {name!r} is for checks of a {name}; this is one of a {node.kind.name}")
    return node.document


def _subject(request: pytest.FixtureRequest) -> object:
    item, name = _item(request), request.fixturename
    if item.subject is None or item.check.each != name:
        pytest.fail(f'the fixture {name!r} is for checks with each="{name}"')
    return item.subject.value
