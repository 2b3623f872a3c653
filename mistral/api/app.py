"""The WSGI application: the only place where its layers are put on top of each other."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any, Final

from oslo_middleware import cors, http_proxy_to_wsgi
from pecan import core

from mistral.api.browsers import BrowserGuard
from mistral.api.dependencies import ApiDependencies, ApiOptions
from mistral.api.layers import (
    REQUEST,
    Environ,
    Faults,
    Identity,
    NoGuessing,
    Routing,
    StartResponse,
    WsgiApp,
)
from mistral.api.maintenance import MaintenanceGuard, MaintenanceMode
from mistral.api.requests import ApiRequest
from mistral.api.responses import Response
from mistral.api.routes import Routes
from mistral.api.url_map import all_routes
from mistral.utils import json


@dataclasses.dataclass(frozen=True)
class Parts:
    """What layers are made of."""

    dependencies: ApiDependencies
    routes: Routes
    mode: MaintenanceMode

    @property
    def options(self) -> ApiOptions:
        """Those of the API."""
        return self.dependencies.options


Layer = Callable[[WsgiApp, Parts], WsgiApp]


def no_guessing(app: WsgiApp, _parts: Parts) -> WsgiApp:
    """Browsers are not to guess what an answer is."""
    return NoGuessing(app)


def proxy_headers(app: WsgiApp, parts: Parts) -> WsgiApp:
    """If enabled: addresses are those that a proxy was asked for."""
    if not parts.options.proxy_headers:
        return app
    options = {"enable_proxy_headers_parsing": "true"}
    return http_proxy_to_wsgi.HTTPProxyToWSGI(app, options)


def cross_origin(app: WsgiApp, parts: Parts) -> WsgiApp:
    """If pages of others may ask: what their browsers want to be told about it."""
    if not _origins(parts):
        return app
    return cors.CORS(app, dict(parts.options.cors))


def faults(app: WsgiApp, _parts: Parts) -> WsgiApp:
    """Errors become answers."""
    return Faults(app)


def browser_guard(app: WsgiApp, parts: Parts) -> WsgiApp:
    """Without authentication: what pages of others ask is refused."""
    hosts = parts.options.hosts
    return app if hosts is None else BrowserGuard(app, hosts, _origins(parts))


def routing(app: WsgiApp, parts: Parts) -> WsgiApp:
    """The route by path and verb."""
    options = parts.options
    containers = json.ContainerLimit(options.max_json_containers, "[api] max_json_containers")
    return Routing(app, parts.routes, options.max_request_body_size, containers, options.public_url)


def identity(app: WsgiApp, parts: Parts) -> WsgiApp:
    """Who asks."""
    return Identity(app, parts.dependencies.authenticate)


def maintenance_guard(app: WsgiApp, parts: Parts) -> WsgiApp:
    """In maintenance: what writes is refused."""
    return MaintenanceGuard(app, parts.mode)


def _origins(parts: Parts) -> Iterable[str]:
    return parts.options.cors.get("allowed_origin") or ()


#: From the outside in. Before all of it a server has read the request completely; the built-in one
#: has chosen a worker for it, too, by the lane of its route. After all of it a handler that waits
#: for engines or executors has to be admitted (:mod:`mistral.api.admission`).
STACK: Final[tuple[Layer, ...]] = (
    # outermost, because it concerns every answer: those of all other layers, too
    no_guessing,
    # before whatever looks at the address: the guard of browsers, and links in answers
    proxy_headers,
    # above the faults: a page may read why it was refused only if the refusal has these headers;
    # above the guard: preliminary questions are answered here and go no further
    cross_origin,
    # above all that refuses; below, layers and handlers simply raise
    faults,
    # before the routing: pages of others do not even learn which paths there are
    browser_guard,
    # before what depends on the route: whether a caller must be known, whether it writes
    routing,
    # before the maintenance: whoever is not known is told nothing of it, and costs no statement
    identity,
    # last, because it may have to read the body
    maintenance_guard,
)


class Application(core.ExplicitPecan):
    """Pecan, with the route in the place of its own way from path to handler.

    Pecan walks object trees, guesses by content types and inspects signatures anew on each
    request, which takes longer than reading a row.
    """

    def __init__(self) -> None:
        super().__init__(
            None,
            hooks=[],
            request_cls=_routed_request,
            response_cls=Response,
            guess_content_type_from_ext=False,
            force_canonical=False,
        )

    def find_controller(self, state: core.RoutingState) -> tuple[Any, list[Any], dict[str, Any]]:
        """The handler of a request and its arguments; Pecan calls this first."""
        request: ApiRequest = state.request
        return request.route.handler, [request, *request.arguments], {}

    def invoke_controller(
        self, controller: Any, args: list[Any], kwargs: dict[str, Any], state: core.RoutingState
    ) -> None:
        """Run the handler; it answers with the whole response."""
        state.response = controller(*args)

    def _handle_empty_response_body(self, state: core.RoutingState) -> None:
        """Leave answers as they are: each handler says whether it is 200 or 204."""


def _routed_request(environ: Environ) -> ApiRequest:
    request: ApiRequest = environ[REQUEST]
    return request


class Api:
    """The application within its layers, and what a server has to know of it."""

    def __init__(self, dependencies: ApiDependencies) -> None:
        mode = MaintenanceMode(dependencies.database)
        self.routes = Routes(all_routes(dependencies, mode))
        parts = Parts(dependencies, self.routes, mode)
        application: WsgiApp = Application()
        self._outermost = functools.reduce(
            lambda app, layer: layer(app, parts), reversed(STACK), application
        )

    def lane(self, method: str, path: str) -> str:
        """The kind of a request (:mod:`mistral.api.lanes`)."""
        return self.routes.lane(method, path)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return self._outermost(environ, start_response)


def create_app(dependencies: ApiDependencies) -> Api:
    """The API over the given parts of the service."""
    return Api(dependencies)
