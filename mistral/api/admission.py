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
from collections.abc import Iterator, Mapping

from mistral.api import lanes
from mistral.utils.gate import Gate

_STARTS = "Too many starts are on their way, try again."
_WAITING = "Too many requests wait for engines, try again."

Way = contextlib.AbstractContextManager[None]

_FREE: Way = contextlib.nullcontext()


@dataclasses.dataclass(frozen=True)
class Admission:
    """The gates of one process: for all that wait, and before it for some lanes."""

    waiting: Way = _FREE
    of_lanes: Mapping[str, Way] = dataclasses.field(default_factory=dict)

    @contextlib.contextmanager
    def to_wait(self, lane: str) -> Iterator[None]:
        """Hold a thread while it waits for an engine or executor.

        :param lane: that of the request's route.
        :raises UnavailableException: too many requests of this process wait already.
        """
        with self.of_lanes.get(lane, _FREE), self.waiting:
            yield

    @classmethod
    def for_threads(cls, threads: int) -> Admission:
        """Three threads of four may wait, some fewer may start workflows or run actions."""
        waiting = max(1, threads - threads // 4)
        starts = max(1, waiting - threads // 8)
        gate = Gate(starts, refusal=_STARTS)
        of_lanes = {lanes.STARTS: gate, lanes.ACTIONS: gate}
        return cls(Gate(waiting, refusal=_WAITING), of_lanes)

    @classmethod
    def for_lanes(cls, results: int) -> Admission:
        """Half of the workers for results may wait for engines."""
        return cls(of_lanes={lanes.RESULTS: Gate(max(1, results // 2), refusal=_WAITING)})
