"""A check of a project's own beside the built-in ones: what a run may cost."""

from __future__ import annotations

from pytest_metaopt import check, fail

MOST_HOURS = 100


@check(
    "budget",
    group="policy",
    document="run_config",
    remediation="Lower compute.num_accelerators or timeout_minutes, or ask for approval.",
)
def accelerator_hours_are_modest(run_config):
    """The run takes no more than 100 accelerator hours."""
    minutes = run_config.get("timeout_minutes")
    if not isinstance(minutes, int):
        fail("timeout_minutes is missing, so there is no limit to what the run costs")
    hours = run_config.get("compute.num_accelerators") * minutes / 60
    if hours > MOST_HOURS:
        fail(f"{hours:g} accelerator hours are over {MOST_HOURS}", line=run_config.line("timeout_minutes"))
