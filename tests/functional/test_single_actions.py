"""Actions that are run by themselves, by a caller who waits for the result."""

from __future__ import annotations

import json
from typing import Any

import processes
import pytest

from tests.lib.flows import Flows

ADHOC = """
twice:
  base: std.echo
  base-input:
    output: <% [$.value, $.value] %>
  input: [value]
  output:
    first: <% $[0] %>
    all: <% $ %>
around:
  base: twice
  base-input: {value: <% $.value %>}
  input: [value]
  output: <% $.first %>
broken:
  base: std.echo
  base-input: {output: 1}
  output: <% $.no.such %>
fails:
  base: std.fail
  output: <% never %>
"""


def run(flows: Flows, name: str, **body: Any) -> tuple[str, Any]:
    """State and result of a run."""
    shown = flows.ok(
        "POST",
        "/action_executions",
        {"name": name, "workflow_namespace": flows.namespace, **body},
    )
    return shown["state"], json.loads(shown["output"])["result"]


@pytest.mark.parametrize("params", [{}, {"save_result": True, "run_sync": True}])
def test_an_adhoc_action_transforms_its_result(flows: Flows, params: dict[str, Any]) -> None:
    flows.define(ADHOC, "actions")
    expected = ("SUCCESS", {"first": 7, "all": [7, 7]})
    assert run(flows, "twice", input={"value": 7}, params=params) == expected
    assert run(flows, "around", input={"value": 7}, params=params) == ("SUCCESS", 7)


@pytest.mark.parametrize("params", [{}, {"save_result": True, "run_sync": True}])
def test_a_result_that_cannot_be_transformed(flows: Flows, params: dict[str, Any]) -> None:
    flows.define(ADHOC, "actions")
    state, text = run(flows, "broken", params=params)
    assert state == "ERROR"
    assert "no" in text
    state, text = run(flows, "fails", params=params)
    assert state == "ERROR"
    assert "never" not in text


def test_the_executor_gives_up_at_the_deadline(flows: Flows) -> None:
    state, text = run(flows, "std.sleep", input={"seconds": 30}, params={"timeout": 0.5})
    assert (state, text) == ("ERROR", "Timeout after 0.5 seconds")


@pytest.mark.parametrize("timeout", [0, -1, True, "1", 10**15])
def test_deadlines_that_are_none(flows: Flows, timeout: Any) -> None:
    body = {"name": "std.echo", "input": {"output": 1}, "params": {"timeout": timeout}}
    assert flows.request("POST", "/action_executions", body)[0] == 400


def test_an_asynchronous_action_is_paused_and_resumed(flows: Flows) -> None:
    row = flows.ok("POST", "/action_executions", {"name": "std.async_noop"})
    path = f"/action_executions/{row['id']}"
    for state in ("PAUSED", "PAUSED", "RUNNING", "PAUSED"):
        assert flows.ok("PUT", path, {"state": state})["state"] == state
    assert flows.complete(row["id"], 1)[1]["state"] == "SUCCESS"
    assert flows.request("PUT", path, {"state": "RUNNING"})[0] == 400


def test_the_namespace_may_stand_among_the_parameters(flows: Flows) -> None:
    flows.define(ADHOC, "actions")
    params = {"namespace": flows.namespace}
    found = run(flows, "around", input={"value": 7}, params=params, workflow_namespace=None)
    assert found == ("SUCCESS", 7)


LARGE = {"size": 100_000, "key_prefix": "k" * 10, "val": "v" * 10}


def test_a_saved_result_has_a_limit(flows: Flows) -> None:
    params = {"save_result": True, "run_sync": True}
    state, result = run(flows, "std.test_dict", input=LARGE, params=params)
    assert state == "ERROR"
    assert result.startswith("Field size limit exceeded [class=ActionExecution, field=output, ")
    state, result = run(flows, "std.test_dict", input=LARGE)
    assert (state, len(result)) == ("SUCCESS", LARGE["size"])


def test_a_scheduled_result_has_a_limit(flows: Flows) -> None:
    body = {"name": "std.test_dict", "input": LARGE, "params": {"save_result": True}}
    path = f"/action_executions/{flows.ok('POST', '/action_executions', body)['id']}"

    def ended() -> Any:
        shown = flows.ok("GET", path)
        return shown["state"] == "ERROR" and json.loads(shown["output"])["result"]

    text = processes.wait_until(ended, "the result is refused", 60)
    assert text.startswith("Field size limit exceeded [class=ActionExecution, field=output, ")


LATER = """
later:
  base: std.async_noop
  output: <% [$, $] %>
"""


def _seen(flows: Flows, action_id: str, expected: str) -> dict[str, Any]:
    """The action when it has ended; before that no reader sees its result."""

    def ended() -> dict[str, Any] | None:
        shown = flows.ok("GET", f"/action_executions/{action_id}")
        if shown["state"] == "RUNNING":
            assert shown["output"] is None
            return None
        return shown  # type: ignore[no-any-return]

    shown: dict[str, Any] = processes.wait_until(ended, "its end", poll=0.002)
    assert (shown["state"], shown["output"]) == ("SUCCESS", expected)
    return shown


def test_a_scheduled_adhoc_action_ends_with_its_final_value(flows: Flows) -> None:
    flows.define(ADHOC, "actions")
    body = {"name": "around", "workflow_namespace": flows.namespace, "input": {"value": 7}}
    for _ in range(5):
        started = flows.ok("POST", "/action_executions", {**body, "params": {"save_result": True}})
        _seen(flows, started["id"], '{"result": 7}')


def test_an_adhoc_action_is_completed_from_outside(flows: Flows) -> None:
    """Alone and as a task: the answer has the final value, and so has that to a repetition."""
    flows.define(LATER, "actions")
    alone = flows.ok(
        "POST", "/action_executions", {"name": "later", "workflow_namespace": flows.namespace}
    )
    execution = flows.launch(
        "main: {tasks: {t: {action: later, publish: {x: <% task().result %>}}}}"
    )
    for action_id in (alone["id"], *execution.wait_actions("t")):
        status, shown = flows.complete(action_id, 3)
        assert (status, shown["state"]) == (200, "SUCCESS")
        assert (shown["output"], shown["accepted"]) == ('{"result": [3, 3]}', True)
        assert flows.complete(action_id, 3) == (200, shown)
        assert _seen(flows, action_id, '{"result": [3, 3]}') == shown
        assert flows.complete(action_id, [3, 3])[0] == 409
    assert execution.wait().row["output"] == {"x": [3, 3]}
