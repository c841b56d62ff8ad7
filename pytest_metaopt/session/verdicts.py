"""The verdicts of a session: what was planned and reported becomes readiness, and artifacts are written."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from ..core.document import DocumentError
from ..core.locks import LockUnavailableError
from ..core.state_folder import STATE_FOLDER
from ..results.artifact import ARTIFACT_NAME
from ..results.artifact_file import NotWrittenError, is_failed, revoke, write_artifact
from ..results.ledger import Ledger, Plan
from ..results.node_lists import NODE, NODE_LISTS, node_lists
from ..results.readiness import Readiness, judge
from ..results.result import Result
from ..results.verdict import Verdict
from .documents import Documents


class Verdicts:
    """What is known of the readiness of each document, in the process that sees every report.

    :param readiness: where ``--metaopt-readiness`` wants the artifact; None: in the project root.
    :param shown: returns a path as people see it.
    """

    def __init__(self, documents: Documents, readiness: Path | None, shown: Callable[[Path], str]) -> None:
        self._documents = documents
        self._readiness = readiness
        self._shown = shown
        self._started = time.monotonic()
        self.artifacts: Mapping[Path, Path] = {
            path: readiness or root / STATE_FOLDER / ARTIFACT_NAME
            for path, root in documents.roots.items()
            if documents.kinds[path].artifact
        }
        self.ledger = Ledger()
        self.interruption: str | None = None
        """Why the session has no end that a verdict could be based on; None where it has one."""
        self.malformed = False
        """Whether a document could not be read."""
        self.concluded: list[Verdict] = []
        self._revoked: dict[Path, int | None] = {}

    @property
    def common_artifact(self) -> Path | None:
        """Where the verdict over all documents goes if none of them has an artifact of its own."""
        return None if self.artifacts or not self._documents.kinds else self._readiness

    def artifact_of(self, path: Path) -> Path | None:
        """Return where the artifact goes that speaks of the document at *path*."""
        return self.artifacts.get(path, self.common_artifact)

    def require_separate_artifacts(self) -> None:
        """Refuse artifacts that would overwrite a document or each other.

        :raises pytest.UsageError: naming both.
        """
        writers: dict[str, Path] = {}
        documents = {os.path.realpath(path) for path in self._documents.kinds}
        artifacts = dict(self.artifacts)
        if self.common_artifact is not None:
            artifacts[next(iter(self._documents.kinds))] = self.common_artifact
        for path, artifact in artifacts.items():
            if os.path.realpath(artifact) in documents:
                raise pytest.UsageError(
                    f"--metaopt-readiness: {self._shown(artifact)} is a document; name another file"
                )
            other = writers.setdefault(os.path.realpath(artifact), path)
            if other != path:
                raise pytest.UsageError(
                    f"{self._shown(other)} and {self._shown(path)} would both write"
                    f" {self._shown(artifact)}; run them separately, or with different roots"
                )

    def add_plan(self, plan: Plan) -> None:
        """Note the plan of a document."""
        self.ledger.add_plan(plan)

    def add_result(self, result: Result) -> None:
        """Note how a check came out."""
        self.ledger.add_result(result)

    def add_collection_failure(self, path: Path) -> None:
        """Note that the file at *path*, which may be a document, could not be collected."""
        if any(path == known for known in self._documents.kinds):
            self.malformed = True

    def revoke(self, paths: Iterable[Path]) -> None:
        """Take back what artifacts from before say of the documents at *paths*.

        :raises NotWrittenError: one may still say READY.
        """
        for path in paths:
            artifact = self._artifact_that_counts(path)
            if artifact is None or artifact in self._revoked:
                continue
            self._revoked[artifact] = None
            if is_failed(artifact):
                continue
            self._revoked[artifact] = revoke(artifact)

    def _artifact_that_counts(self, path: Path) -> Path | None:
        """Return the artifact that a failure in the document at *path* concerns."""
        for other, artifact in self.artifacts.items():
            if path == other or path in self._documents.companions(other, self._documents.kinds[other]):
                return artifact
        return self.common_artifact

    def conclude(self, exitstatus: int) -> Iterator[Verdict]:
        """Judge the documents, write the artifacts, and yield each verdict that has one."""
        interruption = self.interruption or _interruption(exitstatus)
        for paths, artifact in self._judged_together():
            readiness = self._judge(paths, artifact, interruption)
            if readiness is None:
                continue
            verdict = Verdict(readiness) if artifact is None else self._write(paths, artifact, readiness)
            self.concluded.append(verdict)
            if artifact is not None:
                yield verdict

    def _judged_together(self) -> Iterator[tuple[list[Path], Path | None]]:
        """Yield the documents that one verdict is made over, and its artifact, if it has one."""
        kinds = self._documents.kinds
        counted: set[Path] = set(self.artifacts)
        for path, artifact in self.artifacts.items():
            others = list(self._documents.companions(path, kinds[path]))
            counted.update(others)
            yield [path, *others], artifact
        rest = [path for path in kinds if path not in counted]
        if self.common_artifact is not None:
            yield rest, self.common_artifact
            return
        for path in rest:
            yield [path], None

    def _judge(
        self, paths: Sequence[Path], artifact: Path | None, interruption: str | None
    ) -> Readiness | None:
        plans = []
        for path in paths:
            plan = self.ledger.plans.get(str(path))
            if plan is None:
                plan = self._empty_plan(path)
                interruption = interruption or f"no check of {self._shown(path)} was collected"
            if plan is not None:
                plans.append(plan)
        if not plans or plans[0].path != str(paths[0]):
            return None
        name = None if artifact is None or paths[0] in self.artifacts else ", ".join(p.shown for p in plans)
        return judge(
            self.ledger,
            plans[0].with_others(plans[1:], name),
            seconds=time.monotonic() - self._started,
            interruption=interruption,
            brief=artifact is None,
        )

    def _empty_plan(self, path: Path) -> Plan | None:
        """Return a plan without checks for a document that no worker has planned; None if it is malformed."""
        if self.malformed:
            return None
        try:
            document = self._documents.load(path)
        except DocumentError:
            return None
        return Plan(str(path), self._shown(path), (), document.readiness_fields)

    def _write(self, paths: Sequence[Path], artifact: Path, readiness: Readiness) -> Verdict:
        path, place = paths[0], self._shown(artifact)
        if readiness.status == "INCOMPLETE":
            return Verdict(readiness, artifact, place)
        root = self._documents.roots[path] if self._readiness is None else None
        try:
            # The lists beside an artifact are its own; but in a folder that the user named, those of
            # another session about other documents may lie.
            kinds = [self._documents.kinds[one] for one in paths]
            owns_lists = root is not None or any(NODE in kind.subjects for kind in kinds)
            lists = _node_lists(readiness) if owns_lists else None
            write_artifact(
                readiness.artifact, artifact, root=root, mode=self._revoked.get(artifact), beside=lists
            )
        except (NotWrittenError, LockUnavailableError) as error:
            return Verdict(readiness, artifact, place, note=str(error))
        return Verdict(readiness, artifact, place, written=True)


def _node_lists(readiness: Readiness) -> Mapping[str, Sequence[str] | None]:
    return node_lists(readiness.nodes) if readiness.nodes else dict.fromkeys(NODE_LISTS)


def _interruption(exitstatus: int) -> str | None:
    if exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED}:
        return None
    if exitstatus == pytest.ExitCode.INTERRUPTED:
        return "the session was interrupted"
    if exitstatus == pytest.ExitCode.INTERNAL_ERROR:
        return "the session ended in an internal error"
    return f"the session ended with exit status {exitstatus}"
