"""HTTP through the egress guard: every connection, also that of a redirect, is judged.

The adapter reads each answer itself, bounded in size and time, before anybody else sees it, so
neither a body nor a chain of redirects can grow without limit.
"""

from __future__ import annotations

import dataclasses
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any

import requests
import requests.adapters
import urllib3
import urllib3.connection
import urllib3.exceptions
from urllib3.util import parse_url

from mistral.actions.egress import EgressDeniedError, EgressGuard
from mistral_lib.exceptions import ActionException

CHUNK = 64 * 1024
#: Headers that authorise something and so must not follow a redirect to another host.
PRIVATE_HEADERS = ("Mistral-Callback-Token", "X-Auth-Token", "X-Subject-Token", "Cookie")


_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


class HTTPRequestError(ActionException):
    """No answer could be had. The text never contains headers, bodies or query strings."""


@dataclasses.dataclass(frozen=True)
class HTTPRequest:
    """One request; what is None takes its default."""

    url: str
    method: str = "GET"
    params: Any = None
    data: Any = None
    json: Any = None
    headers: Mapping[str, Any] | None = None
    cookies: Mapping[str, str] | None = None
    auth: tuple[str, str] | None = None
    timeout: float | tuple[float, float] | None = None
    allow_redirects: bool = True
    proxies: Mapping[str, str] | None = None
    verify: bool | str = True


class EgressHTTP:
    """Sends requests by one guard; safe to share between threads."""

    def __init__(self, guard: EgressGuard) -> None:
        self.guard = guard
        self.pool_classes = _pool_classes(guard)

    def send(self, request: HTTPRequest) -> requests.Response:
        """Send a request; the answer is complete and within the limits."""
        timeout = request.timeout
        if timeout is None:
            timeout = self.guard.options.default_timeout
        with GuardedSession(self) as session:
            try:
                return session.request(
                    request.method,
                    request.url,
                    params=request.params,
                    data=request.data,
                    json=request.json,
                    headers=dict(request.headers or {}),
                    cookies=dict(request.cookies or {}),
                    auth=request.auth,
                    timeout=timeout or None,
                    allow_redirects=request.allow_redirects,
                    proxies=dict(request.proxies or {}),
                    verify=request.verify,
                )
            except EgressDeniedError as exc:
                raise HTTPRequestError(f"Failed to send HTTP request: {exc}") from None
            except _FAILURES as exc:
                words = describe_failure(exc)
                raise HTTPRequestError(f"Failed to send HTTP request: {words}") from None


class GuardedSession(requests.Session):
    """A session that ignores the process's environment and guards all its connections."""

    def __init__(self, http: EgressHTTP) -> None:
        super().__init__()
        self.trust_env = False
        self.max_redirects = http.guard.options.max_redirects
        self.adapters.clear()
        adapter = GuardedAdapter(http)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Also keep other credentials from following a redirect to another host."""
        super().rebuild_auth(prepared_request, response)
        old, new = response.request.url or "", prepared_request.url or ""
        if self.should_strip_auth(old, new):
            for name in PRIVATE_HEADERS:
                prepared_request.headers.pop(name, None)


class GuardedAdapter(requests.adapters.HTTPAdapter):
    """Connects through the guard and returns answers that are read to their end."""

    def __init__(self, http: EgressHTTP) -> None:
        self._http = http
        self._guard = http.guard
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Let all pools of direct connections open guarded ones."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._http.pool_classes

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """A proxy is judged like any other host."""
        url = parse_url(proxy)
        self._guard.check_url(url.scheme, url.host)
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        manager.pool_classes_by_scheme = self._http.pool_classes
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Judge the target of the request, which may be one that a redirect named."""
        target = parse_url(request.url or "")
        self._guard.check_url(target.scheme, target.host)
        if kwargs.get("proxies"):
            # the proxy will resolve the name itself; ours is the only look we can have at it
            port = target.port or (443 if target.scheme == "https" else 80)
            self._guard.addresses((target.host or "").strip("[]"), port)
        deadline = time.monotonic() + (self._guard.options.total_timeout or float("inf"))
        kwargs["stream"] = True
        response = super().send(request, *args, **kwargs)
        try:
            body = _read_bounded(response, self._guard.options.max_response_size, deadline)
        finally:
            response.close()
        response._content = body
        vars(response)["_content_consumed"] = True
        return response


