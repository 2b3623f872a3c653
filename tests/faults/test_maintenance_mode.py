"""The whole service is paused by one API process, seen by another, while an engine is killed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import processes
import pytest
from site_processes import Site

from tests.lib.flows import Flows

COUNT = 12
WORKFLOWS = """
main:
  tasks:
    s: {workflow: sub, on-success: last}
    last: {action: std.noop}
sub:
  tasks:
    ask: {action: std.async_noop, on-success: then}
    then: {action: std.sleep seconds=0.1}
"""


def maintenance(url: str, status: str | None = None) -> Any:
    """The status, or the answer to a wish."""
    body = None if status is None else {"status": status}
    code, document = processes.http("PUT" if status else "GET", f"{url}/maintenance", body)
    assert code == 200, document
    return document["status"]


@pytest.fixture(autouse=True)
def _running_again(site: Site) -> Iterator[None]:
    """Others use the same installation."""
    yield
    maintenance(site.urls[0], "RUNNING")


@pytest.mark.timeout(200)
def test_everything_is_paused_and_goes_on(site: Site) -> None:
    one, other = site.urls
    flows, elsewhere = Flows(one), Flows(other)
    elsewhere.namespace = flows.namespace
    flows.define(WORKFLOWS)
    runs = [flows.start() for _ in range(COUNT)]
    children = [run.until(lambda run=run: run.children("s"))[0] for run in runs]
    waiting = [child.wait_actions("ask")[0] for child in children]

    assert maintenance(one, "PAUSED") == "PAUSING"
    assert maintenance(other) == "PAUSING"
    site.kill("engine-1")
    body = {"workflow_name": "main", "workflow_namespace": flows.namespace}
    status, document = elsewhere.request("POST", "/executions", body)
    assert status == 423
    assert "PAUSING" in document["faultstring"]
    for run in [*runs, *children]:
        run.wait("PAUSED", 60)
    assert maintenance(one) == "PAUSING"
    for action_id in waiting:
        assert elsewhere.complete(action_id)[0] == 200
    processes.wait_until(lambda: maintenance(other) == "PAUSED", "all is paused", 60)
    assert {run.state for run in [*runs, *children]} == {"PAUSED"}
    assert {task["state"] for child in children for task in child.tasks()} == {"SUCCESS"}
    status, _ = flows.complete(waiting[0])
    assert status == 423

    assert maintenance(other, "RUNNING") == "RUNNING"
    site.kill("engine-2")
    for run in runs:
        run.wait("SUCCESS", 60)
    assert maintenance(one) == "RUNNING"
