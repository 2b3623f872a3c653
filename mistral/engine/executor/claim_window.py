"""Which of the orders an executor has may be claimed now, and how old a claim may be.

What is claimed when its executor dies ends in ERROR; what only waits runs elsewhere. So an executor
claims no more than it can begin soon: a window of a few actions for each thread. It is filled
again when half of it is free, so that a claim is asked for many actions at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from mistral.utils.fair_queue import FairQueue

T = TypeVar("T")

CONFIRMED_FOR = 4.0
"""Seconds for which a claim is believed at most."""


def confirmed_for(silence: float) -> float:
    """Seconds for which a claim is believed: fewer than those after which it is taken back.

    :param silence: the seconds of silence after which engines take a claim back; 0 = never.
    """
    return min(CONFIRMED_FOR, silence / 2) if silence > 0 else CONFIRMED_FOR


class ClaimWindow(Generic[T]):
    """The waiting orders of one executor and the claims it holds. Its owner has to lock.

    :param owner: on whose account an order is; they take turns.
    """

    def __init__(self, size: int, owner: Callable[[T], Hashable] = lambda _: None) -> None:
        self._size = size
        self._waiting = FairQueue[T](owner)
        self._held: set[T] = set()

    @property
    def waiting(self) -> Sequence[T]:
        """What has not been claimed."""
        return tuple(self._waiting)

    def add(self, orders: Iterable[T]) -> list[T]:
        """Let orders wait; those returned are to be claimed now."""
        for order in orders:
            self._waiting.append(order)
        return self.refill()

    def let_go(self, orders: Iterable[T]) -> list[T]:
        """These have ended or were refused; those returned are to be claimed now."""
        self._held.difference_update(orders)
        return self.refill()

    def refill(self) -> list[T]:
        """What is to be claimed now."""
        if len(self._held) > self._size // 2:
            return []
        room = self._size - len(self._held)
        chosen = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
        self._held.update(chosen)
        return chosen

    def clear(self) -> list[T]:
        """Claim nothing more; what had been waiting."""
        left = list(self._waiting)
        self._waiting.clear()
        return left
