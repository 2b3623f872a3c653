"""Service documents and health (doc:rest/service)."""

from __future__ import annotations

import pathlib
from typing import Any

from mistral import exceptions as exc
from mistral.api.dependencies import ApiDependencies
from mistral.api.health import OK, Health
from mistral.api.requests import ApiRequest
from mistral.api.responses import Response, answer
from mistral.utils import json


class ServiceController:
    """``/``, ``/v2``, ``/info`` and ``/healthcheck``."""

    def __init__(self, deps: ApiDependencies, health: Health) -> None:
        self._health = health
        self._info_file = deps.options.info_file
        remarks = list(deps.options.remarks)
        self._remarks = {"warnings": remarks} if remarks else {}

    def versions(self, request: ApiRequest) -> Response:
        """The versions of the API."""
        return answer({"versions": [_version_2(_address(request))]})

    def version(self, request: ApiRequest) -> Response:
        """Where version 2 is, also in the form in which libraries of OpenStack discover it."""
        address = _address(request)
        return answer({"uri": address, "version": _version_2(address)})

    def info(self, request: ApiRequest) -> Response:
        """What the operator tells about this installation, read anew each time."""
        if self._info_file is None:
            raise exc.InputException("Info endpoint is disabled ([api] enable_info_endpoint).")
        try:
            document = json.loads(pathlib.Path(self._info_file).read_bytes())
        except OSError as error:
            raise exc.InputException(
                f"The file of the info endpoint can't be read: {error.strerror}."
            ) from error
        except ValueError as error:
            raise exc.InputException(
                f"The file of the info endpoint is not valid JSON: {error}."
            ) from error
        return answer(document, text=True)

    def health(self, request: ApiRequest) -> Response:
        """Liveness: this process answers; with ``?detailed`` readiness."""
        if "detailed" in request.query:
            return self.readiness(request)
        return answer({"status": OK, **self._remarks})

    def readiness(self, _request: ApiRequest) -> Response:
        """Whether the parts that workflows need are alive: 200 if all, else 503."""
        checks = self._health.checks()
        ready = all(found == OK for found in checks.values())
        status = OK if ready else "UNAVAILABLE"
        return answer({"status": status, "checks": checks, **self._remarks}, 200 if ready else 503)


def _address(request: ApiRequest) -> str:
    return f"{request.service_url}/v2"


def _version_2(address: str) -> dict[str, Any]:
    link = {"href": address, "target": "v2", "rel": "self"}
    return {"id": "v2.0", "status": "CURRENT", "links": [link]}
