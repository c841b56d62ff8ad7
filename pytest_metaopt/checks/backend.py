"""Backend checks: SkyPilot, its clouds, W&B and the repository (campaign contract, "Backend checks").

None has a bootstrap: nothing is installed or written for the user. The remediation gives the commands to
type.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .. import check, fail, not_applicable
from ..core.text import did_you_mean
from ..documents.campaign import Campaign
from ..documents.provider import CLOUDS, infra_name
from ..probes.services.git import Repository, Trouble
from ..probes.services.sky import Cloud, SkyPilot
from ..probes.services.wandb import SAAS_HOSTS, Credential
from .repo import require_text

LOCAL = "local"
"""The provider that is this machine: it needs no SkyPilot (issue 3)."""

NO_SERVER = frozenset({"offline", "disabled", "dryrun"})
"""The modes in which the client of W&B talks to no server (wandb 0.31.0)."""


def _is_local(campaign: Campaign) -> bool:
    return bool(campaign.get("compute.provider") == LOCAL)


def provider_is_remote(campaign: Campaign) -> bool:
    """Return whether the campaign runs elsewhere than on this machine."""
    return not _is_local(campaign)


def _provider(campaign: Campaign) -> str:
    """Return the provider; end the running check where it is not a name, of which others say more."""
    provider = campaign.get("compute.provider")
    if not isinstance(provider, str) or not provider.strip():
        not_applicable("compute.provider is not valid, see backend[provider_known]")
    return provider.strip()


def _is_unknown(campaign: Campaign) -> bool:
    return provider_is_remote(campaign) and _cloud_of(campaign) is None


def _cloud_of(campaign: Campaign) -> str | None:
    return infra_name(campaign.get("compute.provider"))


def wandb_mode(campaign: Campaign) -> str | None:
    """Return ``wandb.mode`` in lower case, or None where it has none."""
    mode = campaign.get("wandb.mode")
    return mode.strip().lower() if isinstance(mode, str) else None


def talks_to_server(campaign: Campaign) -> bool:
    """Return whether the campaign needs a W&B server: on this machine it may do without."""
    return provider_is_remote(campaign) or wandb_mode(campaign) not in NO_SERVER


# -- SkyPilot ---------------------------------------------------------------------------------


@check(
    "skypilot_installed",
    group="backend",
    when=provider_is_remote,
    remediation="Install SkyPilot into an environment whose commands are on PATH: pip install skypilot",
)
def skypilot_is_installed(campaign: Campaign, skypilot: SkyPilot) -> None:
    """The command sky is on PATH and answers (not for the provider 'local')."""
    _provider(campaign)
    place = campaign.position("compute.provider")
    if skypilot.missing:
        fail("command 'sky' not found on PATH", at=place)
    if skypilot.version is None:
        fail(
            f"'sky --version' printed no version: {skypilot.problem}",
            remediation="Run 'sky --version'; if that does not answer, reinstall SkyPilot.",
            at=place,
        )


@check(
    "provider_known",
    group="backend",
    when=_is_unknown,
    remediation=f"Set compute.provider to '{LOCAL}' (this machine) or to one of SkyPilot's clouds:"
    f" {', '.join(CLOUDS)}.",
    yields_to=("R8", "compute"),
)
def provider_is_known(campaign: Campaign) -> None:
    """compute.provider is 'local' or a cloud of SkyPilot's (collected only where it is neither)."""
    require_text(campaign, "compute.provider")
    provider = str(campaign.get("compute.provider")).strip()
    hint = did_you_mean(provider, [LOCAL, "vast_ai", *CLOUDS])
    fail(
        f"compute.provider is {provider!r}, which is not a cloud of SkyPilot's{hint}",
        at=campaign.position("compute.provider"),
    )


_CREDENTIALS = {
    "aws": "pip install 'skypilot[aws]', then: aws configure",
    "azure": "pip install 'skypilot[azure]', then: az login, and az account set -s SUBSCRIPTION",
    "gcp": "pip install 'skypilot[gcp]', then: gcloud init, and gcloud auth application-default login",
    "kubernetes": "pip install 'skypilot[kubernetes]', and let 'kubectl get nodes' list the nodes",
    "lambda": "write 'api_key = KEY' into ~/.lambda_cloud/lambda_keys",
    "runpod": "pip install 'skypilot[runpod]', then: runpod config",
    "vast": "pip install 'skypilot[vast]', then: vastai set api-key KEY (the key is in Vast's console)",
}
"""The commands that set up a cloud, as SkyPilot 0.14.1 names them in its reasons."""


def _setting_up(cloud: str) -> str:
    known = _CREDENTIALS.get(cloud, f"pip install 'skypilot[{cloud}]', and do what SkyPilot's reason says")
    return f"Configure it: {known}. Then 'sky check {cloud}' should say 'enabled'."


def _is_for(cloud: str, campaign: Campaign) -> bool:
    return _cloud_of(campaign) == cloud


def _declare_cloud(cloud: str) -> Callable[..., object]:
    def is_configured(campaign: Campaign, sky_cloud: Cloud) -> None:
        _require_enabled(campaign, sky_cloud)

    is_configured.__doc__ = f"SkyPilot reports {cloud} as enabled (where compute.provider is {cloud})."
    return check(
        f"{cloud}_configured",
        group="backend",
        when=partial(_is_for, cloud),
        remediation=_setting_up(cloud),
    )(is_configured)


for _cloud in CLOUDS:
    _declare_cloud(_cloud)


