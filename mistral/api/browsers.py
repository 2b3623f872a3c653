"""Protection from what a browser is made to send by other people's pages.

Without authentication, whoever can send a request to the service may do everything; a browser can,
for any page that its user looks at: to the service's own address, or to a name of the page's owner
that suddenly means the service's address. Such requests name an origin, a host or a relation that
is none of ours. Programs send none of these, or the address that they were told.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import re
import socket
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from mistral import exceptions as exc
from mistral.api.errors import UnsupportedMediaTypeException
from mistral.api.layers import Environ, StartResponse, WsgiApp

_PLACE: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
_ORIGIN: Final = re.compile(r"(https?)://(.+)")
_PORTS: Final = {"http": 80, "https": 443}
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})
ALL: Final = "*"
_REMEMBERED: Final = 256
"""Names of which it is remembered whether they are this machine's."""

Place = tuple[str, int | None]


def parse_place(text: str) -> Place | None:
    """Host and port of ``host``, ``host:port``, ``[::1]`` or ``[::1]:port``; None if it is none."""
    found = _PLACE.fullmatch(text.strip().lower())
    if found is None:
        return None
    host = found[1].strip("[]").removesuffix(".")
    return host, None if found[2] is None else int(found[2])


@dataclasses.dataclass(frozen=True)
class Hosts:
    """The names of the service.

    :param own: those that this machine gives it.
    :param port: the one it listens on.
    :param is_on_all: whether it listens on all addresses of this machine.
    :param allowed: what an operator has allowed beside: ``host``, ``host:port`` or ``*``.
    """

    own: frozenset[str]
    port: int
    is_on_all: bool = False
    allowed: tuple[str, ...] = ()

    @classmethod
    def bound_to(cls, host: str, port: int, allowed: Collection[str] = ()) -> Hosts:
        """Those of a server with this bind address: it, localhost and the machine's names."""
        for entry in allowed:
            if entry != ALL and parse_place(entry) is None:
                raise exc.ConfigurationError(
                    f"[api] allowed_hosts: '{entry}' is no host: write name, name:port, [IPv6 "
                    "address], or a single * for all."
                )
        is_on_all = host in _ANY_ADDRESS
        names = {socket.gethostname(), socket.getfqdn()}
        own = {name.lower() for name in names | (set() if is_on_all else {host})}
        return cls(_LOOPBACK | own, port, is_on_all, tuple(allowed))

    def has(self, place: Place) -> bool:
        """Whether a request may be addressed to it; the port may be that of some forwarder."""
        return self.is_own(place[0]) or self.is_allowed(place)

    def is_own(self, host: str) -> bool:
        """Whether it is this machine, as far as the service listens there."""
        return host in self.own or (self.is_on_all and _is_address_of_this_machine(host))

    def is_allowed(self, place: Place) -> bool:
        """Whether an operator has named it; without a port, any is meant."""
        wanted = [(place[0], None), place]
        return any(entry == ALL or parse_place(entry) in wanted for entry in self.allowed)


def _is_address_of_this_machine(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if address.is_unspecified or address.is_multicast:
        return False
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        # only addresses of this machine can be bound to
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


class BrowserGuard:
    """Middleware that refuses what other people's pages ask, and bodies without a type.

    :param origins: pages that may ask ([cors] allowed_origin).
    """

    def __init__(self, app: WsgiApp, hosts: Hosts, origins: Iterable[str] = ()) -> None:
        self._app = app
        self._hosts = hosts
        # questions to the operating system, repeated by most requests; callers choose the names
        self._has = functools.lru_cache(maxsize=_REMEMBERED)(hosts.has)
        self._is_own = functools.lru_cache(maxsize=_REMEMBERED)(hosts.is_own)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        self._check(environ)
        return self._app(environ, start_response)

    def _check(self, environ: Mapping[str, Any]) -> None:
        host = environ.get("HTTP_HOST")
        if host is not None:
            self._check_host(host)
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None:
            self._check_origin(origin, host or "", environ["wsgi.url_scheme"])
        if environ.get("HTTP_SEC_FETCH_SITE", "").lower() == "cross-site" and not (
            origin is not None and self._is_welcome(origin)
        ):
            raise exc.NotAllowedException(
                "A page of another site has sent this request. Without authentication only those "
                "are served that [cors] allowed_origin or [api] allowed_hosts names."
            )
        if _has_body(environ) and not environ.get("CONTENT_TYPE"):
            # a page may send it to any site, without asking
            raise UnsupportedMediaTypeException(
                "The request's body has no Content-Type: send application/json, or text/plain for "
                "definitions."
            )

    def _check_host(self, host: str) -> None:
        place = parse_place(host)
        if place is None or not self._has(place):
            raise exc.NotAllowedException(
                f"This service is not called {host[:300]!r}. Without authentication it answers to "
                "its own address and names only, and to those in [api] allowed_hosts."
            )

    def _check_origin(self, origin: str, host: str, scheme: str) -> None:
        if not (self._is_same(origin, host, scheme) or self._is_welcome(origin)):
            raise exc.NotAllowedException(
                f"Pages of {origin[:300]!r} may not send requests. Without authentication only "
                "those may that [cors] allowed_origin or [api] allowed_hosts names."
            )

    def _is_same(self, origin: str, host: str, scheme: str) -> bool:
        """Whether it is a page of the service: at the address asked, or at its own port."""
        place = _place_of(origin)
        if place is None:
            return False
        asked = parse_place(host)
        if asked is not None and place in (asked, (asked[0], asked[1] or _PORTS.get(scheme))):
            return True
        # a proxy may have ended TLS and told nothing of it
        if asked is not None and asked[1] is None and asked[0] == place[0]:
            return place[1] in _PORTS.values()
        return self._is_own(place[0]) and place[1] == self._hosts.port

    def _is_welcome(self, origin: str) -> bool:
        if origin.lower() in self._origins or ALL in self._origins:
            return True
        place = _place_of(origin)
        return place is not None and self._hosts.is_allowed(place)


def _place_of(origin: str) -> Place | None:
    found = _ORIGIN.fullmatch(origin.strip().lower())
    place = None if found is None else parse_place(found[2])
    if found is None or place is None:
        return None
    return place[0], place[1] or _PORTS[found[1]]


def _has_body(environ: Mapping[str, Any]) -> bool:
    return "HTTP_TRANSFER_ENCODING" in environ or environ.get("CONTENT_LENGTH") not in (
        None,
        "",
        "0",
    )
