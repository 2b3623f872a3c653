"""Sends from any thread: a pool of outlets, and what is done when one turns out to be broken."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from mistral.exceptions import RPCException
from mistral.rpc.kombu.broker import Broker
from mistral.rpc.kombu.outlets import Letter, Outlet, Unroutable, open_outlet

LOG = logging.getLogger(__name__)

#: A broken pipe shows when it is written to; the next outlet is a new one.
_TRIES = 3


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
        """Send to a topic; RPCException when it could not be handed over."""
        self._try(lambda outlet: outlet.send(letter), letter.key)

    def answer(self, letter: Letter) -> None:
        """Send to a client's queue; RPCException when it could not be handed over."""
        self._try(lambda outlet: outlet.answer(letter), letter.key)

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it is given back."""
        self._closed = True
        self._forget_idle()

    def _try(self, use: Callable[[Outlet], None], whom: str) -> None:
        cause: BaseException | None = None
        for _ in range(_TRIES):
            outlet = self._borrow(whom)
            try:
                use(outlet)
            except Unroutable:
                self._give_back(outlet)
                raise RPCException(f"Nobody receives messages for '{whom}'.") from None
            except self._broker.errors as error:
                LOG.debug("A message to %s could not be sent", whom, exc_info=True)
                cause = error
                outlet.close()
                # the broker has dropped the others as well, most likely
                self._forget_idle()
            else:
                self._give_back(outlet)
                return
        raise RPCException(f"The message to '{whom}' could not be sent: {cause}") from cause

    def _borrow(self, whom: str) -> Outlet:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        causes: list[str] = []
        for _ in range(self._broker.host_count):
            try:
                return open_outlet(self._broker)
            except self._broker.errors as error:
                causes.append(str(error))
        raise RPCException(
            f"The message to '{whom}' could not be sent, the broker is not reachable: {causes[-1]}"
        )

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

    def _forget_idle(self) -> None:
        with self._lock:
            outlets, self._idle = self._idle, []
        for outlet in outlets:
            outlet.close()
