"""One connection for sending: how a message is put on RabbitMQ, and how on Redis.

An outlet belongs to one thread at a time.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import time
from typing import Any

from mistral.rpc.kombu.broker import Broker

#: Header of a message that may be there already.
REPEATED = "mistral-repeated"
#: Seconds that RabbitMQ gets to confirm a message, at most.
_CONFIRM_TIMEOUT = 5.0
_DROP_TIMEOUT = 0.1
#: Milliseconds after which answers that nobody fetched are gone from Redis.
_REDIS_REPLY_EXPIRES = 600_000
#: Seconds that a queue found on Redis is taken for existing.
_REDIS_ROUTE_REMEMBERED = 5.0


class Unroutable(Exception):
    """There is no queue for the message."""


@dataclasses.dataclass(frozen=True)
class Letter:
    """A message to send.

    ``must_arrive``: it is an error when there is no queue for it or when the broker does not say
    that it has it. ``expires``: seconds after which nobody wants it any more. ``repeated``: it may
    have arrived before, which its receiver is told.
    """

    body: bytes
    key: str
    reply_to: str | None = None
    correlation_id: str | None = None
    expires: float | None = None
    must_arrive: bool = False
    repeated: bool = False


class Outlet(abc.ABC):
    """A connection on which messages are sent; ``timeout`` is in seconds."""

    def __init__(self, broker: Broker, timeout: float) -> None:
        self._broker = broker
        self._exchange = broker.exchange.name
        self._connection = broker.connect(timeout=timeout)
        self.idle_since = 0.0
        self._channel = self._connection.channel()
        broker.exchange(self._channel).declare()

    @abc.abstractmethod
    def send(self, letter: Letter, timeout: float) -> None:
        """To the servers of a topic; Unroutable, or one of :attr:`Broker.errors`."""

    @abc.abstractmethod
    def answer(self, letter: Letter, timeout: float) -> None:
        """To a client's queue, which may be gone by now; one of :attr:`Broker.errors`."""

    def close(self) -> None:
        """Say good-bye to the broker."""
        # it may be the broken connection that is being closed
        with contextlib.suppress(Exception):
            self._connection.close()

    def drop(self) -> None:
        """Close a connection that broke: without a word, which nobody might answer."""
        with contextlib.suppress(Exception):
            self._connection.collect(socket_timeout=_DROP_TIMEOUT)

    def _message(self, channel: Any, letter: Letter) -> Any:
        properties = self._broker.message_properties()
        if letter.reply_to is not None:
            properties["reply_to"] = letter.reply_to
        if letter.correlation_id is not None:
            properties["correlation_id"] = letter.correlation_id
        if letter.expires is not None:
            properties["expiration"] = str(max(1, int(letter.expires * 1000)))
        return channel.prepare_message(
            letter.body,
            content_type=self._broker.content_type(),
            headers={REPEATED: True} if letter.repeated else None,
            properties=properties,
        )


class RabbitOutlet(Outlet):
    """Two channels: confirmations of one message must not be taken for those of another."""

    def __init__(self, broker: Broker, timeout: float) -> None:
        super().__init__(broker, timeout)
        self._confirming: Any = None
        self._returned = False

    def send(self, letter: Letter, timeout: float) -> None:
        if not letter.must_arrive:
            self._channel.basic_publish(
                self._message(self._channel, letter), self._exchange, letter.key
            )
            return
        channel = self._confirming_channel()
        self._returned = False
        channel.basic_publish_confirm(
            self._message(channel, letter),
            self._exchange,
            letter.key,
            mandatory=True,
            confirm_timeout=min(_CONFIRM_TIMEOUT, timeout),
        )
        if self._returned:
            raise Unroutable

    def answer(self, letter: Letter, timeout: float) -> None:
        self._channel.basic_publish(self._message(self._channel, letter), "", letter.key)

    def _confirming_channel(self) -> Any:
        if self._confirming is None:
            self._confirming = self._connection.channel()
            self._confirming.events["basic_return"].add(self._note_return)
        return self._confirming

    def _note_return(self, *_: object) -> None:
        # the broker sends it before its confirmation
        self._returned = True


class RedisOutlet(Outlet):
    """Puts messages straight into the lists that stand for queues."""

    def __init__(self, broker: Broker, timeout: float) -> None:
        super().__init__(broker, timeout)
        self._routes: dict[str, float] = {}

    def send(self, letter: Letter, timeout: float) -> None:
        if self._has_queue(letter.key):
            self._put(letter)
        elif letter.must_arrive:
            raise Unroutable

    def answer(self, letter: Letter, timeout: float) -> None:
        self._put(letter)
        with self._channel.conn_or_acquire() as client:
            client.pexpire(letter.key, _REDIS_REPLY_EXPIRES)

    def _put(self, letter: Letter) -> None:
        self._channel.basic_publish(self._message(self._channel, letter), "", letter.key)

    def _has_queue(self, key: str) -> bool:
        now = time.monotonic()
        if self._routes.get(key, 0.0) > now:
            return True
        bindings = self._channel.get_table(self._exchange)
        found = self._channel.typeof(self._exchange).lookup(bindings, self._exchange, key, None)
        if found:
            self._routes[key] = now + _REDIS_ROUTE_REMEMBERED
        return bool(found)


def open_outlet(broker: Broker, timeout: float) -> Outlet:
    """Connect to the next host within so many seconds; one of :attr:`Broker.errors` if not."""
    kind = RedisOutlet if broker.is_redis else RabbitOutlet
    return kind(broker, timeout)
