"""The fixtures that checks take: views of the document and of the project around it.

They are registered only in a session that a document was named in. A view looks at the disk when it is
asked, not when the fixture is set up, so that a second evaluation sees what a bootstrap changed.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ..core.document import Document
from ..core.state_folder import STATE_FOLDER
from .items import CheckItem, DocumentFile
from .preflight import KEY

IGNORE_LINES = frozenset(f"{lead}{STATE_FOLDER}{tail}" for lead in ("", "/") for tail in ("", "/", "/*"))
"""The lines of a .gitignore that exclude the state folder (campaign contract, R2)."""


class OutsideProjectError(Exception):
    """A path leads out of the project root; ``str()`` of it says which and where to."""

    def __init__(self, path: Path, root: Path) -> None:
        super().__init__(
            f"{path.relative_to(root)} leads out of the project root, to {os.path.realpath(path)}"
        )


class StateFolder:
    """The ``.ml-metaopt`` folder of a project, where the orchestrator keeps its state."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / STATE_FOLDER

    def problem(self, name: str = "") -> str | None:
        """Say why ``.ml-metaopt/<name>`` is not a directory inside the project; None where it is."""
        path = self.path / name if name else self.path
        label = f"{path.relative_to(self.root)}/"
        if not os.path.lexists(path):
            return f"{label} is missing"
        try:
            require_inside(path, self.root)
        except OutsideProjectError as error:
            return str(error)
        if path.is_dir():
            return None
        kind = "a dangling link" if path.is_symlink() else "no directory"
        return f"{label.rstrip('/')} is {kind}"


class GitIgnore:
    """The ``.gitignore`` in the project root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / ".gitignore"

    def problem(self) -> str | None:
        """Say why the file is none that git would read; None where it is, or where there is none."""
        if not os.path.lexists(self.path):
            return None
        try:
            require_inside(self.path, self.root)
        except OutsideProjectError as error:
            return str(error)
        if self.path.is_symlink() and not self.path.exists():
            return ".gitignore is a dangling link"
        if self.path.is_symlink():
            return ".gitignore is a link, which git does not follow; replace it with a file"
        if not self.path.is_file():
            return ".gitignore is no regular file"
        try:
            self.path.open("rb").close()
        except OSError as error:
            return f".gitignore can't be read: {error.strerror}"
        return None

    def excludes_state_folder(self) -> bool:
        """Tell whether it has one of the lines ``.ml-metaopt/``, ``.ml-metaopt``, ``.ml-metaopt/*``.

        :raises OSError: the file can't be read.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return False
        lines = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").split("\n")
        return any(line.removesuffix("\r").rstrip(" ") in IGNORE_LINES for line in lines)


def require_inside(path: Path, root: Path) -> None:
    """Raise :class:`OutsideProjectError` where *path*, its links followed, lies outside *root*."""
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise OutsideProjectError(path, root)


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
