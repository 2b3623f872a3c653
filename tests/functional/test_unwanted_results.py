"""Actions whose tasks have ended or gone on without them (doc:language/policies#timeout)."""

from __future__ import annotations

import pytest

from tests.lib.flows import Execution, Flows

TIMED_OUT = "Task timed out [timeout(s)=1]."


def check_called_off(flows: Flows, run: Execution, action_id: str, cause: str) -> None:
    """It says why, takes no result, and nothing follows from the attempt."""
    shown = flows.ok("GET", f"/action-executions/{action_id}")
    assert (shown["state"], shown["state_info"]) == ("CANCELLED", cause)
    before = run.row, run.tasks()
    for state in ("SUCCESS", "ERROR"):
        status, fault = flows.complete(action_id, "late", state)
        assert (status, fault["faultstring"]) == (
            409,
            f"Action execution {action_id} is CANCELLED already, its result is not wanted any "
            f"more: {cause}",
        )
    # the same again is no conflict
    assert flows.complete(action_id, None, "CANCELLED")[0] == 200
    for state in ("PAUSED", "RUNNING"):
        assert flows.complete(action_id, None, state)[0] == 400
    assert flows.ok("GET", f"/action-executions/{action_id}") == shown
    assert (run.row, run.tasks()) == before


def test_a_timeout(flows: Flows) -> None:
    run = flows.run(
        "main: {tasks: {ask: {action: std.async_noop, timeout: 1, on-error: fail}}}", ends="ERROR"
    )
    (action,) = run.actions("ask")
    check_called_off(flows, run, action["id"], TIMED_OUT)
    waiting = flows.ok("GET", f"/action-executions?state=RUNNING&id={action['id']}")
    assert waiting["action_executions"] == []


def test_a_timeout_in_a_pause(flows: Flows) -> None:
    run = flows.launch("main: {tasks: {ask: {action: std.async_noop, timeout: 1}}}")
    (action_id,) = run.wait_actions("ask")
    run.put(state="PAUSED")
    run.wait_task("ask", "ERROR")
    check_called_off(flows, run, action_id, TIMED_OUT)


def test_a_retry_after_a_timeout(flows: Flows) -> None:
    run = flows.launch("""
    main:
      output: {answer: <% task(ask).result %>}
      tasks:
        ask: {action: std.async_noop, timeout: 1, retry: {count: 1, delay: 0}}
    """)
    (first,) = run.wait_actions("ask")
    run.until(lambda: len(run.actions("ask")) == 2, "another attempt")
    (second,) = run.wait_actions("ask")
    assert second != first
    check_called_off(flows, run, first, TIMED_OUT)
    assert flows.complete(second, "yes")[0] == 200
    assert run.wait().output == {"answer": "yes"}


def test_a_timeout_between_the_result_and_the_end(flows: Flows) -> None:
    run = flows.launch(
        "main: {tasks: {t: {action: std.noop, wait-after: 3, timeout: 1, on-error: noop}}}"
    ).wait()
    assert run.task("t")["state_info"] == TIMED_OUT
    assert [row["state"] for row in run.actions("t")] == ["SUCCESS"]


def test_items_beside_one_that_is_cancelled(flows: Flows) -> None:
    run = flows.launch("""
    main:
      tasks:
        ask: {with-items: 'i in [1, 2, 3]', action: std.async_noop}
    """)
    first, second, third = run.wait_actions("ask", 3)
    assert flows.complete(first, "yes")[0] == 200
    assert flows.complete(second, None, "CANCELLED")[0] == 200
    run.wait("CANCELLED")
    check_called_off(flows, run, third, "One or more actions was cancelled.")
    assert sorted(row["state"] for row in run.actions("ask")) == [
        "CANCELLED",
        "CANCELLED",
        "SUCCESS",
    ]


def test_items_beside_one_that_can_not_start(flows: Flows) -> None:
    run = flows.launch("""
    main:
      tasks:
        ask:
          with-items: i in [1, 1, 0]
          concurrency: 2
          action: std.async_noop
          target: <% switch($.i = 0 => 0, true => null) %>
    """)
    first, second = run.wait_actions("ask", 2)
    assert flows.complete(first)[0] == 200
    run.wait("ERROR")
    check_called_off(flows, run, second, run.task("ask")["state_info"])


def test_items_that_are_repeated(flows: Flows) -> None:
    run = flows.run(
        """
    main:
      tasks:
        ask: {with-items: 'i in [1, 2]', action: std.async_noop, timeout: 1}
    """,
        ends="ERROR",
    )
    old = [row["id"] for row in run.actions("ask")]
    assert run.put_task("ask", state="RUNNING", reset=False)[0] == 200
    new = run.wait_actions("ask", 2)
    check_called_off(flows, run, old[0], TIMED_OUT)
    assert not {*old} & {*new}


def test_a_rollback(flows: Flows) -> None:
    run = flows.launch("""
    main:
      tasks:
        done: {action: std.noop, rollback: std.noop}
        ask: {action: std.async_noop}
    """)
    run.wait_task("done", "SUCCESS")
    (action_id,) = run.wait_actions("ask")
    assert run.put(state="ROLLBACK")[0] == 200
    run.wait("CANCELLED")
    check_called_off(flows, run, action_id, "Abandoned by a rollback of the workflow.")


@pytest.mark.parametrize("state", ["SUCCESS", "ERROR", "CANCELLED"])
def test_the_end_of_the_workflow_leaves_tasks_and_actions_alone(flows: Flows, state: str) -> None:
    run = flows.launch("main: {tasks: {ask: {action: std.async_noop}}}")
    (action_id,) = run.wait_actions("ask")
    assert run.put(state=state)[0] == 200
    run.wait(state)
    assert (run.states(), run.actions("ask")[0]["state"]) == ({"ask": "RUNNING"}, "RUNNING")
    assert flows.complete(action_id, "late")[0] == 200
    assert run.actions("ask")[0]["state"] == "SUCCESS"
    assert run.state == state


def test_a_timeout_leaves_a_sub_workflow_alone(flows: Flows) -> None:
    run = flows.run(
        """
    child: {tasks: {ask: {action: std.async_noop}}}
    main: {tasks: {sub: {workflow: child, timeout: 1, on-error: noop}}}
    """
    )
    (child,) = run.children("sub")
    child.finish("ask", "yes")
    child.wait()
