"""Engines that are killed: whatever was answered is done, once."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import pytest

from mistral.utils import ids
from tests.lib.flows import Execution, Flows

DEADLINE = 60.0

WAITING = """
main:
  output: {all: <% task(t).result %>}
  tasks:
    t: {with-items: i in <% range(10) %>, action: std.async_noop, on-success: after}
    after: {action: std.noop}
"""

CHAIN = """
main:
  output: {n: <% $.n %>}
  tasks:
    a: {action: std.echo output=1, publish: {n: <% task().result %>}, on-success: [b, c]}
    b: {action: std.echo output=<% $.n + 1 %>, publish: {n: <% task().result %>}, on-success: j}
    c: {with-items: i in <% range(3) %>, action: std.noop, on-success: j}
    j: {action: std.noop, join: all, on-success: s}
    s: {workflow: sub, publish: {n: <% $.n + task().result.m %>}}
sub:
  output: {m: 5}
  tasks:
    t: {action: std.noop}
"""


def test_callbacks_while_the_engine_is_killed(flows: Flows, victims: Any) -> None:
    victims.engine()
    victims.executor()
    victims.wait_working()
    flows.define(WAITING)
    runs = [flows.start("main") for _ in range(10)]
    actions = [a for run in runs for a in run.wait_actions("t", 10)]
    # the executor has told the engine, too, that the third party knows
    wanted = dict(zip(actions, range(100), strict=True))

    def deliver(item: tuple[int, str]) -> int:
        number, action_id = item
        if number == 30:
            victims.kill("engine")
        return flows.complete(action_id, wanted[action_id])[0]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(deliver, enumerate(actions)))
        assert set(statuses) == {200}
        assert {run.state for run in runs} <= {"RUNNING", "SUCCESS"}
        # repeated while no engine lives: nothing changes
        assert flows.complete(actions[99], 99)[0] == 200
        assert flows.complete(actions[99], 1)[0] == 409
        victims.engine()
        for run in runs:
            run.wait("SUCCESS", DEADLINE)
        for number, run in enumerate(runs):
            assert run.output["all"] == list(range(number * 10, number * 10 + 10))
            assert run.names() == ["after", "t"]
            assert len(run.actions("after")) == 1


@pytest.mark.parametrize(
    "point",
    [
        "engine.after_commit=kill@1",
        pytest.param("engine.after_commit=kill@2", marks=pytest.mark.long),
        pytest.param("engine.after_commit=kill@3", marks=pytest.mark.long),
        pytest.param("engine.after_commit=kill@4", marks=pytest.mark.long),
        pytest.param("engine.after_commit=kill@5", marks=pytest.mark.long),
        pytest.param("engine.before_commit=kill@1", marks=pytest.mark.long),
        "engine.before_commit=kill@3",
        pytest.param("engine.before_commit=kill@4", marks=pytest.mark.long),
        pytest.param("engine.before_commit=kill@5", marks=pytest.mark.long),
    ],
)
def test_an_engine_killed_around_a_commit(flows: Flows, victims: Any, point: str) -> None:
    """Between commit and send nobody is told; before the commit nothing has happened."""
    victims.executor()
    victims.engine(point)
    victims.wait_working()
    flows.define(CHAIN)
    body = {
        "id": ids.new_id(),
        "workflow_name": "main",
        "workflow_namespace": flows.namespace,
    }
    status, _ = flows.request("POST", "/executions", body)
    assert status in (201, 503)
    victims.wait_dead("engine")
    victims.engine()
    victims.wait_working()
    # whoever got no answer asks again, with the same id
    assert flows.request("POST", "/executions", body)[0] == 201
    run = Execution(flows, body["id"]).wait("SUCCESS", DEADLINE)
    assert run.output == {"n": 7}
    assert run.names() == ["a", "b", "c", "j", "s"]
    assert {name: len(run.actions(name)) for name in "abcj"} == {"a": 1, "b": 1, "c": 3, "j": 1}
    assert len(run.children("s")) == 1


def test_no_engine_at_all(flows: Flows, victims: Any) -> None:
    """Starts and commands are refused for now; results are taken."""
    victims.engine()
    victims.executor()
    victims.wait_working()
    run = flows.launch(WAITING)
    first, *rest = run.wait_actions("t", 10)
    # an executor that has something to tell ends only when an engine has heard it
    victims.stop("executor")
    victims.stop("engine")
    body = {"id": ids.new_id(), "workflow_name": "main", "workflow_namespace": flows.namespace}
    assert flows.request("POST", "/executions", body)[0] == 503
    assert run.put(state="PAUSED")[0] == 503
    assert flows.complete(first, 0)[0] == 200
    victims.engine()
    victims.executor()
    victims.wait_working()
    for action_id in rest:
        assert flows.complete(action_id, 0)[0] == 200
    run.wait("SUCCESS", DEADLINE)
    assert run.output == {"all": [0] * 10}
