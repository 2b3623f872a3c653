"""The end of a conversation, whatever the other side does: its sockets are shut down.

A limit of each single wait can be outlived by sending a byte now and then; this one can't.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

from mistral.utils.worker_pool import DeadlineWatch


class Deadline:
    """A context manager around one conversation. Used by one thread; ended by another.

    :param seconds: how long it may take; 0 is for ever.
    """

    def __init__(self, watch: DeadlineWatch, seconds: float) -> None:
        self.seconds = seconds
        self._watch = watch
        self._ends_at = time.monotonic() + seconds
        self._number: int | None = None
        self._handles: list[socket.socket] = []
        self._callbacks: list[Callable[[], object]] = []

    def __enter__(self) -> Deadline:
        if self.seconds:
            self._number = self._watch.add(self.seconds, self._end)
        return self

    def __exit__(self, *_: object) -> None:
        if self._number is not None:
            self._watch.forget(self._number)
        for handle in self._handles:
            handle.close()

    @property
    def is_over(self) -> bool:
        """Whether there is no time left."""
        return bool(self.seconds) and time.monotonic() >= self._ends_at

    def remaining(self) -> float | None:
        """Seconds that are left, if there is an end at all; TimeoutError when none are."""
        if not self.seconds:
            return None
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"it took longer than {self.seconds:g} seconds")
        return left

    def shorten(self, timeout: float | None) -> float | None:
        """The same limit of one wait, or what is left when that is less."""
        left = self.remaining()
        return min((one for one in (left, timeout) if one is not None), default=None)

    def watch_socket(self, sock: socket.socket) -> None:
        """Shut this connection down at the end.

        A handle of its own: TLS takes the descriptor away from the socket that it wraps, and
        the number of a closed one may soon be that of another connection.
        """
        if self.seconds:
            self._handles.append(sock.dup())
        self.remaining()

    def on_end(self, callback: Callable[[], object]) -> None:
        """Also call this at the end; it must not block, and fail with OSError only."""
        self._callbacks.append(callback)
        self.remaining()

    def _end(self) -> None:
        for handle in list(self._handles):
            # gone already, or never connected
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)
        for callback in list(self._callbacks):
            with contextlib.suppress(OSError):
                callback()
