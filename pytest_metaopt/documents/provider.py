"""Providers: the clouds that a campaign's ``compute.provider`` may name, as SkyPilot (0.14.1) calls them."""

from __future__ import annotations

CLOUDS = (
    "aws",
    "azure",
    "cudo",
    "do",
    "fluidstack",
    "gcp",
    "hyperbolic",
    "ibm",
    "kubernetes",
    "lambda",
    "mithril",
    "nebius",
    "oci",
    "paperspace",
    "primeintellect",
    "runpod",
    "scp",
    "seeweb",
    "shadeform",
    "slurm",
    "ssh",
    "vast",
    "verda",
    "vsphere",
    "yotta",
)
"""What ``sky check`` takes, less the names that are for storage only (``sky.clouds``, SkyPilot 0.14.1)."""

ALIASES = {"vast_ai": "vast", "vastai": "vast", "k8s": "kubernetes", "digitalocean": "do"}
"""Other names of these: those of Vast are the orchestrator's, the others SkyPilot's own (0.14.1)."""


def infra_name(provider: object) -> str | None:
    """Return the name that ``sky check`` takes for a campaign's ``compute.provider``, or None."""
    if not isinstance(provider, str):
        return None
    name = provider.strip().lower().replace("-", "_")
    name = ALIASES.get(name, name)
    return name if name in CLOUDS else None
