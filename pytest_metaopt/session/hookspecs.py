"""The hooks that a conftest or plugin may implement."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import pytest

    from ..core.check import Check
    from ..core.document import Document


def pytest_metaopt_modify_checks(config: pytest.Config, document: Document, checks: dict[str, Check]) -> None:
    """Change, in place, which checks apply to *document*: delete an id to turn its check off.

    Called once a document, for the conftests at or above it, before its items are made. What is
    turned off is named in the artifact's diagnostics.
    """


def pytest_metaopt_readiness(config: pytest.Config, readiness: dict[str, Any]) -> None:
    """Called once a campaign, at the end of the session, with its readiness.

    Without a campaign it is called once, with the verdict on the other documents that
    ``--metaopt-readiness`` names; the campaign's fields are then None.

    :param readiness: the artifact's fields and ``campaign_path``, ``artifact_path``, ``complete``
        (every blocking check was evaluated), ``written`` (the artifact now says this) and ``note``
        (why it is not written, else None), ``nodes`` (how each node of a launch came out: ``name``,
        ``outcome``, ``checks``, ``findings``). ``status`` is INCOMPLETE where a partial look found
        nothing wrong; nothing is written then.
    """
