"""Layers of the WSGI application that are ours; :mod:`mistral.api.app` puts them in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from mistral import exceptions as exc
from mistral.api.errors import NotBuiltException
from mistral.api.requests import ApiRequest
from mistral.api.responses import empty, fault
from mistral.api.routes import Routes
from mistral.context import RequestContext
from mistral.utils import json

LOG = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

REQUEST: Final = "mistral.request"
"""Where layers below the routing find the :class:`ApiRequest` in the WSGI environment."""

_NO_GUESSING: Final = ("X-Content-Type-Options", "nosniff")


class NoGuessing:
    """Tells browsers to believe what every answer says of itself."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            return start_response(status, [*headers, _NO_GUESSING], *error)

        return self._app(environ, start)


class Faults:
    """The one place where errors become answers."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return self._app(environ, start_response)
        except exc.MistralError as error:
            told = error
            if error.http_code >= 500 and not isinstance(error, NotBuiltException):
                LOG.warning("%s %s: %s", *_asked(environ), error)
        except (
            Exception
        ):  # the edge of the application: the log gets the cause, the caller does not
            told = exc.MistralError("Internal server error.")
            LOG.exception("%s %s failed", *_asked(environ))
        request: ApiRequest | None = environ.get(REQUEST)
        is_text = request is not None and request.route.text
        return fault(told, is_text)(environ, start_response)


class Routing:
    """Finds the route of a request; answers OPTIONS for all of them."""

    def __init__(
        self,
        app: WsgiApp,
        routes: Routes,
        body_limit: int,
        containers: json.ContainerLimit,
        public_url: str | None,
    ) -> None:
        self._app = app
        self._routes = routes
        self._body_limit = body_limit
        self._containers = containers
        self._public_url = public_url

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        verb, path = environ["REQUEST_METHOD"], _path(environ)
        if verb == "OPTIONS":
            self._routes.verbs(path)
            return empty(200)(environ, start_response)
        route, arguments = self._routes.match(verb, path)
        request = ApiRequest(environ)
        request.route, request.arguments = route, arguments
        request.body_limit = self._body_limit
        request.containers = self._containers
        request.public_url = self._public_url
        environ[REQUEST] = request
        return self._app(environ, start_response)


class Identity:
    """Finds out who asks, unless anybody may.

    :param authenticate: from the WSGI environment; raises UnauthorizedException.
    """

    def __init__(
        self, app: WsgiApp, authenticate: Callable[[Mapping[str, Any]], RequestContext]
    ) -> None:
        self._app = app
        self._authenticate = authenticate

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request: ApiRequest = environ[REQUEST]
        if not request.route.open:
            request.caller = self._authenticate(environ)
        return self._app(environ, start_response)


def _path(environ: Environ) -> str:
    try:
        # PEP 3333: the bytes of the path, one per character
        path = str(environ.get("PATH_INFO") or "/").encode("latin-1").decode()
    except UnicodeError as error:
        raise exc.NotFoundException("The path is not UTF-8 text.") from error
    if "\0" in path:
        # nothing has such a name, and not every database can be asked for it
        raise exc.NotFoundException("The path contains the character NUL.")
    return path


def _asked(environ: Environ) -> tuple[str, str]:
    """Verb and path, for the log."""
    path = environ.get("PATH_INFO", "").encode("latin-1", "replace").decode(errors="replace")
    return environ["REQUEST_METHOD"], path
