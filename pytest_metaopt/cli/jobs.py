"""``metaopt-preflight jobs``: the jobs of a training manifest as a table, and where each may run."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..core.document import dotted
from ..core.text import enumeration
from ..documents.job import Job
from ..documents.manifest import Manifest, load_manifest
from ..probes.local.host import Capability, query_host

HEADINGS = ("job", "id", "model", "needs", "eligible hosts", "fits here")

_GAP = 2
_NEVER_WRAPPED = 1
"""The column of ids: to be copied as a whole."""
_NARROWEST = 7
_NEEDS = ("min_cores", "min_ram_gib", "require_cuda", "min_vram_gib")
_MOST_HOSTS = 8


def table(manifest: Manifest, capability: Capability | None, width: int) -> Iterator[str]:
    """Yield the lines of the table, none longer than *width* where that is at all possible.

    :param capability: what this host has; None: not known.
    """
    rows = [_row(manifest, job, capability) for job in manifest.jobs]
    widths = _widths([HEADINGS, *rows], width)
    yield from _lines(HEADINGS, widths)
    yield from _lines(["-" * column for column in widths], widths)
    for row in rows:
        yield from _lines(row, widths)


def _row(manifest: Manifest, job: Job, capability: Capability | None) -> tuple[str, ...]:
    return (
        dotted((job.label,)),
        job.job_id or "-",
        dotted((job.model,)) or "-",
        _needs(job),
        _hosts(manifest, job),
        _fits(job, capability),
    )


def _needs(job: Job) -> str:
    needs = [f"{job.min_cores} core{'' if job.min_cores == 1 else 's'}", f"{job.min_ram_gib:g} GiB"]
    if job.require_cuda:
        needs.append("CUDA")
    if job.min_vram_gib:
        needs.append(f"VRAM {job.min_vram_gib:g} GiB")
    return ", ".join(needs)


def _hosts(manifest: Manifest, job: Job) -> str:
    if not job.wrong.isdisjoint(("model", "allowed_hosts", "denied_hosts")):
        return "?"
    if not manifest.hosts:
        denied = f" but {enumeration(job.denied_hosts)}" if job.denied_hosts else ""
        return dotted((", ".join(job.allowed_hosts) or f"any{denied}",))
    names = [dotted((host.name,)) for host in manifest.eligible(job)]
    if len(names) > _MOST_HOSTS:
        names = [*names[:_MOST_HOSTS], f"{len(names) - _MOST_HOSTS} more"]
    return ", ".join(names) or "none"


def _fits(job: Job, capability: Capability | None) -> str:
    if capability is None or not job.wrong.isdisjoint(_NEEDS):
        return "?"
    short = capability.short_of(
        cores=job.min_cores, ram_gib=job.min_ram_gib, cuda=job.require_cuda, vram_gib=job.min_vram_gib
    )
    return f"no: {', '.join(need.split(' (')[0] for need in short)}" if short else "yes"


def _widths(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return the width of each column: as its cells need, then narrowed, between words first."""
    columns = list(zip(*rows, strict=True))
    widths = [max(len(cell) for cell in cells) for cells in columns]
    words = [max(len(word) for cell in cells for word in cell.split() or [""]) for cells in columns]
    for floors in (words, [min(longest, _NARROWEST) for longest in words]):
        while sum(widths) + _GAP * (len(widths) - 1) > width:
            above = [number for number in range(len(widths)) if widths[number] > floors[number]]
            if _NEVER_WRAPPED in above:
                above.remove(_NEVER_WRAPPED)
            if not above:
                break
            widths[max(above, key=widths.__getitem__)] -= 1
    return widths


def _lines(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    wrapped = [
        textwrap.wrap(cell, width, break_on_hyphens=False) or [""]
        for cell, width in zip(cells, widths, strict=True)
    ]
    for number in range(max(len(lines) for lines in wrapped)):
        parts = [
            (lines[number] if number < len(lines) else "").ljust(width)
            for lines, width in zip(wrapped, widths, strict=True)
        ]
        yield (" " * _GAP).join(parts).rstrip()


def run(arguments: list[str]) -> int:
    """Print the jobs of a training manifest, and where each may run."""
    parser = argparse.ArgumentParser(
        prog="metaopt-preflight jobs",
        description="Run no check; list the jobs of a training manifest: id, needs, hosts that may run it.",
        epilog="Exit status: 0; 2 if the manifest cannot be read.",
    )
    parser.add_argument("manifest", metavar="FILE", help="the training manifest (TOML)")
    path = Path(parser.parse_args(arguments).manifest).absolute()
    manifest = load_manifest(path)
    host = query_host(path.parent)
    for line in table(manifest, host.value, shutil.get_terminal_size().columns):
        print(line)
    print(f"\nthis host: {host.value or host.failure}")
    wrong = sum(bool(job.problems) for job in manifest.jobs)
    if wrong or not manifest.jobs:
        print(f"{wrong} of {len(manifest.jobs)} jobs are invalid; pytest --metaopt-manifest FILE says why")
    return 0
