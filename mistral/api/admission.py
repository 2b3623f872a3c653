"""How many requests of one process may wait for others at a time.

Every request holds one of the HTTP server's threads. Those that wait for an engine or an executor
could take all of them; then nobody would accept the results that third parties deliver, for which
one statement is enough. So some threads are never given to those who wait, and of those some never
to starts.
"""

from __future__ import annotations

import dataclasses

from mistral.utils.gate import Gate

_STARTS = "Too many starts are on their way, try again."
_WAITING = "Too many requests wait for engines, try again."


@dataclasses.dataclass(frozen=True)
class Admission:
    """The gates of one process: for all that wait, and for those that start something."""

    waiting: Gate
    starts: Gate

    @classmethod
    def for_threads(cls, threads: int) -> Admission:
        """Three threads of four may wait, some fewer may start workflows or run actions."""
        waiting = max(1, threads - threads // 4)
        starts = max(1, waiting - threads // 8)
        return cls(Gate(waiting, refusal=_WAITING), Gate(starts, refusal=_STARTS))
