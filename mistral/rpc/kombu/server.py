"""The answering side: one thread receives, a pool of threads calls the endpoint."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import kombu

from mistral.exceptions import RPCException
from mistral.rpc import base
from mistral.rpc.kombu import payload
from mistral.rpc.kombu.broker import Broker
from mistral.rpc.kombu.outlets import REPEATED, Letter
from mistral.rpc.kombu.publisher import Publisher
from mistral.rpc.kombu.receiver import Receiver, Subscription
from mistral.utils import json
from mistral.utils.worker_pool import WorkerPool

LOG = logging.getLogger(__name__)

_START_PATIENCE = 10.0
_NOBODY_WAITS = b"null"


class KombuServer(base.RPCServer):
    """Receives what is sent to a topic, and to one host of it.

    A message is acknowledged when it was processed and answered: what a killed process had not
    finished comes back, with the broker's mark in the context (``redelivered``); so is marked what
    was sent twice, because the first may have arrived. Each thread has one message at a time; the
    rest stays with the broker.
    """

    def __init__(
        self,
        broker: Broker,
        publisher: Publisher,
        topic: str,
        host: str,
        dispatcher: base.Dispatcher,
        threads: int,
        grace: float,
    ) -> None:
        self._publisher = publisher
        self._dispatcher = dispatcher
        self._topic = topic
        self._grace = grace
        self._changed = threading.Condition()
        self._at_work = 0
        self._pool = WorkerPool[Any](topic, threads, self._work)
        self._receiver = Receiver(
            f"rpc-{topic}",
            broker,
            _subscription(broker, topic, host, self._receive, threads),
        )

    def start(self) -> None:
        self._receiver.start()
        if not self._receiver.wait_ready(_START_PATIENCE):
            LOG.warning("The message broker is not reachable; the server starts when it is.")

    def stop(self, graceful: bool = True) -> None:
        if graceful:
            self._receiver.cancel()
            with self._changed:
                self._changed.wait_for(lambda: not self._at_work, self._grace)
        self._receiver.stop()
        self._pool.drain()
        self._pool.stop()

    def _receive(self, message: Any) -> None:
        with self._changed:
            self._at_work += 1
        self._pool.submit(message)

    def _work(self, message: Any) -> None:
        try:
            accepted = self._process(message)
        except RPCException as error:
            # the caller does not get its answer, and asks again when it has waited enough
            LOG.warning("An answer could not be sent: %s", error)
            accepted = True
        # the edge of the process: a message that is never settled keeps a thread's place for ever
        except Exception:
            LOG.exception("Refused a message on '%s'", self._topic)
            accepted = False
        self._receiver.settle(message, accepted)
        with self._changed:
            self._at_work -= 1
            if not self._at_work:
                self._changed.notify_all()

    def _process(self, message: Any) -> bool:
        """Call the endpoint and answer; whether the message is one of ours."""
        try:
            request = self._read(message)
        except ValueError as error:
            LOG.error("Refused a message on '%s': %s", self._topic, error)
            return False
        answer = self._dispatcher.answer(request.method, request.ctx, request.args, json.dump_bytes)
        reply_to = message.properties.get("reply_to")
        if reply_to:
            self._publisher.answer(
                Letter(
                    _NOBODY_WAITS if answer is None else answer,
                    reply_to,
                    correlation_id=message.properties.get("correlation_id"),
                )
            )
        return True

    def _read(self, message: Any) -> payload.Request:
        if not Broker.accepts(message):
            raise ValueError(f"its content type is {message.content_type!r}, not JSON")
        request = payload.read_request(message.body)
        # only the broker may say so, and the sender's transport
        request.ctx.pop("redelivered", None)
        is_repeated = REPEATED in (message.headers or {})
        if is_repeated or (message.delivery_info or {}).get("redelivered"):
            request.ctx["redelivered"] = True
        return request


def _subscription(
    broker: Broker, topic: str, host: str, on_message: Callable[[Any], None], threads: int
) -> Subscription:
    def own() -> list[kombu.Queue]:
        return [broker.request_queue(topic, host)]

    def shared() -> kombu.Queue:
        return broker.request_queue(topic)

    if broker.is_redis:
        return Subscription(lambda: [shared(), *own()], on_message, prefetch=threads)
    return Subscription(own, on_message, prefetch=threads, shared=shared)
