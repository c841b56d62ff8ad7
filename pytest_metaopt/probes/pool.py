"""Probes: how one is declared, and the pool that gathers their facts side by side, each once.

A probe is a pytest fixture, too: ``@probe`` leaves one of its name in the module that declares it, so that
pytest's own rules say who sees it, and which of several with one name counts.
"""

from __future__ import annotations

import inspect
import re
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, TypeAlias, TypeVar

import pytest

from ..core.redaction import redact
from ..core.text import did_you_mean, one_line, printable
from ..documents.kinds import known_kinds
from .command import Deadline, Runner

_DECLARED = "__metaopt_probes__"
_FIXTURE = "_metaopt_fact_"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FROM_POOL = frozenset({"deadline", "run"})
_OF_SESSION = frozenset({"settings", "code_root", "session_folder"})

_GRACE = 0.5
"""Seconds that a probe may take, past its deadline, to say itself that it did not meet it."""
_FAREWELL = 1.5
"""Seconds that all probes together get to kill their commands when the pool is closed."""

_Function = TypeVar("_Function", bound=Callable[..., object])


@dataclass(frozen=True)
class Probe:
    """A slow fact from outside, and the function that gathers it.

    :param name: what a check takes it by, as it takes a fixture.
    :param function: gathers the fact and returns it.
    :param scope: the folder whose documents it is for; None: all.
    """

    name: str
    function: Callable[..., object]
    scope: Path | None = None

    @property
    def parameters(self) -> tuple[str, ...]:
        """The arguments of the function, by name."""
        return _parameters(self.function)

    @property
    def description(self) -> str:
        """The first paragraph of the function's docstring, else the name in words."""
        doc = inspect.getdoc(self.function)
        return one_line(doc.split("\n\n")[0]) if doc else self.name.strip("_").replace("_", " ")

    @property
    def source(self) -> str:
        """Where it is declared, ``<file>:<line>``."""
        code = inspect.unwrap(self.function).__code__
        return f"{code.co_filename}:{code.co_firstlineno}"


