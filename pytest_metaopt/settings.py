"""The settings of a session: what the command line and the ini file say, typed."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from .options import file_part

DEFAULT_TIMEOUT = 60.0
"""Seconds. A ``sky check`` that starts SkyPilot's API server took 17 to 33 s on two cores (0.14.1)."""

_LONGEST_TIMEOUT = 3600


@dataclass(frozen=True)
class Settings:
    """What the command line and the ini file say, with every path absolute.

    :param campaigns: the files named by ``--metaopt-campaign``.
    :param paths: the files named as plain paths or by node id.
    :param root: ``--metaopt-root``; None: found for each campaign.
    :param readiness: ``--metaopt-readiness``; None: the place in the project root.
    :param bootstrap: whether bootstraps may run.
    :param timeout: the seconds that each fact from outside may take.
    :param advisory: ids demoted to advisory.
    :param blocking: ids promoted to blocking.
    """

    campaigns: tuple[Path, ...]
    paths: tuple[Path, ...]
    root: Path | None
    readiness: Path | None
    bootstrap: bool
    timeout: float
    advisory: frozenset[str]
    blocking: frozenset[str]


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
        paths=tuple(dict.fromkeys(path for arg in config.args if (path := _absolute(base, file_part(arg))))),
        root=root,
        readiness=_absolute(base, config.option.metaopt_readiness),
        bootstrap=not config.option.metaopt_no_bootstrap,
        timeout=_seconds(config.option.metaopt_timeout),
        advisory=advisory,
        blocking=blocking,
    )


def named_campaigns(values: list[str], base: Path) -> tuple[Path, ...]:
    """Return the values of ``--metaopt-campaign`` as absolute paths, each once."""
    return tuple(dict.fromkeys(path for value in values if (path := _absolute(base, value))))


def _seconds(value: str | None) -> float:
    if value is None:
        return DEFAULT_TIMEOUT
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise pytest.UsageError(
            f"--metaopt-timeout: {value} is no number of seconds above 0, and up to {_LONGEST_TIMEOUT}"
        )
    return seconds


def _ids(config: pytest.Config, name: str) -> frozenset[str]:
    return frozenset(part for value in config.getini(name) for part in value.split(",") if part)


def _absolute(base: Path, value: str | None) -> Path | None:
    # Links are kept: the name that the user gave is the name that node ids and messages show.
    return Path(os.path.normpath(base / Path(value).expanduser())) if value is not None else None
