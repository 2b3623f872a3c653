"""Accepts connections within the bounds, and stops doing so without breaking any."""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import socket
import ssl
from typing import Final

from uvicorn.config import Config
from uvicorn.server import ServerState

from mistral.service.http import refusals
from mistral.service.http.connections import Connection, Connections
from mistral.service.http.options import Bounds
from mistral.service.http.protocol import RequestProtocol

LOG = logging.getLogger(__name__)

_AT_ONCE: Final = 64
_PAUSE: Final = 0.2
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_TLS_GOODBYE: Final = 2.0


class Listener:
    """Hands each accepted connection to a protocol of its own. Used by the server's thread alone.

    uvicorn's own server doesn't see connections before their TLS handshake, and closes its
    listening socket together with the connections that wait there.
    """

    def __init__(
        self,
        sock: socket.socket,
        config: Config,
        tls: ssl.SSLContext | None,
        bounds: Bounds,
        connections: Connections,
    ) -> None:
        self._socket = sock
        self._config = config
        self._tls = tls
        self._bounds = bounds
        self._connections = connections
        self._state = ServerState()
        self._loop = asyncio.get_running_loop()
        self._greetings: set[asyncio.Task[None]] = set()
        self._is_open = True
        sock.setblocking(False)
        self._loop.add_reader(sock, self._accept_some)

    def close(self) -> None:
        """Listen no more; whoever waits to be accepted is.

        Their requests may be on their way already, and closing the socket would reset them.
        """
        self._is_open = False
        self._loop.remove_reader(self._socket)
        while self._accept():
            pass
        self._socket.close()

    def shut_down_connections(self) -> None:
        """Close each connection after what is being answered."""
        for greeting in self._greetings:
            greeting.cancel()
        for protocol in list(self._state.connections):
            protocol.shutdown()

    async def give_up_requests(self) -> None:
        """End what still waits for workers, whose connections are closed."""
        tasks = [*self._state.tasks, *self._greetings]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept_some(self) -> None:
        for _ in range(_AT_ONCE):
            if not self._accept():
                return

    def _accept(self) -> bool:
        try:
            sock, peer = self._socket.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionAbortedError:
            return True
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            self._make_room(error)
            return False
        sock.setblocking(False)
        # head and body of an answer are sent one after the other
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # a client that takes nothing of what is left to send, however little it is
            patience = int(self._bounds.send_timeout * 1000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
        address = peer[0] if isinstance(peer, tuple) else ""
        place = self._connections.add(address, sock.close)
        if place is None:
            self._send_away(sock)
        else:
            greeting = self._loop.create_task(self._greet(sock, place))
            self._greetings.add(greeting)
            greeting.add_done_callback(functools.partial(self._greeted, sock, place))
            place.close = greeting.cancel
        return True

    def _make_room(self, error: OSError) -> None:
        """No file or memory is left for another connection."""
        LOG.warning("No connection can be accepted now: %s", error)
        self._connections.give_up_one()
        if self._is_open:
            self._loop.remove_reader(self._socket)
            self._loop.call_later(_PAUSE, self._go_on)

    def _go_on(self) -> None:
        if self._is_open:
            self._loop.add_reader(self._socket, self._accept_some)

    def _send_away(self, sock: socket.socket) -> None:
        with sock:
            if self._tls is None:
                try:
                    sock.send(refusals.CROWDED.message)
                except OSError as error:
                    LOG.debug("A client beyond the bound is gone: %s", error)

    async def _greet(self, sock: socket.socket, place: Connection) -> None:
        bounds, tls = self._bounds, self._tls
        try:
            await self._loop.connect_accepted_socket(
                lambda: RequestProtocol(self._config, self._state, place, bounds, self._loop),
                sock,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else bounds.header_timeout,
                ssl_shutdown_timeout=None if tls is None else _TLS_GOODBYE,
            )
        except OSError as error:
            LOG.debug("A connection came to nothing: %s", error)
            _give_up(sock, place)

    def _greeted(
        self, sock: socket.socket, place: Connection, greeting: asyncio.Task[None]
    ) -> None:
        self._greetings.discard(greeting)
        if greeting.cancelled():
            # perhaps before its first step, so it could not do this itself
            _give_up(sock, place)


def _give_up(sock: socket.socket, place: Connection) -> None:
    """Close what no protocol has seen."""
    sock.close()
    place.is_gone()
