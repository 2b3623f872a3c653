"""Transport over kombu: RabbitMQ or Redis, JSON, and nothing of oslo.messaging.

A process has one connection per server, one for the answers to its calls, and a few for sending.
"""

from __future__ import annotations

import threading

from oslo_config import cfg

from mistral.rpc import base
from mistral.rpc.kombu.broker import Broker
from mistral.rpc.kombu.client import KombuClient, Replies
from mistral.rpc.kombu.publisher import Publisher
from mistral.rpc.kombu.server import KombuServer

_CLOSE_PATIENCE = 1.0


class KombuTransport(base.Transport):
    """Makes clients and servers that share connections."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._grace = float(conf.graceful_shutdown_timeout)
        self._default_timeout = float(conf.rpc_response_timeout)
        self._broker = Broker(conf)
        self._publisher = Publisher(self._broker, conf.rpc_conn_pool_size, conf.conn_pool_ttl)
        self._replies = Replies(self._broker)

    def client(self, topic: str, *, calls_once: bool = False) -> base.RPCClient:
        return KombuClient(topic, self._publisher, self._replies, self._default_timeout)

    def server(self, topic: str, host: str, endpoint: object, threads: int) -> base.RPCServer:
        return KombuServer(
            self._broker,
            self._publisher,
            topic,
            host,
            base.Dispatcher(endpoint),
            threads,
            self._grace,
        )

    def close(self) -> None:
        self._replies.stop()
        # saying good-bye to a broker that does not listen must not hold up the end
        closing = threading.Thread(target=self._publisher.close, name="rpc-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_PATIENCE)
