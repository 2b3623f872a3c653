"""Resources of the API that this version does not have: whoever asks for one is told so."""

from __future__ import annotations

from typing import NoReturn

from mistral.api.errors import NotBuiltException
from mistral.api.requests import ApiRequest
from mistral.api.routes import Handler


def not_built(name: str) -> Handler:
    """The handler of all verbs of such a resource."""

    def refuse(_request: ApiRequest, *_arguments: str) -> NoReturn:
        raise NotBuiltException(
            f"The resource '{name}' is not part of this version of the service."
        )

    return refuse
