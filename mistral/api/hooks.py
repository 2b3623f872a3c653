"""The one place where errors become answers."""

from __future__ import annotations

import logging
from typing import Any

from pecan import hooks

from mistral import exceptions as exc
from mistral.api.errors import NotBuiltException
from mistral.api.requests import ApiRequest
from mistral.api.responses import Response, fault

LOG = logging.getLogger(__name__)


class ErrorHook(hooks.PecanHook):
    """Errors of controllers to faults; what nobody expected is logged and told as 500."""

    def on_error(self, state: Any, error: Exception) -> Response:
        """The answer for an error that a controller raised."""
        request: ApiRequest = state.request
        if isinstance(error, exc.MistralError):
            if error.http_code >= 500 and not isinstance(error, NotBuiltException):
                LOG.warning("%s %s: %s", request.method, request.path_info, error)
            return fault(error, request.is_text)
        LOG.error("%s %s failed", request.method, request.path_info, exc_info=error)
        return fault(exc.MistralError("Internal server error."), request.is_text)
