"""The database has no room left: callers are told, nothing dies, and later everything goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cluster
import processes
import pytest

from mistral.db.core.database import Database
from mistral.db.operations import invariants
from mistral.utils import clock

PAGES = 1200
LARGE = "x" * 150_000

WORKFLOW = """
version: '2.0'
asks:
  tasks:
    ask:
      action: std.async_noop
      publish:
        said: <% task().result %>
      on-success: tell
    tell:
      action: std.echo output=<% $.said %>
"""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[cluster.Cluster]:
    """The embedded service with a database that may not grow beyond some pages."""
    url = f"sqlite:///{tmp_path / 'mistral.sqlite'}"
    sections = cluster.embedded_sections(processes.free_port(), url)
    sections["database"]["connection_parameters"] = f"max_page_count={PAGES}"
    with cluster.Cluster(tmp_path, sections) as installation:
        installation.prepare_database()
        installation.start("mistral", "all")
        installation.wait_ready()
        installation.wait_working()
        yield installation
        installation.require_alive()
        assert installation.stop_all() == [], installation.log_tails()
    database = Database(url)
    assert database.read(lambda conn: invariants.check(conn, clock.utc_now())) == []
    database.close()


class Api:
    """Requests and their answers."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v2"

    def ask(self, method: str, path: str, body: object | None = None) -> tuple[int, Any]:
        return processes.http(method, self._url + path, body, timeout=30)

    def start(self) -> tuple[int, Any]:
        return self.ask("POST", "/executions", {"workflow_name": "asks"})

    def waiting_action(self, execution_id: str) -> str:
        """The asynchronous action, when the third party was told."""

        def found() -> str | None:
            _, tasks = self.ask("GET", f"/executions/{execution_id}/tasks")
            for task in tasks["tasks"]:
                _, actions = self.ask("GET", f"/tasks/{task['id']}/action_executions")
                for action in actions["action_executions"]:
                    return str(action["id"])
            return None

        return str(processes.wait_until(found, "the action waits"))

    def state(self, execution_id: str) -> str:
        return str(self.ask("GET", f"/executions/{execution_id}")[1]["state"])

    def fill(self) -> list[str]:
        """Store large environments until there is no room; their names."""
        names: list[str] = []
        for size in (len(LARGE), 3000, 100):
            for _ in range(200):
                name = f"large-{len(names)}"
                body = {"name": name, "variables": {"text": LARGE[:size]}}
                status, answer = self.ask("POST", "/environments", body)
                if status != 201:
                    assert status == 503 and "no room left" in answer["faultstring"], answer
                    break
                names.append(name)
            else:
                raise AssertionError("The database never got full")
        return names


@pytest.mark.timeout(600)
def test_a_full_database(small: cluster.Cluster) -> None:
    api = Api(small.url)
    assert api.ask("POST", "/workflows", WORKFLOW)[0] == 201
    _, begun = api.start()
    action_id = api.waiting_action(begun["id"])

    names = api.fill()
    result = {"state": "SUCCESS", "output": LARGE}
    status, answer = api.ask("PUT", f"/action_executions/{action_id}", result)
    assert status == 503 and "no room left" in answer["faultstring"]
    assert api.state(begun["id"]) == "RUNNING"
    refused = [api.start() for _ in range(20)][-1]
    assert refused[0] == 503, refused
    small.require_alive()

    for name in names:
        assert api.ask("DELETE", f"/environments/{name}")[0] == 204
    assert api.ask("PUT", f"/action_executions/{action_id}", result)[0] == 200
    processes.wait_until(lambda: api.state(begun["id"]) == "SUCCESS", "the workflow ends", 60)
    _, listed = api.ask("GET", "/executions")
    for row in listed["executions"]:
        if row["id"] != begun["id"]:
            small_result = {"state": "SUCCESS", "output": "short"}
            later = api.waiting_action(row["id"])
            assert api.ask("PUT", f"/action_executions/{later}", small_result)[0] == 200
            processes.wait_until(lambda row=row: api.state(row["id"]) == "SUCCESS", "it ends", 60)
