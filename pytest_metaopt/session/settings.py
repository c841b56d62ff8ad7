"""The settings of a session: what the command line and the ini file say, typed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..core.settings import DEFAULT_CONNECTIONS, DEFAULT_TIMEOUT, Settings
from ..documents.lookup import absolute
from .arguments import named_documents
from .options import file_part

if TYPE_CHECKING:
    from ..core.override import Override

_LONGEST_TIMEOUT = 3600
_MOST_CONNECTIONS = 1024


def read_settings(config: pytest.Config) -> Settings:
    """Return the settings of a session.

    :raises pytest.UsageError: the root is not a directory, or an id is both demoted and promoted.
    """
    base = config.invocation_params.dir
    root, readiness = _path(base, config.option.metaopt_root), _path(base, config.option.metaopt_readiness)
    if root is not None and not root.is_dir():
        raise pytest.UsageError(f"--metaopt-root: {config.option.metaopt_root} is not a directory")
    advisory = _ids(config, "metaopt_advisory")
    blocking = _ids(config, "metaopt_blocking")
    both = sorted(advisory & blocking)
    if both:
        raise pytest.UsageError(
            f"metaopt_advisory and metaopt_blocking both name {', '.join(both)}; keep each in one of them"
        )
    models, model_registry = _words(config, "metaopt_models"), config.getini("metaopt_model_registry").strip()
    if models and model_registry:
        raise pytest.UsageError("metaopt_models and metaopt_model_registry are both given; keep one of them")
    return Settings(
        named={path: kind.name for path, kind in named_documents(config.option, base)[0].items()},
        paths=tuple(dict.fromkeys(absolute(base, file_part(arg)) for arg in config.args)),
        overrides=_overrides(config.option.metaopt_override),
        root=root,
        readiness=readiness,
        bootstrap=not config.option.metaopt_no_bootstrap,
        timeout=_seconds(config.option.metaopt_timeout),
        max_connections=_connections(config.option.metaopt_max_connections),
        online=config.option.metaopt_online,
        models=models,
        model_registry=model_registry,
        trainer=config.getini("metaopt_trainer").strip(),
        advisory=advisory,
        blocking=blocking,
    )


def _overrides(values: list[str]) -> tuple[Override, ...]:
    if not values:
        return ()
    from ..documents.overrides import parse_override

    try:
        return tuple(parse_override(value) for value in values)
    except ValueError as error:
        raise pytest.UsageError(f"--metaopt-override: {error}") from None


def _seconds(value: str | None) -> float:
    if value is None:
        return DEFAULT_TIMEOUT
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise pytest.UsageError(
            f"--metaopt-timeout: {value} is not a number of seconds above 0, and up to {_LONGEST_TIMEOUT}"
        )
    return seconds


def _connections(value: str | None) -> int:
    if value is None:
        return DEFAULT_CONNECTIONS
    if not (value.isascii() and value.isdigit() and 0 < int(value) <= _MOST_CONNECTIONS):
        raise pytest.UsageError(
            f"--metaopt-max-connections: {value} is not a whole number from 1 to {_MOST_CONNECTIONS}"
        )
    return int(value)


def _ids(config: pytest.Config, name: str) -> frozenset[str]:
    return frozenset(_words(config, name))


def _words(config: pytest.Config, name: str) -> tuple[str, ...]:
    return tuple(part for value in config.getini(name) for part in value.split(",") if part)


def _path(base: Path, value: str | None) -> Path | None:
    # Links are kept: the name that the user gave is the name that node ids and messages show.
    return absolute(base, value) if value is not None else None
