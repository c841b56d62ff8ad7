"""The settings of a session, typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .override import Override

DEFAULT_TIMEOUT = 60.0
"""Seconds. A ``sky check`` that starts SkyPilot's API server took 17 to 33 s on two cores (0.14.1)."""

DEFAULT_CONNECTIONS = 64
"""Nodes that are queried at a time: each is a process of ssh here, which mostly waits."""


@dataclass(frozen=True)
class Settings:
    """What the command line and the ini file say, with every path absolute.

    :param named: the files named by option, and the kind of document that each is.
    :param paths: the files named as plain paths or by node id.
    :param overrides: what ``--metaopt-override`` gives, for every run config.
    :param root: ``--metaopt-root``; None: found for each campaign.
    :param readiness: ``--metaopt-readiness``; None: the place in the project root.
    :param bootstrap: whether bootstraps may run.
    :param timeout: the seconds that each fact from outside may take.
    :param max_connections: how many nodes are queried at a time.
    :param online: whether services are queried, to see if they accept the credentials.
    :param models: the ini key ``metaopt_models``.
    :param model_registry: the ini key ``metaopt_model_registry``; empty: not given.
    :param trainer: the ini key ``metaopt_trainer``; empty: not given.
    :param advisory: ids demoted to advisory.
    :param blocking: ids promoted to blocking.
    """

    named: Mapping[Path, str]
    paths: tuple[Path, ...]
    overrides: tuple[Override, ...]
    root: Path | None
    readiness: Path | None
    bootstrap: bool
    timeout: float
    max_connections: int
    online: bool
    models: tuple[str, ...]
    model_registry: str
    trainer: str
    advisory: frozenset[str]
    blocking: frozenset[str]
