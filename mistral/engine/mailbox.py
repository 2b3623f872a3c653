"""One mailbox per execution: one worker at a time drains what was delivered.

Workers take executions in the order in which they got mail and at most a batch at a time, so a
wide execution starves nobody. Different processes only meet at the row's lock.

Mail for which nobody waits says "look at this row" and is held once, however often the row is
found before a worker comes to it.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

LOG = logging.getLogger(__name__)

BATCH = 100

Future = concurrent.futures.Future


@dataclasses.dataclass(frozen=True)
class Mail:
    """Something to handle: a kind, an id, and what came with it.

    The handler resolves ``done`` when the transaction that handled the mail has ended. ``looks``
    tells how often it had to be looked for, or sent, before.
    """

    kind: str
    id: str
    content: Any = None
    done: Future[Any] | None = None
    looks: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What it is about."""
        return self.kind, self.id


Handler = Callable[[str, Sequence[Mail]], None]


class Mailboxes:
    """The mailboxes of one engine process and the threads that empty them."""

    def __init__(self, handle: Handler, threads: int) -> None:
        self._handle = handle
        self._threads = threads
        self._boxes: dict[str, collections.deque[Mail]] = {}
        self._doorbells: dict[tuple[str, str, str], Mail] = {}
        self._size = 0
        self._ready: collections.deque[str] = collections.deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._workers: list[threading.Thread] = []

    def start(self) -> None:
        """Start the workers."""
        for number in range(self._threads):
            worker = threading.Thread(target=self._work, name=f"engine-{number}", daemon=True)
            worker.start()
            self._workers.append(worker)

    def stop(self) -> None:
        """Handle what has arrived, then end the workers."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join(timeout=30)

    @property
    def waiting(self) -> int:
        """How many executions have mail that nobody handles yet."""
        return len(self._ready)

    @property
    def size(self) -> int:
        """How much mail nobody handles yet."""
        return self._size

    def post(self, execution_id: str, mails: Sequence[Mail]) -> None:
        """Deliver mail to an execution.

        What is in the mailbox already keeps its place.
        """
        with self._changed:
            new = [m for m in mails if m.done is not None or self._is_first(execution_id, m)]
            self._size += len(new)
            box = self._boxes.get(execution_id)
            if box is not None:
                box.extend(new)
            elif new:
                self._boxes[execution_id] = collections.deque(new)
                self._ready.append(execution_id)
                self._changed.notify()

    def _is_first(self, execution_id: str, mail: Mail) -> bool:
        key = execution_id, mail.kind, mail.id
        waiting = self._doorbells.get(key)
        if waiting is None or mail.looks > waiting.looks:
            self._doorbells[key] = mail
        return waiting is None

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            execution_id, batch = taken
            self._handle_batch(execution_id, batch)
            self._give_back(execution_id)

    def _take(self) -> tuple[str, list[Mail]] | None:
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

    def _latest(self, execution_id: str, mail: Mail) -> Mail:
        if mail.done is not None:
            return mail
        return self._doorbells.pop((execution_id, mail.kind, mail.id))

    def _give_back(self, execution_id: str) -> None:
        with self._changed:
            if self._boxes[execution_id]:
                self._ready.append(execution_id)
                self._changed.notify()
            else:
                del self._boxes[execution_id]

    def _handle_batch(self, execution_id: str, batch: list[Mail]) -> None:
        try:
            self._handle(execution_id, batch)
        # the edge of a worker: whoever waits gets the error, the rows stay due for the relay
        except Exception as error:
            LOG.exception("Handling of an execution failed [execution_id=%s]", execution_id)
            for mail in batch:
                if mail.done is not None and not mail.done.done():
                    mail.done.set_exception(error)
