"""The WSGI application: the only place where middleware is assembled.

From the outside in:

1. what every answer says: browsers are not to guess what it is;
2. proxy headers, if enabled: behind a proxy, addresses in answers are those that clients use;
3. CORS, if pages of others may ask: it answers their browsers' preliminary questions;
4. without authentication, refusal of what pages of others ask (:mod:`mistral.api.browsers`), by the
   host that the proxy was asked for;
5. the Pecan application: routing, the caller's identity, maintenance, the handler, errors to
   faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from oslo_middleware import cors, http_proxy_to_wsgi
from pecan import core

from mistral import exceptions as exc
from mistral.api.browsers import BrowserGuard
from mistral.api.controllers.root import all_routes
from mistral.api.dependencies import ApiDependencies
from mistral.api.hooks import ErrorHook
from mistral.api.maintenance import MaintenanceGuard
from mistral.api.requests import ApiRequest
from mistral.api.responses import Response
from mistral.api.routes import Routes

_NO_GUESSING = ("X-Content-Type-Options", "nosniff")

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Application(core.ExplicitPecan):
    """Pecan with our own way from path to handler.

    Pecan walks object trees, guesses by content types and inspects signatures anew on each
    request, which takes longer than reading a row. A prepared table answers at once; request and
    response objects, hooks and the handling of errors are Pecan's.
    """

    def __init__(self, dependencies: ApiDependencies) -> None:
        super().__init__(
            None,
            hooks=[ErrorHook()],
            request_cls=ApiRequest,
            response_cls=Response,
            guess_content_type_from_ext=False,
            force_canonical=False,
        )
        self._routes = Routes(all_routes(dependencies))
        self._authenticate = dependencies.authenticate
        self._maintenance = MaintenanceGuard(dependencies.database)
        self._body_limit = dependencies.options.max_request_body_size
        self._public_url = dependencies.options.public_url

    def find_controller(self, state: core.RoutingState) -> tuple[Any, list[Any], dict[str, Any]]:
        """The handler of a request and its arguments; Pecan calls this first."""
        request: ApiRequest = state.request
        environ = request.environ
        found = self._routes.match(environ["REQUEST_METHOD"], _path(environ))
        request.is_text = found.text
        request.body_limit = self._body_limit
        request.public_url = self._public_url
        if not found.open:
            request.caller = self._authenticate(environ)
        self._maintenance.check(request, found.path)
        return found.handler, [request, *found.arguments], {}

    def lane(self, method: str, path: str) -> str:
        """The kind of a request (:mod:`mistral.api.lanes`)."""
        return self._routes.lane(method, path)

    def invoke_controller(
        self, controller: Any, args: list[Any], kwargs: dict[str, Any], state: core.RoutingState
    ) -> None:
        """Run the handler; it answers with the whole response."""
        state.response = controller(*args)

    def _handle_empty_response_body(self, state: core.RoutingState) -> None:
        """Leave answers as they are: each handler says whether it is 200 or 204."""


def _path(environ: dict[str, Any]) -> str:
    try:
        # PEP 3333: the bytes of the path, one per character
        path = str(environ.get("PATH_INFO") or "/").encode("latin-1").decode()
    except UnicodeError as error:
        raise exc.NotFoundException("The path is not UTF-8 text.") from error
    if "\0" in path:
        # nothing has such a name, and not every database can be asked for it
        raise exc.NotFoundException("The path contains the character NUL.")
    return path


class Api:
    """The application within its middleware, and what a server has to know of it."""

    def __init__(self, dependencies: ApiDependencies) -> None:
        application = Application(dependencies)
        self.lane = application.lane
        self._outermost: WsgiApp = application
        options = dependencies.options
        origins = options.cors.get("allowed_origin") or ()
        if options.hosts is not None:
            self._outermost = BrowserGuard(self._outermost, options.hosts, origins)
        if origins:
            self._outermost = cors.CORS(self._outermost, dict(options.cors))
        if options.proxy_headers:
            self._outermost = http_proxy_to_wsgi.HTTPProxyToWSGI(
                self._outermost, {"enable_proxy_headers_parsing": "true"}
            )

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            return start_response(status, [*headers, _NO_GUESSING], *error)

        return self._outermost(environ, start)


def create_app(dependencies: ApiDependencies) -> Api:
    """The API over the given parts of the service."""
    return Api(dependencies)
