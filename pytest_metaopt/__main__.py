"""The command ``metaopt-preflight``: the reference command line over the plugin, and look-ups without checks.

Exit status of the reference command line (campaign contract): 0 READY; 1 FAILED, or the artifact could not
be written; 2 bad arguments, no such campaign, malformed YAML, root no mapping, ``--cwd`` no directory: then
nothing is written. Of ``verify``: 0 fresh READY; 1 anything else; 2 as above.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from . import __version__
from .cli.exit_status import FAILED, INTERRUPTED, READY, USAGE

_VERBS = ("explain", "verify", "schema", "jobs", "plan")


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
    if words and words[0] in _VERBS:
        from .core.document import DocumentError

        # A verb pays for its own imports only.
        verb = import_module(f"{__package__}.cli.{words[0]}")
        try:
            return int(verb.run(words[1:]))
        except DocumentError as error:
            sys.stderr.write(f"ERROR: {error}\n")
            return USAGE
    parser = argparse.ArgumentParser(
        prog="metaopt-preflight",
        description="Check whether a training campaign is ready to start.",
        epilog="Exit status: 0 READY, 1 FAILED, 2 nothing could be checked."
        f" Commands that run no check: {', '.join(_VERBS)}; metaopt-preflight COMMAND --help describes each.",
    )
    parser.add_argument("--campaign", metavar="PATH", required=True, help="the campaign file (YAML)")
    parser.add_argument(
        "--cwd", metavar="DIR", default=".", help="the project root (default: the current directory)"
    )
    parser.add_argument("--version", action="version", version=f"pytest-metaopt {__version__}")
    given = parser.parse_args(words)
    campaign, root = Path(given.campaign).absolute(), Path(given.cwd).absolute()
    if not root.is_dir():
        parser.error(f"--cwd: {given.cwd} is not a directory")
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
        return INTERRUPTED
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


if __name__ == "__main__":
    sys.exit(main())
