"""``metaopt-preflight verify``: whether the readiness artifact still speaks of the campaign as it is."""

from __future__ import annotations

import argparse
import os
from datetime import datetime, timezone
from pathlib import Path

from ..core.state_folder import STATE_FOLDER, project_root
from ..documents.campaign import load_campaign
from ..results import freshness
from ..results.artifact import ARTIFACT_NAME
from .exit_status import FAILED, READY

_CAMPAIGN_NAME = "ml_metaopt_campaign.yaml"


def run(arguments: list[str]) -> int:
    """Return whether the readiness artifact still speaks of the campaign as it is."""

    def duration(text: str) -> int:
        try:
            return freshness.seconds(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    parser = argparse.ArgumentParser(
        prog="metaopt-preflight verify",
        description="Run no check; report whether the readiness artifact is fresh, as LOAD_CAMPAIGN does.",
        epilog="Exit status: 0 fresh READY; 1 missing, unreadable, stale or fresh FAILED; 2 usage error.",
    )
    parser.add_argument(
        "--campaign", metavar="PATH", default=_CAMPAIGN_NAME, help=f"default: {_CAMPAIGN_NAME}"
    )
    parser.add_argument(
        "--max-age", metavar="DURATION", type=duration, help="an older READY is stale: 90s, 15m, 12h, 7d"
    )
    parser.add_argument("--cwd", metavar="DIR", help="the project root (default: found as pytest finds it)")
    parser.add_argument("--readiness", metavar="PATH", help="path of the artifact, if not the default")
    given = parser.parse_args(arguments)
    if given.cwd is not None and not Path(given.cwd).is_dir():
        parser.error(f"--cwd: {given.cwd} is not a directory")
    campaign = load_campaign(Path(given.campaign))
    root = project_root(Path(given.campaign).absolute(), Path(given.cwd) if given.cwd is not None else None)
    artifact = Path(given.readiness) if given.readiness else root / STATE_FOLDER / ARTIFACT_NAME
    found = freshness.look(campaign, artifact, max_age=given.max_age, now=datetime.now(timezone.utc))
    print(f"status:   {found.word}")
    if found.reason is not None:
        print(f"reason:   {found.reason}")
    if found.next_action is not None:
        print(f"next:     {found.next_action}")
    relative = os.path.relpath(artifact)
    print(f"artifact: {artifact if relative.startswith('..') else relative}")
    return READY if found.word == "fresh READY" else FAILED
