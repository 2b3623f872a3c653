"""What waits while the service is in maintenance (doc:rest/service#maintenance): routes say it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from mistral import exceptions as exc
from mistral.api.layers import REQUEST, Environ, StartResponse, WsgiApp
from mistral.api.requests import ApiRequest
from mistral.api.routes import Exemption
from mistral.db.core.database import Database
from mistral.db.operations import maintenance
from mistral.utils.clock import utc_now
from mistral.workflow import states

_REMEMBERED: Final = 1.0
"""Seconds: requests come by the thousand, and what slips through is paused like all the rest."""
_UNSETTLED: Final = 2.0
"""Seconds after somebody has set or read the status through this process in which every request
looks anew: what follows an answer agrees with it."""


class MaintenanceMode:
    """The status of the service, as this process knows it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen = (-_REMEMBERED, maintenance.RUNNING)
        self._told = -_UNSETTLED

    def read(self) -> str:
        """The status, for somebody who will rely on it."""
        status = self._database.read(maintenance.read).status
        self._told = time.monotonic()
        return status

    def change(self, wanted: str) -> str:
        """Ask for RUNNING or PAUSED; the status that this leads to at once."""
        status = maintenance.change(self._database, wanted, utc_now()).status
        self._told = time.monotonic()
        return status

    def known(self) -> str:
        """The status, perhaps that of a moment ago."""
        now = time.monotonic()
        moment, status = self._seen
        if now - moment >= _REMEMBERED or now - self._told < _UNSETTLED:
            status = self._database.read(maintenance.read).status
            self._seen = (now, status)
        return status


class MaintenanceGuard:
    """Middleware that refuses changes while the service is paused or is being paused."""

    def __init__(self, app: WsgiApp, mode: MaintenanceMode) -> None:
        self._app = app
        self._mode = mode

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request: ApiRequest = environ[REQUEST]
        if request.route.writes:
            self._check(request)
        return self._app(environ, start_response)

    def _check(self, request: ApiRequest) -> None:
        route = request.route
        if route.exempt is Exemption.MODE:
            return
        status = self._mode.known()
        if status == maintenance.RUNNING:
            return
        if status == maintenance.PAUSING and route.callback:
            return
        if route.exempt is Exemption.CANCELLATIONS and _cancels(request):
            return
        raise exc.MaintenanceException(
            f"The service is in maintenance [status={status}]: nothing can be changed until an "
            "operator sets it to RUNNING again."
        )


def _cancels(request: ApiRequest) -> bool:
    return request.json_body().get("state") == states.CANCELLED
