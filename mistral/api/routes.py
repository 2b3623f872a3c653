"""From path and verb to a route; the table of all routes is :mod:`mistral.api.url_map`.

A path may end with a slash, and each ``_`` in its fixed segments may be a hyphen
(doc:rest/conventions#paths). Nothing here looks at a handler's signature while a request waits.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from mistral import exceptions as exc
from mistral.api import lanes
from mistral.api.errors import MethodNotAllowedException
from mistral.api.responses import Response

Handler = Callable[..., Response]

OPEN: Final = "open"
"""The permission that everybody has, even without credentials."""
AUTHENTICATED: Final = "authenticated"
"""The permission that everybody has who has shown who they are: no rule of a policy narrows it."""


class Exemption(enum.Enum):
    """What passes in maintenance although its route writes."""

    MODE = enum.auto()
    """All requests: they end the maintenance."""
    CANCELLATIONS = enum.auto()
    """Those that cancel an execution: it will not be in the way any more."""


@dataclasses.dataclass(frozen=True)
class Route:
    """One verb of a path, and all that is known of its requests before one comes.

    :param path: its variable segments, in braces, are the handler's arguments after the request.
    :param permission: the policy's rule that its callers have to satisfy, as ``executions:create``,
        or :data:`OPEN` or :data:`AUTHENTICATED`.
    :param writes: it waits while the service is in maintenance, but for what is ``exempt``.
    :param callback: third parties deliver results here. They are taken while the service is being
        paused, because what still runs ends by them; and the path may follow itself once more, for
        those who have appended it to an address that contained it already.
    :param lane: which workers serve it (:mod:`mistral.api.lanes`).
    :param text: it takes or shows a document as it is, and its faults are plain.
    """

    verb: str
    path: str
    handler: Handler
    permission: str
    writes: bool = False
    exempt: Exemption | None = None
    callback: bool = False
    lane: str = lanes.QUICK
    text: bool = False

    @property
    def open(self) -> bool:
        """Whether nobody has to show who they are."""
        return self.permission == OPEN


class _Node:
    """One segment of paths."""

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.routes: dict[str, Route] = {}

    def below(self, segment: str) -> _Node:
        """The next segment's node, made if there is none yet."""
        if segment.startswith("{"):
            self.any = self.any or _Node()
            return self.any
        node = self.children.setdefault(segment, _Node())
        # only fixed segments have another spelling, never what a user has named
        self.children[segment.replace("_", "-")] = node
        return node


_Found = tuple[_Node, tuple[str, ...]]


class Routes:
    """All paths of the service."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.all: Final = tuple(routes)
        self._root = _Node()
        self._callback_sizes: set[int] = set()
        for route in self.all:
            self._add(route)

    def _add(self, route: Route) -> None:
        segments = route.path.strip("/").split("/")
        node = self._root
        for segment in segments:
            node = node.below(segment)
        if route.verb in node.routes:
            raise ValueError(f"{route.verb} {route.path} is there twice")
        node.routes[route.verb] = route
        if route.callback:
            self._callback_sizes.add(len(segments))

    def match(self, verb: str, path: str) -> tuple[Route, tuple[str, ...]]:
        """The route of a request, and the variable segments of the path.

        :raises NotFoundException: no such path.
        :raises MethodNotAllowedException: the path doesn't have this verb.
        """
        node, arguments = self._require(path)
        route = node.routes.get(verb)
        if route is None:
            raise MethodNotAllowedException(f"Method {verb} is not allowed for {path}", node.routes)
        return route, arguments

    def verbs(self, path: str) -> Collection[str]:
        """What may be done with a path.

        :raises NotFoundException: no such path.
        """
        return self._require(path)[0].routes.keys()

    def lane(self, verb: str, path: str) -> str:
        """The kind of a request, whether it will be served or refused."""
        found = self._find(path)
        route = None if found is None else found[0].routes.get(verb)
        return lanes.QUICK if route is None else route.lane

    def _require(self, path: str) -> _Found:
        found = self._find(path)
        if found is None:
            raise exc.NotFoundException(f"The resource could not be found: {path}")
        return found

    def _find(self, path: str) -> _Found | None:
        segments = path.split("/")[1:]
        if len(segments) > 1 and not segments[-1]:
            segments.pop()
        return self._walk(segments) or self._walk_doubled(segments)

    def _walk(self, segments: Sequence[str]) -> _Found | None:
        node, arguments = self._root, []
        for segment in segments:
            child = node.children.get(segment)
            if child is None:
                child = node.any
                if child is None:
                    return None
                arguments.append(segment)
            node = child
        return (node, tuple(arguments)) if node.routes else None

    def _walk_doubled(self, segments: Sequence[str]) -> _Found | None:
        """A callback's path at the end of an address that ends with the same path."""
        for size in self._callback_sizes:
            found = self._walk(segments[-size:])
            if (
                found is not None
                and any(route.callback for route in found[0].routes.values())
                and self._walk(segments[-2 * size : -size]) == found
            ):
                return found
        return None
