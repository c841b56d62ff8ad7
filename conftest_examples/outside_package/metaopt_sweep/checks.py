"""The checks: plain functions that take fixtures and assert."""

from __future__ import annotations

from pytest_metaopt import check, fail

from .document import Sweep, Trial


@check(
    "results",
    group="sweep",
    document="sweep",
    bootstrap="bootstrap_results",
    remediation="Create the directory.",
)
def results_folder_exists(sweep: Sweep) -> None:
    """The directory for results exists."""
    if not sweep.results.is_dir():
        fail(f"{sweep.results.name} is not a directory", at=sweep.position("results"))


@check("learning_rate", group="sweep", document="sweep", each="trial", remediation="Use a rate below 1.")
def learning_rate_is_small(trial: Trial, largest_rate: float) -> None:
    """The learning rate of each trial is a number below the largest that makes sense."""
    rate = trial.learning_rate
    if not isinstance(rate, float | int) or rate >= largest_rate:
        fail(f"{trial.name}: expected a learning rate below {largest_rate}, got {rate}", at=trial.position)
