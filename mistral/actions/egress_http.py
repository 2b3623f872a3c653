"""HTTP through the egress guard: every connection, also that of a redirect, is judged.

The adapter reads each answer itself, bounded in size, before anybody else sees it, and a request
with all its redirects has one deadline: neither headers nor a body nor a chain of redirects can
grow or go on without limit.
"""

from __future__ import annotations

import dataclasses
import socket
import ssl
from collections.abc import Mapping
from typing import Any

import requests
import requests.adapters
import requests.cookies
import urllib3
import urllib3.exceptions
from urllib3.util import parse_url

from mistral.actions.bounded import TooMuchSentError
from mistral.actions.deadlines import Deadline
from mistral.actions.egress import EgressDeniedError, EgressGuard
from mistral.actions.egress_connections import Exchange, too_large
from mistral_lib.exceptions import ActionException

CHUNK = 64 * 1024
#: Headers that may follow a redirect to another host: they say what is sent and what is wanted,
#: never who asks or where to answer.
HARMLESS_HEADERS = frozenset(
    (
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-encoding",
        "content-language",
        "content-length",
        "content-type",
        "pragma",
        "transfer-encoding",
        "user-agent",
    )
)


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

    def send(self, request: HTTPRequest) -> requests.Response:
        """Send a request; the answer is complete and within the limits."""
        timeout = request.timeout
        if timeout is None:
            timeout = self.guard.options.default_timeout
        with self.guard.deadline(self._seconds(timeout)) as deadline:
            try:
                answer = self._exchange(request, timeout, Exchange(self.guard, deadline))
                # an answer that ends with its connection looks complete when the deadline ends it
                deadline.remaining()
                return answer
            except (EgressDeniedError, TooMuchSentError) as exc:
                words = str(exc)
            except _FAILURES as exc:
                words = _too_late(deadline) if deadline.is_over else describe_failure(exc)
        raise HTTPRequestError(f"Failed to send HTTP request: {words}") from None

    def _seconds(self, timeout: float | tuple[float, float]) -> float:
        """How long everything may take."""
        wanted = sum(timeout) if isinstance(timeout, tuple) else timeout
        most = self.guard.options.total_timeout
        return min(one for one in (wanted, most) if one) if wanted or most else 0.0

    def _exchange(
        self, request: HTTPRequest, timeout: float | tuple[float, float], exchange: Exchange
    ) -> requests.Response:
        with GuardedSession(exchange) as session:
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


class GuardedSession(requests.Session):
    """A session that ignores the process's environment and guards all its connections."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self.trust_env = False
        self.max_redirects = exchange.guard.options.max_redirects
        self.adapters.clear()
        adapter = GuardedAdapter(exchange)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Let nothing but harmless headers follow a redirect to another host."""
        old, new = response.request.url or "", prepared_request.url or ""
        if self.should_strip_auth(old, new):
            headers = prepared_request.headers
            for name in [name for name in headers if name.lower() not in HARMLESS_HEADERS]:
                del headers[name]
            # the next redirect, which may stay on the new host, makes the header anew from these
            vars(prepared_request)["_cookies"] = requests.cookies.RequestsCookieJar()


class GuardedAdapter(requests.adapters.HTTPAdapter):
    """Connects through the guard and returns answers that are read to their end."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._guard = exchange.guard
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Let all pools of direct connections open guarded ones."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._exchange.pool_classes()

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """A proxy is judged like any other host."""
        url = parse_url(proxy)
        self._guard.check_url(url.scheme, url.host)
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        manager.pool_classes_by_scheme = self._exchange.pool_classes()
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Judge the target of the request, which may be one that a redirect named."""
        deadline = self._exchange.deadline
        deadline.remaining()
        target = parse_url(request.url or "")
        self._guard.check_url(target.scheme, target.host)
        if kwargs.get("proxies"):
            # the proxy will resolve the name itself; ours is the only look we can have at it
            port = target.port or (443 if target.scheme == "https" else 80)
            self._guard.addresses((target.host or "").strip("[]"), port, deadline.remaining())
        kwargs["stream"] = True
        response = super().send(request, *args, **kwargs)
        try:
            body = _read_bounded(response, self._guard.options.max_response_size)
        finally:
            response.close()
        response._content = body
        vars(response)["_content_consumed"] = True
        return response


def _read_bounded(response: requests.Response, limit: int) -> bytes:
    """The decoded body; reading stops as soon as it is too long."""
    declared = response.headers.get("Content-Length", "")
    if limit and declared.isdigit() and int(declared) > limit and response.request.method != "HEAD":
        raise TooMuchSentError(too_large(limit))
    parts: list[bytes] = []
    size = 0
    while True:
        part = response.raw.read1(CHUNK, decode_content=True)
        if not part:
            return b"".join(parts)
        size += len(part)
        if limit and size > limit:
            raise TooMuchSentError(too_large(limit))
        parts.append(part)


def _too_late(deadline: Deadline) -> str:
    return (
        f"the answer timed out, it took too long: more than {deadline.seconds:g} seconds in all "
        "(the parameter 'timeout', [action_std_http] default_timeout and total_timeout)"
    )


_NOT_CONNECTED = urllib3.exceptions.NewConnectionError
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (requests.TooManyRedirects, "too many redirects"),
    (requests.exceptions.InvalidSchema, "only http and https are allowed"),
    (requests.exceptions.MissingSchema, "the URL has no scheme"),
    (requests.exceptions.InvalidURL, "the URL is not valid"),
    (requests.exceptions.InvalidHeader, "a header is not valid"),
    (UnicodeError, "the host's name is not valid"),
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
    (ValueError, "the URL of a redirect, or another part of the answer, is not valid"),
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
