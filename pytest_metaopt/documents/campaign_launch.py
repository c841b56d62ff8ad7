"""The launch that a campaign on GPUs of this machine amounts to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..core.document import Position, frozen
from ..launch.gpus import of_accelerators
from .campaign import Campaign
from .launch import Launch


def as_launch(campaign: Campaign) -> Launch | None:
    """Return what a campaign asks of this machine as a launch; None where it asks for no GPU of it.

    Its GPUs are those of ``compute.accelerator``, its storage is the folder of the campaign.
    """
    accelerator = campaign.get("compute.accelerator")
    if campaign.get("compute.provider") != "local" or of_accelerators(accelerator, ()) is None:
        return None
    data = {
        "resources": {"accelerators": accelerator},
        "storage": {"checkpoint_dir": str(campaign.path.parent)},
    }
    launch = _OfCampaign(campaign.path, frozen(data), campaign.positions)
    return launch if launch.valid else None


@dataclass(frozen=True, eq=False)
class _OfCampaign(Launch):
    """What a campaign says of the machine that it runs on."""

    @property
    def keeps_checkpoints(self) -> bool:
        return False

    def position(self, dotted: str | Sequence[Any]) -> Position | None:  # noqa: ARG002 - all of it stands there
        return super().position(("compute", "accelerator"))
