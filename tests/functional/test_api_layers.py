"""The layers of the application stand in the order that they are documented in, and work in it."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.api.app import STACK, create_app
from mistral.api.browsers import Hosts
from mistral.api.dependencies import ApiDependencies, ApiOptions
from mistral.context import RequestContext, no_auth_context
from mistral.db.core.database import Database
from mistral.db.operations import maintenance
from mistral.utils import clock
from tests.functional.conftest import Api

ARCHITECTURE = pathlib.Path(__file__).parents[2] / "doc/source/architecture.rst"
HERE = "127.0.0.1:8989"
PAGE = "https://pages.example"
OPTIONS = ApiOptions(
    hosts=Hosts.bound_to("127.0.0.1", 8989, ["mistral.example"]),
    cors={"allowed_origin": [PAGE]},
    proxy_headers=True,
)


def _authenticate(environ: Any) -> RequestContext:
    if "HTTP_X_AUTH_TOKEN" not in environ:
        raise exc.UnauthorizedException("Token validation failed: authentication required")
    return no_auth_context()


@pytest.fixture
def guarded(dependencies: ApiDependencies) -> Api:
    """The application with all its layers."""
    changed = dataclasses.replace(dependencies, options=OPTIONS, authenticate=_authenticate)
    return Api(create_app(changed))


def test_the_order_is_documented() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    section = text.partition("The layers of the API\n===")[2].partition("\n====")[0]
    told = re.findall(r"^(?:\d+|#)\. ``(\w+)``", section, re.MULTILINE)
    assert told == [layer.__name__ for layer in STACK]


def test_who_refuses_first(guarded: Api, database: Database) -> None:
    """One request that each layer refuses: the outer one's answer is told until it is content."""
    database.write(lambda conn: maintenance.ask(conn, maintenance.PAUSED, clock.utc_now()))
    headers = {"Host": HERE, "X_Forwarded_Host": "evil.example"}
    path = "/v2/nothing"

    def status() -> int:
        answer = guarded("POST", path, {"unknown": 1}, **headers)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        return int(answer.status_int)

    assert status() == 403
    headers["X_Forwarded_Host"] = "mistral.example"
    assert status() == 404
    path = "/v2/executions"
    assert status() == 401
    headers["X_Auth_Token"] = "t"
    assert status() == 423
    guarded("PUT", "/maintenance", {"status": "RUNNING"}, **headers)
    assert status() == 400


@pytest.mark.parametrize(
    ("verb", "path", "host", "expected"),
    [
        ("GET", "/v2", HERE, 200),
        ("GET", "/v2/nothing", HERE, 404),
        ("GET", "/v2/executions", HERE, 401),
        ("GET", "/v2", "evil.example", 403),
        ("OPTIONS", "/v2", "evil.example", 200),
    ],
)
def test_a_welcome_page_may_read_every_answer(
    guarded: Api, verb: str, path: str, host: str, expected: int
) -> None:
    headers = {"Host": host, "Origin": PAGE, "Access_Control_Request_Method": "GET"}
    answer = guarded(verb, path, **headers)
    assert answer.status_int == expected
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_faults_of_documents_are_plain_as_soon_as_their_route_is_known(guarded: Api) -> None:
    def fault(verb: str, path: str, host: str = HERE) -> set[str]:
        return set(guarded(verb, path, "x", Host=host, Content_Type="text/plain").json)

    assert fault("POST", "/v2/workflows") == {"faultstring"}
    assert fault("POST", "/v2/executions") == {"faultcode", "faultstring", "debuginfo"}
    assert fault("POST", "/v2/workflows", "evil.example") == {
        "faultcode",
        "faultstring",
        "debuginfo",
    }
