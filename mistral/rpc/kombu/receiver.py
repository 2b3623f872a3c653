"""One thread with one connection on which messages arrive, for as long as it is wanted.

kombu's connections belong to one thread. Others never touch this one: they leave a note of what is
to be acknowledged, and kombu's event loop picks it up.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import kombu
from kombu.asynchronous.hub import Hub

from mistral.rpc.kombu.broker import Broker
from mistral.rpc.kombu.window import STEP, Window

LOG = logging.getLogger(__name__)

#: Seconds between attempts to connect.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 10.0
#: Seconds that an acknowledgement waits, at most, for a better reason to wake the thread up.
_LONGEST_DELAY = 0.2
_HEARTBEATS_PER_TIMEOUT = 4.0
_STOP_PATIENCE = 2.0


def pauses() -> Iterator[float]:
    """Seconds to wait before each further attempt to connect."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)


def _nothing() -> None:
    """What is called when there is nothing to tell, or only to wake a thread up."""


@dataclasses.dataclass(frozen=True)
class Subscription:
    """What to receive.

    ``queues`` is asked at each connection. ``on_message`` is called on the receiving thread and
    must not block. ``on_ready`` and ``on_lost`` tell when messages can arrive and no longer can.
    With ``prefetch`` 0 the broker counts each message as done when it sends it; otherwise so many
    of each queue may be under way. ``shared`` is one more queue, of which not more is received
    than is worked on, and a few.
    """

    queues: Callable[[], Sequence[kombu.Queue]]
    on_message: Callable[[Any], None]
    prefetch: int = 0
    shared: Callable[[], kombu.Queue] | None = None
    on_ready: Callable[[], None] = _nothing
    on_lost: Callable[[], None] = _nothing


class Receiver:
    """Keeps a subscription alive: connects again whenever the connection breaks."""

    def __init__(self, name: str, broker: Broker, subscription: Subscription) -> None:
        self._name = name
        self._broker = broker
        self._subscription = subscription
        self._ready = threading.Event()
        self._ending = threading.Event()
        self._session: _Session | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._thread.start()

    def wait_ready(self, timeout: float) -> bool:
        """Wait until messages can arrive for the first time."""
        return self._ready.wait(timeout)

    def settle(self, message: Any, accepted: bool = True) -> None:
        """Acknowledge a message, or refuse it for ever; any thread, any time."""
        session = self._session
        if session is not None:
            session.settle(message, accepted)

    def cancel(self) -> None:
        """Receive nothing new; what has arrived can still be acknowledged."""
        self._ending.set()
        session = self._session
        if session is not None:
            session.cancel()

    def stop(self) -> None:
        """End; what was not acknowledged goes back to its queue."""
        self._ending.set()
        session = self._session
        if session is not None:
            session.stop()
        if self._thread.ident is not None:
            self._thread.join(_STOP_PATIENCE)

    def _run(self) -> None:
        back_off = pauses()
        while not self._ending.is_set():
            session = self._session = _Session(self._subscription)
            try:
                session.run(self._broker, self._tell_ready)
            # whatever broke: a server that no longer receives would be as good as dead
            except Exception as error:
                if not self._ending.is_set():
                    LOG.warning("%s: no connection to the broker: %s", self._name, error)
                    LOG.debug("Where it failed", exc_info=True)
            self._session = None
            if session.was_ready:
                self._subscription.on_lost()
                back_off = pauses()
            else:
                self._ending.wait(next(back_off))

    def _tell_ready(self) -> None:
        self._subscription.on_ready()
        self._ready.set()


