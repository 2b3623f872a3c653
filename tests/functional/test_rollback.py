"""Rolling back: compensations of what was done, newest first, one at a time."""

from __future__ import annotations

from typing import Any

from tests.lib.flows import Execution, Flows

MAIN = """
child:
  tasks:
    s:
      action: std.echo output="s"
      publish: {v: <% task().result %>}
      rollback: std.echo output=<% concat("undo ", $.v) %>
main:
  tasks:
    a:
      action: std.echo output="A"
      publish: {va: <% task().result %>}
      rollback: std.echo output=<% [task().result, $.va, task().name] %>
      on-success: b
    b:
      with-items: i in [1, 2, 3]
      action: std.echo output=<% $.i %>
      rollback: std.echo output=<% $.i %>
      on-success: c
    c:
      workflow: child
      on-success: [plain, open]
    plain:
      action: std.noop
    open:
      action: std.async_noop
"""

FAILING = """
main:
  tasks:
    a: {action: std.noop, rollback: std.noop, on-success: b}
    b:
      action: std.noop
      rollback: <% switch(env().broken => "std.fail", true => "std.noop") %>
      on-success: c
    c: {action: std.noop, rollback: std.noop}
"""


def compensations(run: Execution) -> list[tuple[str, str, list[Any]]]:
    """Name, state and results of the compensations in the order in which they were made."""
    found = []
    for task in run.tasks():
        if "rollback_of" in task["runtime_context"]:
            rows = run.flows.ok("GET", f"/tasks/{task['id']}/action_executions?include_output=true")
            results = [row["output"] for row in rows["action_executions"]]
            found.append((task["name"], task["state"], results))
    return found


def test_everything_is_undone_newest_first(flows: Flows) -> None:
    run = flows.launch(MAIN)
    run.wait_actions("open")
    run.wait_task("plain", "SUCCESS")
    assert run.put(state="ROLLBACK")[0] == 200
    run.wait("CANCELLED")
    assert run.info == (
        "Rolled back: c, b[2], b[1], b[0], a. "
        "Abandoned, not rolled back even if a result comes later: open."
    )
    assert compensations(run) == [
        ("c", "SUCCESS", []),
        ("b", "SUCCESS", ['{"result": 3}']),
        ("b", "SUCCESS", ['{"result": 2}']),
        ("b", "SUCCESS", ['{"result": 1}']),
        ("a", "SUCCESS", ['{"result": ["A", "A", "a"]}']),
    ]
    (child,) = run.children("c")
    assert child.state == "CANCELLED"
    assert compensations(child) == [("s", "SUCCESS", ['{"result": "undo s"}'])]


def test_a_late_result_is_refused_and_changes_nothing(flows: Flows) -> None:
    run = flows.launch(MAIN)
    (action_id,) = run.wait_actions("open")
    run.put(state="ROLLBACK")
    run.wait("CANCELLED")
    assert flows.complete(action_id, "late")[0] == 409
    assert run.wait("CANCELLED").states()["open"] == "CANCELLED"


def test_nothing_is_undone_twice(flows: Flows) -> None:
    run = flows.launch(MAIN)
    run.wait_actions("open")
    run.wait_task("plain", "SUCCESS")
    run.put(state="ROLLBACK")
    run.wait("CANCELLED")
    status, answer = run.put(state="ROLLBACK")
    assert status == 400
    assert "nothing to roll back" in answer["faultstring"]


def test_without_compensations_it_is_refused_and_nothing_changes(flows: Flows) -> None:
    run = flows.launch("main:\n  tasks:\n    a: {action: std.async_noop}\n")
    run.wait_actions("a")
    assert run.put(state="ROLLBACK")[0] == 400
    assert run.state == "RUNNING"
    run.finish("a")
    run.wait()


def test_a_failed_compensation_says_what_remains_and_can_be_repeated(flows: Flows) -> None:
    run = flows.run(FAILING, env={"broken": True})
    run.put(state="ROLLBACK")
    run.wait("ERROR")
    assert "The rollback failed at task 'b'" in run.info
    assert "Not rolled back: b, a." in run.info
    assert "Rolled back: c." in run.info
    assert run.put(params={"env": {"broken": False}})[0] == 200
    assert run.put(state="ROLLBACK")[0] == 200
    run.wait("CANCELLED")
    assert run.info == "Rolled back: c, b, a."


def test_a_failed_execution_undoes_what_had_succeeded(flows: Flows) -> None:
    run = flows.run(
        """
        main:
          tasks:
            a: {action: std.noop, rollback: std.echo output="back", on-success: b}
            b: {action: std.fail, rollback: std.noop}
        """,
        ends="ERROR",
    )
    run.put(state="ROLLBACK")
    run.wait("CANCELLED")
    assert compensations(run) == [("a", "SUCCESS", ['{"result": "back"}'])]


