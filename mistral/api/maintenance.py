"""What may be changed while the service is in maintenance (doc:rest/service#maintenance).

The one place that decides it, by the route, so that all spellings of a path are treated alike.
"""

from __future__ import annotations

import time
from typing import Final

from mistral import exceptions as exc
from mistral.api.requests import ApiRequest
from mistral.db import maintenance
from mistral.db.transaction import Database
from mistral.workflow import states

_MAINTENANCE: Final = "/maintenance"
_ALWAYS: Final = frozenset({"/", "/v2", _MAINTENANCE})
_RESULT: Final = "/v2/action_executions/{id}"
_EXECUTION: Final = "/v2/executions/{id}"
_READING: Final = frozenset({"GET", "OPTIONS"})
_REMEMBERED: Final = 1.0
"""Seconds: requests come by the thousand, and what slips through is paused like all the rest."""
_UNSETTLED: Final = 2.0
"""Seconds after somebody has set or read the status through this process in which every request
looks anew: what follows an answer agrees with it."""


class MaintenanceGuard:
    """Refuses changes while the service is paused or is being paused."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen = (-_REMEMBERED, maintenance.RUNNING)
        self._asked = -_UNSETTLED

    def check(self, request: ApiRequest, path: str) -> None:
        """Let a request pass.

        :param path: that of the route.
        :raises MaintenanceException: it has to wait.
        """
        method = request.method
        if method in _READING or path in _ALWAYS:
            if path == _MAINTENANCE:
                self._asked = time.monotonic()
            return
        status = self._status()
        if status == maintenance.RUNNING:
            return
        if status == maintenance.PAUSING and path == _RESULT and method != "DELETE":
            return
        if path == _EXECUTION and method == "PUT" and _cancels(request):
            return
        raise exc.MaintenanceException(
            f"The service is in maintenance [status={status}]: nothing can be changed until an "
            "operator sets it to RUNNING again."
        )

    def _status(self) -> str:
        now = time.monotonic()
        moment, status = self._seen
        if now - moment >= _REMEMBERED or now - self._asked < _UNSETTLED:
            status = self._database.read(maintenance.read).status
            self._seen = (now, status)
        return status


def _cancels(request: ApiRequest) -> bool:
    return request.json_body().get("state") == states.CANCELLED
