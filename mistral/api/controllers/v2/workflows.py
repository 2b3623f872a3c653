"""``/v2/workflows`` (doc:rest/workflows)."""

from __future__ import annotations

from typing import Any

from mistral.api.controllers.v2.documents import (
    advise,
    namespace_of,
    scope_of,
    validates,
    verdict,
    with_warnings,
)
from mistral.api.dependencies import ApiDependencies
from mistral.api.lists import Lists
from mistral.api.requests import ApiRequest
from mistral.api.resources.definitions import WORKFLOW
from mistral.api.responses import Response, answer, empty
from mistral.db.core.named_objects import Row


def _stored(row: Row) -> dict[str, Any]:
    # endpoints that take texts show the interface as an object (doc:rest/conventions#json-texts)
    return WORKFLOW.render(row) | {"interface": row.get("interface")}


class WorkflowsController:
    """Definitions of workflows."""

    def __init__(self, deps: ApiDependencies) -> None:
        self._definitions = deps.definitions
        self._options = deps.options
        self._lists = Lists(deps.database, WORKFLOW, deps.options.max_limit)

    def get_all(self, request: ApiRequest) -> Response:
        """List workflows of all namespaces."""
        return answer(self._lists.answer(request))

    def get(self, request: ApiRequest, identifier: str) -> Response:
        """One workflow by id or name."""
        request.allow_query("namespace", "fields")
        names = self._lists.asked_fields(request)
        row = self._definitions.find_workflow(identifier, namespace_of(request), request.caller)
        return answer(WORKFLOW.render(row, names))

    def post(self, request: ApiRequest) -> Response:
        """Store all workflows of a document."""
        scope = scope_of(request, "workflows")
        doubts = advise(self._definitions, request, "workflow")
        rows = self._definitions.create_workflows(
            request.text_body(),
            request.caller,
            scope,
            namespace_of(request),
            validate=validates(request, self._options),
        )
        stored = {"workflows": [_stored(row) for row in rows]}
        return answer(with_warnings(stored, doubts), 201, text=True)

    def put(self, request: ApiRequest) -> Response:
        """Replace all workflows of a document, found by their names."""
        rows, doubts = self._update(request, None)
        return answer(with_warnings({"workflows": rows}, doubts), text=True)

    def put_one(self, request: ApiRequest, identifier: str) -> Response:
        """Replace one workflow, which may get another name."""
        rows, doubts = self._update(request, identifier)
        return answer(with_warnings(rows[0], doubts), text=True)

    def _update(
        self, request: ApiRequest, identifier: str | None
    ) -> tuple[list[dict[str, Any]], list[str]]:
        scope = scope_of(request, "workflows")
        doubts = advise(self._definitions, request, "workflow")
        rows = self._definitions.update_workflows(
            request.text_body(),
            request.caller,
            scope,
            namespace_of(request),
            identifier=identifier,
            validate=validates(request, self._options),
        )
        return [_stored(row) for row in rows], doubts

    def delete(self, request: ApiRequest, identifier: str) -> Response:
        """Delete one workflow; its executions stay."""
        request.allow_query("namespace")
        self._definitions.delete_workflow(identifier, namespace_of(request), request.caller)
        return empty()

    def validate(self, request: ApiRequest) -> Response:
        """Say whether a document is valid."""
        validate = self._definitions.validate_workflows
        return verdict(request, validate, self._definitions, "workflow")
