from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_metaopt.probes.command import Deadline, Runner
from pytest_metaopt.probes.pool import Fact, Pool, Probe, probe, probes_of_module
from tests.support.probing import wait_until_gone, written_number


class Named:
    """A pool of probes that are requested by name."""

    def __init__(self, limit: float, functions: dict[str, Callable[..., object]]) -> None:
        self.pool = Pool(limit=limit)
        self.probes = {name: Probe(name, function) for name, function in functions.items()}
        self.close = self.pool.close

    def start(self, names: Iterable[str], about: dict[str, Any] | None = None) -> None:
        self.pool.start([self.probes[name] for name in names], about)

    def get(self, name: str, about: dict[str, Any] | None = None) -> Fact:
        return self.pool.get(self.probes[name], about)

    @property
    def gathered(self) -> tuple[Fact, ...]:
        return self.pool.gathered


def pool_of(limit: float = 5.0, **functions: Callable[..., object]) -> Named:
    return Named(limit, functions)


def test_a_fact_is_what_the_probe_returns() -> None:
    fact = pool_of(answer=lambda: 42).get("answer")
    assert (fact.name, fact.value, fact.failure) == ("answer", 42, None)
    assert fact.seconds >= 0


def test_facts_are_gathered_at_the_same_time() -> None:
    together = threading.Barrier(5, timeout=3)
    names = [f"p{number}" for number in range(5)]
    pool = Named(5, {name: (lambda: together.wait()) for name in names})
    pool.start(names)
    assert [pool.get(name).failure for name in names] == [None] * 5


def test_commands_run_side_by_side() -> None:
    def slow(run: Runner) -> bool:
        return run(["sleep", "1"]).succeeded

    pool = pool_of(a=slow, b=slow, c=slow)
    started = time.monotonic()
    pool.start(["a", "b", "c"])
    assert time.monotonic() - started < 0.2
    assert all(pool.get(name).value for name in ("a", "b", "c"))
    assert time.monotonic() - started < 1.25


def test_a_fact_is_gathered_once() -> None:
    calls: list[int] = []
    pool = pool_of(once=lambda: calls.append(1))
    pool.start(["once", "once"])
    pool.start(["once"])
    pool.get("once")
    pool.get("once")
    assert calls == [1]


def test_only_what_is_queried_for_is_gathered() -> None:
    pool = pool_of(queried=lambda: 1, other=lambda: 2)
    pool.start(["queried"])
    pool.get("queried")
    assert [fact.name for fact in pool.gathered] == ["queried"]


def test_a_fact_is_gathered_once_for_each_thing_that_it_is_about() -> None:
    calls: list[str] = []

    def of_campaign(campaign: str) -> str:
        calls.append(campaign)
        return campaign.upper()

    def of_session() -> str:
        calls.append("session")
        return "all"

    pool = pool_of(of_campaign=of_campaign, of_session=of_session)
    for campaign in ("a", "b", "a"):
        pool.start(["of_campaign", "of_session"], {"campaign": campaign, "project_root": Path(campaign)})
    assert pool.get("of_campaign", {"campaign": "b"}).value == "B"
    assert pool.get("of_session", {"campaign": "b"}).value == "all"
    assert sorted(calls) == ["a", "b", "session"]


