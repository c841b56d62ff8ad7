"""The documents of a session: which files are documents, of which kind, each parsed once a process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.document import Document, DocumentError
from ..core.state_folder import project_root
from ..documents.kinds import Kind, companions, known_kinds, recognised_kind

if TYPE_CHECKING:
    from ..core.settings import Settings


@dataclass(frozen=True)
class Viewed:
    """A document looked at as one of another kind."""

    kind: Kind
    document: Document


class Documents:
    """The documents that the command line names, and their companions.

    :ivar kinds: the kind of each, by its path; those that have an artifact come first.
    :ivar roots: the project root of each.
    :ivar views: what some are looked at as, too.
    """

    def __init__(self, settings: Settings) -> None:
        self._overrides = settings.overrides
        self._parsed: dict[Path, Document | DocumentError] = {}
        kinds = dict(_named(settings))
        for path, kind in list(kinds.items()):
            if kind.artifact:
                for companion, its_kind in self.companions(path, kind).items():
                    kinds.setdefault(companion, its_kind)
        self.kinds = dict(sorted(kinds.items(), key=lambda entry: not entry[1].artifact))
        self.roots = {path: project_root(path, settings.root) for path in self.kinds}
        self.views = dict(self._views())

    @property
    def needed_kinds(self) -> Sequence[Kind]:
        """The kinds whose checks, bootstraps and probes the session needs."""
        return [*self.kinds.values(), *(view.kind for view in self.views.values())]

    def load(self, path: Path) -> Document:
        """Return the parsed document at *path*.

        :raises DocumentError: it cannot be read; the same error each time.
        """
        return self._load(path, self.kinds[path])

    def _load(self, path: Path, kind: Kind) -> Document:
        if path not in self._parsed:
            try:
                document = kind.load(path)
                if self._overrides and kind.with_overrides:
                    document = kind.with_overrides(document, self._overrides)
                self._parsed[path] = document
            except DocumentError as error:
                self._parsed[path] = error
        parsed = self._parsed[path]
        if isinstance(parsed, DocumentError):
            raise parsed
        return parsed

    def companions(self, path: Path, kind: Kind) -> dict[Path, Kind]:
        """Return the companions that the document at *path* names; none where it cannot be read."""
        if not os.path.isfile(path):
            return {}
        try:
            return companions(self._load(path, kind))
        except DocumentError:
            return {}  # reported when it is collected

    def _views(self) -> Iterable[tuple[Path, Viewed]]:
        for path, kind in self.kinds.items():
            if kind.view is None or not os.path.isfile(path):
                continue
            try:
                document = kind.view.of(self.load(path))
            except DocumentError:
                continue  # reported when it is collected
            if document is not None:
                yield path, Viewed(known_kinds()[kind.view.kind], document)

    def overridden(self) -> dict[str, list[Path]]:
        """Return what overrides changed, one sentence each, and the documents that it was changed in."""
        found: dict[str, list[Path]] = {}
        for path, kind in self.kinds.items() if self._overrides else ():
            if kind.with_overrides is not None:
                try:
                    changes = self.load(path).changes
                except DocumentError:
                    continue  # reported when it is collected
                for change in changes:
                    found.setdefault(change, []).append(path)
        return found

    @property
    def takes_overrides(self) -> int:
        """How many of the documents are of a kind that ``--metaopt-override`` is for."""
        return sum(kind.with_overrides is not None for kind in self.kinds.values())


def _named(settings: Settings) -> Iterable[tuple[Path, Kind]]:
    named = {path: known_kinds()[name] for path, name in settings.named.items()}
    yield from named.items()
    for path in settings.paths:
        if path not in named and (kind := recognised_kind(path)) is not None:
            yield path, kind
