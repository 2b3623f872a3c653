"""How many bytes of values the runs of one executor may hold, and which of them wait for that.

Orders are short: one with a large input is sent without it, and the executor asks for the input
when it is about to run the action. What that may take is known before. What a result takes is known
only afterwards, so runs do not begin while results that no engine has stored take too much. Nobody
gets more than a part of the whole, so that one wide execution leaves room to others.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

SHARE = 4
"""One owner may hold this part of the whole."""

COUNTED_FROM = 4096
"""Results with at least so many bytes are counted; smaller ones the number of orders bounds."""


class _Account:
    """Bytes, altogether and by owner."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.total = 0
        self._by_owner: collections.Counter[Hashable] = collections.Counter()

    def add(self, owner: Hashable, size: int) -> None:
        self.total += size
        self._by_owner[owner] += size
        if not self._by_owner[owner]:
            del self._by_owner[owner]

    def fits(self, owner: Hashable, size: int) -> bool:
        """Whether so much may be added; something always may where there is nothing."""
        own = self._by_owner.get(owner, 0)
        return _is_within(self.total, size, self._limit) and _is_within(
            own, size, self._limit // SHARE
        )


def _is_within(held: int, size: int, limit: int) -> bool:
    return not held or (held + size <= limit if size else held < limit)


class ByteWindow(Generic[T]):
    """What the runs of one executor hold, and those that wait. Its owner has to lock.

    An order waits with :meth:`add` for the room that its input takes, and with :meth:`begin` for
    results of others to be stored.

    :param limit: bytes; negative: none.
    :param owner: on whose account an order is; they take turns.
    :param size: bytes of the input that has to be asked for, 0 if the order brings it.
    """

    def __init__(
        self, limit: int, owner: Callable[[T], Hashable], size: Callable[[T], int]
    ) -> None:
        self._limit = limit
        self._owner = owner
        self._size = size
        self._inputs = _Account(limit)
        self._results = _Account(limit)
        self._held: dict[T, tuple[int, int]] = {}
        self._released: set[T] = set()
        self._orders: collections.OrderedDict[Hashable, collections.deque[T]] = (
            collections.OrderedDict()
        )
        self._ready: collections.OrderedDict[Hashable, collections.deque[T]] = (
            collections.OrderedDict()
        )

    @property
    def held(self) -> int:
        """Bytes of inputs that runs may have, and of results that no engine has stored."""
        return self._inputs.total + self._results.total

    @property
    def waiting(self) -> int:
        """How many wait, in whatever way."""
        return sum(len(jobs) for jobs in (*self._orders.values(), *self._ready.values()))

    def add(self, orders: Iterable[T]) -> list[T]:
        """New orders; those returned may go on, the others wait for room for their inputs."""
        passed = []
        for order in orders:
            if self._size(order) and self._limit >= 0:
                _queue(self._orders, self._owner(order), order)
            else:
                passed.append(order)
        return passed + self.admitted()

    def admitted(self) -> list[T]:
        """The orders that need not wait any more."""
        return _taken(self._orders, self._may_have_input)

    def _may_have_input(self, owner: Hashable, order: T) -> bool:
        size = self._size(order)
        if not self._inputs.fits(owner, size):
            return False
        self._hold(order, (size, 0))
        return True

    def begin(self, order: T) -> bool:
        """Whether a run may begin; else it waits until :meth:`released` returns it."""
        if order in self._released:
            self._released.remove(order)
            return True
        owner = self._owner(order)
        if self._limit < 0 or (owner not in self._ready and self._results.fits(owner, 0)):
            return True
        _queue(self._ready, owner, order)
        return False

    def released(self, most: int) -> list[T]:
        """Runs that may begin now; as long as one of them has not ended others can wait."""
        found = _taken(self._ready, lambda owner, _: self._results.fits(owner, 0), most)
        self._released.update(found)
        return found

    def ended(self, order: T, size: int) -> None:
        """A run needs its input no more, but there is a result of so many bytes."""
        self._hold(order, (0, size if size >= COUNTED_FROM else 0))

    def let_go(self, orders: Iterable[T]) -> None:
        """Of these nothing is held any more."""
        for order in orders:
            self._released.discard(order)
            if order in self._held:
                self._hold(order, (0, 0))

    def clear(self) -> None:
        """Nobody waits any more."""
        self._orders.clear()
        self._ready.clear()

    def _hold(self, order: T, sizes: tuple[int, int]) -> None:
        before = self._held.pop(order, (0, 0))
        if before == sizes:
            if any(sizes):
                self._held[order] = sizes
            return
        owner = self._owner(order)
        self._inputs.add(owner, sizes[0] - before[0])
        self._results.add(owner, sizes[1] - before[1])
        if any(sizes):
            self._held[order] = sizes


def _queue(
    waiting: collections.OrderedDict[Hashable, collections.deque[T]], owner: Hashable, order: T
) -> None:
    waiting.setdefault(owner, collections.deque()).append(order)


def _taken(
    waiting: collections.OrderedDict[Hashable, collections.deque[T]],
    may_go: Callable[[Hashable, T], bool],
    most: int | None = None,
) -> list[T]:
    """What need not wait any more: the owners take turns."""
    found: list[T] = []
    left = list(waiting)
    while left:
        willing = []
        for owner in left:
            if len(found) == most:
                return found
            jobs = waiting[owner]
            if not may_go(owner, jobs[0]):
                continue
            found.append(jobs.popleft())
            if jobs:
                willing.append(owner)
                waiting.move_to_end(owner)
            else:
                del waiting[owner]
        left = willing
    return found
