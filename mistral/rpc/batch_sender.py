"""Sends what piles up, again and again until it has arrived.

Natural batching: a thread takes all that waits and sends it as one message; what arrives during
that call travels with the next one. A single value never waits. Under load, that is when the last
message left a moment ago and was not alone, a batch gathers for a few milliseconds, which makes
messages few.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import logging
import random
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from mistral import exceptions as exc
from mistral.utils.fair_queue import FairQueue

LOG = logging.getLogger(__name__)

MAX_BYTES = 2 * 1024 * 1024

BUSY_FACTOR = 2
"""The last message counts as recent for so many times the time that a batch gathers."""


@dataclasses.dataclass
class _Item:
    value: Any
    size: int = 0
    tries: int = 0
    alone: bool = False


class CallTimeout:
    """How long, in seconds, to wait for an answer.

    Short at first: whoever was asked may have died with the question. Longer each time that nobody
    answers, because they may be alive and slow; answers make it shorter again, little by little.
    """

    def __init__(self, shortest: float, longest: float) -> None:
        self._shortest = shortest
        self._longest = longest
        self.seconds = shortest

    def reward(self) -> None:
        """There was an answer."""
        self.seconds = max(self._shortest, self.seconds * 0.8)

    def stretch(self) -> None:
        """There was none."""
        self.seconds = min(self._longest, self.seconds * 2)


class BatchSender:
    """A queue with threads that hand its content, in batches, to ``deliver``.

    ``deliver`` returning means that the batch has arrived. Raising UnavailableException means that
    nobody answered: the batch is repeated as it is. Any other error may be the fault of one item,
    so each item is repeated alone and can't hold up the others.

    :param max_bytes: of one batch, as far as the sizes of its items are known.
    :param size: bytes of an item.
    :param owner: on whose account an item is; they take turns.
    """

    def __init__(
        self,
        name: str,
        deliver: Callable[[list[Any]], None],
        *,
        threads: int = 2,
        max_batch: int = 100,
        max_bytes: int = MAX_BYTES,
        size: Callable[[Any], int] = lambda _: 0,
        owner: Callable[[Any], Hashable] = lambda _: None,
        gather: float = 0.0,
        first_pause: float = 0.1,
        longest_pause: float = 5.0,
    ) -> None:
        self._name = name
        self._deliver = deliver
        self._max_batch = max_batch
        self._max_bytes = max_bytes
        self._size_of = size
        self._gather = gather
        self._last_sent = 0.0
        self._last_size = 0
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._changed = threading.Condition()
        self._ready = FairQueue[_Item](lambda item: owner(item.value))
        self._delayed: list[tuple[float, int, _Item]] = []
        self._numbers = itertools.count()
        self._in_flight = 0
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def put(self, values: Iterable[Any]) -> None:
        """Add values; returns at once. After the end they are dropped."""
        with self._changed:
            if self._stopping:
                return
            for value in values:
                self._ready.append(_Item(value, self._size_of(value)))
            self._changed.notify()

    def wait_empty(self, timeout: float) -> bool:
        """Wait until everything has arrived; false when that takes longer than ``timeout``."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._size(), timeout)

    def stop(self, timeout: float = 5.0) -> list[Any]:
        """Send no more; the values that have not arrived."""
        with self._changed:
            self._stopping = True
            left = [item.value for item in self._ready]
            left += [item.value for _, _, item in self._delayed]
            self._ready.clear()
            self._delayed.clear()
            self._changed.notify_all()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        return left

    def _size(self) -> int:
        return len(self._ready) + len(self._delayed) + self._in_flight

    def _work(self) -> None:
        while batch := self._take():
            try:
                self._deliver([item.value for item in batch])
            except exc.UnavailableException as error:
                LOG.warning("%s: nobody answered, it will be repeated: %s", self._name, error)
                self._repeat(batch, alone=False)
            # law 1: what waits here exists nowhere else, so no failure may lose it
            except Exception as error:  # noqa: BLE001
                LOG.error("%s: refused with %s, repeated", self._name, type(error).__name__)
                self._repeat(batch, alone=True)
            else:
                self._done(batch)

    def _take(self) -> list[_Item]:
        """Wait for the next batch; an empty one means that the work is over."""
        with self._changed:
            while True:
                self._wake_delayed()
                if self._ready:
                    break
                if self._stopping:
                    return []
                pause = self._delayed[0][0] - time.monotonic() if self._delayed else None
                self._changed.wait(pause)
            self._gather_more()
            if not self._ready:
                # another thread was faster
                return self._take()
            batch = self._next_batch()
            self._in_flight += len(batch)
            self._last_size = len(batch)
            if self._ready:
                self._changed.notify()
            return batch

    def _next_batch(self) -> list[_Item]:
        batch = [self._ready.popleft()]
        size = batch[0].size
        while self._ready and len(batch) < self._max_batch and not batch[0].alone:
            item = self._ready.popleft()
            if item.alone or size + item.size > self._max_bytes:
                self._ready.appendleft(item)
                break
            batch.append(item)
            size += item.size
        return batch

    def _gather_more(self) -> None:
        """Under load, let a batch grow for a moment."""
        now = time.monotonic()
        until = now + self._gather
        recent = now - self._last_sent < BUSY_FACTOR * self._gather
        # a chain sends one value after the other: waiting would only delay it
        if recent and (self._last_size > 1 or self._in_flight or len(self._ready) > 1):
            while len(self._ready) < self._max_batch and not self._stopping:
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
        self._last_sent = time.monotonic()

    def _wake_delayed(self) -> None:
        now = time.monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.append(heapq.heappop(self._delayed)[2])

    def _repeat(self, batch: list[_Item], alone: bool) -> None:
        with self._changed:
            self._in_flight -= len(batch)
            if self._stopping:
                return
            for item in batch:
                # the first separation of a batch is no try of its items
                split_now = alone and len(batch) > 1
                item.tries += 0 if split_now else 1
                item.alone = item.alone or alone
                pause = 0.0 if split_now else self._pause(item.tries)
                entry = (time.monotonic() + pause, next(self._numbers), item)
                heapq.heappush(self._delayed, entry)
            self._changed.notify_all()

    def _pause(self, tries: int) -> float:
        longest = min(self._longest_pause, self._first_pause * 2 ** min(tries - 1, 20))
        return longest * random.uniform(0.5, 1.0)

    def _done(self, batch: list[_Item]) -> None:
        with self._changed:
            self._in_flight -= len(batch)
            if not self._size():
                self._changed.notify_all()
