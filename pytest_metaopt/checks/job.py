"""Checks of each job of a training manifest (contract of the training manifest)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from .. import check, fail, not_applicable
from ..core.document import dotted
from ..core.problem import Problem
from ..core.text import enumeration
from ..documents.job import Host, Job
from ..documents.manifest import Manifest
from ..probes.local.host import Capability
from ..probes.local.training_code import Models, Trainer
from .problems import fail_with

_MOST_NAMED = 3


def _require_right(job: Job, *fields: str) -> None:
    wrong = [field for field in fields if field in job.wrong]
    if wrong:
        not_applicable(f"{enumeration(wrong)} {'are' if len(wrong) > 1 else 'is'} wrong, see job[valid]")


def _others(job: Job, group: Sequence[Job]) -> str:
    others = [other.shown for other in islice(group, _MOST_NAMED + 1) if other is not job][:_MOST_NAMED]
    more = len(group) - 1 - len(others)
    return enumeration([*others, f"{more} more"] if more else others)


@check(
    "valid",
    group="job",
    document="manifest",
    each="job",
    remediation="Correct the job; metaopt-preflight schema manifest prints what it may contain.",
)
def job_is_accepted(manifest: Manifest, job: Job) -> None:
    """The job has a name and a model, and every value is valid."""
    if job.problems:
        fail_with(manifest, job.problems)


@check(
    "unique",
    group="job",
    document="manifest",
    each="job",
    remediation="Make the jobs differ in hyper, or remove one: the fleet keeps one artifact for each id.",
)
def job_is_there_once(manifest: Manifest, job: Job) -> None:
    """No other job has its job_id; advice where another has its name."""
    if job.job_id is not None:
        same = manifest.by_id[job.job_id]
        if len(same) > 1:
            message = f"{job.shown} has the job_id {job.job_id} of {_others(job, same)}"
            fail(message, at=manifest.position(job.keys))
    named = manifest.by_name.get(job.name, ())
    if len(named) > 1:
        fail(
            f"{job.shown} has the name of {_others(job, named)}",
            at=manifest.position((*job.keys, "name")),
            remediation="Give each job a name of its own, so that reports can distinguish them.",
            advisory=True,
        )
    if job.job_id is None:
        not_applicable("it has no job_id, see job[valid]")


@check(
    "model_known",
    group="job",
    document="manifest",
    each="job",
    remediation="Correct the model's name, or add it to the training code's registry.",
)
def model_is_known(manifest: Manifest, job: Job, known_models: Models) -> None:
    """The training code knows the model."""
    _require_right(job, "model")
    if known_models.problem is not None:
        not_applicable("could not read the registry of models, see manifest[models]")
    if job.model not in known_models.names:
        model = dotted((job.model,))
        fail(
            f"{job.shown}: the model {model} is not in {known_models.source},"
            f" which is older than the manifest{known_models.meant(job.model)}",
            at=manifest.position((*job.keys, "model")),
            remediation=known_models.remediation,
        )


@check(
    "hyper_known",
    group="job",
    document="manifest",
    each="job",
    setting="metaopt_trainer",
    remediation="Correct the key or value; the trainer's --help lists those that it accepts.",
)
def hyper_is_known(manifest: Manifest, job: Job, trainer: Trainer) -> None:
    """The trainer's argument parser accepts every key and value of hyper."""
    if trainer.problem is not None:
        not_applicable("could not query the trainer, see manifest[trainer]")
    _require_right(job, "hyper")
    fail_with(
        manifest,
        [
            Problem((*job.keys, "hyper", key), f"{job.shown}: {dotted(('hyper', key))} {message}")
            for key, value in job.hyper.items()
            if (message := trainer.refusal(key, value)) is not None
        ],
    )


@check(
    "placeable",
    group="job",
    document="manifest",
    each="job",
    remediation="Change the job's allowed_hosts or denied_hosts, or the allow_jobs or deny_jobs of a host.",
)
def job_has_a_host(manifest: Manifest, job: Job) -> None:
    """At least one host of the manifest may run the job, by the host's policy and the job's lists."""
    _require_right(job, "model", "allowed_hosts", "denied_hosts")
    hosts = manifest.hosts
    if any(job.may_run_on(host) for host in hosts.values()):
        return
    if manifest.unclear_hosts:
        not_applicable("the policy of a host is unclear, see manifest[hosts]")
    if hosts:
        reasons = "; ".join(_why_not(job, host) for host in islice(hosts.values(), _MOST_NAMED))
        more = f"; and {len(hosts) - _MOST_NAMED} more" if len(hosts) > _MOST_NAMED else ""
        fail(f"{job.shown}: no host may run it: {reasons}{more}", at=manifest.position(job.keys))
    if job.allowed_hosts and not set(job.allowed_hosts) - set(job.denied_hosts):
        fail(
            f"{job.shown}: no host may run it: denied_hosts names all of allowed_hosts",
            at=manifest.position((*job.keys, "denied_hosts")),
        )
    not_applicable("the manifest defines no hosts")


def _why_not(job: Job, host: Host) -> str:
    name = dotted((host.name,))
    if host.name in job.denied_hosts:
        return f"{name} is in denied_hosts"
    if not job.may_be_handed_to(host.name):
        return f"{name} is not in allowed_hosts"
    model = dotted((job.model,))
    return f"{name} denies {model}" if job.model in host.deny_jobs else f"{name} does not allow {model}"


@check(
    "fits_host",
    group="job",
    document="manifest",
    each="job",
    severity="advisory",
    remediation="Run the job on a host that has what it needs, or lower its needs.",
)
def job_fits_this_host(manifest: Manifest, job: Job, capability: Capability) -> None:
    """The host that runs this has the cores, the RAM, the CUDA and the VRAM that the job needs."""
    _require_right(job, "min_cores", "min_ram_gib", "require_cuda", "min_vram_gib")
    short = capability.short_of(
        cores=job.min_cores, ram_gib=job.min_ram_gib, cuda=job.require_cuda, vram_gib=job.min_vram_gib
    )
    if short:
        fail(
            f"{job.shown}: this host, {capability.hostname}, lacks {enumeration(short)}",
            at=manifest.position(job.keys),
        )
