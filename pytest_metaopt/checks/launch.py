"""Checks of a launch as a whole (contract of the launch spec): evaluated once, on the spec alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .. import Finding, check, fail
from ..core.document import Position
from ..core.quantity import format_duration
from ..documents.launch import Launch
from ..launch.facts import LaunchFacts
from ..launch.launcher import Launcher, is_whole, known_later
from .problems import fail_in_order, fail_with, finding

_TORCHRUN = "torchrun"
_HOROVOD = "horovodrun"
_HOROVOD_TIMEOUT = 600
"""Seconds (horovod 0.28.1, runner/elastic/driver.py)."""
_ASYNC = ("TORCH_NCCL_ASYNC_ERROR_HANDLING", "NCCL_ASYNC_ERROR_HANDLING")
_TEARS_DOWN = frozenset({"1", "3"})
"""TearDown and SkipCleanUp: the values that end a process whose collective failed (torch 2.5.1,
ProcessGroupNCCL.hpp); 0 and 2 leave it running."""
_LATER = "is only known at launch; set launcher.args."
_TOLERANCE = 2.0
"""The factor by which a checkpoint interval may miss the best one: the cost is flat around it."""


def is_valid(launch: Launch) -> bool:
    """Return whether the spec is valid enough for the other checks."""
    return launch.valid


def spans_nodes(launch: Launch) -> bool:
    """Return whether GPUs of several nodes work together."""
    return launch.facts.spans_nodes


def _spans_nodes_with_torch(launch: Launch) -> bool:
    known = launch.facts.launcher.value
    return spans_nodes(launch) and (known is None or known.name != _HOROVOD)


def _uses_torchrun(launch: Launch) -> bool:
    known = launch.facts.launcher.value
    return launch.facts.node_count > 1 and known is not None and known.name == _TORCHRUN


def _is_elastic_horovod(launch: Launch) -> bool:
    facts = launch.facts
    known = facts.launcher.value
    if known is None or known.name != _HOROVOD:
        return False
    # Horovod itself: it is elastic with one of these (0.28.1, horovod/runner/launch.py).
    if any(known.option(name) is not None for name in ("min_np", "host_discovery_script")):
        return True
    return facts.expected_lost_workers.given or facts.pinned_to_max_np.given


def _gives_cadence(launch: Launch) -> bool:
    return _best_interval(launch.facts) is not None


@check(
    "schema",
    group="launch",
    document="launch",
    remediation="Correct the launch spec; metaopt-preflight schema launch prints what it may contain. Its"
    " nodes are queried once it is right.",
)
def launch_is_accepted(launch: Launch) -> None:
    """Every key is known, every value valid; every node has a host spec and a name of its own."""
    fail_with(launch, launch.problems)


@check(
    "nodes_named",
    group="launch",
    document="launch",
    severity="advisory",
    when=is_valid,
    remediation="Name the nodes once they exist: nodes: [ssh://user@host, ...].",
)
def nodes_are_named(launch: Launch) -> None:
    """Nodes are named where the launch has several; else only this machine is checked."""
    facts = launch.facts
    if not facts.names_nodes:
        fail(
            f"the launch has {facts.node_count} nodes and names none: only this machine was checked",
            at=facts.size.position,
        )


@check(
    "MN3",
    group="launch",
    document="launch",
    when=_spans_nodes_with_torch,
    remediation="Set env.TORCH_NCCL_ASYNC_ERROR_HANDLING: 1, and a timeout for the process group; record it"
    " as launcher.collective_timeout.",
)
def dead_rank_is_noticed(launch: Launch) -> None:
    """A dead rank is noticed: async error handling is on, and the collective timeout was set on purpose."""
    facts = launch.facts
    fail_in_order(list(_unnoticed(facts)))
    if "NCCL_DEBUG" not in facts.env:
        fail(
            "NCCL_DEBUG is not set, so a first launch that hangs leaves no trace",
            remediation="Set env.NCCL_DEBUG: INFO for a first launch, WARN later.",
            at=facts.env.variable("NCCL_DEBUG").position,
            advisory=True,
        )


def _unnoticed(facts: LaunchFacts) -> Iterator[Finding]:
    env = facts.env
    name = next((name for name in _ASYNC if name in env), None)
    if name is None:
        message = f"{_ASYNC[0]} is not set, so a rank that waits for a dead one may never notice"
        yield finding(message, env.variable(_ASYNC[0]).position)
    elif env[name] not in _TEARS_DOWN:
        message = f"{name} is {env[name]}, which keeps a rank running after its collective failed; expected 1"
        yield finding(message, env.variable(name).position)
    for node in facts.nodes:
        for own in _ASYNC:
            if node.env.get(own, "1") not in _TEARS_DOWN:
                message = f"{own} is {node.env[own]} on {node.name}, which keeps a rank running there"
                place = node.env.variable(own).position
                yield finding(f"{message} after its collective failed; expected 1", place)
    if not facts.collective_timeout.given:
        yield finding(
            "launcher.collective_timeout is not given: the default, 30 min (10 min since PyTorch 2.2), hides"
            " a dead rank that long",
            facts.collective_timeout.position,
        )


@check(
    "MN5",
    group="launch",
    document="launch",
    when=_uses_torchrun,
    remediation="Give torchrun --max-restarts=3 --rdzv-backend=c10d, storage.checkpoint_dir, and"
    " storage.resume: true once the training script loads the latest checkpoint.",
)
def restart_resumes(launch: Launch) -> None:
    """A restart by torchrun continues the training: restarts, c10d, checkpoints, load-latest."""
    fail_in_order(list(_not_resumed(launch.facts)))


def _not_resumed(facts: LaunchFacts) -> Iterator[Finding]:
    known = facts.launcher.value
    if known is None:
        return
    restarts, name, at = _torchrun_option(facts, known, "max_restarts")
    if restarts is None:
        yield finding(f"{name} is not given: it is 0, and the first lost rank ends the launch", at)
    elif known_later(restarts):
        yield finding(f"{name} {_LATER}max_restarts", at)
    elif not is_whole(restarts.removeprefix("-")):
        yield finding(f"{name} is {restarts}; expected a whole number above 0", at)
    elif int(restarts) <= 0:
        yield finding(f"{name} is {restarts}: the first lost rank ends the launch", at)
    backend, name, at = _torchrun_option(facts, known, "rdzv_backend")
    if known.option("standalone") is not None:
        yield finding("--standalone is for one node", facts.launcher.position)
    elif backend is not None and known_later(backend):
        yield finding(f"{name} is only known at launch; set launcher.args.rdzv_backend", at)
    elif backend != "c10d":
        message = "is not given: it is static" if backend is None else f"is {backend}"
        yield finding(f"{name} {message}, with which ranks cannot rejoin; expected c10d", at)
    if not facts.checkpoint_dir.given:
        message = "storage.checkpoint_dir is not given: a restart begins at step 0"
        yield finding(message, facts.checkpoint_dir.position)
    if facts.resume.value is not True:
        message = "is false" if facts.resume.given else "is not given"
        message = f"storage.resume {message}: a restart that loads nothing begins at step 0"
        yield finding(message, facts.resume.position)


def _torchrun_option(
    facts: LaunchFacts, known: Launcher, name: str
) -> tuple[str | None, str, Position | None]:
    """Return what torchrun takes for an option, what that is called, and where it is said.

    It takes PET_* for options that are not given (torch 2.5.1, distributed/argparse_util.py).
    """
    variable = facts.env.variable(f"PET_{name.upper()}")
    if known.option(name) is None and variable.value:
        return variable.value, f"PET_{name.upper()}", variable.position
    return known.option(name), f"--{name.replace('_', '-')}", facts.launcher.position


@check(
    "MN6",
    group="launch",
    document="launch",
    when=_is_elastic_horovod,
    remediation="Lower --min-np to max-np minus the workers that may be lost, set --elastic-timeout, and pin"
    " learning rate and shards to max-np (elasticity.pinned_to_max_np: true).",
)
def elastic_horovod_goes_on(launch: Launch) -> None:
    """Elastic Horovod continues with lost workers: min-np is low enough, the timeout known, sizes pinned."""
    fail_in_order(list(_paused(launch.facts)))


def _paused(facts: LaunchFacts) -> Iterator[Finding]:
    known, place = facts.launcher.value, facts.launcher.position
    if known is None:
        return
    least = known.integer("min_np")
    most = known.integer("max_np") or known.integer("np")
    lost = facts.expected_lost_workers.value
    if least is None:
        message = "is not given, so the loss of any worker pauses the launch"
        yield finding(f"--min-np {_not_known(known, 'min_np') or message}", place)
    if most is None and (later := _not_known(known, "max_np") or _not_known(known, "np")):
        yield finding(f"--max-np {later}", place)
    elif most is None:
        yield finding("--max-np is not given, so the full size is not known", place)
    if lost is None:
        message = "elasticity.expected_lost_workers is not given, so --min-np cannot be judged"
        yield finding(message, facts.expected_lost_workers.position)
    if least is not None and most is not None and lost is not None and least > most - lost:
        left = max(most - lost, 0)
        message = f"--min-np is {least}: with {lost} of {most} workers lost, {left} are too few to continue"
        yield finding(message, place)
    timeout = known.option("elastic_timeout")
    if timeout is not None and not (known_later(timeout) or (is_whole(timeout) and int(timeout))):
        yield finding(f"--elastic-timeout is {timeout}; expected whole seconds, above 0", place)
    if timeout is None and "HOROVOD_ELASTIC_TIMEOUT" not in facts.env:
        yield finding(
            "neither --elastic-timeout nor HOROVOD_ELASTIC_TIMEOUT is given: a launch below --min-np pauses"
            f" for {_HOROVOD_TIMEOUT} s before it ends",
            place,
        )
    if facts.pinned_to_max_np.value is not True:
        yield finding(
            "elasticity.pinned_to_max_np is not true: learning rate and shards change with the workers",
            facts.pinned_to_max_np.position,
        )


def _not_known(known: Launcher, name: str) -> str | None:
    """Say that an option is given, but not as a number; None where it is not given."""
    if known.option(name) is None:
        return None
    return f"{_LATER}{name}"


@check(
    "checkpoint_cadence",
    group="launch",
    document="launch",
    severity="advisory",
    when=_gives_cadence,
    remediation="Write a checkpoint about as often as above, and set storage.checkpoint_every to that.",
)
def checkpoints_are_written_often_enough(launch: Launch) -> None:
    """Checkpoints are written about as often as is optimal: W = sqrt(2 mu C) (Young, Daly)."""
    best = _best_interval(launch.facts)
    assert best is not None, "collected only where both times are given"
    given = launch.facts.checkpoint_every
    if given.value is None:
        fail(
            f"a checkpoint every {format_duration(best)} is optimal,"
            " and storage.checkpoint_every is not given",
            at=given.position,
        )
    if not best / _TOLERANCE <= given.value <= best * _TOLERANCE:
        costs = "more is lost at a preemption" if given.value > best else "more time is spent on writing"
        fail(
            f"a checkpoint every {format_duration(best)} is optimal; at one every"
            f" {format_duration(given.value)} {costs}",
            at=given.position,
        )


def _best_interval(facts: LaunchFacts) -> float | None:
    """Return Young's and Daly's interval in seconds; None where a time that it takes is not given."""
    between, write = facts.time_between_preemptions.value, facts.write_time.value
    return math.sqrt(2 * between * write) if between is not None and write is not None else None
