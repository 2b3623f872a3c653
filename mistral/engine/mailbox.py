"""One mailbox per execution: one worker at a time drains what was delivered.

Workers take at most a batch of an execution at a time, and root executions take turns, so neither a
wide execution nor one with thousands of sub-workflows starves anybody. Different processes only
meet at the row's lock.

Mail for which nobody waits says "look at this row" and is held once, however often the row is
found before a worker comes to it.
"""

from __future__ import annotations

import collections
import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from cachetools import LRUCache

from mistral import exceptions as exc
from mistral.utils.fair_queue import FairQueue

LOG = logging.getLogger(__name__)

BATCH = 100

KNOWN_ROOTS = 20_000
"""Of so many sub-workflow executions it is remembered whose turn their mail takes; of others, whose
mail nobody says it of, each has turns of its own."""

LONGEST_STOP = 10.0
"""Seconds for which a stopping engine goes on; what is left then has rows, or is sent again."""

Future = concurrent.futures.Future


class Item(Protocol):
    """Something to handle: what a mailbox has to know of it."""

    @property
    def key(self) -> tuple[str, str]:
        """What it is about: of two with the same key and nobody who waits, one is enough."""

    @property
    def done(self) -> Future[Any] | None:
        """Resolved when the item is handled, where somebody waits for that."""

    @property
    def looks(self) -> int:
        """How often it had to be looked for, or sent, before."""

    @property
    def root(self) -> str | None:
        """The root execution above a sub-workflow, where the sender knows it."""


T = TypeVar("T", bound=Item)


class Mailboxes(Generic[T]):
    """The mailboxes of one engine process and the threads that empty them."""

    def __init__(self, handle: Callable[[str, Sequence[T]], None], threads: int) -> None:
        self._handle = handle
        self._threads = threads
        self._boxes: dict[str, collections.deque[T]] = {}
        self._doorbells: dict[tuple[str, tuple[str, str]], T] = {}
        self._size = 0
        self._roots: LRUCache[str, str] = LRUCache(KNOWN_ROOTS)
        self._ready = FairQueue[str](
            lambda execution_id: self._roots.get(execution_id, execution_id)
        )
        self._changed = threading.Condition()
        self._stopped = self._given_up = False
        self._workers: list[threading.Thread] = []

    def start(self) -> None:
        """Start the workers."""
        for number in range(self._threads):
            worker = threading.Thread(target=self._work, name=f"engine-{number}", daemon=True)
            worker.start()
            self._workers.append(worker)

    def stop(self, patience: float = LONGEST_STOP) -> None:
        """Handle what has arrived, for a while, then end the workers."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        give_up_at = time.monotonic() + patience
        for worker in self._workers:
            worker.join(timeout=max(0.0, give_up_at - time.monotonic()))
        self._give_up()
        for worker in self._workers:
            worker.join(timeout=patience)

    def _give_up(self) -> None:
        with self._changed:
            self._given_up = True
            left = [mail for box in self._boxes.values() for mail in box]
            self._ready.clear()
        _refuse(left)

    @property
    def waiting(self) -> int:
        """How many executions have mail that nobody handles yet."""
        return len(self._ready)

    @property
    def size(self) -> int:
        """How much mail nobody handles yet."""
        return self._size

    def post(self, execution_id: str, mails: Sequence[T]) -> None:
        """Deliver mail to an execution.

        What is in the mailbox already keeps its place.
        """
        with self._changed:
            if self._given_up:
                _refuse(mails)
                return
            for mail in mails:
                if mail.root is not None:
                    self._roots[execution_id] = mail.root
            new = [m for m in mails if m.done is not None or self._is_first(execution_id, m)]
            self._size += len(new)
            box = self._boxes.get(execution_id)
            if box is not None:
                box.extend(new)
            elif new:
                self._boxes[execution_id] = collections.deque(new)
                self._ready.append(execution_id)
                self._changed.notify()

    def _is_first(self, execution_id: str, mail: T) -> bool:
        key = execution_id, mail.key
        waiting = self._doorbells.get(key)
        if waiting is None or mail.looks > waiting.looks:
            self._doorbells[key] = mail
        return waiting is None

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            execution_id, batch = taken
            self._handle_batch(execution_id, batch)
            self._give_back(execution_id)

    def _take(self) -> tuple[str, list[T]] | None:
        with self._changed:
            while not self._ready:
                if self._stopped:
                    return None
                self._changed.wait()
            execution_id = self._ready.popleft()
            box = self._boxes[execution_id]
            count = min(BATCH, len(box))
            batch = [self._latest(execution_id, box.popleft()) for _ in range(count)]
            self._size -= len(batch)
            return execution_id, batch

    def _latest(self, execution_id: str, mail: T) -> T:
        if mail.done is not None:
            return mail
        return self._doorbells.pop((execution_id, mail.key))

    def _give_back(self, execution_id: str) -> None:
        with self._changed:
            if self._given_up:
                return
            if self._boxes[execution_id]:
                self._ready.append(execution_id)
                self._changed.notify()
            else:
                del self._boxes[execution_id]

    def _handle_batch(self, execution_id: str, batch: list[T]) -> None:
        try:
            self._handle(execution_id, batch)
        # the edge of a worker: whoever waits gets the error, the rows stay due for the relay
        except Exception as error:
            LOG.exception("Handling of an execution failed [execution_id=%s]", execution_id)
            for mail in batch:
                if mail.done is not None and not mail.done.done():
                    mail.done.set_exception(error)


def _refuse(mails: Sequence[Item]) -> None:
    for mail in mails:
        if mail.done is not None and not mail.done.done():
            mail.done.set_exception(exc.UnavailableException("The engine stops, try again."))