def _require_enabled(campaign: Campaign, cloud: Cloud) -> None:
    if cloud.computes:
        return
    place = campaign.position("compute.provider")
    if cloud.starting_server:
        fail(
            f"SkyPilot did not answer in time ({cloud.problem}): it was starting its API server",
            remediation="The server is still starting: run 'sky api start', then the preflight again, or"
            " allow more time with --metaopt-timeout.",
            at=place,
        )
    if cloud.known:
        fail(
            f"{cloud.problem}; it knows {', '.join(cloud.known)}",
            remediation="Update SkyPilot: pip install -U skypilot",
            at=place,
        )
    if cloud.problem is not None:
        fail(
            f"could not query SkyPilot about {cloud.name}: {cloud.problem}",
            remediation=f"Make sure that 'sky check {cloud.name}' answers.",
            at=place,
        )
    if cloud.enabled:
        capabilities = ", ".join(cloud.capabilities)
        fail(f"SkyPilot has {cloud.name} enabled for {capabilities} only, not for compute", at=place)
    reason = f": {cloud.reason}" if cloud.reason else ", and gives no reason"
    fail(f"SkyPilot reports {cloud.name} as disabled{reason}", at=place)


# -- W&B --------------------------------------------------------------------------------------


@check(
    "wandb_credentials",
    group="backend",
    when=talks_to_server,
    remediation="Log in with the key of your W&B account: wandb login (or set WANDB_API_KEY).",
)
def wandb_has_credentials(campaign: Campaign, wandb_credential: Credential) -> None:
    """WANDB_API_KEY is set, or the netrc file has the W&B host (not for 'local' in mode 'offline')."""
    if wandb_mode(campaign) in NO_SERVER:
        _provider(campaign)
        fail(
            f"wandb.mode is '{wandb_mode(campaign)}', but a sweep with agents in a cloud needs the server",
            remediation="Remove wandb.mode, or set it to 'online'.",
            at=campaign.position("wandb.mode"),
        )
    found = wandb_credential
    place = campaign.position("wandb")
    if found.problem is not None:
        own = found.named_by == "wandb.base_url"
        fail(
            found.problem,
            remediation=f"Set {found.named_by} to the URL of the W&B server; remove it for the public one.",
            at=campaign.position("wandb.base_url") if own else place,
        )
    login = _login(found)
    if found.source is None:
        fail(f"no credential for {_server(found)}: {_looked_at(found)}", remediation=login, at=place)
    if found.flaw is not None:
        fail(f"the credential from {found.source} is unusable: {found.flaw}", remediation=login, at=place)


def _server(found: Credential) -> str:
    return " or ".join(found.hosts)


def _login(found: Credential) -> str:
    public = set(found.hosts) == set(SAAS_HOSTS)
    host = "" if public else f" --host https://{found.hosts[0]}"
    return f"Log in with the key of your W&B account: wandb login{host} (or set WANDB_API_KEY)."


def _looked_at(found: Credential) -> str:
    file = found.netrc
    if not file.exists:
        message = f"{file.path} does not exist"
    elif file.problem is not None:
        message = f"{file.path} {file.problem}"
    else:
        message = f"{file.path} has no entry for it"
    return f"WANDB_API_KEY is not set, and {message}"


@check(
    "netrc_private",
    group="backend",
    severity="advisory",
    when=talks_to_server,
    remediation="Restrict the file to its owner: chmod 600 ~/.netrc",
)
def netrc_is_private(campaign: Campaign, wandb_credential: Credential) -> None:
    """The netrc file, if there is one, can be read by its owner only."""
    file = wandb_credential.netrc
    if file.exists and file.readable_by_others:
        fail(
            f"{file.path} has mode {file.mode:04o}: others can read the keys in it",
            remediation=f"Restrict the file to its owner: chmod 600 {file.path}",
            at=campaign.position("wandb"),
        )


# -- the repository ---------------------------------------------------------------------------


_REPOSITORY_URL = (
    "Set project.repo to what 'git ls-remote' takes: a URL (https, ssh, git, file), HOST:PATH, or a path."
)
_REPOSITORY: dict[Trouble, str] = {
    "refused": _REPOSITORY_URL,
    "git missing": "Install git and put it on PATH.",
    "timeout": "Check the network, the proxy and the host, or allow more time with --metaopt-timeout.",
    "no such host": "Check the spelling of the host in project.repo, and DNS.",
    "unreachable": "Check the port in project.repo, the network, the proxy and the firewall.",
    "host key": "Verify the host key, then accept it: ssh HOST, and answer yes.",
    "certificate": "Make git trust the server's certificate (http.sslCAInfo); do not turn verification off.",
    "authentication": "Give git a credential that needs no prompt: a credential helper, netrc, or a key in"
    " ssh-agent.",
    "no such repository": "Check the path in project.repo, and that your account may read it.",
    "other": "Run 'git ls-remote' on project.repo by hand; its message is above.",
}


@check("repo_access", group="backend", remediation=_REPOSITORY_URL, yields_to=("R9", "project"))
def repository_can_be_reached(campaign: Campaign, git_repository: Repository | None) -> None:
    """``git ls-remote`` reaches project.repo."""
    require_text(campaign, "project.repo")
    found = git_repository
    assert found is not None, "project.repo is read only where it is given"
    if found.reachable:
        return
    trouble = found.trouble or "other"
    fail(
        f"could not reach project.repo ({trouble}): {found.shown}: {found.message}",
        remediation=_REPOSITORY[trouble],
        at=campaign.position("project.repo"),
        key="project.repo" if trouble == "refused" else None,
    )


@check(
    "smoke_test_command_nonempty",
    group="backend",
    severity="advisory",
    remediation="Set project.smoke_test_command: without it a broken script costs the start of a machine.",
    yields_to=("R7",),
)
def smoke_test_command_is_nonempty(campaign: Campaign) -> None:
    """project.smoke_test_command is a non-blank string (as R7; a warning only)."""
    require_text(campaign, "project.smoke_test_command")
