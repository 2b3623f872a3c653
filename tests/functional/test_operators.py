"""Commands of operators: pause, resume, stop, cancel, rerun, skip."""

from __future__ import annotations

import pytest

from tests.lib.flows import Execution, Flows

TREE = """
bottom:
  tasks:
    wait: {action: std.async_noop, on-success: end}
    end: {action: std.noop}
middle:
  tasks:
    sub: {workflow: bottom, on-success: end}
    end: {action: std.noop}
main:
  tasks:
    sub: {workflow: middle, on-success: end}
    side: {action: std.async_noop}
    end: {action: std.noop}
"""


def tree(run: Execution) -> tuple[Execution, Execution]:
    """The executions below a run of ``main``, once the lowest one waits."""
    (middle,) = run.until(lambda: run.children("sub"), "a child")
    (bottom,) = run.until(lambda: middle.children("sub"), "a grandchild")
    bottom.wait_actions("wait")
    return middle, bottom


def test_a_pause_spreads_and_holds(flows: Flows) -> None:
    run = flows.launch(TREE)
    middle, bottom = tree(run)
    assert run.put(state="PAUSED")[0] == 200
    for execution in (run, middle, bottom):
        execution.wait("PAUSED")
    assert run.put(state="PAUSED")[0] == 200
    bottom.finish("wait", 1)
    bottom.wait_task("wait", "SUCCESS")
    assert bottom.names() == ["wait"]
    assert run.put(state="RUNNING")[0] == 200
    bottom.wait()
    middle.wait()
    run.finish("side")
    assert run.wait().names() == ["end", "side", "sub"]
    assert run.put(state="PAUSED")[0] == 400


def test_a_pause_at_the_bottom_goes_up(flows: Flows) -> None:
    run = flows.launch(TREE)
    middle, bottom = tree(run)
    bottom.put(state="PAUSED")
    run.wait("PAUSED")
    middle.wait("PAUSED")
    bottom.put(state="RUNNING")
    run.wait("RUNNING")
    bottom.finish("wait")
    run.finish("side")
    run.wait()


def test_a_paused_parent_waits_for_each_of_its_children(flows: Flows) -> None:
    run = flows.launch("""
child:
  tasks:
    wait: {action: std.async_noop}
main:
  tasks:
    one: {workflow: child}
    two: {with-items: "i in [1, 2]", workflow: child}
""")
    run.until(lambda: len(run.children("two")) == 2, "the children")
    (one,) = run.until(lambda: run.children("one"), "the other child")
    two, three = run.children("two")
    children = (one, two, three)
    for child in children:
        child.wait_actions("wait")
    one.put(state="PAUSED")
    for execution in (run, *children):
        execution.wait("PAUSED")
    assert run.states() == {"one": "PAUSED", "two": "PAUSED"}
    one.put(state="RUNNING")
    run.wait_task("one", "RUNNING")
    two.put(state="RUNNING")
    two.wait("RUNNING")
    assert (run.state, three.state, run.states()["two"]) == ("PAUSED", "PAUSED", "PAUSED")
    three.put(state="RUNNING")
    run.wait("RUNNING")
    assert run.states() == {"one": "RUNNING", "two": "RUNNING"}
    for child in children:
        child.finish("wait")
    run.wait()


def test_a_cancellation_spreads_down(flows: Flows) -> None:
    run = flows.launch(TREE)
    middle, bottom = tree(run)
    assert run.put(state="CANCELLED", state_info="enough")[0] == 200
    for execution in (run, middle, bottom):
        assert execution.wait("CANCELLED").info == "enough"
    (waiting,) = bottom.actions("wait")
    assert waiting["state"] == "RUNNING"
    # recorded, but nobody is revived
    bottom.finish("wait", 7)
    bottom.wait_task("wait", "SUCCESS")
    assert bottom.names() == ["wait"]
    assert (run.state, middle.state, bottom.state) == ("CANCELLED",) * 3
    assert run.put(state="RUNNING")[1]["state"] == "CANCELLED"


def test_a_cancelled_child_cancels_its_parents(flows: Flows) -> None:
    run = flows.launch(TREE)
    middle, bottom = tree(run)
    run.finish("side")
    bottom.put(state="CANCELLED")
    assert middle.wait("CANCELLED").info == "Cancelled tasks: sub"
    assert run.wait("CANCELLED").states()["sub"] == "CANCELLED"


def test_a_cancelled_action_cancels_the_workflow(flows: Flows) -> None:
    run = flows.launch("""
    main:
      tasks:
        t: {action: std.async_noop, on-error: x, on-complete: x}
        x: {action: std.noop}
    """)
    run.finish("t", None, "CANCELLED")
    assert run.wait("CANCELLED").states() == {"t": "CANCELLED"}


