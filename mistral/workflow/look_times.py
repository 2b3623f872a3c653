"""When the relay looks at a row that nobody has moved on (law 1), and who counts as silent.

Whoever makes or changes a row that somebody else has to handle sets the time of its next look.
"""

from __future__ import annotations

import datetime as dt

DISPATCH_LOOK_AFTER = dt.timedelta(seconds=5)
"""At an action that was sent to an executor, and at a child to start."""

EVENT_LOOK_AFTER = dt.timedelta(seconds=3)
"""At an event for another execution that the target has not handled."""

TIMER_CLAIM = dt.timedelta(seconds=6)
"""For how long after it is due a timer belongs to the process that keeps it in memory."""

TIMER_HORIZON = dt.timedelta(seconds=30)
"""Timers due later than this are left to the relay, so that memory does not grow with them."""

CALLER_MARGIN = dt.timedelta(seconds=30)
"""At an action whose caller stores the result itself, beyond its own time: nobody is faster."""

PROCESS_SILENCE = dt.timedelta(seconds=6)
"""After it what a silent executor had not started, or what is safe, is dispatched again."""

NEVER = dt.datetime(9999, 12, 31)
"""Until when a timer is claimed that was set aside."""

LOOK_AGAIN = dt.timedelta(seconds=5)
LONGEST_WAIT = dt.timedelta(seconds=60)


def pause_after(tries: int) -> dt.timedelta:
    """How long a row is left alone after so many looks."""
    return min(LOOK_AGAIN * tries, LONGEST_WAIT)
