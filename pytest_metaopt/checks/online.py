"""The deep look (``--metaopt-online``): whether the services themselves take the credentials.

A credential that is refused blocks. A service that does not answer gives a warning: it has neither
refused nor accepted anything.
"""

from __future__ import annotations

from .. import check, fail, not_applicable
from ..documents.campaign import Campaign
from ..documents.provider import infra_name
from ..probes.services.sky import ASKS_THE_CLOUD, Cloud
from ..probes.services.vast import VastAccount
from ..probes.services.wandb import Credential, Viewer
from .backend import NO_SERVER, provider_is_remote, talks_to_server, wandb_mode

_VAST = "vast"
_BY_HAND = {
    "aws": "aws sts get-caller-identity",
    "azure": "az account get-access-token --query expiresOn",
}
"""For the clouds that are not queried here: the command that verifies a credential."""


def _is_vast(campaign: Campaign) -> bool:
    return infra_name(campaign.get("compute.provider")) == _VAST


def _is_other_cloud(campaign: Campaign) -> bool:
    cloud = infra_name(campaign.get("compute.provider"))
    return provider_is_remote(campaign) and cloud is not None and cloud != _VAST


@check(
    "wandb_credential_accepted",
    group="backend",
    when=talks_to_server,
    online=True,
    remediation="Log in with a key that is valid: wandb login --relogin (or set WANDB_API_KEY).",
)
def wandb_takes_the_credential(
    campaign: Campaign, wandb_credential: Credential, wandb_viewer: Viewer
) -> None:
    """The W&B server accepts the credential."""
    if wandb_mode(campaign) in NO_SERVER or wandb_credential.source is None:
        not_applicable("the client would use no credential: see wandb_credentials")
    if wandb_viewer.accepted:
        return
    host = wandb_viewer.host or "the W&B server"
    if wandb_viewer.accepted is None:
        fail(
            f"could not verify the credential with {host}: {wandb_viewer.problem}",
            remediation="Check the network, the proxy and the server, then run the preflight again.",
            at=campaign.position("wandb"),
            advisory=True,
        )
    fail(f"{host}: {wandb_viewer.problem}", at=campaign.position("wandb"))


@check(
    "wandb_entity_known",
    group="backend",
    severity="advisory",
    when=talks_to_server,
    online=True,
    remediation="Set wandb.entity to one of these, or have the account added to the team.",
)
def wandb_entity_is_known(campaign: Campaign, wandb_viewer: Viewer) -> None:
    """wandb.entity is the account's own, or one of its teams."""
    entity = campaign.get("wandb.entity")
    if not wandb_viewer.accepted or not wandb_viewer.entities or not isinstance(entity, str):
        not_applicable("the server does not list the account's entities")
    if entity not in wandb_viewer.entities:
        known = ", ".join(wandb_viewer.entities)
        fail(
            f"wandb.entity is {entity!r}; the account {wandb_viewer.username} has {known}",
            at=campaign.position("wandb.entity"),
        )


@check(
    "vast_credential_accepted",
    group="backend",
    when=_is_vast,
    online=True,
    remediation="Set a key that is valid: vastai set api-key KEY (the key is in Vast's console).",
)
def vast_takes_the_key(campaign: Campaign, vast_account: VastAccount) -> None:
    """Vast accepts the key in the file that SkyPilot reads."""
    place = campaign.position("compute.provider")
    if vast_account.accepted is None:
        fail(
            f"could not verify the key with Vast: {vast_account.problem}",
            remediation="Make sure that 'vastai show user' answers, then run the preflight again.",
            at=place,
            advisory=True,
        )
    if not vast_account.accepted:
        fail(f"the key is refused: {vast_account.problem}", at=place)


@check(
    "cloud_credential_accepted",
    group="backend",
    when=_is_other_cloud,
    online=True,
    remediation="Run a command of the cloud's own that needs the credential.",
)
def cloud_takes_the_credential(campaign: Campaign, sky_cloud: Cloud) -> None:
    """The cloud accepts the credential, as far as SkyPilot verifies it."""
    name = sky_cloud.name
    if not sky_cloud.computes:
        not_applicable(f"see {name}_configured: SkyPilot does not report {name} as enabled")
    if name in ASKS_THE_CLOUD:
        return  # SkyPilot called the cloud with the credential, or would not have said so
    by_hand = _BY_HAND.get(name)
    fail(
        f"SkyPilot does not verify the credential with {name}",
        remediation=f"Run '{by_hand}'." if by_hand else None,
        at=campaign.position("compute.provider"),
        advisory=True,
    )