@pytest.mark.parametrize("state", ["SUCCESS", "ERROR"])
def test_stopping(flows: Flows, state: str) -> None:
    run = flows.launch("""
    main:
      vars: {v: 1}
      output: {v: <% $.v %>}
      tasks:
        t: {action: std.async_noop, on-success: x}
        x: {action: std.noop}
    """)
    run.wait_actions("t")
    assert run.put(state=state, state_info="by hand")[0] == 200
    run.wait(state)
    assert run.info == "by hand"
    assert run.output == ({"v": 1} if state == "SUCCESS" else {"result": "by hand"})
    run.finish("t")
    run.wait_task("t", "SUCCESS")
    assert run.names() == ["t"]


RERUN = """
main:
  input: [good]
  output: {r: <% $.r %>}
  tasks:
    a: {action: std.noop, on-success: t}
    t:
      action: <% env().action %>
      publish: {r: done}
      publish-on-skip: {r: skipped}
      on-success: [b, j]
    b: {action: std.noop, on-success: j}
    j: {action: std.noop, join: all}
"""


def test_a_rerun_goes_on_from_there(flows: Flows) -> None:
    run = flows.run(RERUN, {"good": 1}, ends="ERROR", env={"action": "std.fail"})
    assert run.put_task("t", state="RUNNING")[0] == 400
    assert run.put_task("a", state="RUNNING", reset=True)[0] == 400
    assert run.put_task("t", state="RUNNING", reset=True)[0] == 200
    run.until(lambda: len(run.actions("t")) == 2 and run.state == "ERROR", "it fails again")
    env = {"action": "std.noop"}
    status, _ = run.put_task("t", state="RUNNING", reset=True, env=env)
    assert status == 200
    run.wait("SUCCESS") if run.state != "ERROR" else run.until(lambda: run.state == "SUCCESS")
    assert run.output == {"r": "done"}
    assert run.names() == ["a", "b", "j", "t"]
    assert [row["accepted"] for row in run.actions("t")] == [False, False, True]


def test_a_task_is_skipped(flows: Flows) -> None:
    run = flows.run(RERUN, {"good": 1}, ends="ERROR", env={"action": "std.fail"})
    assert run.put_task("t", state="SKIPPED")[0] == 200
    run.until(lambda: run.state == "SUCCESS", "the skip takes effect")
    assert run.output == {"r": "skipped"}
    task = run.task("t")
    assert (task["state"], task["state_info"]) == ("SKIPPED", "Task was skipped.")
    assert run.put_task("t", state="SKIPPED")[0] == 400


def test_a_rerun_in_a_child_revives_its_parents(flows: Flows) -> None:
    run = flows.run(
        """
    sub:
      tasks:
        t: {action: <% env().action %>}
    main:
      tasks:
        s: {workflow: sub, on-success: x}
        x: {action: std.noop}
    """,
        ends="ERROR",
        env={"action": "std.fail"},
    )
    (child,) = run.children("s")
    run.put(params={"env": {"action": "std.noop"}})
    assert child.put_task("t", state="RUNNING", reset=True)[0] == 200
    run.until(lambda: run.state == "SUCCESS", "the parent succeeds, too")
    assert run.states() == {"s": "SUCCESS", "x": "SUCCESS"}


@pytest.mark.parametrize("join", ["0", "all"])
@pytest.mark.parametrize(("reset", "new"), [(True, 3), (False, 1)])
def test_items_run_again(flows: Flows, reset: bool, new: int, join: str) -> None:
    run = flows.launch(f"""
    main:
      output: {{all: <% task(t).result %>}}
      tasks:
        begin: {{action: std.noop, on-success: t}}
        t: {{join: {join}, with-items: "i in [1, 2, 3]", action: std.async_noop}}
    """)
    first, second, third = run.wait_actions("t", 3)
    flows.complete(first, "a")
    flows.complete(second, "bad", "ERROR")
    flows.complete(third, "c")
    run.wait("ERROR")
    assert run.put_task("t", state="RUNNING", reset=reset)[0] == 200
    again = run.wait_actions("t", new)
    assert len(again) == new
    for number, action_id in enumerate(again):
        flows.complete(action_id, number)
    run.until(lambda: run.state == "SUCCESS", "the rerun succeeds")
    assert run.output["all"] == ([0, 1, 2] if reset else ["a", 0, "c"])


ITEMS_OF_THE_ENVIRONMENT = """
main:
  output: {all: <% $.all %>}
  tasks:
    t:
      with-items: i in <% env().items %>
      action: std.echo output=<% $.i %>
      fail-on: <% env().fails %>
      publish: {all: <% task().result %>}
"""


@pytest.mark.parametrize("items", [[1, 2], [1, 2, 3, 4], []])
@pytest.mark.parametrize("reset", [True, False])
def test_items_run_again_over_other_lists(flows: Flows, reset: bool, items: list[int]) -> None:
    text = ITEMS_OF_THE_ENVIRONMENT.replace("std.echo output=<% $.i %>", "std.async_noop")
    run = flows.launch(text, env={"items": [1, 2, 3], "fails": False})
    for number, action_id in enumerate(run.wait_actions("t", 3)):
        flows.complete(action_id, number, "SUCCESS" if number == 0 and items else "ERROR")
    run.wait("ERROR")
    assert run.put_task("t", state="RUNNING", reset=reset, env={"items": items})[0] == 200
    kept = 0 if reset or not items else 1
    for action_id in run.wait_actions("t", len(items) - kept) if items else ():
        flows.complete(action_id, "again")
    run.until(lambda: run.state == "SUCCESS", "the rerun succeeds")
    assert run.output["all"] == [0] * kept + ["again"] * (len(items) - kept)


