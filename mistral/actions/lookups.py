"""Looking up a host's addresses without waiting longer than one wants to.

The system's call can't be interrupted, so it runs on a thread that is left alone when it takes too
long. It ends by itself, when the system gives up.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]
Resolver = Callable[[str, int], Sequence[AddressInfo]]

MOST_AT_A_TIME = 64


def resolve(host: str, port: int) -> Sequence[AddressInfo]:
    """All addresses of a name, as the operating system knows them."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class Lookups:
    """Calls a resolver for a limited time, for a limited number of names at once."""

    def __init__(self, resolver: Resolver = resolve, most: int = MOST_AT_A_TIME) -> None:
        self._resolve = resolver
        self._free = threading.BoundedSemaphore(most)

    def find(self, host: str, port: int, timeout: float | None) -> Sequence[AddressInfo]:
        """The addresses; TimeoutError when they don't come in time."""
        if timeout is None or _is_address(host):
            return self._resolve(host, port)
        if not self._free.acquire(timeout=timeout):
            raise TimeoutError("too many names are being resolved")
        answers: queue.SimpleQueue[Sequence[AddressInfo] | Exception] = queue.SimpleQueue()
        threading.Thread(
            target=self._find, args=(host, port, answers), name="look-up", daemon=True
        ).start()
        try:
            answer = answers.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError("the name was not resolved in time") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _find(self, host: str, port: int, answers: queue.SimpleQueue[Any]) -> None:
        try:
            answers.put(self._resolve(host, port))
        except (OSError, ValueError) as error:
            # ValueError: what can't be a name at all
            answers.put(error)
        finally:
            self._free.release()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
