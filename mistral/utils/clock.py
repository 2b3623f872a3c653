"""Time: naive UTC datetimes everywhere inside, the same in all processes of an installation.

Hosts' clocks differ and are set while processes run. What is compared across processes (signs of
life, due times, deadlines of requests) must not depend on that: a process that has the database
goes by the database's clock, an executor by what engines answer; in between it counts seconds that
nobody sets. On SQLite, and until anything was heard, it is the host's clock.

For tests only, ``MISTRAL_FAULT_CLOCK_OFFSET`` makes the host's clock wrong: seconds to add, and
behind an ``@`` after how many seconds of the process' life this begins (``-3600@20``). It is never
set in production.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Callable, Mapping

ENVIRONMENT_VARIABLE = "MISTRAL_FAULT_CLOCK_OFFSET"
TOLERANCE = 0.1
"""Seconds that a measurement may differ from what is known without meaning anything."""
UNSURE = 2.0
"""Seconds that a measurement may take; one that takes longer only counts if there is no other."""

_EPOCH = dt.datetime(1970, 1, 1)
_STEADY: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady() -> float:
    """Seconds on a clock that no one sets and that also runs while the machine sleeps."""
    return time.clock_gettime(_STEADY)


def host_clock(environment: Mapping[str, str]) -> Callable[[], float]:
    """The host's clock in seconds since 1970, made wrong if a test wants it."""
    wanted = environment.get(ENVIRONMENT_VARIABLE)
    if not wanted:
        return time.time
    offset, _, delay = wanted.partition("@")
    wrong_from = steady() + float(delay or 0)
    return lambda: time.time() + (float(offset) if steady() >= wrong_from else 0.0)


class Clock:
    """The time of one process; safe between threads."""

    def __init__(self, host: Callable[[], float]) -> None:
        self._host = host
        #: The common time minus the steady clock, once it was measured; who has told it.
        self._known: tuple[float, bool] | None = None
        self._measured_at: float | None = None

    def age(self) -> float:
        """Seconds since the last measurement that was believed."""
        return float("inf") if self._measured_at is None else steady() - self._measured_at

    def seconds(self) -> float:
        """Seconds since 1970."""
        known = self._known
        return self._host() if known is None else known[0] + steady()

    def measured(self, seconds: float, asked_at: float, by_database: bool) -> None:
        """Somebody was asked for the time.

        :param seconds: the answer, seconds since 1970.
        :param asked_at: when it was asked for, by :func:`steady`.
        :param by_database: nothing else is believed once the database has told it.
        """
        heard_at = steady()
        known = self._known
        if known is not None and known[1] and not by_database:
            return
        if known is not None and heard_at - asked_at > UNSURE:
            return
        self._measured_at = heard_at
        difference = seconds - (asked_at + heard_at) / 2
        is_news = known is None or known[1] is not by_database
        if is_news or known is None or abs(difference - known[0]) > TOLERANCE:
            self._known = (difference, by_database)


COMMON = Clock(host_clock(os.environ))
"""The clock of this process. There is only one, as of the host."""


def utc_now() -> dt.datetime:
    """Now, UTC, without a zone, with microseconds."""
    return _EPOCH + dt.timedelta(seconds=COMMON.seconds())


def timestamp(moment: dt.datetime) -> float:
    """A naive UTC moment in seconds since 1970."""
    return (moment - _EPOCH).total_seconds()


def render(moment: dt.datetime | None) -> str | None:
    """The API's form: ``YYYY-MM-DD HH:MM:SS`` (doc:rest/conventions#times)."""
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else None