@pytest.mark.parametrize("items", [[5], []])
@pytest.mark.parametrize("call", ["action: std.async_noop", "workflow: child"])
def test_results_of_items_that_are_gone_do_not_count(
    flows: Flows, call: str, items: list[int]
) -> None:
    text = ITEMS_OF_THE_ENVIRONMENT.replace("action: std.echo output=<% $.i %>", call)
    run = flows.launch(
        """
child:
  output: {got: <% $.got %>}
  tasks:
    t: {action: std.async_noop, publish: {got: <% task().result %>}}
"""
        + text,
        env={"items": [1, 2, 3], "fails": False},
    )

    def finish(index: int, state: str) -> None:
        if call.startswith("action"):
            flows.complete(run.wait_actions("t")[0], index, state)
        else:
            run.children("t")[index].finish("t", index, state)

    run.until(lambda: len(run.children("t") or run.actions("t")) == 3, "three items")
    for index in range(3):
        finish(index, "SUCCESS" if index else "ERROR")
    run.wait("ERROR")
    assert run.put_task("t", state="RUNNING", reset=False, env={"items": items})[0] == 200
    if items:
        run.until(lambda: len(run.children("t") or run.actions("t")) == 4, "one more")
        finish(3, "SUCCESS")
    run.until(lambda: run.state == "SUCCESS", "the rerun succeeds")
    mine = 3 if call.startswith("action") else {"got": 3}
    assert run.output["all"] == run.task("t")["result"] == [mine] * len(items)


def test_items_that_never_began_run_without_reset(flows: Flows) -> None:
    run = flows.run(ITEMS_OF_THE_ENVIRONMENT, ends="ERROR", env={"items": 5, "fails": False})
    env = {"items": [1, 2], "fails": True}
    assert run.put_task("t", state="RUNNING", reset=False, env=env)[0] == 200
    run.until(lambda: run.task("t")["state_info"] == "Failed by 'fail-on' policy", "the policy")
    assert run.put_task("t", state="RUNNING", reset=False, env={"fails": False})[0] == 200
    run.until(lambda: run.state == "SUCCESS", "the rerun succeeds")
    assert run.output["all"] == [1, 2]
    assert len(run.actions("t")) == 2


@pytest.mark.parametrize("state", ["ERROR", "PAUSED"])
def test_a_task_without_items_has_nothing_to_keep(flows: Flows, state: str) -> None:
    run = flows.launch("""
    main:
      tasks:
        t: {action: std.fail}
        other: {action: std.async_noop}
    """)
    run.wait_task("t", "ERROR")
    run.put(state=state)
    status, document = run.put_task("t", state="RUNNING", reset=False)
    assert (status, run.state) == (400, state)
    assert "Only with-items task has the option to not reset" in document["faultstring"]


def test_an_asynchronous_action_is_paused(flows: Flows) -> None:
    run = flows.launch("""
    main:
      tasks:
        t: {action: std.async_noop}
    """)
    (action,) = run.wait_actions("t")
    assert flows.complete(action, state="PAUSED")[0] == 200
    run.wait("PAUSED")
    assert run.states() == {"t": "PAUSED"}
    assert flows.complete(action, state="RUNNING")[0] == 200
    run.wait("RUNNING")
    assert flows.complete(action, 1)[0] == 200
    run.wait()


def test_two_paused_actions_need_one_resume(flows: Flows) -> None:
    run = flows.launch("""
main:
  tasks:
    t: {with-items: "i in [1, 2]", action: std.async_noop, on-success: end}
    end: {action: std.noop}
""")
    actions = run.wait_actions("t", 2)
    for action in actions:
        assert flows.complete(action, state="PAUSED")[0] == 200
    run.wait("PAUSED")
    assert run.put(state="RUNNING")[1]["state"] == "RUNNING"
    for action in actions:
        flows.complete(action)
    run.wait()


def test_environments_change_while_nothing_runs(flows: Flows) -> None:
    run = flows.launch(
        """
    main:
      output: {e: <% env() %>}
      tasks:
        t: {action: std.async_noop}
    """,
        env={"a": 1, "d": {"x": 1}},
    )
    run.wait_actions("t")
    assert run.put(params={"env": {"a": 2}})[0] == 403
    run.put(state="PAUSED")
    run.wait("PAUSED")
    assert run.put(params={"env": {"d": {"y": 2}}})[0] == 200
    assert run.put(state="RUNNING", params={"env": {"a": 2}})[0] == 200
    run.finish("t")
    run.wait()
    assert run.output == {"e": {"a": 2, "d": {"x": 1, "y": 2}}}
