"""Where requests to the outside may go: the one policy for actions, webhooks and the like.

A name is resolved once and every address it has is judged; the caller then connects to such a
judged address, not to the name, so a name that changes its mind between check and connection
gains nothing. :mod:`mistral.actions.egress_http` applies this to HTTP.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence

from mistral.actions import addresses
from mistral.actions.addresses import Address, Network
from mistral.actions.deadlines import Deadline
from mistral.actions.lookups import AddressInfo, Lookups, Resolver, resolve
from mistral.utils.worker_pool import DeadlineWatch
from mistral_lib.exceptions import ActionException

DEFAULT_DENIED = ("127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10")

_SECTION = "[action_std_http]"


class EgressDeniedError(ActionException):
    """The policy forbids the target of a request."""


@dataclasses.dataclass(frozen=True)
class EgressOptions:
    """What the operator allows (doc:operating#egress).

    Without ``denied_cidrs`` no address is denied at all. With them, metadata services and what
    is no single machine's address are, too; with a part of the loopback network among them, also
    whatever else reaches this machine. ``allowed_cidrs`` win over all of that.

    ``default_timeout`` is how long a request may take in all when its action names no time,
    ``total_timeout`` how long whatever the action says; 0 lifts each of the limits.
    """

    allowed_hosts: tuple[str, ...] = ()
    denied_cidrs: tuple[str, ...] = DEFAULT_DENIED
    allowed_cidrs: tuple[str, ...] = ()
    deny_private: bool = False
    default_timeout: float = 60.0
    total_timeout: float = 900.0
    max_response_size: int = 5 * 1024 * 1024
    max_header_size: int = 256 * 1024
    max_redirects: int = 10
    max_json_containers: int = 1_000_000


class AddressPolicy:
    """Which addresses may be connected to."""

    def __init__(
        self,
        options: EgressOptions,
        own_addresses: Callable[[], Iterable[Address]] = addresses.own_addresses,
    ) -> None:
        listed = addresses.networks(*options.denied_cidrs)
        self._allowed = addresses.networks(*options.allowed_cidrs)
        self._rules: list[tuple[tuple[Network, ...], str]] = [(listed, "denied_cidrs")]
        self._own_addresses: Callable[[], Iterable[Address]] = tuple
        if any(addresses.overlap(one, loop) for one in listed for loop in addresses.LOOPBACK):
            self._rules.append((addresses.THIS_HOST, "denied_cidrs"))
            self._own_addresses = own_addresses
        if listed:
            self._rules.append((addresses.METADATA + addresses.SPECIAL, "denied_cidrs"))
        if options.deny_private:
            self._rules.append((addresses.PRIVATE, "deny_private"))

    def denying_option(self, text: str) -> str | None:
        """The option that forbids an address; None when it may be connected to."""
        readings = addresses.readings(ipaddress.ip_address(text.partition("%")[0]))
        judged = [one for one in readings if not addresses.is_in(one, self._allowed)]
        for networks, option in self._rules:
            if any(addresses.is_in(address, networks) for address in judged):
                return option
        # the loopback network has rules of its own
        own = {a for a in self._own_addresses() if not addresses.is_in(a, addresses.LOOPBACK)}
        return "denied_cidrs" if own.intersection(judged) else None


class EgressGuard:
    """Judges hosts and addresses, and opens connections to judged addresses only."""

    def __init__(
        self,
        options: EgressOptions | None = None,
        resolver: Resolver = resolve,
        policy: AddressPolicy | None = None,
    ) -> None:
        self.options = options or EgressOptions()
        self._lookups = Lookups(resolver)
        self._watch = DeadlineWatch("egress-deadlines")
        self._policy = policy or AddressPolicy(self.options)
        self._allowed = frozenset(_host_key(host) for host in self.options.allowed_hosts)

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
            raise EgressDeniedError(
                f"the host is not allowed [host={host}, option={_SECTION} allowed_hosts]"
            )

    def is_denied(self, text: str) -> bool:
        """Whether an address may not be connected to."""
        return self._policy.denying_option(text) is not None

    def deadline(self, seconds: float) -> Deadline:
        """The end of one conversation: it is given to :meth:`connect`."""
        return Deadline(self._watch, seconds)

    def addresses(
        self, host: str, port: int, timeout: float | None = None
    ) -> Sequence[AddressInfo]:
        """Resolve a host; one forbidden address among several forbids them all."""
        self.check_host(host)
        found = self._lookups.find(host, port, timeout)
        for address in dict.fromkeys(info[4][0] for info in found):
            option = self._policy.denying_option(address)
            if option:
                raise EgressDeniedError(
                    f"the host's address is not allowed [host={host}, option={_SECTION} {option}]"
                )
        return found

    def connect(
        self,
        host: str,
        port: int,
        timeout: float | None,
        deadline: Deadline | None = None,
        socket_options: Sequence[tuple[int, int, int]] = (),
    ) -> socket.socket:
        """A connection to the first judged address that answers.

        :param timeout: of the look-up, of each try, and later of each wait for the other side.
        """
        failure: OSError | None = None
        deadline = deadline or self.deadline(0)
        found = self.addresses(host, port, deadline.shorten(timeout))
        for family, kind, protocol, _, address in found:
            limit = deadline.shorten(timeout)
            sock = socket.socket(family, kind, protocol)
            try:
                for option in socket_options:
                    sock.setsockopt(*option)
                sock.settimeout(limit)
                sock.connect(address)
                sock.settimeout(timeout)
                deadline.watch_socket(sock)
            except OSError as exc:
                sock.close()
                failure = exc
            else:
                return sock
        raise failure or OSError("the host has no address")


def _host_key(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def host_and_port(text: str, default_port: int) -> tuple[str, int]:
    """The parts of ``host``, ``host:port``, ``[address]:port`` or an address; ValueError."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    if not host or (port and not (port.isdecimal() and 0 < int(port) < 65536)):
        raise ValueError("it must have the form 'host' or 'host:port'")
    return host, int(port or default_port)
