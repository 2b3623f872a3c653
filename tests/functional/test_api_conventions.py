"""Paths, verbs, bodies and faults (doc:rest/conventions, doc:rest/service)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.api.app import create_app
from mistral.api.dependencies import ApiDependencies
from mistral.api.resources.definitions import ACTION, ENVIRONMENT, WORKBOOK, WORKFLOW
from mistral.api.resources.executions import ACTION_EXECUTION, EXECUTION, TASK
from mistral.context import RequestContext


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_service_documents(api: Any, path: str) -> None:
    (version,) = api.get("/")["versions"]
    assert api.get(path) == {"uri": "http://api.example:8989/v2", "version": version}
    assert (version["id"], version["status"]) == ("v2.0", "CURRENT")
    assert version["links"][0]["href"] == "http://api.example:8989/v2"


@pytest.mark.parametrize(
    "path",
    [
        "/v3",
        "/v2/nothing",
        "/v2/workflows/a/b/c",
        "/v2/a%FF",
        "/v2/executions/a%00b",
    ],
)
def test_unknown_paths(api: Any, path: str) -> None:
    assert api.get(path, status=404)["faultstring"]


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("cron_triggers", ["GET POST /cron_triggers", "GET DELETE /cron_triggers/c"]),
        ("event_triggers", ["GET POST /event_triggers", "GET PUT DELETE /event_triggers/e"]),
        ("code_sources", ["GET POST PUT /code_sources", "GET DELETE /code_sources/s"]),
        ("dynamic_actions", ["GET POST PUT /dynamic_actions", "GET DELETE /dynamic_actions/d"]),
        ("members", ["GET POST /workflows/w/members", "GET PUT DELETE /workflows/w/members/p"]),
        ("services", ["GET /services"]),
    ],
)
def test_what_this_version_does_not_have_says_so(api: Any, name: str, paths: list[str]) -> None:
    for each in paths:
        *verbs, path = each.split()
        for spelling in {path, path.replace("_", "-"), f"{path}/"}:
            for verb in verbs:
                response = api(verb, f"/v2{spelling}?limit=1")
                assert response.status_int == 501, (verb, spelling)
                assert f"'{name}'" in response.json["faultstring"]


@pytest.mark.parametrize("method", ["PATCH", "HEAD"])
def test_verbs_that_do_not_exist(api: Any, method: str) -> None:
    response = api(method, "/v2/executions")
    assert response.status_int == 405
    assert response.headers["Allow"] == "GET, POST"


def test_options_is_empty(api: Any) -> None:
    response = api("OPTIONS", "/v2/executions/1")
    assert (response.status_int, response.body) == (200, b"")


@pytest.mark.parametrize("path", ["/v2/executions", "/v2/workflows", "/v2/action-executions/1"])
@pytest.mark.parametrize("kind", ["text/xml", "application/xml", "application/soap+xml"])
def test_xml_is_not_read(api: Any, stored: Any, path: str, kind: str) -> None:
    if path.endswith("1"):
        path = path[:-1] + stored.action().id
    response = api("POST", path, "<a/>", Content_Type=kind)
    assert response.status_int == 415
    assert response.headers["Server-Error-Message"] == response.json["faultstring"]


def test_bodies_have_a_limit(make_api: Callable[..., Any], engine: Any) -> None:
    api = make_api(max_request_body_size=100)
    assert api("POST", "/v2/executions", b"x" * 101).status_int == 413
    assert api("POST", "/v2/workflows", b"x" * 101).json.keys() == {"faultstring"}
    assert engine.sent == []


@pytest.mark.parametrize("body", ["", "{", "[1]", "3", '"a"'])
def test_json_bodies_are_objects(api: Any, body: str) -> None:
    assert api("POST", "/v2/executions", body).status_int == 400


def test_a_form_is_not_json(api: Any) -> None:
    kind = "application/x-www-form-urlencoded"
    assert api("POST", "/v2/executions", "a=1", Content_Type=kind).status_int == 415


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"workflow_nam": "w"}, "workflow_nam"),
        ({"workflow_name": "w", "project_id": "p"}, "project_id"),
        ({"workflow_name": 3}, "workflow_name"),
        ({"workflow_name": "w", "input": "not json"}, "input"),
        ({"workflow_name": "w", "input": [1]}, "input"),
        ({"workflow_name": "w", "params": "[1]"}, "params"),
        ({"workflow_name": "w", "params": 3}, "params"),
    ],
)
def test_attributes_are_checked(api: Any, body: Any, name: str) -> None:
    response = api("POST", "/v2/executions", body)
    assert response.status_int == 400
    assert name in response.json["faultstring"]


def test_a_silent_engine_is_told_as_unavailable(api: Any, engine: Any) -> None:
    engine.silent = True
    response = api("POST", "/v2/executions", {"workflow_name": "w"})
    assert response.status_int == 503
    assert int(response.headers["Retry-After"]) > 0
    assert response.json["faultcode"] == "Server"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (exc.NotFoundException("Workflow not found [w]"), 404),
        (exc.InputException("bad"), 400),
        (exc.DBDuplicateEntryError("twice"), 409),
        (exc.MistralError("broken"), 500),
    ],
)
def test_errors_of_engines_keep_their_status(
    api: Any, engine: Any, error: exc.MistralError, status: int
) -> None:
    engine.answers["start_workflow"] = error
    response = api("POST", "/v2/executions", {"workflow_name": "w"})
    assert response.status_int == status
    assert response.json["faultstring"] == str(error)


def test_what_nobody_expected_is_no_traceback(api: Any, engine: Any) -> None:
    engine.answers["start_workflow"] = ZeroDivisionError("secret detail")
    response = api("POST", "/v2/executions", {"workflow_name": "w"})
    assert response.status_int == 500
    assert "secret" not in response.text


def test_callers_without_credentials(dependencies: ApiDependencies, api: Any) -> None:
    def refuse(_environ: Any) -> RequestContext:
        raise exc.UnauthorizedException("Token validation failed: authentication required")

    guarded = type(api)(create_app(dataclasses.replace(dependencies, authenticate=refuse)))
    response = guarded("GET", "/v2/executions")
    assert response.status_int == 401
    assert response.headers["WWW-Authenticate"] == response.json["faultstring"]
    for path in ("/", "/v2/", "/healthcheck"):
        guarded.get(path)


def test_addresses_behind_a_proxy(make_api: Callable[..., Any]) -> None:
    headers = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "mistral.example"}
    api = make_api(proxy_headers=True)
    assert api("GET", "/v2", None, **headers).json["uri"] == "https://mistral.example/v2"
    assert make_api()("GET", "/v2", None, **headers).json["uri"] == "http://api.example:8989/v2"


@pytest.mark.parametrize(
    "resource", [WORKFLOW, WORKBOOK, ACTION, ENVIRONMENT, EXECUTION, TASK, ACTION_EXECUTION]
)
def test_resources_are_described_as_wsme_types(resource: Any) -> None:
    described = resource.wsme_type()
    assert described.__name__ == resource.name
    assert {a.name for a in described._wsme_attributes} == set(resource.attributes)
