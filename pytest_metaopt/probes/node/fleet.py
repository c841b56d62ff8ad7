"""The fleet: every node of a launch, each queried on its own and all at the same time."""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ...core.finding import CheckFailed, Finding
from ...core.settings import Settings
from ...documents.launch import Launch
from ...launch.facts import LaunchFacts
from ...launch.nodes import Node
from ..command import Deadline, Runner
from ..pool import probe
from ..transport import reach, relay
from ..transport.reach import Reply, Trouble
from ..transport.relay import Heard
from . import sections
from .facts import NodeFacts
from .questions import questions
from .sections import Question

_LAST = "clock_at_end"
_Value = TypeVar("_Value")
_NO_SHELL = Trouble(
    "run",
    "was reached, but did not run the probe script",
    "Install a POSIX sh and base64 (coreutils or busybox) on the PATH of its login sessions.",
)
_STOPPED = Trouble("other", "was not queried, because the session ended", "Run the preflight again.")


@dataclass(frozen=True)
class Answer:
    """What is known of a node.

    :param facts: what it said, which may be a part only.
    :param trouble: why it is not all; None where it is.
    :param seconds: how long it took.
    """

    facts: NodeFacts
    trouble: Trouble | None
    seconds: float


class _Query:
    """A question to one host, and, once ``ready`` is set, what was heard."""

    def __init__(self, node: Node, questions: dict[str, Question]) -> None:
        self.node = node
        self.questions = questions
        self.ready = threading.Event()
        self.heard = Heard(Reply("", _STOPPED, 0.0), "", 0.0, 0.0)

    def query(self, limit: float, folder: Path | None, stop: threading.Event | None) -> None:
        """Query the host, unless another worker of the session has."""

        def here() -> Heard:
            mark = secrets.token_hex(12)
            text = sections.command(sections.script(self.questions, mark))
            sent_at = time.time()
            reply = reach.query(self.node.host, text, Deadline.after(limit), stop)
            return Heard(reply, mark, sent_at, time.time())

        try:
            if stop is None or not stop.is_set():
                question = repr((self.node.host.text, sorted(self.questions.items())))
                self.heard = relay.shared(folder, question, here, stop) or self.heard
        finally:
            self.ready.set()


class Fleet:
    """The nodes of a launch; the queries start when this is created.

    The same queries to the same host are sent once. The threads are daemons: one that is stuck
    in something that cannot be killed does not keep the session from ending.

    :param limit: the seconds that each node has, from when its turn comes.
    :param connections: how many are queried at a time.
    :param folder: where the workers of a session share answers; None: there is one process.
    :param stop: once this is set, running queries are killed and the rest is not sent.
    """

    def __init__(
        self,
        launch: LaunchFacts,
        *,
        limit: float,
        connections: int,
        folder: Path | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.launch = launch
        self.nodes = launch.nodes
        self.ring = [node for node in self.nodes if node.address is not None]
        self._places = {node.name: place for place, node in enumerate(self.ring)}
        self._limit = limit
        self._folder = folder
        self._stop = stop
        self._waiting: queue.SimpleQueue[_Query] = queue.SimpleQueue()
        self._queries: dict[str, _Query] = {}
        self._answers: dict[str, Answer] = {}
        self._computed: dict[str, Any] = {}
        same: dict[tuple[str, tuple[Question, ...]], _Query] = {}
        self._neighbours: dict[str, Node | None] = {}
        for node, neighbour in zip(self.nodes, neighbours(self.nodes), strict=True):
            self._neighbours[node.name] = neighbour
            own = dict(questions(launch, neighbour))
            key = (node.host.text, tuple(own.values()))
            if key not in same:
                same[key] = _Query(node, own)
                self._waiting.put(same[key])
            self._queries[node.name] = same[key]
        self._threads = [
            threading.Thread(target=self._work, name=f"metaopt-node-{number}", daemon=True)
            for number in range(min(connections, len(same)))
        ]
        for thread in self._threads:
            thread.start()

    def join_threads(self, patience: float) -> None:
        """Wait until nothing runs any more, *patience* seconds at most."""
        deadline = Deadline.after(patience)
        for thread in self._threads:
            thread.join(max(0.0, deadline.remaining))

    def _work(self) -> None:
        while True:
            try:
                waiting = self._waiting.get_nowait()
            except queue.Empty:
                return
            waiting.query(self._limit, self._folder, self._stop)

    def answer(self, node: Node) -> Answer:
        """Return what is known of a node; waits until it has answered, or its time is over."""
        known = self._answers.get(node.name)
        if known is None:
            waiting = self._queries[node.name]
            waiting.ready.wait()
            heard = waiting.heard
            reply = heard.reply
            outputs = sections.read(reply.said, heard.mark)
            trouble = reply.trouble
            if trouble is None and _LAST not in outputs:
                trouble = _NO_SHELL
            facts = NodeFacts(node, outputs, heard.sent_at, heard.got_at)
            known = self._answers[node.name] = Answer(facts, trouble, reply.seconds)
        return known

    def facts(self, node: Node, *expected: str) -> NodeFacts:
        """Return what a node said; waits for it.

        :param expected: the questions that matter, by name.
        :raises CheckFailed: it could not be queried, or did not reach one of these.
        """
        answer = self.answer(node)
        if answer.trouble is not None and not all(name in answer.facts.outputs for name in expected or ("",)):
            raise CheckFailed(
                [Finding(f"{node.name} {answer.trouble.message}", *(node.position or ()))],
                answer.trouble.remediation,
            )
        return answer.facts

    def neighbour(self, node: Node) -> Node | None:
        """Return the node that *node* sends packets to; None where no other has an address."""
        return self._neighbours[node.name]

    def after(self, node: Node) -> Node:
        """Return the next node of the ring; of one without an address, the first."""
        return self.ring[(self._places.get(node.name, -1) + 1) % len(self.ring)]

    def before(self, node: Node) -> Node:
        """Return the node before one of the ring."""
        return self.ring[self._places[node.name] - 1]

    def once(self, name: str, compute: Callable[[], _Value]) -> _Value:
        """Return what *compute* makes of all answers; it is kept by *name*, for each node's check to use."""
        if name not in self._computed:
            self._computed[name] = compute()
        value: _Value = self._computed[name]
        return value

    def answering(self) -> Iterator[NodeFacts]:
        """Yield the facts of each node that answered; waits for them all."""
        for node in self.nodes:
            answer = self.answer(node)
            if answer.trouble is None:
                yield answer.facts


def neighbours(nodes: Sequence[Node]) -> Sequence[Node | None]:
    """Return the next node of each in a ring of those that have an address; None where there is no other."""
    ring = [node for node in nodes if node.address is not None]
    if len(ring) < 2:
        return [ring[0] if ring and node.name != ring[0].name else None for node in nodes]
    following = {node.name: ring[(index + 1) % len(ring)] for index, node in enumerate(ring)}
    return [following.get(node.name, ring[0]) for node in nodes]


@probe("fleet")
def fleet(launch: Launch, settings: Settings, session_folder: Path | None, run: Runner) -> Fleet:
    """The nodes of the launch, each queried in one round trip, all of them at once."""
    return Fleet(
        launch.facts,
        limit=settings.timeout,
        connections=settings.max_connections,
        folder=session_folder,
        stop=run.stop,
    )
