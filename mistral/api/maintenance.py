"""What may be changed while the service is in maintenance (contract §4).

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

_ALWAYS: Final = frozenset({"/", "/v2", "/maintenance"})
_RESULT: Final = "/v2/action_executions/{id}"
_EXECUTION: Final = "/v2/executions/{id}"
_READING: Final = frozenset({"GET", "OPTIONS"})
_REMEMBERED: Final = 1.0
"""Seconds: callbacks come by the thousand, and one more that is stored late does no harm."""


class MaintenanceGuard:
    """Refuses changes while the service is paused or is being paused."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen = (-_REMEMBERED, maintenance.RUNNING)

    def check(self, request: ApiRequest, path: str) -> None:
        """Let a request pass.

        :param path: that of the route.
        :raises MaintenanceException: it has to wait.
        """
        method = request.method
        if method in _READING or path in _ALWAYS:
            return
        is_result = path == _RESULT and method != "DELETE"
        status = self._recent() if is_result else self._present()
        if status == maintenance.RUNNING:
            return
        if is_result and status == maintenance.PAUSING:
            return
        if path == _EXECUTION and method == "PUT" and _cancels(request):
            return
        raise exc.MaintenanceException(
            f"The service is in maintenance [status={status}]: nothing can be changed until an "
            "operator sets it to RUNNING again."
        )

    def _present(self) -> str:
        status = self._database.read(maintenance.read).status
        self._seen = (time.monotonic(), status)
        return status

    def _recent(self) -> str:
        moment, status = self._seen
        return status if time.monotonic() - moment < _REMEMBERED else self._present()


def _cancels(request: ApiRequest) -> bool:
    return request.json_body().get("state") == states.CANCELLED
