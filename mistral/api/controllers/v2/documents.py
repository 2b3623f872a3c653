"""What the resources that are stored as documents have in common: query parameters and checks."""

from __future__ import annotations

from collections.abc import Callable

from mistral import exceptions as exc
from mistral.api.dependencies import ApiOptions
from mistral.api.errors import NotTextException
from mistral.api.lists import require_admin
from mistral.api.requests import ApiRequest
from mistral.api.responses import Response, answer

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


def verdict(request: ApiRequest, validate: Callable[[str], tuple[bool, str | None]]) -> Response:
    """The answer of a validation: whatever is wrong with the document, it is no error."""
    try:
        valid, error = validate(request.text_body())
    except NotTextException as unreadable:
        valid, error = False, str(unreadable)
    return answer({"valid": True} if valid else {"valid": False, "error": error}, text=True)
