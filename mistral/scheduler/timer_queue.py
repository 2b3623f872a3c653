"""The timers that are due soon, in memory, fired by one thread."""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
import logging
import threading
from collections.abc import Callable, Iterable

from mistral.utils.clock import utc_now
from mistral.workflow.entities import Timer
from mistral.workflow.look_times import TIMER_HORIZON

LOG = logging.getLogger(__name__)


class TimerQueue:
    """Fires timers at their time. Losing one loses nothing: its row is found overdue."""

    def __init__(
        self, fire: Callable[[Timer], None], now: Callable[[], dt.datetime] = utc_now
    ) -> None:
        self._now = now
        self._fire = fire
        self._heap: list[tuple[dt.datetime, int, Timer]] = []
        self._order = itertools.count()
        self._wakeup = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to fire."""
        self._thread = threading.Thread(target=self._run, name="timers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Fire no more."""
        with self._wakeup:
            self._stopped = True
            self._wakeup.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def add(self, timers: Iterable[Timer]) -> None:
        """Take timers; those that are far away are left to the relay."""
        limit = self._now() + TIMER_HORIZON
        with self._wakeup:
            for timer in timers:
                if timer.due_at <= limit:
                    heapq.heappush(self._heap, (timer.due_at, next(self._order), timer))
            self._wakeup.notify_all()

    def _run(self) -> None:
        while (timer := self._next()) is not None:
            self._fire(timer)

    def _next(self) -> Timer | None:
        with self._wakeup:
            while not self._stopped:
                if not self._heap:
                    self._wakeup.wait()
                    continue
                left = (self._heap[0][0] - self._now()).total_seconds()
                if left <= 0:
                    return heapq.heappop(self._heap)[2]
                self._wakeup.wait(min(left, 5.0))
        return None
