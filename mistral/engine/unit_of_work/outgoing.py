"""What a transaction leaves for later and for others: timers, and events of other executions.

Each is a row with the time at which the relay looks at it, so that no message has to arrive (law
1). One belongs to each unit of work; the dispatcher adds to it, and those who handle a timer or
an event say here that it is done.
"""

from __future__ import annotations

import datetime as dt

from mistral.db.storage import Store
from mistral.workflow.entities import ExecutionEvent, Timer
from mistral.workflow.look_times import EVENT_LOOK_AFTER, TIMER_CLAIM, TIMER_HORIZON


class Outgoing:
    """The timers and events that one transaction makes, and those that it has handled."""

    def __init__(self, now: dt.datetime) -> None:
        self._now = now
        self.timers: list[Timer] = []
        self.events: list[ExecutionEvent] = []
        self.done_timers: list[str] = []
        self.done_events: list[str] = []

    def add_timer(self, timer: Timer) -> None:
        """Something becomes due; soon enough, this process keeps it in memory."""
        if timer.due_at - self._now <= TIMER_HORIZON:
            timer.claimed_until = timer.due_at + TIMER_CLAIM
        self.timers.append(timer)

    def add_event(self, event: ExecutionEvent) -> None:
        """An event of another execution; the relay looks after it if nobody handles it soon."""
        event.next_look_at = self._now + EVENT_LOOK_AFTER
        self.events.append(event)

    def write(self, store: Store) -> None:
        """Store what is new and forget what is done."""
        store.insert(self.timers)
        store.insert(self.events)
        if self.done_timers:
            store.delete_timers(self.done_timers)
        if self.done_events:
            store.delete_events(self.done_events)
