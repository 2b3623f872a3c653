"""Dry runs: every action's ``test()`` instead of its ``run()``, nothing leaves the service."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from tests.lib.flows import Flows

TEXT = """
child:
  input: [url]
  tasks:
    call:
      action: std.http url=<% $.url %>
main:
  input: [url]
  tasks:
    call:
      action: std.http url=<% $.url %>
      on-success: ask
    ask:
      action: std.mistral_http url=<% $.url %>
      on-success: [below, echo]
    below:
      workflow: child url=<% $.url %>
    echo:
      action: std.echo output="said"
"""


class _Counting(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.seen.append(self.path)  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def target() -> Iterator[http.server.HTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Counting)
    server.seen = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_nothing_leaves_the_service(flows: Flows, target: http.server.HTTPServer) -> None:
    url = f"http://127.0.0.1:{target.server_port}/"
    run = flows.run(TEXT, {"url": url}, dry_run=True)
    assert target.seen == []  # type: ignore[attr-defined]
    assert run.states() == dict.fromkeys(("call", "ask", "below", "echo"), "SUCCESS")
    (child,) = run.children("below")
    assert child.states() == {"call": "SUCCESS"}


def test_without_the_parameter_the_actions_run(
    flows: Flows, target: http.server.HTTPServer
) -> None:
    url = f"http://127.0.0.1:{target.server_port}/"
    run = flows.launch(TEXT, {"url": url})
    run.wait_actions("ask")
    run.until(lambda: len(target.seen) == 2, "both requests")  # type: ignore[attr-defined]