class _Session:
    """What happens on one connection, from its beginning to its end."""

    def __init__(self, subscription: Subscription) -> None:
        self.was_ready = False
        self._subscription = subscription
        self._hub = _event_loop()
        self._channel: Any = None
        self._settled: deque[tuple[Any, bool]] = deque()
        self._window: Window | None = None
        held = min(subscription.prefetch, 2 * STEP if subscription.shared else sys.maxsize)
        self._many = max(1, held // 4)
        self._unsettled = 0
        self._alarm_set = False
        self._cancelling = self._stopping = False
        self._cancelled = threading.Event()

    # called by any thread

    def settle(self, message: Any, accepted: bool) -> None:
        """Leave a note; the receiving thread is only woken for several."""
        self._settled.append((message, accepted))
        if len(self._settled) >= self._many:
            self._hub.call_soon(_nothing)

    def cancel(self) -> None:
        """Ask for no more messages, and wait until none can come."""
        self._cancelling = True
        self._hub.call_soon(_nothing)
        self._cancelled.wait(_STOP_PATIENCE)

    def stop(self) -> None:
        """Ask for the end."""
        self._stopping = True
        self._hub.call_soon(_nothing)

    # called by the receiving thread

    def run(self, broker: Broker, tell_ready: Callable[[], None]) -> None:
        """Connect and receive until told to stop; errors of the connection come through."""
        try:
            connection = broker.connect(heartbeat=True)
            try:
                consumer = self._begin(connection)
                tell_ready()
                while not self._stopping:
                    self._hub.run_once()
                    if self._cancelling and not self._cancelled.is_set():
                        consumer.cancel()
                        if self._window is not None:
                            self._window.close()
                        self._cancelled.set()
                self._acknowledge()
            finally:
                _close(connection, self._channel)
        finally:
            self._cancelled.set()
            # what it still has to do is about a connection that is gone
            with contextlib.suppress(Exception):
                self._hub.close()

    def _begin(self, connection: kombu.Connection) -> kombu.Consumer:
        self._channel = connection.channel()
        prefetch = self._subscription.prefetch
        if prefetch:
            self._channel.basic_qos(0, prefetch, False)
        consumer = kombu.Consumer(
            self._channel,
            queues=list(self._subscription.queues()),
            no_ack=not prefetch,
            on_message=self._receive if prefetch else self._subscription.on_message,
        )
        connection.register_with_event_loop(self._hub)
        heartbeat = connection.get_heartbeat_interval()
        if heartbeat:
            seconds = heartbeat / _HEARTBEATS_PER_TIMEOUT
            self._hub.call_repeatedly(seconds, connection.heartbeat_check, 2)
        self._hub.on_tick.add(self._acknowledge)
        consumer.consume()
        if self._subscription.shared is not None:
            queue = self._subscription.shared()
            self._window = Window(self._channel, queue, prefetch, self._receive)
            self._window.open()
        self.was_ready = True
        return consumer

    def _receive(self, message: Any) -> None:
        self._unsettled += 1
        self._set_alarm()
        self._subscription.on_message(message)

    def _acknowledge(self) -> None:
        while self._settled:
            message, accepted = self._settled.popleft()
            if message.channel is not self._channel:
                # it came by a connection that broke: the broker has sent it again
                continue
            self._unsettled -= 1
            if accepted:
                self._channel.basic_ack(message.delivery_tag)
            else:
                self._channel.basic_reject(message.delivery_tag, requeue=False)
            if self._window is not None:
                self._window.settled(message)
        if self._window is not None:
            self._window.widen()

    def _set_alarm(self) -> None:
        """See to it that notes don't lie about when nothing else happens."""
        is_wide = self._window is not None and self._window.is_wide
        if not self._alarm_set and (self._unsettled or is_wide):
            self._alarm_set = True
            self._hub.call_later(_LONGEST_DELAY, self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm_set = False
        if self._window is not None:
            self._window.narrow()
        self._set_alarm()


def _event_loop() -> Any:
    loop: Any = Hub()
    # an error in a timer is one of the connection, too
    loop.propagate_errors = (Exception,)
    return loop


def _close(connection: kombu.Connection, channel: Any) -> None:
    # it may be the broken connection that is being closed
    with contextlib.suppress(Exception):
        connection.close()
    if hasattr(channel, "do_restore"):
        # what could not be given back to Redis now comes back by itself: kombu must not try it
        # again at the very end of the process
        channel.do_restore = False
        channel.qos.restore_unacked_once()
