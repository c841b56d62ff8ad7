"""A verdict: the readiness of a document at the end of a session, and what became of its artifact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .artifact import Status
from .artifact_file import previous
from .readiness import Readiness


@dataclass(frozen=True)
class Verdict:
    """The readiness of a campaign or of other documents, and what became of the artifact.

    :param path: where the artifact belongs; None: there is none.
    :param place: the artifact's path as people see it.
    :param written: whether the artifact now says this.
    :param note: why the artifact could not be written, else None.
    """

    readiness: Readiness
    path: Path | None = None
    place: str = ""
    written: bool = False
    note: str | None = None

    @property
    def status(self) -> Status:
        """READY, FAILED or INCOMPLETE."""
        return self.readiness.status

    def previous(self) -> str | None:
        """Return the status that an artifact from before this session has; None where there is none."""
        return previous(self.path) if self.path is not None else None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values, for hooks and the JSON report."""
        return {
            **self.readiness.artifact.to_json(),
            "campaign_path": self.readiness.plan.path if self.readiness.plan.fields["campaign_id"] else None,
            "artifact_path": str(self.path),
            "complete": self.readiness.complete,
            "written": self.written,
            "note": self.note or self.readiness.why_incomplete,
            "nodes": [node.to_json() for node in self.readiness.nodes],
        }
