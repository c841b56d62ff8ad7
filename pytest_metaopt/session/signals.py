"""The signals that end a process from outside end the session as an interrupt does, with its reports."""

from __future__ import annotations

import signal
import threading
from types import FrameType

import pytest

_ENDING = (signal.SIGTERM, signal.SIGHUP)
"""What systemd, Slurm and Kubernetes send before SIGKILL, and a terminal that is closed."""


class Signals:
    """SIGTERM and SIGHUP as an orderly end of the session.

    A signal that the caller ignores (``nohup``) or handles is left as it is; both are where the session
    is not in the main thread. Once the end has begun, a further signal does not cut it off.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        """What ended the session."""
        self._taken: list[signal.Signals] = []

    def take(self) -> None:
        """Handle the signals until :meth:`release`."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._end)
                self._taken.append(number)

    def release(self) -> None:
        """Leave the signals to the system again."""
        while self._taken:
            signal.signal(self._taken.pop(), signal.SIG_DFL)

    def _end(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of a handler
        if self.received is None:
            self.received = signal.Signals(number)
            raise pytest.exit.Exception(f"metaopt: the session was ended by {self.received.name}")
