"""The broker as the configuration describes it: connections, and the names of exchange and queues.

One topic exchange (``control_exchange``); a server's requests are in a queue that is named like its
topic, and those for it alone in ``<topic>.<host>``.
"""

from __future__ import annotations

import importlib.util
import itertools
import random
import ssl
import threading
from typing import Any

import kombu
import kombu.transport
from kombu.exceptions import KombuError
from oslo_config import cfg

from mistral.exceptions import ConfigurationError
from mistral.rpc.kombu.addresses import RABBITMQ, REDIS, Address, parse

CONNECT_TIMEOUT = 5.0
#: Seconds after which a broker that takes or gives nothing counts as gone.
SOCKET_TIMEOUT = 5
_LIBRARIES = {RABBITMQ: "pyamqp", REDIS: "redis"}
_CONTENT_TYPE = "application/json"
#: Seconds that Redis gets to answer one command: at least, at most.
_REDIS_QUICK, _REDIS_SLOW = 1.0, 2.0
#: On Redis a queue "goes with its last consumer" so many seconds after it.
_REDIS_QUEUE_EXPIRES = 60.0
#: Seconds between two looks for what a dead process had not acknowledged on Redis.
_LONGEST_SWEEP = 10.0
_PERSISTENT, _TRANSIENT = 2, 1


class Broker:
    """Connects to one of the hosts after the other; knows how everything is declared there."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._url = parse(conf.transport_url)
        #: What is raised when a connection can't be made, or breaks.
        self.errors = _errors(self._url.kind)
        self._rabbit = conf.oslo_messaging_rabbit
        self._durable = self._rabbit.amqp_durable_queues or self._rabbit.rabbit_quorum_queue
        self._auto_delete = self._rabbit.amqp_auto_delete
        # a call whose executor died is expired before it comes back: nothing runs twice by it
        self._visibility_timeout = 2 * conf.rpc_response_timeout
        addresses = list(self._url.addresses)
        random.shuffle(addresses)
        self._addresses = itertools.cycle(addresses)
        self._lock = threading.Lock()
        self.exchange = kombu.Exchange(
            conf.control_exchange,
            type="topic",
            durable=self._durable,
            auto_delete=self._auto_delete and not self._rabbit.rabbit_quorum_queue,
        )

    @property
    def is_redis(self) -> bool:
        """Whether it is Redis, which knows neither mandatory messages nor confirmations."""
        return self._url.kind == REDIS

    @property
    def host_count(self) -> int:
        """How many hosts there are to try."""
        return len(self._url.addresses)

    def connect(
        self, heartbeat: bool = False, timeout: float = CONNECT_TIMEOUT
    ) -> kombu.Connection:
        """Connect to the next host, once; one of :attr:`errors` when that fails.

        :param heartbeat: whether somebody will see to heartbeats on this connection.
        :param timeout: seconds that it may take.
        """
        with self._lock:
            address = next(self._addresses)
        connection = kombu.Connection(
            hostname=address.host,
            port=address.port,
            userid=address.user,
            password=address.password,
            virtual_host=self._url.virtual_host,
            connect_timeout=timeout,
            **(self._redis_options(timeout) if self.is_redis else self._rabbit_options(address)),
            heartbeat=self._rabbit.heartbeat_timeout_threshold if heartbeat else 0,
        )
        connection.ensure_connection(max_retries=0, reraise_as_library_errors=False)
        return connection

    def request_queue(self, topic: str, host: str | None = None) -> kombu.Queue:
        """Where requests to a topic wait, or those to one of its hosts."""
        name = routing_key(topic, host)
        quorum = self._rabbit.rabbit_quorum_queue and not self.is_redis
        return kombu.Queue(
            name,
            exchange=self.exchange,
            routing_key=name,
            durable=self._durable,
            auto_delete=self._auto_delete and not quorum,
            expires=_REDIS_QUEUE_EXPIRES if self.is_redis and self._auto_delete else None,
            queue_arguments={"x-queue-type": "quorum"} if quorum else None,
        )

    @staticmethod
    def reply_queue(name: str) -> kombu.Queue:
        """Where one client's answers arrive; no other connection may read them."""
        return kombu.Queue(name, exclusive=True, auto_delete=True, durable=False, no_ack=True)

    def message_properties(self) -> dict[str, Any]:
        """What all messages have in common."""
        return {"delivery_mode": _PERSISTENT if self._durable else _TRANSIENT}

    @staticmethod
    def accepts(message: kombu.Message) -> bool:
        """Whether a message is JSON; nothing else is ever decoded."""
        return bool(message.content_type == _CONTENT_TYPE)

    @staticmethod
    def content_type() -> str:
        """Of every message sent."""
        return _CONTENT_TYPE

    def _rabbit_options(self, address: Address) -> dict[str, Any]:
        return {
            "transport": _LIBRARIES[RABBITMQ],
            "ssl": self._rabbit_tls(address) if self._rabbit.ssl else False,
            "transport_options": {
                "read_timeout": SOCKET_TIMEOUT,
                "write_timeout": SOCKET_TIMEOUT,
                "client_properties": {"connection_name": "mistral"},
            },
        }

    def _rabbit_tls(self, address: Address) -> dict[str, Any]:
        options: dict[str, Any] = {"cert_reqs": ssl.CERT_REQUIRED}
        for ours, theirs in (
            ("ssl_ca_file", "ca_certs"),
            ("ssl_cert_file", "certfile"),
            ("ssl_key_file", "keyfile"),
        ):
            if self._rabbit[ours]:
                options[theirs] = self._rabbit[ours]
        if self._rabbit.ssl_enforce_hostname_verification:
            options["server_hostname"] = address.host
        return options

    def _redis_options(self, timeout: float) -> dict[str, Any]:
        return {
            "transport": _LIBRARIES[REDIS],
            "ssl": self._redis_tls() if self._url.tls or self._rabbit.ssl else False,
            "transport_options": {
                # installations with different exchanges don't meet in one database
                "global_keyprefix": f"{self.exchange.name}.",
                "visibility_timeout": self._visibility_timeout,
                "unacked_restore_throttle": 1,
                "unacked_restore_interval": min(_LONGEST_SWEEP, self._visibility_timeout / 4),
                "priority_steps": [0],
                "socket_timeout": min(max(timeout, _REDIS_QUICK), _REDIS_SLOW),
                "socket_connect_timeout": timeout,
                "socket_keepalive": True,
                "health_check_interval": SOCKET_TIMEOUT,
            },
        }

    def _redis_tls(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "ssl_cert_reqs": ssl.CERT_REQUIRED,
            "ssl_check_hostname": self._rabbit.ssl_enforce_hostname_verification,
        }
        for ours, theirs in (
            ("ssl_ca_file", "ssl_ca_certs"),
            ("ssl_cert_file", "ssl_certfile"),
            ("ssl_key_file", "ssl_keyfile"),
        ):
            if self._rabbit[ours]:
                options[theirs] = self._rabbit[ours]
        return options


def _errors(kind: str) -> tuple[type[BaseException], ...]:
    """What a connection to such a broker raises when it can't be made, or breaks."""
    if kind == REDIS and importlib.util.find_spec("redis") is None:
        raise ConfigurationError(
            "transport_url: the library for Redis is missing; install the extra 'redis'."
        )
    library: Any = kombu.transport.get_transport_cls(_LIBRARIES[kind])
    return (OSError, KombuError, *library.connection_errors, *library.channel_errors)


def routing_key(topic: str, host: str | None = None) -> str:
    """The key of messages to a topic, or to one of its hosts."""
    return topic if host is None else f"{topic}.{host}"
