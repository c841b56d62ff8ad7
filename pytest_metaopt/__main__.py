"""The command ``metaopt-preflight``: the reference command line over the plugin, and look-ups without checks.

Exit status of the reference command line (campaign contract): 0 READY; 1 FAILED, or the artifact could not
be written; 2 bad arguments, no such campaign, malformed YAML, root no mapping, ``--cwd`` no directory: then
nothing is written. Of ``verify``: 0 fresh READY; 1 anything else; 2 as above.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from . import __version__

READY, FAILED, USAGE = 0, 1, 2
_INTERRUPTED = 130

_CAMPAIGN_NAME = "ml_metaopt_campaign.yaml"


class _Witness:
    """Hears the verdict, and how the session ended."""

    def __init__(self) -> None:
        self.readiness: dict[str, Any] | None = None
        self.interrupted = False

    def pytest_metaopt_readiness(self, readiness: dict[str, Any]) -> None:
        self.readiness = readiness

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.interrupted = isinstance(excinfo.value, KeyboardInterrupt) and not isinstance(
            excinfo.value, pytest.Session.Interrupted
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the preflight of one campaign, or a look-up, and return the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in _LOOK_UPS:
        from .core.document import DocumentError

        try:
            return _LOOK_UPS[words[0]](words[1:])
        except DocumentError as error:
            sys.stderr.write(f"ERROR: {error}\n")
            return USAGE
    parser = argparse.ArgumentParser(
        prog="metaopt-preflight",
        description="Tell whether a training campaign is ready to start.",
        epilog="Exit status: 0 READY, 1 FAILED, 2 nothing could be looked at."
        " Look-ups that run no check: metaopt-preflight verify --help, metaopt-preflight schema --help,"
        " metaopt-preflight jobs --help, metaopt-preflight plan --help.",
    )
    parser.add_argument("--campaign", metavar="PATH", required=True, help="the campaign file (YAML)")
    parser.add_argument(
        "--cwd", metavar="DIR", default=".", help="the project root (default: the current directory)"
    )
    parser.add_argument("--version", action="version", version=f"pytest-metaopt {__version__}")
    given = parser.parse_args(words)
    campaign, root = Path(given.campaign).absolute(), Path(given.cwd).absolute()
    if not root.is_dir():
        parser.error(f"--cwd: {given.cwd} is no directory")
    return _run(campaign, root)


def _run(campaign: Path, root: Path) -> int:
    os.chdir(root)
    witness = _Witness()
    # pytest's cache would be left in the project, also where nothing could be looked at.
    with tempfile.TemporaryDirectory(prefix="pytest-metaopt-cache-") as cache:
        status = pytest.main(
            [
                # Also where PYTEST_DISABLE_PLUGIN_AUTOLOAD is set.
                "-p",
                "metaopt",
                "--metaopt-campaign",
                str(campaign),
                "--metaopt-root",
                str(root),
                "--rootdir",
                str(root),
                "-o",
                f"cache_dir={cache}",
                "-qq",
                # This module was imported before pytest could rewrite the assertions of its package.
                "-W",
                "ignore:Module already imported so cannot be rewritten; pytest_metaopt",
                "--no-header",
            ],
            plugins=[witness],
        )
    if witness.interrupted:
        return _INTERRUPTED
    if witness.readiness is None:
        usage = {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR}
        return USAGE if status in usage else FAILED
    return _close(witness.readiness, int(status))


def _close(readiness: dict[str, Any], status: int) -> int:
    """Print status, counts and the artifact's path; return the exit status that they amount to."""
    summary = readiness["checks_summary"]
    counts = ", ".join(f"{summary[name]} {name}" for name in ("passed", "bootstrapped", "warnings", "failed"))
    print(f"status:   {readiness['status']}")
    print(f"checks:   {summary['total']} ({counts})")
    if readiness["next_action"] != "proceed":
        print(f"next:     {readiness['next_action']}")
    if readiness["written"]:
        print(f"artifact: {readiness['artifact_path']}")
    else:
        print(f"artifact: not written: {readiness['note']}")
    ready = readiness["status"] == "READY" and readiness["written"] and status == 0
    return READY if ready else FAILED


