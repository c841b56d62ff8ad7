"""The settings of a session: what the command line and the ini file say, typed."""

from __future__ import annotations

import argparse
import glob
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..core.settings import DEFAULT_CONNECTIONS, DEFAULT_TIMEOUT, Settings
from .options import file_part

if TYPE_CHECKING:
    from ..core.override import Override

_LONGEST_TIMEOUT = 3600
_MOST_CONNECTIONS = 1024

AUTO = "auto"
"""What ``--metaopt-manifest`` takes instead of a path, to look in the usual places."""


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
    models, model_registry = _words(config, "metaopt_models"), config.getini("metaopt_model_registry").strip()
    if models and model_registry:
        raise pytest.UsageError("metaopt_models and metaopt_model_registry are both given; keep one of them")
    return Settings(
        named=named_documents(config.option, base),
        paths=tuple(dict.fromkeys(path for arg in config.args if (path := _absolute(base, file_part(arg))))),
        overrides=_overrides(config.option.metaopt_override),
        root=root,
        readiness=_absolute(base, config.option.metaopt_readiness),
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


def named_documents(option: argparse.Namespace, base: Path) -> dict[Path, str]:
    """Return the files named by option as absolute paths, and the kind of document that each is."""
    found = {path: "campaign" for value in option.metaopt_campaign if (path := _absolute(base, value))}
    for value in option.metaopt_manifest:
        path = auto_manifest(option, base)[0] if value == AUTO else _absolute(base, value)
        if path is not None:
            found.setdefault(path, "manifest")
    for value in option.metaopt_run_config:
        for path in run_configs(base, value):
            found.setdefault(path, "run_config")
    for value in option.metaopt_launch:
        if (path := _absolute(base, value)) is not None:
            found.setdefault(path, "launch")
    return found


def run_configs(base: Path, value: str) -> Iterator[Path]:
    """Yield the files that a path or pattern of ``--metaopt-run-config`` names, else itself."""
    path = Path(os.path.normpath(base / Path(value).expanduser()))
    found: list[str] = []
    if is_pattern(path):
        # The folder that we are in may have a name that looks like a pattern.
        pattern = os.path.expanduser(value)  # noqa: PTH111 - as a string
        found = sorted(glob.glob(pattern, root_dir=base, recursive=True))  # noqa: PTH207 - takes absolute ones
    yield from (Path(os.path.normpath(base / name)) for name in found or [str(path)])


def is_pattern(path: Path) -> bool:
    """Tell whether *path* is to be matched with what there is: it is there itself, else."""
    return glob.has_magic(str(path)) and not os.path.lexists(path)


def _overrides(values: list[str]) -> tuple[Override, ...]:
    if not values:
        return ()
    from ..documents.overrides import parse_override

    try:
        return tuple(parse_override(value) for value in values)
    except ValueError as error:
        raise pytest.UsageError(f"--metaopt-override: {error}") from None


def auto_manifest(option: argparse.Namespace, base: Path) -> tuple[Path | None, list[Path]]:
    """Return the training manifest that ``--metaopt-manifest auto`` finds, and where it is looked for."""
    from ..core.state_folder import project_root
    from ..documents.manifest import looked_up

    given = _absolute(base, option.metaopt_root)
    places = looked_up(project_root(base / "any", given))
    return next((place for place in places if os.path.lexists(place)), None), places


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


def _connections(value: str | None) -> int:
    if value is None:
        return DEFAULT_CONNECTIONS
    if not (value.isascii() and value.isdigit() and 0 < int(value) <= _MOST_CONNECTIONS):
        raise pytest.UsageError(
            f"--metaopt-max-connections: {value} is no whole number from 1 to {_MOST_CONNECTIONS}"
        )
    return int(value)


def _ids(config: pytest.Config, name: str) -> frozenset[str]:
    return frozenset(_words(config, name))


def _words(config: pytest.Config, name: str) -> tuple[str, ...]:
    return tuple(part for value in config.getini(name) for part in value.split(",") if part)


def _absolute(base: Path, value: str | None) -> Path | None:
    # Links are kept: the name that the user gave is the name that node ids and messages show.
    return Path(os.path.normpath(base / Path(value).expanduser())) if value is not None else None
