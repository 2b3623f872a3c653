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
import time
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Protocol

from mistral.service import supervision

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
        # the supervisor passes on what a terminal or an init has sent to both
        self._again_after = 1.0 if supervision.is_supervised() else 0.0
        # a queue of this kind may be written by a signal handler at any moment
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._stopping = False
        self._told_at = 0.0

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
        if number in _STOP_SIGNALS:
            now = time.monotonic()
            if self._stopping and now - self._told_at > self._again_after:
                os._exit(1)
            if not self._stopping:
                self._stopping, self._told_at = True, now
        self._signals.put(number)

    def _end_anyway_after(self, seconds: float) -> None:
        timer = threading.Timer(seconds, os._exit, args=(0,))
        timer.daemon = True
        timer.start()
