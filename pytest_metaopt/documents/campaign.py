"""The campaign: the YAML file that an optimization campaign is started from."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..core.document import Document, DocumentError, thawed
from ..core.problem import Problem
from .identity import (
    NotJsonError,
    campaign_id,
    campaign_identity_hash,
    identity_fields,
    runtime_config_hash,
)
from .sources.yaml import read_yaml_mapping

NAMES = (
    "campaign",
    "project",
    "wandb",
    "compute",
    "objective",
    "proposal_policy",
    "stop_conditions",
)
"""The sections that the orchestrator requires; a model each in ``campaign_model``."""
COMPANIONS = "preflight"
"""The top-level key under which a campaign names its companions: ``training_manifest: PATH``."""
KNOWN_KEYS = (*NAMES, "campaign_name", COMPANIONS)
"""The top-level keys that mean something: the sections, the flat name of old campaigns, the companions."""

_SECTION_LINE = re.compile(rf"^({'|'.join(NAMES)})\s*:", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class Campaign(Document):
    """A parsed campaign file, with the id and the two hashes that the orchestrator knows it by.

    :param identity: the hash of each field that ``identity_hash`` is taken over, to find which one changed.
    """

    id: str
    identity_hash: str
    runtime_hash: str
    identity: Mapping[str, str]

    @property
    def readiness_fields(self) -> Mapping[str, Any]:  # noqa: D102 - as in Document, here and below
        return {
            "campaign_id": self.id,
            "campaign_identity_hash": self.identity_hash,
            "runtime_config_hash": self.runtime_hash,
            "identity": dict(self.identity),
        }

    @property
    def companions(self) -> Mapping[str, Path]:  # noqa: D102
        named = self.data.get(COMPANIONS)
        if not isinstance(named, Mapping):
            return {}
        return {
            key: Path(os.path.normpath(self.path.parent / value))
            for key, value in named.items()
            if isinstance(key, str) and isinstance(value, str) and value.strip() and "\0" not in value
        }

    @cached_property
    def problems(self) -> Sequence[Problem]:
        """What the orchestrator refuses."""
        from .campaign_model import problems

        return problems(thawed(self.data))

    def problems_of(self, section: str) -> list[Problem]:
        """Return what the orchestrator refuses of a section, or that it is missing."""
        return [problem for problem in self.problems if problem.keys[0] == section]


def load_campaign(path: Path) -> Campaign:
    """Read and hash the campaign file *path*.

    :raises DocumentError: it cannot be read, is not a YAML mapping, or holds a value under a hashed
        field that JSON cannot hold (an unquoted date, say).
    """
    tree = read_yaml_mapping(path, "campaign")
    document = Document(path, tree.value, tree.positions)
    try:
        return Campaign(
            path=path,
            data=tree.value,
            positions=tree.positions,
            duplicates=tree.duplicates,
            id=campaign_id(tree.value),
            identity_hash=campaign_identity_hash(tree.value),
            runtime_hash=runtime_config_hash(tree.value),
            identity=identity_fields(tree.value),
        )
    except NotJsonError as error:
        raise DocumentError(path, str(error), position=document.position(error.keys)) from None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a campaign file, made of the models that validate one."""
    from .campaign_model import json_schema as of_models

    return of_models()


def looks_like_campaign(path: Path, head: str) -> bool:
    """Return whether a YAML file that was named without saying its kind is a campaign.

    It is one by its name (``*campaign*``) or by two or more of the top-level keys in *head*, the
    beginning of its text. The text is not parsed: a malformed campaign is still a campaign.
    """
    if "campaign" in path.stem.lower():
        return True
    return len(set(_SECTION_LINE.findall(head))) > 1
