"""Secrets of inputs, from end to end: what arrives, what is shown, what can be found afterwards."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cluster
import processes
import pytest

from tests.lib.flows import Flows

#: Made by expressions from halves, so that no definition holds it.
SECRET = "quite-secret-4711"
HALVES = "'quite-sec' + 'ret-4711'"


class _Noting(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.seen.append(dict(self.headers))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


class Service(http.server.ThreadingHTTPServer):
    """Notes the headers of its requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Noting)
        self.seen: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}/"


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def nothing_is_found(embedded: cluster.Cluster) -> Iterator[None]:
    """No file of the database or the log has the secret, in clear or as basic auth has it."""
    yield
    run_dir = Path(str(embedded.sections["database"]["connection"]).removeprefix("sqlite:///"))
    clear = SECRET.encode()
    encoded = base64.b64encode(b"ann:" + clear)
    files = [path for path in run_dir.parent.rglob("*") if path.is_file()]
    assert len(files) > 1
    for path in files:
        content = path.read_bytes()
        assert clear not in content, path
        assert encoded not in content, path


def run(flows: Flows, text: str, **params: Any) -> list[dict[str, Any]]:
    """The actions of task ``t`` of a workflow that has ended well."""
    found = flows.run(text, **params).actions("t")
    for row in found:
        assert SECRET not in json.dumps(row)
    return found


def test_a_header(flows: Flows, service: Service) -> None:
    text = f"""
    main:
      tasks:
        t:
          action: std.http
          input:
            url: {service.url}
            headers: {{Authorization: "Bearer <% {HALVES} %>", X-Plain: "1"}}
    """
    (action,) = run(flows, text)
    assert service.seen[0]["Authorization"] == f"Bearer {SECRET}"
    assert action["input"]["headers"] == {"Authorization": "***", "X-Plain": "1"}


def test_with_items_that_are_retried_and_run_again(flows: Flows, service: Service) -> None:
    text = f"""
    main:
      tasks:
        t:
          with-items: i in [1, 2]
          action: std.http url={service.url} auth=<% 'ann:' + {HALVES} %>
          retry: {{count: 1, delay: 0, continue-on: "<% true %>"}}
    """
    actions = run(flows, text)
    assert [a["input"]["auth"] for a in actions] == ["***"] * 4
    assert len({seen["Authorization"] for seen in service.seen}) == 1
    assert len(service.seen) == 4


def test_an_adhoc_action(flows: Flows, service: Service) -> None:
    flows.define(
        """
        call:
          base: std.http
          base-input:
            url: <% $.url %>
            headers: {X-Auth-Token: "<% $.ticket %>"}
          input: [url, ticket]
        """,
        "actions",
    )
    text = f"""
    main:
      tasks:
        t: {{action: "call url={service.url}", input: {{ticket: "<% {HALVES} %>"}}}}
    """
    (action,) = run(flows, text)
    assert service.seen[0]["X-Auth-Token"] == SECRET
    assert action["input"] == {"url": service.url, "ticket": "***"}


def test_a_default_of_the_environment(flows: Flows, service: Service) -> None:
    text = f"main: {{tasks: {{t: {{action: 'std.http url={service.url}'}}}}}}"
    # what an environment holds is its author's: only the action's input is masked
    (action,) = run(flows, text, env={"__actions": {"std.http": {"auth": "ann:pw"}}})
    assert action["input"] == {"url": service.url, "auth": "***"}
    assert service.seen[0]["Authorization"] == f"Basic {base64.b64encode(b'ann:pw').decode()}"


def test_a_dry_run(flows: Flows, service: Service) -> None:
    text = f"""
    main:
      tasks:
        t: {{action: std.http url={service.url}, input: {{auth: "<% 'a:' + {HALVES} %>"}}}}
    """
    (action,) = run(flows, text, dry_run=True)
    assert action["input"]["auth"] == "***"
    assert not service.seen


@pytest.mark.parametrize("params", [{}, {"save_result": True}, {"run_sync": True}])
def test_a_single_action(flows: Flows, service: Service, params: dict[str, Any]) -> None:
    body = {
        "name": "std.http",
        "input": {"url": service.url, "auth": f"ann:{SECRET}"},
        "params": params,
    }
    row = flows.ok("POST", "/action_executions", body)
    processes.wait_until(lambda: service.seen, "the request", 20)
    assert json.loads(row["input"]) == {"url": service.url, "auth": "***"}
    if params.get("save_result"):
        path = f"/action_executions/{row['id']}"
        processes.wait_until(lambda: flows.ok("GET", path)["state"] == "SUCCESS", "its end", 20)
        assert SECRET not in json.dumps(flows.ok("GET", path))


def test_an_action_that_fails(flows: Flows) -> None:
    text = f"""
    main:
      tasks:
        t: {{action: std.http, input: {{url: "http://127.0.0.1:1/?token=<% {HALVES} %>"}}}}
    """
    found = flows.run(text, ends="ERROR")
    assert SECRET not in found.info
    (action,) = found.actions("t")
    assert SECRET not in json.dumps(action)
    assert action["input"] == {"url": "http://127.0.0.1:1/?token=***"}
