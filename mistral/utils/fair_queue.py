"""A queue in which the many jobs of one owner don't hold up the few of another."""

from __future__ import annotations

import collections
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Owners take turns; the jobs of one are in order. Whoever shares it has to lock.

    :param owner: on whose account a job is.
    """

    def __init__(self, owner: Callable[[T], Hashable]) -> None:
        self._owner = owner
        self._urgent: collections.deque[T] = collections.deque()
        self._by_owner: collections.OrderedDict[Hashable, collections.deque[T]] = (
            collections.OrderedDict()
        )
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[T]:
        yield from self._urgent
        for jobs in self._by_owner.values():
            yield from jobs

    def append(self, job: T) -> None:
        """Add a job behind those of its owner."""
        self._by_owner.setdefault(self._owner(job), collections.deque()).append(job)
        self._size += 1

    def appendleft(self, job: T) -> None:
        """Add a job before all others."""
        self._urgent.appendleft(job)
        self._size += 1

    def popleft(self) -> T:
        """The next job of the owner whose turn it is; IndexError when there is none."""
        if self._urgent:
            self._size -= 1
            return self._urgent.popleft()
        if not self._by_owner:
            raise IndexError("The queue is empty.")
        owner, jobs = next(iter(self._by_owner.items()))
        job = jobs.popleft()
        self._size -= 1
        if jobs:
            self._by_owner.move_to_end(owner)
        else:
            del self._by_owner[owner]
        return job

    def clear(self) -> None:
        """Forget all jobs."""
        self._urgent.clear()
        self._by_owner.clear()
        self._size = 0
