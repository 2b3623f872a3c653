"""A component's life, and a process that runs several of them until it is told to stop.

All components of one process are threads of it; nothing forks.
"""

from __future__ import annotations

import abc
import logging
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Protocol

LOG = logging.getLogger(__name__)

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LAST_PATIENCE = 5.0


class Startable(Protocol):
    """What a process can run; :class:`MistralService` or anything of its shape."""

    def start(self) -> None:
        """Begin; returns when it works."""

    def stop(self, graceful: bool = False) -> None:
        """End; ``graceful`` lets running work finish first, for a limited time."""


class MistralService(abc.ABC):
    """A component: it begins to work when started and has ended when ``stop`` returns."""

    @abc.abstractmethod
    def start(self) -> None:
        """Begin; returns when it works."""

    @abc.abstractmethod
    def stop(self, graceful: bool = False) -> None:
        """End; ``graceful`` lets running work finish first, for a limited time."""


class ServiceGroup(MistralService):
    """Starts components in order and stops them in the opposite order.

    Put first what others need: an executor hands its last results to an engine that still works.
    """

    def __init__(
        self, members: Sequence[Startable], clean_up: Iterable[Callable[[], None]] = ()
    ) -> None:
        self._members = list(members)
        self._clean_up = list(clean_up)
        self._running: list[Startable] = []

    def start(self) -> None:
        for member in self._members:
            # noted before it begins: one that fails half-way is stopped, too
            self._running.append(member)
            member.start()

    def stop(self, graceful: bool = False) -> None:
        while self._running:
            self._running.pop().stop(graceful=graceful)
        while self._clean_up:
            self._clean_up.pop()()


class Process:
    """Runs a component in this process until a signal ends it.

    SIGTERM and SIGINT stop it gracefully, and at once when they come again; SIGHUP calls
    ``reload``. Must be used on the main thread.
    """

    def __init__(
        self, service: Startable, reload: Callable[[], None], patience: float = 60.0
    ) -> None:
        self._service = service
        self._reload = reload
        self._patience = patience
        # a queue of this kind may be written by a signal handler at any moment
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._stopping = False

    def run(self) -> None:
        """Start, wait for the end, stop."""
        for number in (*_STOP_SIGNALS, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            self._service.start()
            self._wait()
        finally:
            self._stopping = True
            self._end_anyway_after(self._patience + _LAST_PATIENCE)
            self._service.stop(graceful=True)
            # threads of libraries may hold up the interpreter's own end
            self._end_anyway_after(_LAST_PATIENCE)

    def _wait(self) -> None:
        while (number := self._signals.get()) == signal.SIGHUP:
            LOG.info("SIGHUP: reading the configuration of logs again")
            self._reload()
        LOG.info("%s: stopping", signal.Signals(number).name)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping and number in _STOP_SIGNALS:
            os._exit(1)
        self._stopping = self._stopping or number in _STOP_SIGNALS
        self._signals.put(number)

    def _end_anyway_after(self, seconds: float) -> None:
        timer = threading.Timer(seconds, os._exit, args=(0,))
        timer.daemon = True
        timer.start()
