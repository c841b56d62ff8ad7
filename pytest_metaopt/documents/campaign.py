"""The campaign: the YAML file that an optimization campaign is started from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..identity import NotJsonError, campaign_id, campaign_identity_hash, runtime_config_hash
from .document import Document, DocumentError
from .loading import read_yaml_mapping

SECTIONS = (
    "campaign",
    "project",
    "wandb",
    "compute",
    "objective",
    "proposal_policy",
    "stop_conditions",
)
"""The top-level keys that the orchestrator requires (campaign contract, "What LOAD_CAMPAIGN refuses")."""

_SECTION_LINE = re.compile(rf"^({'|'.join(SECTIONS)})\s*:", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class Campaign(Document):
    """A parsed campaign file, with the id and the two hashes that the orchestrator knows it by."""

    id: str
    identity_hash: str
    runtime_hash: str


def load_campaign(path: Path) -> Campaign:
    """Read and hash the campaign file *path*.

    :raises DocumentError: it can't be read, is no YAML mapping, or holds a value under a hashed
        field that JSON can't hold (an unquoted date, say).
    """
    tree = read_yaml_mapping(path, "campaign")
    document = Document(path, tree.value, tree.positions)
    try:
        return Campaign(
            path=path,
            data=tree.value,
            positions=tree.positions,
            id=campaign_id(tree.value),
            identity_hash=campaign_identity_hash(tree.value),
            runtime_hash=runtime_config_hash(tree.value),
        )
    except NotJsonError as error:
        raise DocumentError(path, str(error), position=document.position(error.keys)) from None


def looks_like_campaign(path: Path, head: str) -> bool:
    """Tell whether a YAML file that was named without saying its kind is a campaign.

    It is one by its name (``*campaign*``) or by two or more of the top-level keys in *head*, the
    beginning of its text. The text is not parsed: a malformed campaign is still a campaign.
    """
    if "campaign" in path.stem.lower():
        return True
    return len(set(_SECTION_LINE.findall(head))) > 1
