"""How many requests may hold a thread while they wait for engines and executors.

In the built-in server the lanes see to it (:mod:`mistral.api.lanes`), except for what comes by the
way of results and waits for an engine: PAUSED and RUNNING for an action, results of ad-hoc actions.

Other servers have one pool of threads. Those that wait could take all of them; then nobody would
accept the results that third parties deliver. So some threads are never given to those who wait,
and of those some never to starts.
"""

from __future__ import annotations

import contextlib
import dataclasses

from mistral.utils.gate import Gate

_STARTS = "Too many starts are on their way, try again."
_WAITING = "Too many requests wait for engines, try again."

Way = contextlib.AbstractContextManager[None]


@dataclasses.dataclass(frozen=True)
class Admission:
    """The gates of one process: for all that wait, for starts, and for the way of results."""

    waiting: Way = dataclasses.field(default_factory=contextlib.nullcontext)
    starts: Way = dataclasses.field(default_factory=contextlib.nullcontext)
    from_results: Way = dataclasses.field(default_factory=contextlib.nullcontext)

    @classmethod
    def for_threads(cls, threads: int) -> Admission:
        """Three threads of four may wait, some fewer may start workflows or run actions."""
        waiting = max(1, threads - threads // 4)
        starts = max(1, waiting - threads // 8)
        return cls(Gate(waiting, refusal=_WAITING), Gate(starts, refusal=_STARTS))

    @classmethod
    def for_lanes(cls, results: int) -> Admission:
        """Half of the workers for results may wait for engines."""
        return cls(from_results=Gate(max(1, results // 2), refusal=_WAITING))