class _GuardedConnect:
    """Mixed into urllib3's connections: replaces how a socket is opened."""

    egress_guard: EgressGuard

    def _new_conn(self) -> socket.socket:
        connection: Any = self
        timeout = connection.timeout
        try:
            return self.egress_guard.connect(
                connection._dns_host,
                connection.port,
                timeout if isinstance(timeout, (int, float)) else None,
                connection.socket_options or (),
            )
        except socket.gaierror as exc:
            raise urllib3.exceptions.NameResolutionError(connection.host, connection, exc) from exc
        except TimeoutError as exc:
            raise urllib3.exceptions.ConnectTimeoutError(connection, "timed out") from exc
        except OSError as exc:
            raise urllib3.exceptions.NewConnectionError(connection, str(exc)) from exc


def _pool_classes(guard: EgressGuard) -> dict[str, Any]:
    """Pools by scheme whose connections are opened by the guard."""
    classes: dict[str, Any] = {}
    for scheme, pool, connection in (
        ("http", urllib3.HTTPConnectionPool, urllib3.connection.HTTPConnection),
        ("https", urllib3.HTTPSConnectionPool, urllib3.connection.HTTPSConnection),
    ):
        body = {"egress_guard": guard}
        guarded = type(f"Guarded{connection.__name__}", (_GuardedConnect, connection), body)
        classes[scheme] = type(f"Guarded{pool.__name__}", (pool,), {"ConnectionCls": guarded})
    return classes


def _read_bounded(response: requests.Response, limit: int, deadline: float) -> bytes:
    """The decoded body; reading stops as soon as it is too long or takes too long."""
    declared = response.headers.get("Content-Length", "")
    if limit and declared.isdigit() and int(declared) > limit and response.request.method != "HEAD":
        raise HTTPRequestError(_too_large(limit))
    parts: list[bytes] = []
    size = 0
    while True:
        part = response.raw.read1(CHUNK, decode_content=True)
        if not part:
            return b"".join(parts)
        size += len(part)
        if limit and size > limit:
            raise HTTPRequestError(_too_large(limit))
        if time.monotonic() > deadline:
            raise HTTPRequestError("Failed to send HTTP request: the answer took too long")
        parts.append(part)


def _too_large(limit: int) -> str:
    return f"Failed to send HTTP request: the response is larger than {limit} bytes"


_NOT_CONNECTED = urllib3.exceptions.NewConnectionError
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (requests.TooManyRedirects, "too many redirects"),
    (requests.exceptions.InvalidSchema, "only http and https are allowed"),
    (requests.exceptions.MissingSchema, "the URL has no scheme"),
    (requests.exceptions.InvalidURL, "the URL is not valid"),
    (requests.exceptions.InvalidHeader, "a header is not valid"),
    (requests.exceptions.InvalidProxyURL, "the URL of the proxy is not valid"),
    (ssl.SSLCertVerificationError, "the certificate could not be verified"),
    (ssl.SSLError, "TLS failed"),
    (requests.exceptions.SSLError, "TLS failed"),
    (urllib3.exceptions.SSLError, "TLS failed"),
    (socket.gaierror, "the host's name could not be resolved"),
    (urllib3.exceptions.NameResolutionError, "the host's name could not be resolved"),
    (urllib3.exceptions.ConnectTimeoutError, "connecting timed out"),
    (requests.ConnectTimeout, "connecting timed out"),
    (urllib3.exceptions.TimeoutError, "the answer timed out"),
    (requests.Timeout, "the answer timed out"),
    (TimeoutError, "the answer timed out"),
    (ConnectionRefusedError, "the connection was refused"),
    (ConnectionResetError, "the connection was reset"),
    (requests.exceptions.ProxyError, "the proxy failed"),
    (requests.exceptions.ContentDecodingError, "the answer could not be decoded"),
    (urllib3.exceptions.DecodeError, "the answer could not be decoded"),
    (urllib3.exceptions.ProtocolError, "the connection was broken"),
)


def describe_failure(exc: BaseException) -> str:
    """Words for a failure; libraries' own texts quote URLs and so may quote secrets."""
    # urllib3 calls every failed connection a kind of timeout; its cause says more
    chain = [link for link in _chain(exc) if type(link) is not _NOT_CONNECTED]
    for kind, words in _KINDS:
        if any(isinstance(link, kind) for link in chain):
            return words
    for link in reversed(chain):
        if type(link) is OSError and link.strerror:
            return link.strerror
    return f"unexpected {type(exc).__name__}"


def _chain(exc: BaseException | None) -> Any:
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        yield exc
        reason = getattr(exc, "reason", None)
        first = exc.args[0] if exc.args else None
        inner = next((i for i in (reason, first) if isinstance(i, BaseException)), None)
        exc = inner or exc.__cause__ or exc.__context__
