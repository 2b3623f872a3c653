"""A TCP proxy before a database that can lose the answer to one COMMIT.

The server carries the COMMIT out, or never sees it; the client loses its connection either way.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator

# not the isolation level
_COMMIT = re.compile(rb"COMMIT(?!TED)")


class CuttingProxy:
    """Forwards bytes until it is told to cut; then goes on for new connections."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._cut: bool | None = None
        self._meanwhile: Callable[[], object] | None = None
        self._open = threading.Event()
        self._open.set()
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_next_commit(
        self, carried_out: bool, meanwhile: Callable[[], object] | None = None
    ) -> None:
        """Break the connection on which the next COMMIT comes, with or without its effect.

        :param meanwhile: what others do, by other ways, before a new connection is accepted.
        """
        self._meanwhile = meanwhile
        self._cut = carried_out

    def close(self) -> None:
        """Accept nothing more."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.wait()
                server = socket.create_connection(self._target)
                threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answers, args=(server, client), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            while data := client.recv(65536):
                if self._cut is not None and _COMMIT.search(data):
                    self._cut_off(client, server, data)
                    return
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _cut_off(self, client: socket.socket, server: socket.socket, data: bytes) -> None:
        carried_out, self._cut = self._cut, None
        self.cuts += 1
        self._open.clear()
        try:
            # the answers' thread gets no further: the client's end is closed for it
            client.shutdown(socket.SHUT_RDWR)
            if carried_out:
                server.sendall(data)
            with contextlib.suppress(OSError):
                # that thread may have closed it already
                server.shutdown(socket.SHUT_WR if carried_out else socket.SHUT_RDWR)
            if self._meanwhile is not None:
                self._meanwhile()
        finally:
            self._open.set()

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError), server:
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def before(host: str, port: int) -> Iterator[CuttingProxy]:
    """A proxy before a server."""
    proxy = CuttingProxy(host, port)
    try:
        yield proxy
    finally:
        proxy.close()
