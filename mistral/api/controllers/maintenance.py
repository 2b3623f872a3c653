"""``/maintenance`` (doc:rest/service#maintenance): pausing the whole service, and its end."""

from __future__ import annotations

import logging

from mistral import exceptions as exc
from mistral.api.maintenance import MaintenanceMode
from mistral.api.requests import ApiRequest
from mistral.api.responses import Response, answer
from mistral.db.operations import maintenance

LOG = logging.getLogger(__name__)

_WANTED = (maintenance.RUNNING, maintenance.PAUSED)


class MaintenanceController:
    """The maintenance mode; engines do what it asks for."""

    def __init__(self, mode: MaintenanceMode) -> None:
        self._mode = mode

    def get(self, request: ApiRequest) -> Response:
        """The present status."""
        request.allow_query()
        return answer({"status": self._mode.read()})

    def put(self, request: ApiRequest) -> Response:
        """Ask for PAUSED or RUNNING; the answer tells how far that is."""
        request.allow_query()
        body = request.json_body()
        wanted = body.get("status")
        if wanted not in _WANTED:
            raise exc.InputException(
                f"The property 'status' has to be one of {', '.join(_WANTED)}, not {wanted!r}."
            )
        if len(body) > 1:
            unknown = ", ".join(sorted(body.keys() - {"status"}))
            raise exc.InputException(f"Unknown attribute: {unknown}.")
        status = self._mode.change(wanted)
        LOG.info("Maintenance: %s is asked for, the service is %s", wanted, status)
        return answer({"status": status})
