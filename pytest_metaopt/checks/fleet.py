"""Checks over all nodes of a launch: what has to be the same everywhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from .. import Finding, check, fail, not_applicable
from ..core.text import some
from ..documents.launch import Launch
from ..probes.node.facts import NodeFacts
from ..probes.node.fleet import Fleet
from .launch import spans_nodes
from .network import effective_env
from .problems import fail_with_findings, finding

MOST_SKEW = 1.0
"""Seconds that clocks of nodes may be apart (contract of the launch spec)."""
_MOST_NAMED = 5


def _has_several(launch: Launch) -> bool:
    return len(launch.facts.nodes) > 1


def _several_with_gpus(launch: Launch) -> bool:
    return _has_several(launch) and spans_nodes(launch)


def _answering(fleet: Fleet) -> Sequence[NodeFacts]:
    """Return the facts of the nodes that answered; ends the check where there is nothing to compare."""
    facts = list(fleet.answering())
    if len(facts) < 2:
        not_applicable(f"{len(facts)} of {len(fleet.nodes)} nodes could be queried")
    return facts


def _differences(
    launch: Launch, name: str, all_facts: Sequence[NodeFacts], value: Callable[[NodeFacts], str | None]
) -> Sequence[Finding]:
    """Return a finding where a value is not the same on all nodes that have one; the minority is first."""
    groups: Mapping[str, list[str]] = defaultdict(list)
    for facts in all_facts:
        found = value(facts)
        if found is not None:
            groups[found].append(facts.node.name)
    if len(groups) < 2:
        return []
    rarest_first = sorted(groups.items(), key=lambda entry: len(entry[1]))
    groups_shown = "; ".join(f"{found} on {some(nodes, _MOST_NAMED)}" for found, nodes in rarest_first)
    return [finding(f"{name}: {groups_shown}", launch.position("nodes"))]


@check(
    "driver_agrees",
    group="fleet",
    document="launch",
    when=_several_with_gpus,
    remediation="Give all nodes the same image: one driver, one CUDA, one NCCL; reboot those that changed.",
)
def drivers_agree(launch: Launch, fleet: Fleet) -> None:
    """The versions of driver, CUDA and NCCL are the same on all nodes."""
    nodes_facts = _answering(fleet)
    fail_with_findings(
        [
            *_differences(launch, "NVIDIA driver", nodes_facts, lambda facts: facts.driver.version),
            *_differences(launch, "CUDA of the driver", nodes_facts, lambda facts: facts.driver.cuda),
            *_differences(
                launch, "NCCL library", nodes_facts, lambda facts: ", ".join(facts.nccl_libraries) or None
            ),
        ]
    )


@check(
    "nccl_env_agrees",
    group="fleet",
    document="launch",
    when=_several_with_gpus,
    remediation="Set it once, in env of the launch spec, and remove it from the nodes (the"
    " environment, ~/.nccl.conf, /etc/nccl.conf).",
)
def nccl_environments_agree(launch: Launch, fleet: Fleet) -> None:
    """NCCL_* is the same on all nodes, from the spec, the environment and nccl.conf together."""
    nodes_facts = _answering(fleet)
    environments = {facts.node.name: effective_env(launch, facts) for facts in nodes_facts}
    names = {name for env in environments.values() for name in env}
    findings: list[Finding] = []
    for name in sorted(names):
        if not name.removeprefix("TORCH_").startswith("NCCL_"):
            continue

        def value(facts: NodeFacts, name: str = name) -> str:
            return environments[facts.node.name].get(name, "not set")

        findings += _differences(launch, name, nodes_facts, value)
    fail_with_findings(findings)


@check(
    "clock_skew",
    group="fleet",
    document="launch",
    when=_has_several,
    remediation="Run chrony or systemd-timesyncd on every node: timedatectl set-ntp true.",
)
def clocks_agree(launch: Launch, fleet: Fleet) -> None:
    """The clocks of the nodes are within a second of each other."""
    nodes_facts = _answering(fleet)
    known = {facts.node.name: facts.offset for facts in nodes_facts if facts.offset is not None}
    place = launch.position("nodes")
    if len(known) < 2:
        fail(
            f"could not read the clocks of {len(nodes_facts) - len(known)} of {len(nodes_facts)} nodes",
            at=place,
            advisory=True,
        )
    # Of each clock an interval is known only: how long question and answer were on their way is not.
    slowest = min(known, key=lambda name: known[name][1])
    fastest = max(known, key=lambda name: known[name][0])
    apart = known[fastest][0] - known[slowest][1]
    if apart > MOST_SKEW:
        fail(
            f"the clock of {fastest} is at least {apart:.1f} s ahead of that of {slowest};"
            f" expected {MOST_SKEW:g} s or less",
            at=place,
        )
    # The end of an answer is on its way for a moment, its beginning for as long as a login takes.
    ahead = max(known, key=lambda name: known[name][0])
    behind = min(known, key=lambda name: known[name][0])
    seems = known[ahead][0] - known[behind][0]
    if seems > MOST_SKEW:
        fail(
            f"the clock of {ahead} seems to be {seems:.1f} s ahead of that of {behind}, but the answers"
            " took too long to be sure",
            at=place,
            advisory=True,
        )
