"""Sends from any thread: a pool of outlets, and what is done when one turns out to be broken."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable

from mistral.exceptions import RPCException
from mistral.rpc.kombu.broker import CONNECT_TIMEOUT, Broker
from mistral.rpc.kombu.outlets import Letter, Outlet, Unroutable, open_outlet

LOG = logging.getLogger(__name__)

#: A broken pipe shows when it is written to; the next outlet is a new one.
_TRIES = 3
#: Seconds that sending may take, with all tries; less when nobody wants the message that long.
_PATIENCE = 10.0
#: Seconds that a broker gets in any case: there is one that can answer at once.
_SHORTEST = 0.1


class Publisher:
    """Lends each sender an outlet; makes one when none is free.

    :param size: idle outlets that are kept.
    :param lifetime: seconds after which an idle one is closed.
    """

    def __init__(self, broker: Broker, size: int, lifetime: float) -> None:
        self._broker = broker
        self._size = size
        self._lifetime = lifetime
        self._lock = threading.Lock()
        self._idle: list[Outlet] = []
        self._closed = False

    def send(self, letter: Letter) -> None:
        """Send to a topic; RPCException when it could not be handed over in time."""
        self._try(letter, lambda outlet, again, timeout: outlet.send(again, timeout))

    def answer(self, letter: Letter) -> None:
        """Send to a client's queue; RPCException when it could not be handed over in time."""
        self._try(letter, lambda outlet, again, timeout: outlet.answer(again, timeout))

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it is given back."""
        self._closed = True
        for outlet in self._take_idle():
            outlet.close()

    def _try(self, letter: Letter, use: Callable[[Outlet, Letter, float], None]) -> None:
        end = time.monotonic() + min(_PATIENCE, letter.expires or _PATIENCE)
        cause: BaseException | None = None
        for _ in range(_TRIES):
            outlet = self._borrow(letter.key, end)
            try:
                use(outlet, letter, max(_SHORTEST, end - time.monotonic()))
            except Unroutable:
                self._give_back(outlet)
                raise RPCException(f"Nobody receives messages for '{letter.key}'.") from None
            except self._broker.errors as error:
                LOG.debug("A message to %s could not be sent", letter.key, exc_info=True)
                cause = error
                # perhaps only the news that it has arrived is lost
                letter = dataclasses.replace(letter, repeated=True)
                # the broker has dropped the others as well, most likely
                for broken in (outlet, *self._take_idle()):
                    broken.drop()
            else:
                self._give_back(outlet)
                return
            if time.monotonic() > end:
                break
        raise RPCException(f"The message to '{letter.key}' could not be sent: {cause}") from cause

    def _borrow(self, whom: str, end: float) -> Outlet:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        cause: BaseException | None = None
        for _ in range(self._broker.host_count):
            left = max(_SHORTEST, end - time.monotonic())
            try:
                return open_outlet(self._broker, min(CONNECT_TIMEOUT, left))
            except self._broker.errors as error:
                cause = error
        raise RPCException(
            f"The message to '{whom}' could not be sent, the broker is not reachable: {cause}"
        ) from cause

    def _give_back(self, outlet: Outlet) -> None:
        outlet.idle_since = time.monotonic()
        surplus: list[Outlet] = []
        with self._lock:
            self._idle.append(outlet)
            oldest = self._idle[0]
            if (
                self._closed
                or len(self._idle) > self._size
                or outlet.idle_since - oldest.idle_since > self._lifetime
            ):
                surplus.append(self._idle.pop(0))
        for one in surplus:
            one.close()

    def _take_idle(self) -> list[Outlet]:
        with self._lock:
            outlets, self._idle = self._idle, []
        return outlets
