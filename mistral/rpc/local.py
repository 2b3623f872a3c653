"""Transport inside one process: bounded queues and threads, for the embedded shape and for tests.

It behaves as a broker does: arguments and answers go through JSON, so nobody shares an object with
the other side; what is sent to a topic goes to one of its servers and waits when there is none yet;
a server can be addressed by name. A crash loses what is queued, which law 1 makes harmless.
"""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
import time
from collections import deque
from typing import Any

from oslo_config import cfg

from mistral.context import RequestContext
from mistral.exceptions import RPCException
from mistral.rpc import base
from mistral.utils import json

LOG = logging.getLogger(__name__)

#: Messages one topic may hold; a sender beyond that gets an error instead of waiting.
CAPACITY = 10_000


@dataclasses.dataclass(frozen=True)
class _Message:
    method: str
    ctx: dict[str, Any]
    body: bytes
    #: Where the caller waits; None for a cast.
    answer: queue.SimpleQueue[bytes | None] | None = None


class _Topic:
    """What waits for the servers of one topic: one queue for all and one for each by name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.changed = threading.Condition()
        self._shared: deque[_Message] = deque()
        self._direct: dict[str, deque[_Message]] = {}

    def join(self, host: str) -> None:
        """A server of that name exists from now on."""
        with self.changed:
            self._direct.setdefault(host, deque())

    def put(self, message: _Message, host: str | None) -> None:
        """Queue a message; RPCException when it can't be."""
        with self.changed:
            waiting = self._shared if host is None else self._direct.get(host)
            if waiting is None:
                raise RPCException(f"There is no server '{host}' on '{self.name}'.")
            if len(waiting) >= CAPACITY:
                raise RPCException(f"The queue of '{self.name}' is full.")
            waiting.append(message)
            if host is None:
                self.changed.notify()
            else:
                # only that server's threads may take it, and any thread may be the one woken
                self.changed.notify_all()

    def take(self, host: str, stopped: threading.Event) -> _Message | None:
        """The next message for a server; None when it is told to stop."""
        with self.changed:
            direct = self._direct[host]
            while not stopped.is_set():
                if direct:
                    return direct.popleft()
                if self._shared:
                    return self._shared.popleft()
                self.changed.wait()
            # a wake-up meant for somebody who goes on must not end here
            self.changed.notify()
            return None


class LocalTransport(base.Transport):
    """All clients and servers made by one object see each other, and nobody else."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._default_timeout = float(conf.rpc_response_timeout)
        self._grace = float(conf.graceful_shutdown_timeout)
        self._lock = threading.Lock()
        self._topics: dict[str, _Topic] = {}

    def client(self, topic: str, *, calls_once: bool = False) -> base.RPCClient:
        return LocalClient(self._topic(topic), self._default_timeout)

    def server(self, topic: str, host: str, endpoint: object, threads: int) -> base.RPCServer:
        return LocalServer(
            self._topic(topic), host, base.Dispatcher(endpoint), threads, self._grace
        )

    def close(self) -> None:
        """Nothing to release: servers are stopped by whoever started them."""

    def _topic(self, name: str) -> _Topic:
        with self._lock:
            if name not in self._topics:
                self._topics[name] = _Topic(name)
            return self._topics[name]


class LocalClient(base.RPCClient):
    """Puts messages into a topic's queue."""

    def __init__(self, topic: _Topic, default_timeout: float) -> None:
        self._topic = topic
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
        answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        sending = base.context_to_send(ctx, timeout)
        self._topic.put(_Message(method, sending, json.dump_bytes(args), answers), target)
        try:
            body = answers.get(timeout=timeout)
        except queue.Empty:
            body = None
        if body is None:
            raise base.no_answer(self._topic.name, method, timeout)
        return base.unwrap(json.loads(body))

    def cast(
        self, method: str, ctx: RequestContext | None, target: str | None = None, **args: Any
    ) -> None:
        message = _Message(method, base.context_to_send(ctx), json.dump_bytes(args))
        self._topic.put(message, target)


class LocalServer(base.RPCServer):
    """A fixed number of threads that take messages and call the endpoint."""

    def __init__(
        self, topic: _Topic, host: str, dispatcher: base.Dispatcher, threads: int, grace: float
    ) -> None:
        self._topic = topic
        self._host = host
        self._dispatcher = dispatcher
        self._grace = grace
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"{topic.name}-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        self._topic.join(self._host)
        for thread in self._threads:
            thread.start()

    def stop(self, graceful: bool = True) -> None:
        with self._topic.changed:
            self._stopped.set()
            self._topic.changed.notify_all()
        if graceful:
            give_up_at = time.monotonic() + self._grace
            for thread in self._threads:
                if thread.ident is not None:
                    thread.join(max(0.0, give_up_at - time.monotonic()))

    def _work(self) -> None:
        while (message := self._topic.take(self._host, self._stopped)) is not None:
            answer = self._dispatcher.answer(
                message.method, message.ctx, json.loads(message.body), json.dump_bytes
            )
            if message.answer is not None:
                message.answer.put(answer)
