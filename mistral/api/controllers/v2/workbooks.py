"""``/v2/workbooks`` (doc:rest/workbooks)."""

from __future__ import annotations

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
from mistral.api.resources.definitions import WORKBOOK
from mistral.api.responses import Response, answer, empty


class WorkbooksController:
    """Workbooks: workflows and actions stored together."""

    def __init__(self, deps: ApiDependencies) -> None:
        self._definitions = deps.definitions
        self._options = deps.options
        self._lists = Lists(deps.database, WORKBOOK, deps.options.max_limit)

    def get_all(self, request: ApiRequest) -> Response:
        """List workbooks of all namespaces."""
        return answer(self._lists.answer(request))

    def get(self, request: ApiRequest, name: str) -> Response:
        """One workbook, by name only."""
        request.allow_query("namespace", "fields")
        names = self._lists.asked_fields(request)
        row = self._definitions.find_workbook(name, namespace_of(request), request.caller)
        return answer(WORKBOOK.render(row, names))

    def post(self, request: ApiRequest) -> Response:
        """Store a workbook and its members."""
        scope = scope_of(request, "workbooks")
        doubts = advise(self._definitions, request, "workbook")
        row = self._definitions.create_workbook(
            request.text_body(),
            request.caller,
            scope,
            namespace_of(request),
            validate=validates(request, self._options),
        )
        return answer(with_warnings(WORKBOOK.render(row), doubts), 201, text=True)

    def put(self, request: ApiRequest) -> Response:
        """Replace the workbook that the document names."""
        scope = scope_of(request, "workbooks")
        doubts = advise(self._definitions, request, "workbook")
        row = self._definitions.update_workbook(
            request.text_body(),
            request.caller,
            scope,
            namespace_of(request),
            validate=validates(request, self._options),
        )
        return answer(with_warnings(WORKBOOK.render(row), doubts), text=True)

    def delete(self, request: ApiRequest, name: str) -> Response:
        """Delete a workbook; its members stay."""
        request.allow_query("namespace")
        self._definitions.delete_workbook(name, namespace_of(request), request.caller)
        return empty()

    def validate(self, request: ApiRequest) -> Response:
        """Say whether a document is valid."""
        validate = self._definitions.validate_workbook
        return verdict(request, validate, self._definitions, "workbook")
