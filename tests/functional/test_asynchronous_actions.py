"""The heart: an action that somebody else completes."""

from __future__ import annotations

import concurrent.futures
import json
from typing import Any

import pytest

from tests.lib.flows import Execution, Flows
from tests.lib.third_party import ThirdParty


def test_the_documented_example(flows: Flows, third_party: ThirdParty) -> None:
    text = f"""---
  version: '2.0'

  my_workflow_{third_party.server_port}:
    tasks:
      one_plus_two:
        action: mistral_http url={third_party.url}
        input:
          params:
            a: 1
            b: 2
"""
    flows.ok("POST", "/workflows", text)
    name = f"my_workflow_{third_party.server_port}"
    started = flows.ok("POST", "/executions", {"workflow_name": name})
    run = Execution(flows, started["id"]).wait()
    task = run.task("one_plus_two")
    assert task["result"] == 3
    assert third_party.delivered.wait(30)
    assert third_party.answers == [200]
    (action,) = run.actions("one_plus_two")
    assert third_party.seen == [
        {
            "Mistral-Workflow-Name": name,
            "Mistral-Workflow-Execution-Id": run.id,
            "Mistral-Task-Id": task["id"],
            "Mistral-Action-Execution-Id": action["id"],
            "Mistral-Callback-URL": flows.url,
        }
    ]


ONE = """
main:
  output: {r: <% task(t).result %>}
  tasks: {t: {action: std.async_noop}}
"""


@pytest.mark.parametrize(
    "value", [3, 1.5, 0, False, None, "", "text", [1, [2]], {"a": {"b": None}}, "ünï\n😀"]
)
def test_any_json_value_is_a_result(flows: Flows, value: Any) -> None:
    run = flows.launch(ONE)
    (action,) = run.wait_actions("t")
    sent = json.dumps(value) if isinstance(value, str) else value
    status, first = flows.complete(action, sent)
    assert status == 200
    assert flows.complete(action, sent) == (200, first)
    run.wait()
    assert run.output == {"r": value}
    # the body is the same after the workflow has gone on, too
    again = flows.complete(action, sent)[1]
    assert again["output"] == first["output"]


def test_a_second_result_that_differs_is_refused(flows: Flows) -> None:
    run = flows.launch(ONE)
    (action,) = run.wait_actions("t")
    assert flows.complete(action, 1)[0] == 200
    for output, state in ((2, "SUCCESS"), (1, "ERROR"), (None, "CANCELLED")):
        status, fault = flows.complete(action, output, state)
        assert status == 409
        assert fault["faultstring"]
    run.wait()
    assert flows.complete(action, 2)[0] == 409
    assert run.output == {"r": 1}


def test_completions_that_make_no_sense(flows: Flows) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    assert flows.complete(unknown, 1)[0] == 404
    run = flows.launch(ONE)
    (action,) = run.wait_actions("t")
    for state in ("", "IDLE", "DELAYED", "success"):
        assert flows.complete(action, 1, state)[0] == 400
    assert flows.request("PUT", f"/action_executions/{action}", {"output": 1})[0] == 400
    run.finish("t", "now")
    assert run.wait().output == {"r": "now"}


def test_a_race_has_one_winner(flows: Flows) -> None:
    run = flows.launch(ONE)
    (action,) = run.wait_actions("t")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: flows.complete(action, n), range(8)))
    statuses = [status for status, _ in answers]
    assert sorted(statuses) == [200] + [409] * 7
    assert run.wait().output == {"r": statuses.index(200)}


def test_an_error_can_be_delivered(flows: Flows) -> None:
    run = flows.launch("""
    main:
      output: {why: <% task(t).result.why %>}
      tasks: {t: {action: std.async_noop, on-error: noop}}
    """)
    run.finish("t", {"why": "because"}, "ERROR")
    assert run.wait().output == {"why": "because"}


def test_a_third_party_that_can_not_be_told(flows: Flows) -> None:
    run = flows.run("""
    main:
      tasks:
        t:
          action: std.mistral_http
          input: {url: "http://127.0.0.1:9/"}
          on-error: noop
    """)
    assert run.states() == {"t": "ERROR"}


def test_single_actions(flows: Flows) -> None:
    def run(**body: Any) -> dict[str, Any]:
        answer: dict[str, Any] = flows.ok("POST", "/action_executions", body)
        return answer

    echo = {"name": "std.echo", "input": {"output": "Hi"}}
    shown = run(**echo)
    assert (shown["id"], shown["state"]) == (None, "SUCCESS")
    assert json.loads(shown["output"]) == {"result": "Hi"}
    kept = run(**echo, params={"save_result": True, "run_sync": True})
    path = f"/action_executions/{kept['id']}"
    assert flows.ok("GET", path)["state"] == "SUCCESS"
    failed = run(name="std.fail")
    assert failed["state"] == "ERROR"
    waiting = run(name="std.async_noop")
    assert flows.complete(waiting["id"], 5)[0] == 200
    assert json.loads(flows.ok("GET", f"/action_executions/{waiting['id']}")["output"]) == {
        "result": 5
    }
    for wrong in ({"name": "no.such"}, {"name": "std.echo", "input": {"no": 1}}):
        assert flows.request("POST", "/action_executions", wrong)[0] == 400


def test_actions_that_users_define(flows: Flows) -> None:
    flows.define(
        """
    polite:
      input: [name, greeting: Hello]
      base: std.echo
      base-input: {output: "<% $.greeting %>, <% $.name %>!"}
      output: {text: <% $ %>}
    """,
        kind="actions",
    )
    run = flows.run("""
    main:
      output: {r: <% task(t).result.text %>}
      tasks: {t: {action: polite name="you"}}
    """)
    assert run.output == {"r": "Hello, you!"}


def test_items_that_are_paused_one_by_one_are_resumed_one_by_one(flows: Flows) -> None:
    run = flows.launch(
        """
        main:
          tasks:
            a: {with-items: 'i in [1, 2, 3]', action: std.async_noop}
        """
    )
    first, second, third = run.wait_actions("a", 3)
    for action_id in (first, second):
        assert _set(flows, action_id, "PAUSED") == 200
    run.wait("PAUSED")
    assert _set(flows, first, "RUNNING") == 200
    assert {row["id"]: row["state"] for row in run.actions("a")} == {
        first: "RUNNING",
        second: "PAUSED",
        third: "RUNNING",
    }
    assert (run.state, run.states()["a"]) == ("PAUSED", "PAUSED")
    assert _set(flows, second, "RUNNING") == 200
    assert (run.state, run.states()["a"]) == ("RUNNING", "RUNNING")
    for action_id in (first, second, third):
        assert flows.complete(action_id)[0] == 200
    run.wait()


def test_a_paused_item_that_ends_no_longer_holds_its_workflow(flows: Flows) -> None:
    run = flows.launch(
        """
        main:
          tasks:
            a: {with-items: 'i in [1, 2]', action: std.async_noop}
        """
    )
    first, second = run.wait_actions("a", 2)
    for action_id in (first, second):
        assert _set(flows, action_id, "PAUSED") == 200
    run.wait("PAUSED")
    assert flows.complete(first)[0] == 200
    assert _set(flows, second, "RUNNING") == 200
    assert flows.complete(second)[0] == 200
    run.wait()


def _set(flows: Flows, action_id: str, state: str) -> int:
    return flows.request("PUT", f"/action_executions/{action_id}", {"state": state})[0]
