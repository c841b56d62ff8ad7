"""Checks of a training manifest as a whole (contract of the training manifest)."""

from __future__ import annotations

from .. import check, fail
from ..core.document import dotted
from ..core.problem import Problem
from ..documents.manifest import Manifest, host_problems, schema_problems, undefined_hosts
from ..probes.local.training_code import Models, Trainer
from .problems import fail_with


@check(
    "schema",
    group="manifest",
    document="manifest",
    remediation="Correct the manifest; metaopt-preflight schema manifest prints what it may contain.",
)
def manifest_is_accepted(manifest: Manifest) -> None:
    """schema_version, name, defaults and jobs are valid; there is at least one job."""
    fail_with(manifest, list(schema_problems(manifest)))


@check(
    "hosts",
    group="manifest",
    document="manifest",
    remediation="Give each host a table [hosts.NAME], with no keys but description, priority, allow_jobs and"
    " deny_jobs.",
)
def hosts_are_accepted(manifest: Manifest) -> None:
    """Each host is a table with known keys; advice where a host is named that is not defined."""
    fail_with(manifest, list(host_problems(manifest)))
    fail_with(
        manifest,
        [
            Problem(keys, f"{keys[-1]} names the host {dotted((name,))}, which the manifest does not define")
            for name, keys in undefined_hosts(manifest)
        ],
        remediation="Correct the name, or define the host with a table [hosts.NAME].",
        advisory=True,
    )


@check(
    "models",
    group="manifest",
    document="manifest",
    setting="metaopt_model_registry",
    remediation="Correct metaopt_model_registry, or run where the training code is installed.",
)
def registry_can_be_read(known_models: Models) -> None:
    """The training code's registry of models can be read."""
    if known_models.problem is not None:
        fail(f"metaopt_model_registry = {known_models.source}: {known_models.problem}")


@check(
    "trainer",
    group="manifest",
    document="manifest",
    setting="metaopt_trainer",
    remediation="Correct metaopt_trainer, or run where the training code is installed.",
)
def trainer_can_be_read(trainer: Trainer) -> None:
    """The trainer's argument parser can be read."""
    if trainer.problem is not None:
        fail(f"metaopt_trainer = {trainer.source}: {trainer.problem}")
