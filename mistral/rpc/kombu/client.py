"""The caller's side: requests go out, and one queue of its own brings the answers to all calls."""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import kombu

from mistral.context import RequestContext
from mistral.exceptions import RPCException
from mistral.rpc import base
from mistral.rpc.kombu import payload
from mistral.rpc.kombu.broker import Broker, routing_key
from mistral.rpc.kombu.outlets import Letter
from mistral.rpc.kombu.publisher import Publisher
from mistral.rpc.kombu.receiver import Receiver, Subscription
from mistral.utils import ids, json

LOG = logging.getLogger(__name__)


class _Waiting:
    """Where one caller waits for its answer; None arrives when the connection broke."""

    def __init__(self, reply_to: str, correlation_id: str) -> None:
        self.reply_to = reply_to
        self.correlation_id = correlation_id
        self.answers: queue.SimpleQueue[bytes | str | None] = queue.SimpleQueue()


class Replies:
    """The queue for answers of one process; it exists from the first call on.

    Each connection has a queue of a new name: the one before may still exist, and be locked, for a
    while. Whoever waits for an answer to an old one is told at once.
    """

    def __init__(self, broker: Broker) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[str, _Waiting] = {}
        self._next_name = ""
        self._changed = threading.Condition(self._lock)
        self._current: str | None = None
        self._started = False
        self._broker = broker
        self._receiver = Receiver(
            "rpc-replies",
            broker,
            Subscription(self._queues, self._receive, on_ready=self._ready, on_lost=self._lost),
        )

    @contextlib.contextmanager
    def expect(self, timeout: float) -> Iterator[_Waiting]:
        """A place to wait at; RPCException when the broker can't be reached in time."""
        with self._changed:
            if not self._started:
                self._started = True
                self._receiver.start()
            if not self._changed.wait_for(lambda: self._current is not None, timeout):
                raise RPCException("The message broker is not reachable.")
            waiting = _Waiting(self._current or "", str(next(self._numbers)))
            self._waiting[waiting.correlation_id] = waiting
        try:
            yield waiting
        finally:
            with self._lock:
                self._waiting.pop(waiting.correlation_id, None)

    def stop(self) -> None:
        """Receive no more."""
        self._receiver.stop()

    def _queues(self) -> list[kombu.Queue]:
        self._next_name = f"reply_{ids.new_id()}"
        return [self._broker.reply_queue(self._next_name)]

    def _ready(self) -> None:
        with self._changed:
            self._current = self._next_name
            self._changed.notify_all()

    def _lost(self) -> None:
        with self._lock:
            self._current = None
            abandoned, self._waiting = self._waiting, {}
        for waiting in abandoned.values():
            waiting.answers.put(None)

    def _receive(self, message: Any) -> None:
        with self._lock:
            waiting = self._waiting.get(message.properties.get("correlation_id", ""))
        if waiting is not None:
            waiting.answers.put(message.body)


class KombuClient(base.RPCClient):
    """Sends requests to the servers of one topic."""

    def __init__(
        self, topic: str, publisher: Publisher, replies: Replies, default_timeout: float
    ) -> None:
        self._topic = topic
        self._publisher = publisher
        self._replies = replies
        self._default_timeout = default_timeout

    def call(
        self,
        method: str,
        ctx: RequestContext | None,
        timeout: float | None = None,
        target: str | None = None,
        **args: Any,
    ) -> Any:
        timeout = self._default_timeout if timeout is None else timeout
        end = time.monotonic() + timeout
        body = payload.request(method, base.context_to_send(ctx, timeout), args, is_cast=False)
        with self._replies.expect(timeout) as waiting:
            letter = Letter(
                body,
                routing_key(self._topic, target),
                reply_to=waiting.reply_to,
                correlation_id=waiting.correlation_id,
                expires=timeout,
                must_arrive=True,
            )
            self._publisher.send(letter)
            try:
                answer = waiting.answers.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise base.no_answer(self._topic, method, timeout) from None
        if answer is None:
            raise RPCException(
                f"The connection to the broker broke before the answer to '{method}' came."
            )
        found = json.loads(answer)
        if found is None:
            # the server's clock says that nobody waits any more
            raise base.no_answer(self._topic, method, timeout)
        return base.unwrap(found)

    def cast(
        self, method: str, ctx: RequestContext | None, target: str | None = None, **args: Any
    ) -> None:
        body = payload.request(method, base.context_to_send(ctx), args, is_cast=True)
        self._publisher.send(Letter(body, routing_key(self._topic, target)))
