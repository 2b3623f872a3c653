"""Threads that run jobs, and the watch over those with a deadline."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from mistral.utils.fair_queue import FairQueue

LOG = logging.getLogger(__name__)

T = TypeVar("T")


class WorkerPool(Generic[T]):
    """Threads that call ``work`` with what is submitted, at most ``size`` at a time.

    They start when there is work for them.

    Threads are daemons: a job that never returns must not keep a process from ending. A thread
    whose job is given up on is *abandoned*: it can't be killed, but a new one takes its place,
    and it ends by itself when the job returns. ``work`` must not raise.

    :param owner: on whose account a job is; owners take turns.
    """

    def __init__(
        self,
        name: str,
        size: int,
        work: Callable[[T], None],
        owner: Callable[[T], Hashable] = lambda _: None,
    ) -> None:
        self._name = name
        self._run = work
        self._size = size
        self._changed = threading.Condition()
        self._jobs = FairQueue[T](owner)
        self._numbers = itertools.count(1)
        self._workers: set[threading.Thread] = set()
        self._idle = 0
        self._stopping = False

    def submit(self, job: T, first: bool = False) -> None:
        """Run a job as soon as a thread is free, before the others that wait if it is urgent."""
        with self._changed:
            if first:
                self._jobs.appendleft(job)
            else:
                self._jobs.append(job)
            if self._idle >= len(self._jobs):
                self._changed.notify()
            else:
                self._add_worker()

    def abandon(self, thread: threading.Thread) -> None:
        """Don't count on a thread any more."""
        with self._changed:
            if thread in self._workers:
                self._workers.discard(thread)
                if self._jobs:
                    self._add_worker()

    def drain(self) -> list[T]:
        """Take back the jobs that have not begun."""
        with self._changed:
            jobs = list(self._jobs)
            self._jobs.clear()
            return jobs

    def stop(self) -> None:
        """Let idle threads end; jobs that run go on to their end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def _add_worker(self) -> None:
        if len(self._workers) < self._size and not self._stopping:
            name = f"{self._name}-{next(self._numbers)}"
            worker = threading.Thread(target=self._work, name=name, daemon=True)
            self._workers.add(worker)
            try:
                worker.start()
            except RuntimeError as error:
                # the system has no thread to give: the job waits for another one
                self._workers.discard(worker)
                LOG.error("A thread for '%s' can't be started: %s", self._name, error)

    def _work(self) -> None:
        me = threading.current_thread()
        try:
            while jobs := self._next(me):
                self._run(jobs[0])
        finally:
            with self._changed:
                self._workers.discard(me)

    def _next(self, me: threading.Thread) -> list[T]:
        """Wait for a job; none when this thread has to end."""
        with self._changed:
            if me not in self._workers:
                return []
            self._idle += 1
            self._changed.wait_for(lambda: self._jobs or self._stopping)
            self._idle -= 1
            return [self._jobs.popleft()] if self._jobs else []


class DeadlineWatch:
    """One thread that calls back when a time has come, unless it was told to forget it.

    It starts when there is something to watch.
    """

    def __init__(self, name: str) -> None:
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int]] = []
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._numbers = itertools.count()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def stop(self) -> None:
        """Watch no more."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def add(self, seconds: float, callback: Callable[[], None]) -> int:
        """Call back after some seconds; the number is for :meth:`forget`. It must not block."""
        with self._changed:
            number = next(self._numbers)
            self._callbacks[number] = callback
            heapq.heappush(self._heap, (time.monotonic() + seconds, number))
            if self._thread.ident is None:
                self._thread.start()
            if self._heap[0][1] == number:
                self._changed.notify()
            return number

    def forget(self, number: int) -> None:
        """Don't call back."""
        with self._changed:
            self._callbacks.pop(number, None)

    def _work(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    return
                now = time.monotonic()
                due = []
                while self._heap and (self._heap[0][0] <= now or not self._is_live()):
                    callback = self._callbacks.pop(heapq.heappop(self._heap)[1], None)
                    if callback is not None:
                        due.append(callback)
                if not due:
                    self._changed.wait(self._heap[0][0] - now if self._heap else None)
            for callback in due:
                callback()

    def _is_live(self) -> bool:
        return self._heap[0][1] in self._callbacks
