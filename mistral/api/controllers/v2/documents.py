"""What the resources that are stored as documents have in common: query parameters and checks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from mistral import exceptions as exc
from mistral.api.dependencies import ApiOptions
from mistral.api.errors import NotTextException
from mistral.api.lists import require_admin
from mistral.api.requests import ApiRequest
from mistral.api.responses import Response, answer
from mistral.definitions import Definitions

LOG = logging.getLogger(__name__)

MANDATORY = "mandatory"
DISABLED = "disabled"


def scope_of(request: ApiRequest, resource: str) -> str:
    """The scope that the caller asks for, who must be allowed to publish."""
    scope = request.query.get("scope") or "private"
    return checked_scope(scope, request, resource)


def checked_scope(scope: str, request: ApiRequest, resource: str) -> str:
    """A scope, one of two words; ``public`` needs the right to publish."""
    if scope not in ("private", "public"):
        raise exc.InputException(
            f"Scope must be one of the following: private, public; actual: {scope}"
        )
    if scope == "public":
        require_admin(request, f"{resource}:publicize")
    return scope


def namespace_of(request: ApiRequest) -> str:
    """The parameter ``namespace``; absent and empty are the same."""
    return request.query.get("namespace", "")


def validates(request: ApiRequest, options: ApiOptions) -> bool:
    """Whether a document is to be validated (``skip_validation`` counts by its presence)."""
    if options.validation_mode in (MANDATORY, DISABLED):
        return options.validation_mode == MANDATORY
    return "skip_validation" not in request.query


def verdict(
    request: ApiRequest,
    validate: Callable[[str], tuple[bool, str | None]],
    definitions: Definitions,
    kind: str,
) -> Response:
    """The answer of a validation: whatever is wrong with the document, it is no error."""
    try:
        valid, error = validate(request.text_body())
    except NotTextException as unreadable:
        valid, error = False, str(unreadable)
    if not valid:
        return answer({"valid": False, "error": error}, text=True)
    return answer(with_warnings({"valid": True}, advise(definitions, request, kind)), text=True)


def advise(definitions: Definitions, request: ApiRequest, kind: str) -> list[str]:
    """What is doubtful in the request's document, for the caller and the log."""
    found = definitions.advise(kind, request.text_body(), request.caller, namespace_of(request))
    if found:
        LOG.info("A doubtful %s document: %s", kind, "; ".join(found))
    return found


def with_warnings(document: dict[str, Any], found: list[str]) -> dict[str, Any]:
    """An answer with a further attribute when there is something to be told."""
    return {**document, "warnings": found} if found else document
