"""A gate through which only so much goes at a time; the rest is sent away at once."""

from __future__ import annotations

import threading
from types import TracebackType

from mistral import exceptions as exc


class Gate:
    """Lets ``running`` threads through at a time; ``waiting`` more wait for up to some seconds.

    Used as a context manager. Who can't enter gets an UnavailableException: a client that is told
    to try again later costs nothing meanwhile, one that waits costs a thread and its memory.
    """

    def __init__(
        self, running: int, waiting: int = 0, patience: float = 10.0, refusal: str | None = None
    ) -> None:
        self._places = threading.BoundedSemaphore(running + waiting)
        self._running = threading.BoundedSemaphore(running)
        self._patience = patience
        self._refusal = refusal

    def __enter__(self) -> None:
        if not self._places.acquire(blocking=False):
            raise exc.UnavailableException(self._refusal)
        if not self._running.acquire(timeout=self._patience):
            self._places.release()
            raise exc.UnavailableException(self._refusal)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.release()
        self._places.release()