def test_a_paused_execution_is_rolled_back(flows: Flows) -> None:
    run = flows.launch(
        """
        main:
          tasks:
            a: {action: std.noop, rollback: std.noop, on-success: [pause, b]}
            b: {action: std.noop}
        """
    )
    run.wait("PAUSED")
    run.put(state="ROLLBACK")
    run.wait("CANCELLED")
    assert "b" not in run.names()


def test_a_running_child_is_stopped_and_undone_first(flows: Flows) -> None:
    run = flows.launch(
        """
        child:
          tasks:
            s: {action: std.noop, rollback: std.echo output="s", on-success: open}
            open: {action: std.async_noop, on-success: never}
            never: {action: std.noop}
        main:
          tasks:
            a: {action: std.noop, rollback: std.echo output="a", on-success: c}
            c: {workflow: child}
        """
    )
    (child,) = run.until(lambda: run.children("c"), "a child")
    child.wait_actions("open")
    run.put(state="ROLLBACK")
    run.wait("CANCELLED")
    assert [name for name, _state, _results in compensations(run)] == ["c", "a"]
    assert "Abandoned, not rolled back even if a result comes later: open." in child.info
    assert "never" not in child.names()


def test_after_a_failed_rollback_a_task_can_be_run_again(flows: Flows) -> None:
    run = flows.run(
        """
        main:
          tasks:
            a: {action: std.noop, rollback: std.noop, on-success: b}
            b: {action: std.noop, rollback: std.fail, on-success: c}
            c: {action: <% env().last %>}
        """,
        ends="ERROR",
        env={"last": "std.fail"},
    )
    run.put(state="ROLLBACK")
    run.until(lambda: "The rollback failed" in run.info, "the failed rollback")
    run.wait("ERROR")
    assert run.put_task("c", state="RUNNING", reset=True, env={"last": "std.noop"})[0] == 200
    run.wait("SUCCESS")


def test_what_a_rerun_added_after_a_failed_rollback_is_undone_first(flows: Flows) -> None:
    run = flows.run(
        """
        main:
          tasks:
            a: {action: std.noop, rollback: std.noop, on-success: b}
            b:
              action: std.noop
              rollback: <% switch(env().broken => "std.fail", true => "std.noop") %>
              on-success: c
            c:
              action: <% switch(env().broken => "std.fail", true => "std.noop") %>
              rollback: std.noop
              on-success: d
            d: {action: std.noop, rollback: std.noop}
        """,
        ends="ERROR",
        env={"broken": True},
    )
    run.put(state="ROLLBACK")
    run.until(lambda: "Not rolled back: b, a." in run.info, "the failed rollback")
    run.wait("ERROR")
    assert run.put_task("c", state="RUNNING", reset=True, env={"broken": False})[0] == 200
    run.wait("SUCCESS")
    run.put(state="ROLLBACK")
    run.wait("CANCELLED")
    assert run.info == "Rolled back: d, c, b, a."


def test_nothing_is_paused_while_it_is_rolled_back(flows: Flows) -> None:
    run = flows.run("main:\n  tasks:\n    a: {action: std.noop, rollback: std.async_noop}\n")
    run.put(state="ROLLBACK")
    action = open_compensation(run)
    status, answer = flows.request("PUT", f"/action_executions/{action['id']}", {"state": "PAUSED"})
    assert (status, "rolled back" in answer["faultstring"]) == (400, True)
    assert run.put(state="PAUSED")[0] == 400
    assert flows.complete(action["id"])[0] == 200
    run.wait("CANCELLED")


OPEN = """
main:
  tasks:
    a: {action: std.noop, rollback: std.async_noop, on-success: b}
    b: {action: std.fail}
"""


def open_compensation(run: Execution, task: str = "a", but: str = "") -> dict[str, Any]:
    """The action of the compensation that waits for its result."""

    def found() -> dict[str, Any] | None:
        open_ones = (a for a in run.actions(task) if a["state"] == "RUNNING" and a["id"] != but)
        return next(open_ones, None)

    action: dict[str, Any] = run.until(found, "the compensation")
    return action


def test_nothing_is_run_again_while_it_is_rolled_back(flows: Flows) -> None:
    run = flows.run(OPEN, ends="ERROR")
    run.put(state="ROLLBACK")
    action = open_compensation(run)
    status, answer = run.put_task("b", state="RUNNING", reset=True)
    assert (status, "rolled back" in answer["faultstring"]) == (400, True)
    assert flows.complete(action["id"], "no", "ERROR")[0] == 200
    run.wait("ERROR")
    for body in ({"state": "RUNNING", "reset": True}, {"state": "SKIPPED"}):
        status, answer = run.put_task("a", **body)
        assert (status, "compensation" in answer["faultstring"]) == (400, True)


