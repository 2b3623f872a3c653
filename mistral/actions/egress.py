"""Where requests to the outside may go: the one policy for actions, webhooks and the like.

A name is resolved once and every address it has is judged; the caller then connects to such a
judged address, not to the name, so a name that changes its mind between check and connection
gains nothing. :mod:`mistral.actions.egress_http` applies this to HTTP.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Any

from mistral_lib.exceptions import ActionException

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]
Resolver = Callable[[str, int], Sequence[AddressInfo]]

DEFAULT_DENIED = ("127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10")
PRIVATE_NETWORKS = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
    "fec0::/10",
)
_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_THIS_HOST = (ipaddress.ip_network("0.0.0.0/8"), ipaddress.ip_network("::/128"))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class EgressDeniedError(ActionException):
    """The policy forbids the target of a request."""


@dataclasses.dataclass(frozen=True)
class EgressOptions:
    """What the operator allows (contract config §2.14).

    ``default_timeout`` bounds each wait for the other side, ``total_timeout`` the whole answer;
    0 lifts either.
    """

    allowed_hosts: tuple[str, ...] = ()
    denied_cidrs: tuple[str, ...] = DEFAULT_DENIED
    deny_private: bool = False
    default_timeout: float = 60.0
    total_timeout: float = 900.0
    max_response_size: int = 5 * 1024 * 1024
    max_redirects: int = 10


def resolve(host: str, port: int) -> Sequence[AddressInfo]:
    """All addresses of a name, as the operating system knows them."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class EgressGuard:
    """Judges hosts and addresses, and opens connections to judged addresses only."""

    def __init__(self, options: EgressOptions | None = None, resolver: Resolver = resolve) -> None:
        self.options = options or EgressOptions()
        self._resolve = resolver
        self._allowed = frozenset(_host_key(host) for host in self.options.allowed_hosts)
        self._denied = _denied_networks(self.options)

    def check_url(self, scheme: str | None, host: str | None) -> None:
        """Refuse a URL by what can be seen before resolving its host."""
        if (scheme or "").lower() not in ("http", "https"):
            raise EgressDeniedError("only http and https are allowed")
        if not host:
            raise EgressDeniedError("the URL names no host")
        self.check_host(host)

    def check_host(self, host: str) -> None:
        """Refuse a host that is not on the list of allowed ones, if there is such a list."""
        if self._allowed and _host_key(host) not in self._allowed:
            raise EgressDeniedError(f"the host is not allowed [host={host}]")

    def is_denied(self, text: str) -> bool:
        """Whether an address may not be connected to."""
        return any(
            address.version == network.version and address in network
            for address in _readings(ipaddress.ip_address(text.partition("%")[0]))
            for network in self._denied
        )

    def addresses(self, host: str, port: int) -> Sequence[AddressInfo]:
        """Resolve a host; one forbidden address among several forbids them all."""
        self.check_host(host)
        found = self._resolve(host, port)
        if any(self.is_denied(info[4][0]) for info in found):
            raise EgressDeniedError(f"the host's address is not allowed [host={host}]")
        return found

    def connect(
        self,
        host: str,
        port: int,
        timeout: float | None,
        socket_options: Sequence[tuple[int, int, int]] = (),
    ) -> socket.socket:
        """A connection to the first judged address that answers."""
        failure: OSError | None = None
        for family, kind, protocol, _, address in self.addresses(host, port):
            sock = socket.socket(family, kind, protocol)
            try:
                for option in socket_options:
                    sock.setsockopt(*option)
                sock.settimeout(timeout)
                sock.connect(address)
            except OSError as exc:
                sock.close()
                failure = exc
            else:
                return sock
        raise failure or OSError("the host has no address")


def _host_key(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _denied_networks(options: EgressOptions) -> tuple[Network, ...]:
    """The networks to refuse; an empty list of the operator switches the check off."""
    denied: list[Network] = [ipaddress.ip_network(cidr) for cidr in options.denied_cidrs]
    if options.deny_private:
        denied += [ipaddress.ip_network(cidr) for cidr in PRIVATE_NETWORKS]
    if any(_overlap(network, loopback) for network in denied for loopback in _LOOPBACK):
        # connecting to the unspecified address reaches the machine itself
        denied += _THIS_HOST
    return tuple(denied)


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _readings(address: Address) -> list[Address]:
    """The address and the IPv4 addresses that it may be a spelling of."""
    readings: list[Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            readings.append(address.ipv4_mapped)
        if address.sixtofour:
            readings.append(address.sixtofour)
        if address in _NAT64 or int(address) >> 32 == 0:
            # the second form is the old "IPv4-compatible" one; ::1 and :: stay covered as IPv6
            readings.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return readings
