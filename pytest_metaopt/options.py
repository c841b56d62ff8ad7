"""The command line and the ini file: what can be set, and the typed settings that they make."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest


def add_options(parser: pytest.Parser) -> None:
    """Declare the options and ini keys."""
    group = parser.getgroup("metaopt", "preflight of GPU training campaigns (pytest-metaopt)")
    group.addoption(
        "--metaopt-campaign",
        action="append",
        default=[],
        metavar="PATH",
        help="Run the checks of this campaign file (repeatable). With no other path on the command line"
        " nothing else is collected.",
    )
    group.addoption(
        "--metaopt-root",
        metavar="DIR",
        help="Project root: where .ml-metaopt/ and .gitignore belong. Default: the nearest folder at or above"
        " the campaign file that holds .ml-metaopt or .git, else the campaign file's folder.",
    )
    group.addoption(
        "--metaopt-no-bootstrap",
        action="store_true",
        help="Evaluate only: run no bootstrap, so that nothing in the project is made or changed"
        " but the readiness artifact.",
    )
    group.addoption(
        "--metaopt-readiness",
        metavar="PATH",
        help="Write the readiness artifact here instead of .ml-metaopt/preflight-readiness.json.",
    )
    group.addoption(
        "--metaopt-checks",
        action="store_true",
        help="Print the catalog of checks, built-in ones and your own, and exit.",
    )
    parser.addini(
        "metaopt_advisory",
        "Ids of checks whose failure is to be told but not to block.",
        type="args",
        default=[],
    )
    parser.addini(
        "metaopt_blocking",
        "Ids of advisory checks whose failure is to block.",
        type="args",
        default=[],
    )


@dataclass(frozen=True)
class Settings:
    """What the command line and the ini file say, with every path absolute.

    :param campaigns: the files named by ``--metaopt-campaign``.
    :param paths: the files named as plain paths or by node id.
    :param root: ``--metaopt-root``; None: found for each campaign.
    :param readiness: ``--metaopt-readiness``; None: the place in the project root.
    :param bootstrap: whether bootstraps may run.
    :param advisory: ids demoted to advisory.
    :param blocking: ids promoted to blocking.
    """

    campaigns: tuple[Path, ...]
    paths: tuple[Path, ...]
    root: Path | None
    readiness: Path | None
    bootstrap: bool
    advisory: frozenset[str]
    blocking: frozenset[str]


def asked_for(config: pytest.Config) -> bool:
    """Tell, without importing anything, whether this session may have a document of ours."""
    option = config.option
    return bool(
        option.metaopt_campaign
        or option.metaopt_checks
        or any(_file_part(arg).endswith((".yaml", ".yml", ".toml")) for arg in config.args)
    )


def read_settings(config: pytest.Config) -> Settings:
    """Return the settings of a session.

    :raises pytest.UsageError: the root is no directory, or an id is both demoted and promoted.
    """
    base = config.invocation_params.dir
    root = _absolute(base, config.option.metaopt_root)
    if root is not None and not root.is_dir():
        raise pytest.UsageError(f"--metaopt-root: {config.option.metaopt_root} is no directory")
    advisory = _ids(config, "metaopt_advisory")
    blocking = _ids(config, "metaopt_blocking")
    both = sorted(advisory & blocking)
    if both:
        raise pytest.UsageError(
            f"metaopt_advisory and metaopt_blocking both name {', '.join(both)}; keep each in one of them"
        )
    return Settings(
        campaigns=named_campaigns(config.option.metaopt_campaign, base),
        paths=tuple(dict.fromkeys(path for arg in config.args if (path := _absolute(base, _file_part(arg))))),
        root=root,
        readiness=_absolute(base, config.option.metaopt_readiness),
        bootstrap=not config.option.metaopt_no_bootstrap,
        advisory=advisory,
        blocking=blocking,
    )


def named_campaigns(values: list[str], base: Path) -> tuple[Path, ...]:
    """Return the values of ``--metaopt-campaign`` as absolute paths, each once."""
    return tuple(dict.fromkeys(path for value in values if (path := _absolute(base, value))))


def _ids(config: pytest.Config, name: str) -> frozenset[str]:
    return frozenset(part for value in config.getini(name) for part in value.split(",") if part)


def _file_part(argument: str) -> str:
    return str(argument).split("::", 1)[0]


def _absolute(base: Path, value: str | None) -> Path | None:
    # Links are kept: the name that the user gave is the name that node ids and messages show.
    return Path(os.path.normpath(base / Path(value).expanduser())) if value is not None else None