def test_a_rollback_that_was_stopped_goes_on_with_the_compensation_under_way(flows: Flows) -> None:
    run = flows.run(OPEN, ends="ERROR")
    run.put(state="ROLLBACK")
    action = open_compensation(run)
    assert run.put(state="CANCELLED")[0] == 200
    run.wait("CANCELLED")
    assert run.put(state="ROLLBACK")[0] == 200
    run.wait("RUNNING")
    assert len(run.actions("a")) == 2
    assert flows.complete(action["id"])[0] == 200
    run.wait("CANCELLED")
    assert run.info == "Rolled back: a."


def test_a_compensation_that_fails_after_its_rollback_was_stopped_changes_nothing(
    flows: Flows,
) -> None:
    run = flows.run(OPEN, ends="ERROR")
    run.put(state="ROLLBACK")
    action = open_compensation(run)
    assert run.put(state="CANCELLED", state_info="enough")[0] == 200
    assert flows.complete(action["id"], "no", "ERROR")[0] == 200
    run.until(lambda: "ERROR" in [t["state"] for t in run.tasks("a")], "the compensation's end")
    assert (run.state, run.info) == ("CANCELLED", "enough")


AGAIN = """
main:
  tasks:
    first: {action: std.noop, rollback: <% env().last %>, on-success: [a, c]}
    a: {action: std.noop, on-success: j}
    c: {action: <% env().last %>, on-success: j}
    j:
      join: 1
      action: std.echo output=<% env().last %>
      rollback: ROLLBACK
"""


def test_items_of_a_join_that_ran_twice_are_undone_once(flows: Flows) -> None:
    run = flows.launch(
        """
        main:
          tasks:
            a: {action: std.noop, on-success: j}
            b: {action: std.async_noop, on-success: j}
            j:
              join: 1
              with-items: i in [1, 2]
              concurrency: 1
              action: std.echo output=<% $.i %>
              rollback: std.echo output=<% [$.i, task().result.len()] %>
        """
    )
    run.wait_actions("b")
    run.wait_task("j", "SUCCESS")
    run.finish("b")
    run.wait()
    assert run.put(state="ROLLBACK")[0] == 200
    run.wait("CANCELLED")
    assert run.info == "Rolled back: j[1], j[0]."
    assert compensations(run) == [
        ("j", "SUCCESS", ['{"result": [2, 4]}']),
        ("j", "SUCCESS", ['{"result": [1, 4]}']),
    ]


def undone_join(flows: Flows, compensation: str) -> Execution:
    """An execution that failed after its join had run: the join is being rolled back."""
    definition = AGAIN.replace("ROLLBACK", compensation)
    run = flows.run(definition, ends="ERROR", env={"last": "std.fail"})
    assert run.put(state="ROLLBACK")[0] == 200
    return run


def run_join_again(run: Execution) -> None:
    """What had failed is run again and leads to the join once more."""
    assert run.put_task("c", state="RUNNING", reset=True, env={"last": "std.noop"})[0] == 200
    run.wait("SUCCESS")


def test_a_join_that_ran_again_since_it_was_undone_is_undone_again(flows: Flows) -> None:
    run = undone_join(flows, "std.echo output=<% task().result %>")
    run.until(lambda: "Not rolled back: first." in run.info, "the failed rollback")
    run_join_again(run)
    assert run.put(state="ROLLBACK")[0] == 200
    run.wait("CANCELLED")
    assert run.info == "Rolled back: j, first."
    _name, state, results = compensations(run)[0]
    assert state == "SUCCESS"
    # what was undone before is no result that is to be undone now
    assert results == ['{"result": "std.fail"}', '{"result": "std.noop"}']
    assert run.put(state="ROLLBACK")[0] == 400


def test_a_join_that_ran_again_while_it_was_undone_is_undone_again(flows: Flows) -> None:
    run = undone_join(flows, "std.async_noop")
    first = open_compensation(run, "j")
    assert run.put(state="ERROR")[0] == 200
    run.wait("ERROR")
    run_join_again(run)
    assert run.put(state="ROLLBACK")[0] == 200
    assert flows.complete(first["id"])[0] == 200
    second = open_compensation(run, "j", but=first["id"])
    assert flows.complete(second["id"])[0] == 200
    run.wait("CANCELLED")
    assert run.info == "Rolled back: j, first."
    assert run.put(state="ROLLBACK")[0] == 400
