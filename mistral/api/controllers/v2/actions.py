"""``/v2/actions`` (doc:rest/actions): actions that are shipped, plugged in or stored by users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mistral import exceptions as exc
from mistral.actions.descriptors import ActionDescriptor, AdHocActionDescriptor
from mistral.api.controllers.v2.documents import (
    advise,
    namespace_of,
    scope_of,
    validates,
    verdict,
    with_warnings,
)
from mistral.api.dependencies import ApiDependencies
from mistral.api.lists import ListRequest, Lists, document, read_list_request
from mistral.api.requests import ApiRequest
from mistral.api.resources.definitions import ACTION
from mistral.api.responses import Response, answer, empty
from mistral.db.reading.filters import Kind
from mistral.db.reading.queries import PageQuery
from mistral.utils import json

_KINDS: Mapping[str, Kind] = {
    **{name: column.kind for name, column in ACTION.listing.columns.items()},
    "is_system": Kind.FLAG,
}
"""Kinds of what this list sorts and filters in memory."""

_STORED = tuple(name for name in ACTION.shown if name != "is_system")


class ActionsController:
    """All kinds of actions."""

    def __init__(self, deps: ApiDependencies) -> None:
        self._definitions = deps.definitions
        self._options = deps.options
        self._database = deps.database
        self._system_actions = deps.system_actions
        self._lists = Lists(deps.database, ACTION, deps.options.max_limit)

    def get_all(self, request: ApiRequest) -> Response:
        """List the actions of one namespace; in the default one also those of the service."""
        # no namespace asked for means the default one
        query = {**request.query, "namespace": namespace_of(request)}
        wanted = read_list_request(ACTION, query, _UNLIMITED, _KINDS)
        # one collection of two sources, small enough to be put in order here
        items = self._system() + self._adhoc(request)
        page = _page(items, wanted)
        shown = [{name: item[name] for name in wanted.names} for item in page]
        if not request.query.get("limit"):
            return answer({ACTION.collection: shown})
        return answer(document(request, ACTION, wanted, shown))

    def _system(self) -> list[dict[str, Any]]:
        return [
            _system_action(descriptor)
            for descriptor in self._system_actions()
            if not isinstance(descriptor, AdHocActionDescriptor)
        ]

    def _adhoc(self, request: ApiRequest) -> list[dict[str, Any]]:
        query = PageQuery(_STORED, (("id", False),), _UNLIMITED)
        reader = self._lists.reader
        rows = self._database.read(lambda conn: reader.page(conn, query, request.caller))
        return [_decoded(dict(zip(_STORED, row, strict=True))) for row in rows]

    def get(self, request: ApiRequest, identifier: str, namespace: str = "") -> Response:
        """One action by name, a user's also by id."""
        request.allow_query("namespace", "fields")
        names = self._lists.asked_fields(request) or ACTION.shown
        found = self._find_system(identifier)
        if found is None:
            namespace = namespace or namespace_of(request)
            row = self._definitions.find_action(identifier, namespace, request.caller)
            found = _stored(row)
        return answer({name: found[name] for name in names})

    def _find_system(self, name: str) -> dict[str, Any] | None:
        return next((action for action in self._system() if action["name"] == name), None)

    def post(self, request: ApiRequest) -> Response:
        """Store all actions of a document."""
        scope = scope_of(request, "actions")
        doubts = advise(self._definitions, request, "action")
        rows = self._definitions.create_actions(
            request.text_body(),
            request.caller,
            scope,
            namespace_of(request),
            validate=validates(request, self._options),
        )
        stored = {"actions": [_stored(row) for row in rows]}
        return answer(with_warnings(stored, doubts), 201, text=True)

    def put(self, request: ApiRequest) -> Response:
        """Replace all actions of a document, found by their names."""
        return self._update(request, None, namespace_of(request))

    def put_one(self, request: ApiRequest, identifier: str, namespace: str = "") -> Response:
        """Replace one action."""
        self._refuse_system(identifier)
        return self._update(request, identifier, namespace or namespace_of(request))

    def _update(self, request: ApiRequest, identifier: str | None, namespace: str) -> Response:
        scope = scope_of(request, "actions")
        doubts = advise(self._definitions, request, "action")
        rows = self._definitions.update_actions(
            request.text_body(),
            request.caller,
            scope,
            namespace,
            identifier=identifier,
            validate=validates(request, self._options),
        )
        stored = {"actions": [_stored(row) for row in rows]}
        return answer(with_warnings(stored, doubts), text=True)

    def delete(self, request: ApiRequest, identifier: str, namespace: str = "") -> Response:
        """Delete a user's action."""
        request.allow_query("namespace")
        self._refuse_system(identifier)
        namespace = namespace or namespace_of(request)
        self._definitions.delete_action(identifier, namespace, request.caller)
        return empty()

    def _refuse_system(self, identifier: str) -> None:
        if self._find_system(identifier) is not None:
            raise exc.InputException(f"Attempt to modify a system action: {identifier}")

    def validate(self, request: ApiRequest) -> Response:
        """Say whether a document is valid."""
        validate = self._definitions.validate_actions
        return verdict(request, validate, self._definitions, "action")


_UNLIMITED = 1_000_000


def _stored(row: Mapping[str, Any]) -> dict[str, Any]:
    # a user's action without parameters has null, a shipped one an empty text (doc:rest/actions)
    return ACTION.render({**row, "input": row["input"] or None, "is_system": False})


def _decoded(row: Mapping[str, Any]) -> dict[str, Any]:
    tags = json.loads(row["tags"]) if row["tags"] else row["tags"]
    return _stored({**row, "tags": tags})


def _system_action(descriptor: ActionDescriptor) -> dict[str, Any]:
    return {
        **dict.fromkeys(ACTION.shown),
        "id": descriptor.name,
        "name": descriptor.name,
        "is_system": descriptor.is_system,
        "input": descriptor.params_spec,
        "description": descriptor.description,
        "tags": descriptor.tags,
        "definition": "",
        "scope": "public",
        "namespace": descriptor.namespace,
    }


def _page(items: list[dict[str, Any]], wanted: ListRequest) -> list[dict[str, Any]]:
    found = [item for item in items if all(c.matches(item[c.name]) for c in wanted.conditions)]
    for name, descending in reversed(wanted.sort):
        found.sort(key=lambda item: _sort_key(item[name]), reverse=descending)
    if wanted.marker is not None:
        positions = [
            i for i, item in enumerate(found) if wanted.marker in (item["id"], item["name"])
        ]
        if not positions:
            raise exc.NotFoundException(f"Marker not found: {wanted.marker}")
        found = found[positions[0] + 1 :]
    return found[: wanted.limit]


def _sort_key(value: Any) -> tuple[bool, str]:
    return value is not None, str(value)
