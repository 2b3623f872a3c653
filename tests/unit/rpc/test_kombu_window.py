"""How many messages of a shared queue the kombu transport lets the broker hand out."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from mistral.rpc.kombu.window import STEP, Window


class Broker:
    """One channel of RabbitMQ with one queue that never gets empty."""

    def __init__(self, most: int) -> None:
        self.quota = 0
        self.limits: dict[str, int] = {}
        self.open: list[str] = []
        self.held: list[SimpleNamespace] = []
        self.numbers = itertools.count()
        queue: Any = lambda channel: self  # noqa: E731
        self.window = Window(self, queue, most, self.held.append)
        self.name = "topic"

    def declare(self) -> None:
        """The queue is there."""

    def basic_qos(self, size: int, count: int, is_global: bool) -> None:
        assert (size, is_global) == (0, False)
        self.quota = count

    def consume(self, tag: str, callback: Any, no_ack: bool, nowait: bool) -> None:
        assert tag not in self.limits and nowait and not no_ack
        self.limits[tag] = self.quota
        self.open.append(tag)
        self.callback = callback

    def basic_cancel(self, tag: str) -> None:
        self.open.remove(tag)

    def message_to_python(self, delivered: Any) -> Any:
        return delivered

    def _held_by(self, tag: str) -> int:
        return sum(message.delivery_info["consumer_tag"] == tag for message in self.held)

    @property
    def free(self) -> int:
        """What a process that is stopped now gets beside what it has."""
        return sum(self.limits[tag] - self._held_by(tag) for tag in self.open)

    def deliver(self) -> bool:
        """Hand out one message, if any consumer may hold it."""
        for tag in self.open:
            if self._held_by(tag) < self.limits[tag]:
                self.callback(SimpleNamespace(delivery_info={"consumer_tag": tag}))
                self.window.widen()
                return True
        return False

    def settle(self, count: int) -> None:
        """So many of the oldest messages are done."""
        for _ in range(count):
            self.window.settled(self.held.pop(0))


@pytest.mark.parametrize(("most", "idle"), [(1, 1), (2, 2), (4, 4), (10, 6), (64, 4)])
def test_what_is_worked_on_makes_room_for_a_few_more(most: int, idle: int) -> None:
    broker = Broker(most)
    broker.window.open()
    assert broker.free == min(most, STEP)
    while broker.deliver():
        assert len(broker.held) + broker.free <= most
        assert broker.free < 2 * STEP
        assert broker.free or len(broker.held) == most
    assert len(broker.held) == most
    while broker.held:
        broker.settle(1)
        broker.window.narrow()
        broker.window.widen()
        assert len(broker.held) + broker.free <= most
        assert broker.free < 2 * STEP
    assert broker.free == idle
    assert broker.deliver()


def test_a_closed_window_stays_closed() -> None:
    broker = Broker(64)
    broker.window.open()
    for _ in range(9):
        broker.deliver()
    broker.window.close()
    assert not broker.open
    broker.settle(9)
    broker.window.widen()
    broker.window.narrow()
    assert not broker.open
