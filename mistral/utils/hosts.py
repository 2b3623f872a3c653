"""What people call an address: "all addresses" of a machine is no name for it."""

from __future__ import annotations

import contextlib
import socket
from typing import Final

_LOOPBACKS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def shown(host: str) -> str:
    """A host as logs name it: the machine's name instead of "all addresses"."""
    return socket.gethostname() if host in _LOOPBACKS else host


def reachable(host: str) -> str:
    """Under what a server that listens on an address can be reached, by others if possible.

    "All addresses" are reached by the machine's name, where that leads to this machine.
    """
    loopback = _LOOPBACKS.get(host)
    if loopback is None:
        return host
    name = socket.gethostname()
    return name if _is_own(name, socket.AF_INET6 if ":" in host else socket.AF_INET) else loopback


def _is_own(name: str, family: socket.AddressFamily) -> bool:
    with contextlib.suppress(OSError, UnicodeError):
        for _, kind, protocol, _, address in socket.getaddrinfo(
            name, 0, family, socket.SOCK_STREAM
        ):
            # only a machine's own address can be bound to
            with socket.socket(family, kind, protocol) as probe:
                probe.bind(address)
                return True
    return False
