"""``/v2/environments`` (doc:rest/environments)."""

from __future__ import annotations

from typing import Any

from mistral import exceptions as exc
from mistral.api.controllers.v2.documents import checked_scope
from mistral.api.dependencies import ApiDependencies
from mistral.api.lists import Lists
from mistral.api.requests import ApiRequest
from mistral.api.resources.definitions import ENVIRONMENT
from mistral.api.responses import Response, answer, empty

_KEYS = ("name", "description", "variables", "scope")
_ABSENT = ("description", "updated_at")


class EnvironmentsController:
    """Named sets of variables."""

    def __init__(self, deps: ApiDependencies) -> None:
        self._definitions = deps.definitions
        self._lists = Lists(deps.database, ENVIRONMENT, deps.options.max_limit)

    def get_all(self, request: ApiRequest) -> Response:
        """List environments."""
        return answer(self._lists.answer(request))

    def get(self, request: ApiRequest, name: str) -> Response:
        """One environment, by name only."""
        request.allow_query("fields")
        names = self._lists.asked_fields(request)
        row = self._definitions.find_environment(name, request.caller)
        return answer(ENVIRONMENT.render(row, names))

    def post(self, request: ApiRequest) -> Response:
        """Store an environment."""
        values = {"variables": {}, "scope": "private", **_values(request)}
        row = self._definitions.create_environment(values, request.caller)
        # the client shows what is absent here otherwise than null (doc:rest/environments)
        names = [n for n in ENVIRONMENT.shown if n not in _ABSENT or row.get(n) is not None]
        return answer(ENVIRONMENT.render(row, names), 201)

    def put(self, request: ApiRequest) -> Response:
        """Change the environment that the body names; variables are replaced as a whole."""
        row = self._definitions.update_environment(_values(request), request.caller)
        return answer(ENVIRONMENT.render(row))

    def delete(self, request: ApiRequest, name: str) -> Response:
        """Delete an environment."""
        request.allow_query()
        self._definitions.delete_environment(name, request.caller)
        return empty()


def _values(request: ApiRequest) -> dict[str, Any]:
    request.allow_query()
    body = request.json_body()
    values = ENVIRONMENT.parse(body, _KEYS, request.containers)
    extra = sorted(set(body).difference(_KEYS))
    if extra:
        raise exc.InputException(
            f"Unknown attributes of an environment: {', '.join(extra)}. "
            f"Possible are: {', '.join(_KEYS)}."
        )
    if not values.get("name"):
        raise exc.InputException("The name of the environment is missing.")
    checked_scope(values.get("scope", "private"), request, "environments")
    return values
