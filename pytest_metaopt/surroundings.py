"""What surrounds a training manifest: this host, and the training code. Each is asked once a session."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .documents.manifest import KNOWN_MODELS, Manifest
from .probes import host
from .probes.command import Deadline, Runner
from .probes.host import Capability
from .probes.pool import Fact, Pool, probes_of_module
from .probes.training_code import Models, Trainer, as_json, ask_registry, ask_trainer

if TYPE_CHECKING:
    from .settings import Settings

_LONGEST_LOOK = 15.0
"""Seconds that this host may take to tell what it has: a sick driver never answers."""


def ask_host(root: Path, limit: float = _LONGEST_LOOK) -> Fact:
    """Return what this host has, or why that is not known.

    :param root: the project, whose commit is told.
    """
    pool = Pool(probes_of_module(host), limit=min(limit, _LONGEST_LOOK))
    try:
        return pool.get("capability", {"project_root": root})
    finally:
        pool.close()


class Surroundings:
    """The host that we are on, and the training code.

    :param root: the folder that the training code is imported from.
    """

    def __init__(self, settings: Settings, root: Path) -> None:
        self._settings = settings
        self._root = root

    @cached_property
    def host(self) -> Fact:
        """The capability of this host, or why it is not known."""
        return ask_host(self._root, self._settings.timeout)

    @property
    def capability(self) -> Capability | None:
        """The capability of this host; None where it could not be had."""
        found = self.host.value
        return found if isinstance(found, Capability) else None

    @cached_property
    def models(self) -> Models:
        """The models that there are: by the registry, else by the ini file, else by the contract."""
        if self._settings.model_registry:
            return ask_registry(self._settings.model_registry, self._root, self._runner())
        if self._settings.models:
            return Models(
                "the ini key metaopt_models",
                self._settings.models,
                "Correct the model's name, or add it to metaopt_models.",
            )
        return Models(
            "the list of models that this plugin has",
            KNOWN_MODELS,
            "Correct the model's name, or name the training code's own list in metaopt_model_registry.",
        )

    def trainer(self, manifest: Manifest) -> Trainer:
        """Return what the trainer says of the hyper values of *manifest*."""
        values: dict[str, dict[str, object]] = {}
        for job in manifest.jobs:
            if "hyper" not in job.wrong:
                for key, value in job.hyper.items():
                    values.setdefault(key, {}).setdefault(as_json(value), value)
        distinct = {key: list(given.values()) for key, given in values.items()}
        return ask_trainer(self._settings.trainer, distinct, self._root, self._runner())

    def _runner(self) -> Runner:
        return Runner(Deadline.after(self._settings.timeout))
