"""A TCP port in front of a service: it can freeze, break connections, go away and come back."""

from __future__ import annotations

import contextlib
import socket
import threading

_CHUNK = 65536


class TcpProxy:
    """Forwards connections to a target while it is open. The port stays the same."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self._flowing = threading.Event()
        self._flowing.set()
        self.port = 0
        self.open()

    def open(self) -> None:
        """Accept connections."""
        listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Break all connections there are."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for one in sockets:
            _end(one)

    def freeze(self) -> None:
        """Accept connections and data, and pass nothing on: the service seems to hang."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Pass on what was held up."""
        self._flowing.set()

    def close(self) -> None:
        """Accept none, break all."""
        self._flowing.set()
        if self._listener is not None:
            _end(self._listener)
            self._listener = None
        self.cut()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                incoming, _ = listener.accept()
                outgoing = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                self._sockets += [incoming, outgoing]
            for pair in ((incoming, outgoing), (outgoing, incoming)):
                threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(_CHUNK):
                self._flowing.wait()
                sink.sendall(chunk)
        _end(source)
        _end(sink)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
