"""Who may have a connection: bounds for all and for each address, and whom a newcomer replaces.

Used by the server's thread alone.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable

from mistral.exceptions import ConfigurationError
from mistral.service.http.options import Bounds

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Connection:
    """One connection's place. ``close`` ends it at once, whatever it is doing."""

    def __init__(self, address: str, close: Callable[[], object], of: Connections) -> None:
        self.address = address
        self.close = close
        self._of = of

    def waits_for_client(self) -> None:
        """The client's turn: it is silent, or has not said everything yet."""
        self._of.is_waiting(self)

    def is_served(self) -> None:
        """A whole request is here and not answered yet."""
        self._of.waiting.pop(self, None)

    def is_gone(self) -> None:
        """It is closed."""
        self._of.forget(self)


class Connections:
    """All connections of a server.

    Where there is no room, the connection is closed that has waited longest for its client. So
    silent clients keep nobody out, however many they are; only requests that are being handled
    are never given up.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._unbounded = _networks(bounds.unbounded_addresses)
        self._all: set[Connection] = set()
        self._by_address: Counter[str] = Counter()
        #: In the order in which they began to wait.
        self.waiting: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, address: str, close: Callable[[], object]) -> Connection | None:
        """A place for a new connection; None if there is none."""
        if not self._has_room_for(address):
            return None
        connection = Connection(address, close, self)
        self._all.add(connection)
        self._by_address[address] += 1
        connection.waits_for_client()
        return connection

    def is_waiting(self, connection: Connection) -> None:
        """From now on it may be given up, unless it is already."""
        if connection in self._all:
            self.waiting[connection] = None

    def forget(self, connection: Connection) -> None:
        """A connection is closed or given up."""
        self.waiting.pop(connection, None)
        if connection not in self._all:
            return
        self._all.remove(connection)
        self._by_address[connection.address] -= 1
        if not self._by_address[connection.address]:
            del self._by_address[connection.address]

    def give_up_one(self, address: str | None = None) -> bool:
        """Close the one that has waited longest, of this address if given."""
        for connection in self.waiting:
            if address in (None, connection.address):
                self.forget(connection)
                connection.close()
                return True
        return False

    def close_all(self) -> None:
        """Close whatever is there."""
        for connection in list(self._all):
            connection.close()

    def _has_room_for(self, address: str) -> bool:
        bounds = self._bounds
        if self._by_address[address] >= bounds.connections_per_address and not (
            self._is_unbounded(address) or self.give_up_one(address)
        ):
            return False
        return len(self._all) < bounds.connections or self.give_up_one()

    def _is_unbounded(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._unbounded)


def _networks(texts: Iterable[str]) -> list[Network]:
    try:
        return [ipaddress.ip_network(text, strict=False) for text in texts]
    except ValueError as error:
        raise ConfigurationError(f"[api] unbounded_addresses: {error}.") from error
