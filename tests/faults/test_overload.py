"""Many more starts than the engine can do: they wait for a time, and nobody else has to."""

from __future__ import annotations

import collections
import concurrent.futures
import threading
from typing import Any

import pytest

from mistral.utils import ids
from tests.lib.flows import Execution, Flows

DEADLINE = 60.0
FEW, MANY = 24, 128
"""Clients whose starts the engine does within the time that they may wait, and too many of them."""

FLOWS = """
waiting:
  output: {all: <% task(t).result %>}
  tasks:
    t: {with-items: i in <% range(10) %>, action: std.async_noop, on-success: after}
    after: {action: std.noop}
quick:
  tasks:
    t: {action: std.noop}
"""


class Flood:
    """Clients that start workflows without a pause and don't care about refusals."""

    def __init__(self, flows: Flows, clients: int) -> None:
        self._flows = flows
        self._count = clients
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._pool = concurrent.futures.ThreadPoolExecutor(clients)
        self.statuses: collections.Counter[int] = collections.Counter()
        self.acknowledged: list[str] = []

    def __enter__(self) -> Flood:
        self._clients = [self._pool.submit(self._start) for _ in range(self._count)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for client in self._clients:
            client.result(DEADLINE)
        self._pool.shutdown()

    def _start(self) -> None:
        while not self._stopping.is_set():
            body = {
                "id": ids.new_id(),
                "workflow_name": "quick",
                "workflow_namespace": self._flows.namespace,
            }
            status, _ = self._flows.request("POST", "/executions", body)
            with self._guard:
                self.statuses[status] += 1
                if status == 201:
                    self.acknowledged.append(body["id"])


@pytest.mark.parametrize("clients", [FEW, MANY])
def test_callbacks_go_on_under_a_flood_of_starts(flows: Flows, victims: Any, clients: int) -> None:
    """Each start takes a second, so one engine does forty while a start may wait."""
    victims.engine("engine.start=delay:1")
    victims.executor()
    victims.wait_working()
    flows.define(FLOWS)
    runs = [flows.start("waiting") for _ in range(5)]
    actions = [action for run in runs for action in run.wait_actions("t", 10)]
    with Flood(flows, clients) as flood:
        last = 503 if clients == MANY else 201
        runs[0].until(lambda: flood.statuses[last] > clients, "the flood is there")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda action: flows.complete(action, 1), actions))
        # while the flood goes on: results are taken, handled, and what they lead to is run
        for run in runs:
            run.wait("SUCCESS", DEADLINE)
        assert {status for status, _ in answers} == {200}
        assert not flood._stopping.is_set()
    assert set(flood.statuses) == ({201, 503} if clients == MANY else {201})
    for run in runs:
        assert run.output == {"all": [1] * 10}
        assert len(run.actions("after")) == 1
    for execution_id in flood.acknowledged:
        started = Execution(flows, execution_id).wait("SUCCESS", DEADLINE)
        assert len(started.actions("t")) == 1