def test_two_threads_that_ask_get_the_same_fact() -> None:
    calls: list[int] = []

    def slow() -> object:
        calls.append(1)
        time.sleep(0.2)
        return object()

    pool = pool_of(slow=slow)
    got: list[Any] = []
    threads = [threading.Thread(target=lambda: got.append(pool.get("slow").value)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]
    assert len(set(map(id, got))) == 1


def fails_by_assertion() -> None:
    raise AssertionError("the queue is full")


def fails_by_pytest() -> None:
    pytest.fail("the queue is full")


def fails_by_exit() -> None:
    sys.exit("the queue is full")


def fails_by_error() -> None:
    raise OSError("https://user:s3cr3t@queue.test is\nfull")


@pytest.mark.parametrize(
    ("function", "failure"),
    [
        (fails_by_assertion, "the queue is full"),
        (fails_by_pytest, "the queue is full"),
        (fails_by_exit, "SystemExit: the queue is full"),
        (fails_by_error, "OSError: https://***@queue.test is full"),
        (lambda campaign: campaign, "TypeError: "),
    ],
    ids=["assertion", "pytest.fail", "exit", "error", "missing argument"],
)
def test_what_a_probe_raises_is_the_failure(function: Callable[..., object], failure: str) -> None:
    fact = pool_of(bad=function, good=lambda: 1).get("bad")
    assert fact.value is None
    assert fact.failure is not None
    assert fact.failure.startswith(failure)


def test_a_probe_that_hangs_in_python_fails_in_time_and_keeps_nobody_waiting() -> None:
    never = threading.Event()
    pool = pool_of(limit=0.3, stuck=never.wait, quick=lambda: 1)
    started = time.monotonic()
    pool.start(["stuck", "quick"])
    assert pool.get("quick").value == 1
    assert pool.get("stuck").failure == "timed out after 0.3 s"
    assert time.monotonic() - started < 1.5
    never.set()
    assert pool.get("stuck").failure == "timed out after 0.3 s", "a fact does not change any more"


def test_the_time_runs_from_the_start_not_from_the_question() -> None:
    never = threading.Event()
    pool = pool_of(limit=0.3, stuck=never.wait)
    pool.start(["stuck"])
    time.sleep(0.9)
    started = time.monotonic()
    assert pool.get("stuck").failure == "timed out after 0.3 s"
    assert time.monotonic() - started < 0.2
    never.set()


def test_a_command_that_hangs_is_reported_by_its_probe() -> None:
    pool = pool_of(limit=0.4, hangs=lambda run: run(["sleep", "60"]))
    fact = pool.get("hangs")
    assert fact.failure is None
    assert fact.value.problem == "timed out after 0.4 s"


def test_a_probe_may_take_the_deadline() -> None:
    def looks(deadline: Deadline) -> float:
        return deadline.remaining

    assert 4 < pool_of(looks=looks).get("looks").value <= 5


def test_close_kills_what_is_left(tmp_path: Path) -> None:
    def hangs(run: Runner) -> object:
        return run(["sh", "-c", "sleep 60 & echo $! > pid; wait"], cwd=tmp_path)

    pool = pool_of(limit=60, hangs=hangs)
    pool.start(["hangs"])
    pid = written_number(tmp_path / "pid")
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 1
    assert wait_until_gone(pid, 0.1)
    assert pool.get("hangs").value.ending == "stopped"


def test_close_waits_for_no_stuck_thread() -> None:
    never = threading.Event()
    pool = pool_of(limit=60, stuck=never.wait)
    pool.start(["stuck"])
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 2
    never.set()


def test_nothing_is_gathered_after_close() -> None:
    calls: list[int] = []
    pool = pool_of(late=lambda: calls.append(1))
    pool.close()
    assert pool.get("late").failure == "was not gathered, because the session ended"
    assert not calls


STUCK = """\
import time
from pytest_metaopt.probes.pool import Pool, Probe
pool = Pool(limit=60)
pool.start([Probe("stuck", lambda: time.sleep(60))])
pool.close()
"""


def test_a_stuck_thread_does_not_keep_python_from_ending() -> None:
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", STUCK], check=True, timeout=30)
    assert time.monotonic() - started < 10


# -- declaring --------------------------------------------------------------------------------


@pytest.fixture
def module() -> Iterator[ModuleType]:
    """A module as a conftest would be, to declare probes in."""
    made = ModuleType("conftest_of_a_user")
    made.__dict__["probe"] = probe
    yield made


def test_probes_are_found_in_the_module_that_declares_them(module: ModuleType, tmp_path: Path) -> None:
    source = """
@probe("queue")
def first(run):
    '''How many jobs wait.

    More.'''

@probe("queue")
def second(run, campaign):
    '''How many wait.'''

@probe("free_disk")
def _free(project_root):
    pass
"""
    exec(source, module.__dict__)
    found = {declared.name: declared for declared in probes_of_module(module, tmp_path)}
    assert list(found) == ["queue", "free_disk"]
    assert found["queue"].description == "How many wait."
    assert found["queue"].parameters == ("run", "campaign")
    assert found["queue"].scope == tmp_path
    assert found["free_disk"].description == "free disk"
    assert found["free_disk"].source.endswith(":12")


def test_a_module_without_probes_has_none(module: ModuleType) -> None:
    assert list(probes_of_module(module)) == []


def test_refuses_what_can_be_no_probe() -> None:
    def takes_something_else(rum: object) -> None: ...

    async def waits() -> None: ...

    def yields() -> Iterator[int]:
        yield 1

    for name, function, problem in [
        ("queue", takes_something_else, "it takes 'rum'; a probe takes .*; did you mean 'run'?"),
        ("queue", waits, "plain function"),
        ("queue", yields, "plain function"),
        ("queue", 3, "must decorate a function"),
        ("a-b", lambda: 1, "not an identifier"),
    ]:
        with pytest.raises(pytest.UsageError, match=problem):
            probe(name)(function)  # type: ignore[type-var]
