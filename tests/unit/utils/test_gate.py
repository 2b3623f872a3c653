"""Who may go through a gate, who waits, who is sent away."""

from __future__ import annotations

import concurrent.futures
import threading

import pytest

from mistral import exceptions as exc
from mistral.utils.gate import Gate

DEADLINE = 10.0


class Crowd:
    """Threads that went into a gate and stay there."""

    def __init__(self, gate: Gate, pool: concurrent.futures.Executor) -> None:
        self._gate = gate
        self._pool = pool
        self.inside = threading.Semaphore(0)
        self.leave = threading.Event()

    def enter(self) -> concurrent.futures.Future[None]:
        """One more."""
        return self._pool.submit(self._stay)

    def _stay(self) -> None:
        with self._gate:
            self.inside.release()
            assert self.leave.wait(DEADLINE)


def test_what_is_beyond_the_bound_is_refused_at_once_and_room_comes_back() -> None:
    gate = Gate(2, waiting=1, patience=DEADLINE, refusal="not now")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        crowd = Crowd(gate, pool)
        entered = [crowd.enter() for _ in range(2)]
        for _ in entered:
            assert crowd.inside.acquire(timeout=DEADLINE)
        waiting = crowd.enter()
        while gate._places.acquire(blocking=False):
            gate._places.release()
        with pytest.raises(exc.UnavailableException, match="not now"), gate:
            pass
        crowd.leave.set()
        for each in (*entered, waiting):
            each.result(DEADLINE)
    with gate, gate:
        pass


def test_nobody_waits_for_ever() -> None:
    gate = Gate(1, waiting=1, patience=0.01)
    with gate, pytest.raises(exc.UnavailableException), gate:
        pass
    with gate:
        pass


def test_an_error_inside_frees_the_place() -> None:
    gate = Gate(1)
    with pytest.raises(KeyError), gate:
        raise KeyError
    with gate:
        pass
