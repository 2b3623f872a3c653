"""Time and turns: one fiber runs at a time, a seeded choice says who is next.

Fibers are threads that hand a baton to each other, so that the real, blocking code of the service
runs unchanged. Time only moves here: a little at each pause, and to the next event when nobody
can run.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import heapq
import itertools
import queue
import random
import threading
from collections.abc import Callable
from typing import Any

START = dt.datetime(2024, 1, 1)
STEP = 0.004
"""Seconds that pass at most at one pause."""


class Crashed(BaseException):
    """The process of this fiber is gone; no code of the service may catch it."""


class Process:
    """What can crash: its fibers end at their next pause, its memory is lost."""

    def __init__(self, world: World, name: str, skew: float = 0.0) -> None:
        self.world = world
        self.name = name
        self.skew = skew
        self.alive = True


class _Thread:
    """A thread that runs one fiber after another."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="fiber", daemon=True).start()

    def _run(self) -> None:
        while (job := self.jobs.get()) is not None:
            job()


class Threads:
    """Threads that wait for fibers: kept between runs."""

    def __init__(self) -> None:
        self._idle: list[_Thread] = []

    def take(self) -> _Thread:
        """A thread that does nothing."""
        return self._idle.pop() if self._idle else _Thread()

    def give(self, thread: _Thread) -> None:
        """The thread has ended its fiber."""
        self._idle.append(thread)

    def stop(self) -> None:
        """End the threads."""
        for thread in self._idle:
            thread.jobs.put(None)
        self._idle.clear()


class Fiber:
    """A piece of work of one process."""

    def __init__(self, process: Process, name: str, work: Callable[[], Any]) -> None:
        self.process = process
        self.name = name
        self.work = work
        self.gate = threading.Lock()
        self.gate.acquire()
        self.started = False
        self.waits_for: Callable[[], bool] | None = None

    @property
    def can_run(self) -> bool:
        """Whether it waits for nothing; the fibers of a dead process may run to their end."""
        return self.waits_for is None or not self.process.alive or self.waits_for()


@dataclasses.dataclass
class Trace:
    """What happened, for the reader of a failing seed; and a sum to compare replays by."""

    keep: bool = False
    lines: list[str] = dataclasses.field(default_factory=list)
    checksum: int = 0

    def add(self, now: float, text: str) -> None:
        """Note something."""
        line = f"{now:9.3f} {text}"
        self.checksum = (self.checksum * 31 + sum(line.encode()) + len(line)) % (1 << 61)
        if self.keep:
            self.lines.append(line)


class World:
    """The scheduler of one run."""

    def __init__(self, seed: int, threads: Threads, trace: Trace) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.trace = trace
        self.error: BaseException | None = None
        self._threads = threads
        self._fibers: list[Fiber] = []
        self._current: Fiber | None = None
        self._main = threading.Lock()
        self._main.acquire()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._ids = itertools.count(1)
        self._stopping = False

    # time and names

    def utc_now(self) -> dt.datetime:
        """The clock of the process that asks."""
        skew = self._current.process.skew if self._current else 0.0
        return START + dt.timedelta(seconds=round(self.now + skew, 6))

    def new_id(self) -> str:
        """An id that sorts by time, as the clock of its process shows it."""
        skew = self._current.process.skew if self._current else 0.0
        tick = round((self.now + skew + 10) * 1000)
        return f"{tick:09d}-{next(self._ids):06d}"

    def note(self, text: str) -> None:
        """A line for the trace."""
        name = self._current.process.name if self._current else "world"
        self.trace.add(self.now, f"{name}: {text}")

    # events

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later; it must not pause, but may begin fibers."""
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), act))

    def spawn(self, process: Process, name: str, work: Callable[[], Any]) -> None:
        """Begin a fiber."""
        if process.alive:
            self._fibers.append(Fiber(process, name, work))

    # turns

    def pause(self, point: str) -> None:
        """Let others run."""
        me = self._current
        if me is None:
            return
        self._pass_time()
        self._hand_over(me)
        if not me.process.alive or self._stopping:
            raise Crashed()

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Let others run until something holds."""
        me = self._current
        if me is None:
            raise AssertionError("Nobody else can run.")
        while not holds():
            me.waits_for = holds
            self._hand_over(me)
            me.waits_for = None
            if not me.process.alive or self._stopping:
                raise Crashed()

    def changed(self) -> None:
        """Conditions are looked at when somebody has to be chosen."""

    def _pass_time(self) -> None:
        self.now += self.random.random() * STEP
        while self._events and self._events[0][0] <= self.now:
            heapq.heappop(self._events)[2]()

    def _choose(self) -> Fiber | None:
        ready = [fiber for fiber in self._fibers if fiber.can_run]
        if not ready:
            return None
        return ready[0] if len(ready) == 1 else ready[int(self.random.random() * len(ready))]

    def _hand_over(self, me: Fiber) -> None:
        chosen = self._choose()
        if chosen is me:
            return
        self._go_on(chosen)
        me.gate.acquire()
        self._current = me

    def _go_on(self, chosen: Fiber | None) -> None:
        if chosen is None:
            self._current = None
            self._main.release()
        elif chosen.started:
            chosen.gate.release()
        else:
            chosen.started = True
            thread = self._threads.take()
            thread.jobs.put(lambda: self._live(chosen, thread))

    def _live(self, fiber: Fiber, thread: _Thread) -> None:
        self._current = fiber
        try:
            if fiber.process.alive and not self._stopping:
                fiber.work()
        except Crashed:
            pass
        # the run ends with it: whatever it is, it is a finding
        except BaseException as error:  # noqa: BLE001
            self.error = self.error or error
        self._fibers.remove(fiber)
        self._threads.give(thread)
        stop = self.error is not None and not self._stopping
        self._go_on(None if stop else self._choose())

    def run(self, is_over: Callable[[], bool], limit: float) -> bool:
        """Let everything happen until the end, or until a time; false when that came first."""
        try:
            while self.error is None:
                chosen = self._choose()
                if chosen is not None:
                    self._go_on(chosen)
                    self._main.acquire()
                    continue
                if is_over():
                    return True
                if not self._events or self.now > limit:
                    return False
                self.now = max(self.now, self._events[0][0])
                self._pass_time()
            raise self.error
        finally:
            self._end()

    def _end(self) -> None:
        """Let the fibers that are left fall over."""
        self._stopping = True
        for fiber in self._fibers:
            fiber.process.alive = False
        while (chosen := self._choose()) is not None:
            self._go_on(chosen)
            self._main.acquire()
        self._events.clear()