@lru_cache(maxsize=1024)
def _parameters(function: Callable[..., object]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


Ask: TypeAlias = Callable[[Probe, pytest.FixtureRequest], object]
GATHER = pytest.StashKey[Ask]()
"""Where a session keeps what its facts are had from."""


def probe(name: str) -> Callable[[_Function], _Function]:
    """Declare a probe: the function below gathers a slow fact, in the background, and returns it.

    It takes, by name, what it needs and nothing else: ``campaign``, ``manifest``, ``run_config`` or
    ``launch`` (the document), ``project_root``, ``code_root`` (where the training code is imported from),
    ``settings`` (of the session), ``session_folder`` (one that the workers of pytest-xdist share; None: there
    are none), ``run`` (a :class:`~pytest_metaopt.probes.command.Runner`: ``run(["squeue", "-h"])`` ends in
    time and never prompts), ``deadline`` (for anything else: ``deadline.remaining`` seconds). One that
    takes neither a document nor the project root is gathered once a session, others once for each. It runs
    in a thread of its own, beside the others: it uses no pytest fixture, prints nothing and changes nothing.

    What it raises is the fact's failure, and fails the checks that take the fact. It is found where fixtures
    are: in a ``conftest.py`` or a pytest plugin module.

    :param name: an identifier; a check takes the fact by this name, as it takes a fixture.
    :raises pytest.UsageError: the name or the function is not as said.
    """

    def declare(function: _Function) -> _Function:
        declared = Probe(name, function)
        _validate(declared)
        function.__globals__.setdefault(_DECLARED, []).append(declared)
        function.__globals__[f"{_FIXTURE}{name}"] = _fixture(declared)
        return function

    return declare


def _fixture(declared: Probe) -> object:
    """Return the fixture that gives the fact."""

    def fact(request: pytest.FixtureRequest) -> object:
        gather = request.config.stash.get(GATHER, None)
        if gather is None:
            pytest.fail(f"{declared.name!r} is gathered for the checks of pytest-metaopt only")
        return gather(declared, request)

    fact.__doc__ = declared.function.__doc__
    # As broad as a document: of its thousands of checks each would set it up anew.
    return pytest.fixture(name=declared.name, scope="module")(fact)


def _validate(declared: Probe) -> None:
    def refuse(problem: str) -> NoReturn:
        place = f" at {declared.source}" if inspect.isfunction(declared.function) else ""
        raise pytest.UsageError(f"@probe({declared.name!r}){place}: {problem}")

    function = declared.function
    if not inspect.isfunction(function):
        refuse("it must decorate a function")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        refuse("a probe is a plain function that returns its fact; it has a thread of its own")
    if not isinstance(declared.name, str) or not _NAME.fullmatch(declared.name):
        refuse("the name is not an identifier")
    known = {*known_kinds(), "project_root", *_OF_SESSION, *_FROM_POOL}
    for parameter in declared.parameters:
        if parameter not in known:
            hint = did_you_mean(parameter, known)
            refuse(f"it takes {parameter!r}; a probe takes {', '.join(sorted(known))}{hint}")


def probes_of_module(module: ModuleType, scope: Path | None = None) -> Iterator[Probe]:
    """Yield the probes that *module* declares, the last of each name.

    :param scope: the folder of a conftest, whose documents they are for.
    """
    named = {declared.name: declared for declared in vars(module).get(_DECLARED, ())}
    return (replace(declared, scope=scope) for declared in named.values())


@dataclass(frozen=True)
class Fact:
    """What a probe brought.

    :param name: the probe's.
    :param value: what it returned; None where it failed.
    :param failure: why there is no value, in one line; None where there is one.
    :param seconds: how long it took.
    """

    name: str
    value: Any
    failure: str | None
    seconds: float


class Pool:
    """Gathers facts, all at the same time, and keeps each for as long as the session lasts.

    Each fact has a thread, so that one that hangs keeps none of the others waiting. The threads are daemons:
    one that is stuck in something that cannot be killed does not keep the session from ending.

    :param limit: the seconds that each has.
    """

    def __init__(self, *, limit: float) -> None:
        self._limit = limit
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._gatherings: dict[Hashable, _Gathering] = {}

    def start(self, probes: Iterable[Probe], about: Mapping[str, Any] | None = None) -> None:
        """Begin to gather what is not being gathered yet, without waiting for any of it.

        :param about: what there is for a probe to take, by name: ``campaign``, ``project_root``.
        """
        for declared in probes:
            self._gathering(declared, about or {})

    def get(self, declared: Probe, about: Mapping[str, Any] | None = None) -> Fact:
        """Return a fact; waits until it is there, or its time is over. One not started is started now."""
        return self._gathering(declared, about or {}).fact()

    @property
    def gathered(self) -> tuple[Fact, ...]:
        """The facts that are there, in the order in which they were started."""
        with self._lock:
            gatherings = list(self._gatherings.values())
        return tuple(gathering.done for gathering in gatherings if gathering.done is not None)

    def close(self) -> None:
        """Stop whatever is still being gathered, and kill the commands that it runs."""
        self._stop.set()
        deadline = Deadline.after(_FAREWELL)
        with self._lock:
            gatherings = list(self._gatherings.values())
        for gathering in gatherings:
            gathering.join(max(0.0, deadline.remaining))
            # A fact may go on gathering in threads of its own.
            going_on = getattr(gathering.done.value, "join_threads", None) if gathering.done else None
            if going_on is not None:
                going_on(max(0.0, deadline.remaining))

    def _gathering(self, declared: Probe, about: Mapping[str, Any]) -> _Gathering:
        taken = {parameter: about[parameter] for parameter in declared.parameters if parameter in about}
        about_what = (value for parameter, value in taken.items() if parameter not in _OF_SESSION)
        key = (declared.function, *about_what)
        with self._lock:
            known = self._gatherings.get(key)
            if known is None:
                known = _Gathering(declared, taken, Deadline.after(self._limit), self._stop)
                self._gatherings[key] = known
                known.start()
        return known


class _Gathering:
    """One fact on its way: a thread, and what it brings."""

    def __init__(
        self, declared: Probe, taken: Mapping[str, Any], deadline: Deadline, stop: threading.Event
    ) -> None:
        self.declared = declared
        self.deadline = deadline
        self.stop = stop
        self.done: Fact | None = None
        from_pool = {"deadline": deadline, "run": Runner(deadline, stop)}
        self._arguments = {
            name: value for name, value in {**taken, **from_pool}.items() if name in declared.parameters
        }
        self._ready = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(
            target=self._gather, name=f"metaopt-probe-{declared.name}", daemon=True
        )

    def start(self) -> None:
        if self.stop.is_set():
            self._settle(None, _STOPPED)
            return
        try:
            self._thread.start()
        except RuntimeError as error:
            self._settle(None, _describe(error))

    def fact(self) -> Fact:
        if not self._ready.wait(max(0.0, self.deadline.remaining + _GRACE)):
            self._settle(None, _STOPPED if self.stop.is_set() else str(self.deadline))
        assert self.done is not None  # noqa: S101 - it is settled before it is said to be ready
        return self.done

    def join(self, patience: float) -> None:
        if self._thread.ident is not None:
            self._thread.join(patience)

    def _gather(self) -> None:
        try:
            value = self.declared.function(**self._arguments)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._settle(None, _describe(error))
        else:
            self._settle(value, None)

    def _settle(self, value: object, failure: str | None) -> None:
        with _SETTLING:
            if self.done is None:
                seconds = time.monotonic() - self._started
                self.done = Fact(self.declared.name, value, failure, round(seconds, 3))
                self._ready.set()


_STOPPED = "was not gathered, because the session ended"
_SETTLING = threading.Lock()


def _describe(error: BaseException) -> str:
    text = redact(one_line(printable(str(error))))
    # pytest.fail("...") and an assertion are sentences for people already.
    if text and isinstance(error, AssertionError | pytest.fail.Exception | pytest.skip.Exception):
        return text
    name = type(error).__name__
    return f"{name}: {text}" if text else name
