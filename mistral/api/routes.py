"""From path and verb to handler: the table is in :mod:`mistral.api.controllers.root`.

A path may end with a slash and spell collections with hyphens (doc:rest/conventions#paths).
Nothing here looks at a handler's signature while a request waits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from mistral import exceptions as exc
from mistral.api import lanes
from mistral.api.errors import MethodNotAllowedException
from mistral.api.responses import Response, empty

Handler = Callable[..., Response]

_ALIASES: Final = {
    name.replace("_", "-"): name
    for name in (
        "action_executions",
        "workflow_executions",
        "cron_triggers",
        "event_triggers",
        "code_sources",
        "dynamic_actions",
    )
}


@dataclasses.dataclass(frozen=True)
class Route:
    """One path: its handlers by verb.

    ``text`` marks the endpoints that take a document and have plain faults, ``open`` those that
    need no credentials. ``lanes`` names the kind of a verb's requests, if they are not quick.
    """

    path: str
    handlers: Mapping[str, Handler]
    text: frozenset[str] = frozenset()
    open: bool = False
    lanes: Mapping[str, str] = dataclasses.field(default_factory=dict)


class _Node:
    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.route: Route | None = None


@dataclasses.dataclass(frozen=True)
class Match:
    """A handler found, its route's path, and the variable segments of the one asked for."""

    handler: Handler
    path: str
    arguments: tuple[str, ...]
    text: bool
    open: bool


def _options(_request: Any, *_arguments: str) -> Response:
    return empty(200)


class Routes:
    """All paths of the service."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            node = self._root
            for segment in route.path.strip("/").split("/"):
                if segment.startswith("{"):
                    node.any = node = node.any or _Node()
                else:
                    node = node.children.setdefault(segment, _Node())
            node.route = route

    def match(self, method: str, path: str) -> Match:
        """The handler of a request.

        :raises NotFoundException: no such path.
        :raises MethodNotAllowedException: the path doesn't have this verb.
        """
        segments = _segments(path)
        found = self._find(segments)
        if found is None:
            raise exc.NotFoundException(f"The resource could not be found: {path}")
        route, arguments = found
        if method == "OPTIONS":
            return Match(_options, route.path, (), False, True)
        handler = route.handlers.get(method)
        if handler is None:
            raise MethodNotAllowedException(
                f"Method {method} is not allowed for {path}", route.handlers
            )
        return Match(handler, route.path, arguments, method in route.text, route.open)

    def lane(self, method: str, path: str) -> str:
        """The kind of a request, whether it will be served or refused."""
        found = self._find(_segments(path))
        return lanes.QUICK if found is None else found[0].lanes.get(method, lanes.QUICK)

    def _find(self, segments: list[str]) -> tuple[Route, tuple[str, ...]] | None:
        node, arguments = self._root, []
        for segment in segments:
            # only names of collections have aliases, never what a user has named
            name = _ALIASES.get(segment, segment)
            child = node.children.get(name)
            if child is None:
                child = node.any
                if child is None:
                    return None
                arguments.append(segment)
            node = child
        return (node.route, tuple(arguments)) if node.route is not None else None


def _segments(path: str) -> list[str]:
    segments = path.split("/")[1:]
    if len(segments) > 1 and not segments[-1]:
        segments.pop()
    if len(segments) >= 6:
        return _without_doubled_callback(segments)
    return segments


def _without_doubled_callback(segments: list[str]) -> list[str]:
    # a callback address that contains the path already, with the path appended once more
    names = [_ALIASES.get(segment, segment) for segment in segments[-6:]]
    once = names[:3]
    if once == names[3:] and once[:2] == ["v2", "action_executions"]:
        return segments[-3:]
    return segments
