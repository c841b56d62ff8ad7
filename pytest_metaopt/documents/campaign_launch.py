"""The launch that a campaign on GPUs of this machine amounts to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..launch import accelerator
from ..launch.gpus import of_accelerators
from .campaign import Campaign

if TYPE_CHECKING:
    from .launch import Launch

_ACCELERATOR = ("compute", "accelerator")


def as_launch(campaign: Campaign) -> Launch | None:
    """Return what a campaign needs of this machine as a launch; None where it needs no GPU of it.

    Its GPUs are those of ``compute.accelerator``, and its folder must have room.
    """
    given = campaign.get(_ACCELERATOR)
    need = of_accelerators(given)
    if campaign.get("compute.provider") != "local" or need is None or any(accelerator.problems(given)):
        return None
    # Most campaigns end above, and every session of theirs would wait for these.
    from ..core.value import Value
    from ..launch.facts import LaunchFacts
    from ..launch.nodes import this_machine
    from .launch import Launch

    facts = LaunchFacts(
        nodes=(this_machine(campaign),),
        size=Value.of(campaign, 1, *_ACCELERATOR),
        gpus=Value.of(campaign, need, *_ACCELERATOR),
        storage_path=Value.of(campaign, str(campaign.path.parent), *_ACCELERATOR),
    )
    return Launch(campaign.path, campaign.data, campaign.positions, facts=facts)
