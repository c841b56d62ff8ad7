"""A check of a project's own, evaluated on each node beside the built-in ones."""

from __future__ import annotations

from pytest_metaopt import check

OLDEST = (4, 18)


@check(
    "kernel",
    group="policy",
    document="launch",
    each="node",
    remediation="Boot a newer kernel: the data loader was tested from Linux 4.18 on.",
)
def kernel_is_new_enough(fleet, node):
    """The node's kernel is of version 4.18 or later."""
    system, release, *_ = fleet.facts(node, "system").output("system").text.split()
    version = tuple(int(part) for part in release.split("-")[0].split(".")[:2])
    assert system != "Linux" or version >= OLDEST, f"{node.name} has kernel {release}"
