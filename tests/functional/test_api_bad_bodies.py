"""Bodies that can't be taken as they are: each a clear 400 that stores nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from mistral.api import lanes
from mistral.api.app import create_app
from mistral.api.dependencies import ApiDependencies
from mistral.service.http.lanes import Lanes
from mistral.service.http.options import Bounds, HttpOptions
from mistral.service.http.server import HttpServer
from mistral.utils import json

WORKFLOW = b"version: '2.0'\nw: {tasks: {t: {action: std.noop}}}\n"


@pytest.fixture
def server(dependencies: ApiDependencies) -> Iterator[HttpServer]:
    """The application behind the built-in HTTP server."""
    options = HttpOptions(port=0, bounds=Bounds(body_timeout=1))
    app = create_app(dependencies)
    found = HttpServer(app, options, Lanes(lanes.workers(8), app.lane))
    found.start()
    yield found
    found.stop()


@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Length: 500\r\n\r\n" + WORKFLOW,
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(WORKFLOW), WORKFLOW),
        b"Transfer-Encoding: chunked\r\n\r\n1f4\r\n" + WORKFLOW,
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + WORKFLOW,
    ],
)
@pytest.mark.parametrize("is_over", [True, False], ids=["gone", "silent"])
def test_half_a_document_is_none(
    server: HttpServer, definitions: Any, sent: bytes, is_over: bool
) -> None:
    with socket.create_connection(server.address, timeout=30) as client:
        client.sendall(b"POST /v2/workflows HTTP/1.1\r\nHost: x\r\n" + sent)
        if is_over:
            client.shutdown(socket.SHUT_WR)
        answer = client.recv(65536)
        assert answer.split()[1] == (b"400" if is_over or b"zz" in sent else b"408")
    assert definitions.create_workflows.mock_calls == []


@pytest.mark.parametrize("length", ["-1", "x", "²"])
def test_lengths_are_numbers(api: Any, length: str) -> None:
    response = api("POST", "/v2/workflows", WORKFLOW, Content_Length=length)
    assert response.status_int == 400
    assert "Content-Length" in response.json["faultstring"]


def _nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "value", ["NaN", "-Infinity", "1e999", "[1234567890123456789012, Infinity]", _nested(100_000)]
)
@pytest.mark.parametrize("form", ['{"a": %s}', '"{\\"a\\": %s}"'], ids=["object", "text"])
def test_only_json_is_read(api: Any, engine: Any, value: str, form: str) -> None:
    body = f'{{"workflow_name": "w", "input": {form % value}}}'
    response = api("POST", "/v2/executions", body)
    assert response.status_int == 400
    assert engine.sent == []


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999", "[NaN]", _nested(5000)])
def test_a_result_that_only_looks_like_json_is_a_text(api: Any, stored: Any, text: str) -> None:
    path = f"/v2/action_executions/{stored.action().id}"
    shown = api("PUT", path, {"state": "SUCCESS", "output": text}).json
    assert json.loads(shown["output"]) == {"result": text}


def test_nesting_has_a_limit(api: Any, stored: Any) -> None:
    path = f"/v2/action_executions/{stored.action().id}"
    body = '{"state": "SUCCESS", "output": %s}'
    response = api("PUT", path, body % _nested(json.MAX_DEPTH))
    assert response.status_int == 400
    assert "nested" in response.json["faultstring"]
    assert api.get(path)["state"] == "RUNNING"
    response = api("PUT", path, body % _nested(json.MAX_DEPTH - 1))
    assert response.status_int == 200
    assert json.loads(api.get(path)["output"])["result"] == json.loads(_nested(json.MAX_DEPTH - 1))


def test_lists_and_mappings_have_a_bound(make_api: Any, stored: Any) -> None:
    """Those of JSON texts within the body, too: escapes hide them from the first look."""
    path = f"/v2/action_executions/{stored.action().id}"
    output = [[], [], {}]
    hidden = json.dumps(output).replace("[", "\\u005b").replace("{", "\\u007b")
    bodies = (
        json.dumps({"state": "SUCCESS", "output": output}),
        json.dumps({"workflow_name": "w", "input": '{"a": HIDDEN}'}).replace("HIDDEN", hidden),
    )
    for method, where, body in zip(("PUT", "POST"), (path, "/v2/executions"), bodies, strict=True):
        response = make_api(max_json_containers=4)(method, where, body)
        assert response.status_int == 400
        assert "[api] max_json_containers = 4 lists and" in response.json["faultstring"]
    for most in (5, -1):
        assert make_api(max_json_containers=most)("PUT", path, bodies[0]).status_int == 200


def test_brackets_within_texts_do_not_count(api: Any, stored: Any) -> None:
    path = f"/v2/action_executions/{stored.action().id}"
    output = ["[" * 5000, "{" * 5000]
    shown = api("PUT", path, {"state": "SUCCESS", "output": output}).json
    assert json.loads(shown["output"]) == {"result": output}


@pytest.mark.parametrize("attribute", ["workflow_name", "workflow_id", "id", "description"])
def test_half_a_character_is_none(api: Any, engine: Any, attribute: str) -> None:
    body = json.dumps({"workflow_name": "w", attribute: "a\ud800"})
    response = api("POST", "/v2/executions", body)
    assert response.status_int == 400
    assert attribute in response.json["faultstring"]
    assert engine.sent == []