def _verify(arguments: list[str]) -> int:
    """Tell whether the readiness artifact still speaks of the campaign as it is."""
    from .core.state_folder import STATE_FOLDER, project_root
    from .documents.campaign import load_campaign
    from .results import freshness
    from .results.readiness import ARTIFACT_NAME

    def duration(text: str) -> int:
        try:
            return freshness.seconds(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    parser = argparse.ArgumentParser(
        prog="metaopt-preflight verify",
        description="Run no check; tell, as LOAD_CAMPAIGN would, what the readiness artifact is worth.",
        epilog="Exit status: 0 fresh READY; 1 missing, unreadable, stale or fresh FAILED; 2 usage error.",
    )
    parser.add_argument(
        "--campaign", metavar="PATH", default=_CAMPAIGN_NAME, help=f"default: {_CAMPAIGN_NAME}"
    )
    parser.add_argument(
        "--max-age", metavar="DURATION", type=duration, help="an older READY is stale: 90s, 15m, 12h, 7d"
    )
    parser.add_argument("--cwd", metavar="DIR", help="the project root (default: found as pytest finds it)")
    parser.add_argument("--readiness", metavar="PATH", help="another place of the artifact")
    given = parser.parse_args(arguments)
    if given.cwd is not None and not Path(given.cwd).is_dir():
        parser.error(f"--cwd: {given.cwd} is no directory")
    campaign = load_campaign(Path(given.campaign))
    root = project_root(Path(given.campaign).absolute(), Path(given.cwd) if given.cwd is not None else None)
    artifact = Path(given.readiness) if given.readiness else root / STATE_FOLDER / ARTIFACT_NAME
    found = freshness.look(campaign, artifact, max_age=given.max_age, now=datetime.now(timezone.utc))
    print(f"status:   {found.word}")
    if found.reason is not None:
        print(f"{'note:    ' if found.word == 'fresh READY' else 'reason:  '} {found.reason}")
    if found.next_action is not None:
        print(f"next:     {found.next_action}")
    relative = os.path.relpath(artifact)
    print(f"artifact: {artifact if relative.startswith('..') else relative}")
    return READY if found.word == "fresh READY" else FAILED


def _schema(arguments: list[str]) -> int:
    """Print the JSON Schema of a kind of document."""
    from .documents.kinds import KINDS

    parser = argparse.ArgumentParser(
        prog="metaopt-preflight schema",
        description="Print a JSON Schema (draft 2020-12) for editors and for check-jsonschema.",
    )
    parser.add_argument("kind", choices=sorted(KINDS))
    kind = KINDS[parser.parse_args(arguments).kind]
    print(json.dumps(kind.json_schema(), indent=2))
    return 0


def _jobs(arguments: list[str]) -> int:
    """Print the jobs of a training manifest, and where each may run."""
    from .cli.jobs import table
    from .documents.manifest import load_manifest
    from .probes.local.host import ask_host

    parser = argparse.ArgumentParser(
        prog="metaopt-preflight jobs",
        description="Run no check; list the jobs of a training manifest: id, needs, hosts that may run it.",
        epilog="Exit status: 0; 2 where the manifest can't be read.",
    )
    parser.add_argument("manifest", metavar="FILE", help="the training manifest (TOML)")
    path = Path(parser.parse_args(arguments).manifest).absolute()
    manifest = load_manifest(path)
    host = ask_host(path.parent)
    for line in table(manifest, host.value, shutil.get_terminal_size().columns):
        print(line)
    print(f"\nthis host: {host.value or host.failure}")
    wrong = sum(bool(job.problems) for job in manifest.jobs)
    if wrong or not manifest.jobs:
        print(f"{wrong} of {len(manifest.jobs)} jobs are wrong; ask pytest --metaopt-manifest FILE what is")
    return 0


def _plan(arguments: list[str]) -> int:
    """Print what would be launched of a run config."""
    from .cli import plan as launch_plan
    from .core.document import DocumentError
    from .core.override import Override
    from .documents.overrides import parse_override, with_overrides
    from .documents.run_config import load_run_config

    def override(text: str) -> Override:
        try:
            return parse_override(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    parser = argparse.ArgumentParser(
        prog="metaopt-preflight plan",
        description="Launch nothing; print the files of a launch, their sizes, nodes, timeout, retries.",
        epilog="Exit status: 0; 1 where something is wrong with the run config; 2 where it can't be read.",
    )
    parser.add_argument("run_config", metavar="FILE", help="the run config (YAML)")
    parser.add_argument(
        "--override",
        metavar="KEY=VALUE",
        type=override,
        action="append",
        default=[],
        help="plan as if it had this value, such as compute.num_accelerators=2 (repeatable)",
    )
    given = parser.parse_args(arguments)
    config = load_run_config(Path(given.run_config).absolute())
    config = with_overrides(config, given.override) if given.override else config
    if config.problems:
        for problem in config.problems:
            told = DocumentError(given.run_config, problem.message, position=config.position(problem.keys))
            sys.stderr.write(f"ERROR: {told}\n")
        return FAILED
    for line in launch_plan.page(config, shutil.get_terminal_size().columns):
        print(line)
    return 0


_LOOK_UPS: Mapping[str, Callable[[list[str]], int]] = {
    "verify": _verify,
    "schema": _schema,
    "jobs": _jobs,
    "plan": _plan,
}


if __name__ == "__main__":
    sys.exit(main())
