"""How many messages of a shared queue a process holds: what it works on, and a few more.

RabbitMQ hands out at once what a consumer may hold, whether it is finished or not: a process that
is stopped, or a host that vanished, keeps that from all others until the broker finds out. So a
consumer may hold few, and there are as many consumers as the work under way needs.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable
from typing import Any

import kombu

STEP = 4
"""Messages of one consumer: what a process has beside those that it works on, and less than twice
as many while that changes."""


class Window:
    """The consumers of one queue on one channel; all methods belong to the channel's thread.

    :param most: messages that may be held.
    """

    def __init__(
        self, channel: Any, queue: kombu.Queue, most: int, on_message: Callable[[Any], None]
    ) -> None:
        self._channel = channel
        self._queue = queue(channel)
        self._most = most
        self._step = min(STEP, most)
        self._on_message = on_message
        self._numbers = itertools.count(1)
        self._quota = 0
        self._sizes: dict[str, int] = {}
        self._held: collections.Counter[str] = collections.Counter()

    @property
    def is_wide(self) -> bool:
        """Whether it may become narrower."""
        return len(self._sizes) > 1

    def open(self) -> None:
        """Declare the queue and begin to receive."""
        self._queue.declare()
        self._add(self._step)

    def close(self) -> None:
        """Receive no more."""
        for tag in list(self._sizes):
            self._remove(tag)

    def settled(self, message: Any) -> None:
        """The broker was told that a message is done; of other queues' nothing follows."""
        tag = message.delivery_info["consumer_tag"]
        if self._held[tag] > 1:
            self._held[tag] -= 1
        else:
            del self._held[tag]

    def widen(self) -> None:
        """Let more come if nearly all that may be held is being worked on."""
        while self._sizes and self._free() <= 1 and (room := self._room()) > 0:
            self._add(min(self._step, room))

    def narrow(self) -> None:
        """Let less come if little of what may be held is."""
        while self.is_wide and self._free() >= 2 * self._step:
            self._remove(max(self._sizes, key=self._free_of))

    def _receive(self, delivered: Any) -> None:
        message = self._channel.message_to_python(delivered)
        self._held[message.delivery_info["consumer_tag"]] += 1
        self._on_message(message)

    def _free_of(self, tag: str) -> int:
        return self._sizes[tag] - self._held[tag]

    def _free(self) -> int:
        return sum(map(self._free_of, self._sizes))

    def _room(self) -> int:
        return self._most - self._held.total() - self._free()

    def _add(self, size: int) -> None:
        if self._quota != size:
            # it counts for the consumers that come after it
            self._channel.basic_qos(0, size, False)
            self._quota = size
        tag = f"{self._queue.name}-{next(self._numbers)}"
        self._sizes[tag] = size
        self._queue.consume(tag, self._receive, no_ack=False, nowait=True)

    def _remove(self, tag: str) -> None:
        del self._sizes[tag]
        # what is on its way arrives before this returns
        self._channel.basic_cancel(tag)
