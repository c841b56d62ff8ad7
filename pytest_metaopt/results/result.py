"""A result: how one check of one subject came out, as it travels from a worker and into reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any

from ..core.check import Severity
from ..core.finding import Finding
from ..core.outcome import Word

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Result:
    """How a check came out.

    :param key: the path of the document and the name of the item; unlike a node id, unique in a session.
    :param subject: the name of the subject; None: the document as a whole.
    :param message: what is wrong, or why the check was skipped; None where it passed.
    :param page: where the documentation of the check is, from the root of this project; None where it passed.
    :param line: the line of the document, from 1, of the first finding.
    :param column: its column, from 1.
    :param findings: where there are several, each with its position.
    :param changes: what the bootstrap changed, one sentence each.
    :param seconds: how long set-up, evaluation and tear-down took together.
    :param properties: what reports say of the subject beside its name.
    """

    key: str
    check_id: str
    group: str
    severity: Severity
    subject: str | None
    outcome: Word
    message: str | None
    remediation: str
    page: str | None = None
    line: int | None = None
    column: int | None = None
    bootstrap: str | None = None
    changes: tuple[str, ...] = ()
    seconds: float = 0.0
    findings: tuple[Finding, ...] = ()
    properties: Mapping[str, str] = field(default_factory=lambda: _NONE)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values; :meth:`from_json` is the way back."""
        data = {name: getattr(self, name) for name in _PLAIN}
        data["changes"] = list(self.changes)
        # Reports are kept to the end of a session, and most checks pass.
        if self.findings:
            data["findings"] = [asdict(finding) for finding in self.findings]
        if self.properties:
            data["properties"] = self.properties if type(self.properties) is dict else dict(self.properties)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result:
        """Return the result that :meth:`to_json` made *data* of."""
        findings = tuple(Finding(**finding) for finding in data.get("findings", ()))
        return cls(**{**data, "changes": tuple(data["changes"]), "findings": findings})

    def metadata(self) -> dict[str, Any]:
        """Return what a JSON report holds of the check."""
        data = {"findings": [], **self.to_json()}
        properties = data.pop("properties", {})
        del data["key"]
        return {**data, **properties}


_PLAIN = tuple(entry.name for entry in fields(Result) if entry.name not in {"findings", "properties"})
