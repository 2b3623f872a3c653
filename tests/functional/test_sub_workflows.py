"""Workflows as tasks."""

from __future__ import annotations

import pytest

from tests.lib.flows import Execution, Flows

SUB = """
sub:
  input: [a, b: 2]
  output: {sum: <% $.a + $.b %>}
  output-on-error: {why: <% $.a %>}
  tasks:
    t: {action: std.noop, on-success: [{fail(msg="no"): <% $.a = 0 %>}]}
"""


def test_a_child_gives_its_output(flows: Flows) -> None:
    flows.define(SUB)
    run = flows.run(
        """
    main:
      output: {s: <% $.s %>}
      tasks:
        t: {workflow: sub a=1 extra=5, publish: {s: <% task().result.sum %>}}
    """,
        env={"e": 1},
    )
    assert run.output == {"s": 3}
    (child,) = run.children("t")
    row = child.row
    assert row["root_execution_id"] == run.id
    assert row["task_execution_id"] == run.task("t")["id"]
    assert row["input"] == {"a": 1, "b": 2}
    assert (row["params"]["extra"], row["params"]["env"]) == (5, {"e": 1})
    assert run.task("t")["type"] == "WORKFLOW"


def test_a_child_that_fails(flows: Flows) -> None:
    flows.define(SUB)
    run = flows.run("""
    main:
      output: {why: <% $.why %>}
      tasks:
        t:
          workflow: sub a=0
          publish-on-error: {why: <% task().result.why %>}
          on-error: noop
    """)
    assert run.output == {"why": 0}
    assert run.task("t")["state_info"] == "no"


def test_children_that_can_not_start(flows: Flows) -> None:
    flows.define(SUB)
    run = flows.run("""
    main:
      tasks:
        missing_input: {workflow: sub, on-error: noop}
        missing_workflow: {workflow: no_such_workflow, on-error: noop}
    """)
    assert set(run.states().values()) == {"ERROR"}
    assert run.children("missing_input") == run.children("missing_workflow") == []
    assert "no_such_workflow" in run.task("missing_workflow")["state_info"]


def test_three_levels_and_a_name_that_is_computed(flows: Flows) -> None:
    run = flows.run(
        """
    bottom:
      input: [n]
      output: {r: <% $.n + env().plus %>}
      tasks: {t: {action: std.noop}}
    middle:
      input: [n, which]
      output: {r: <% task(t).result.r %>}
      tasks: {t: {workflow: <% $.which %>, input: {n: <% $.n %>}}}
    main:
      output: {r: <% task(t).result.r %>}
      tasks: {t: {workflow: middle, input: {n: 1, which: bottom}}}
    """,
        env={"plus": 10},
    )
    assert run.output == {"r": 11}
    (middle,) = run.children("t")
    (bottom,) = middle.children("t")
    assert bottom.row["root_execution_id"] == run.id


def test_many_children_are_joined(flows: Flows) -> None:
    tasks = "\n".join(f"    c{n}: {{workflow: sub a={n}, on-success: j}}" for n in range(1, 9))
    flows.define(SUB)
    run = flows.run(f"main:\n  tasks:\n{tasks}\n    j: {{action: std.noop, join: all}}\n")
    assert len(run.actions("j")) == 1


def test_a_reverse_workflow_as_a_child(flows: Flows) -> None:
    run = flows.run("""
    back:
      type: reverse
      output: {r: <% $.r %>}
      tasks:
        first: {publish: {f: 1}}
        last: {requires: first, publish: {r: <% $.f + 1 %>}}
        unused: {action: std.fail}
    main:
      output: {r: <% task(t).result.r %>}
      tasks: {t: {workflow: "back task_name='last'"}}
    """)
    assert run.output == {"r": 2}
    (child,) = run.children("t")
    assert child.names() == ["first", "last"]


def test_reverse_workflows(flows: Flows) -> None:
    flows.define("""
    main:
      type: reverse
      input: [kind: std.noop]
      output: {r: <% $.r %>}
      tasks:
        a: {publish: {x: {a: 1}}}
        b: {action: <% $.kind %>, publish: {x: {b: 2}}}
        c: {requires: [a, b], publish: {r: <% $.x %>}}
    """)
    assert flows.start("main", task_name="c").wait().output == {"r": {"a": 1, "b": 2}}
    for wrong in (None, "d", ["c"], {"c": 1}, 3):
        body = {
            "workflow_name": "main",
            "workflow_namespace": flows.namespace,
            "params": {"task_name": wrong},
        }
        assert flows.request("POST", "/executions", body)[0] == 400
    # the output is not there, because only what the target needs has run
    assert flows.start("main", task_name="a").wait("ERROR").names() == ["a"]
    failed = flows.start("main", {"kind": "std.fail"}, task_name="c").wait("ERROR")
    assert "c" not in failed.names()
    body = {"workflow_name": "main", "workflow_namespace": flows.namespace}
    for params in ({}, {"task_name": "no"}):
        assert flows.request("POST", "/executions", body | {"params": params})[0] == 400


def test_only_the_last_attempt_counts_as_the_result_of_a_task(flows: Flows) -> None:
    run = flows.launch(
        """
        child:
          input: [n]
          output-on-error: {result: bad, n: <% $.n %>}
          output: {n: <% $.n %>}
          tasks:
            t: {action: <% env().act %>}
        main:
          output: {one: <% task(one).result %>, many: <% task(many).result %>}
          tasks:
            one: {workflow: child n=1, retry: {count: 1, delay: 0}}
            many: {with-items: 'i in [1, 2]', workflow: child n=<% $.i %>}
        """,
        env={"act": "std.fail"},
    ).wait("ERROR")
    bad = [{"result": "bad", "n": n} for n in (1, 2)]
    assert len(run.children("one")) == 2
    assert (run.task("one")["result"], run.task("many")["result"]) == (bad[0], bad)
    again = {"state": "RUNNING", "reset": True, "env": {"act": "std.noop"}}
    assert run.put_task("one", **again)[0] == 200
    run.until(lambda: run.states()["one"] == "SUCCESS", "the end of the rerun")
    run.wait("ERROR")
    assert run.task("one")["result"] == {"n": 1}
    assert run.put_task("many", state="RUNNING", reset=False)[0] == 200
    run.wait()
    assert run.task("many")["result"] == [{"n": 1}, {"n": 2}]
    assert run.output == {"one": {"n": 1}, "many": [{"n": 1}, {"n": 2}]}


ASKING = """
sub:
  input: [n: 0]
  output: {n: <% $.n %>}
  tasks:
    ask: {action: std.async_noop}
"""


def deleted(flows: Flows, child: Execution) -> None:
    assert flows.request("DELETE", f"/executions/{child.id}?force=true")[0] == 204
    assert flows.request("GET", f"/executions/{child.id}")[0] == 404


NESTED = """
sub:
  tasks:
    below: {workflow: asking}
asking:
  tasks:
    ask: {action: std.async_noop}
"""


@pytest.mark.parametrize("sub", [ASKING, NESTED], ids=["at-once", "in-parts"])
def test_a_task_whose_child_is_deleted_ends_in_error(flows: Flows, sub: str) -> None:
    flows.define(sub)
    run = flows.launch("""
    main:
      output: {why: <% $.why %>}
      tasks:
        t: {workflow: sub, on-error: after}
        after: {action: std.noop, publish: {why: <% task(t).state_info %>}}
    """)
    (child,) = run.children("t")
    child.wait("RUNNING")
    deleted(flows, child)
    run.wait("SUCCESS")
    text = f"The sub-workflow execution was deleted [execution_id={child.id}]"
    assert run.output == {"why": text}
    assert run.task("t")["state_info"] == text


def test_an_item_whose_child_is_deleted_has_failed(flows: Flows) -> None:
    flows.define(ASKING)
    run = flows.launch("""
    main:
      tasks:
        t:
          with-items: i in [0, 1, 2]
          workflow: sub n=<% $.i %>
    """)
    flows_of = {child.row["input"]["n"]: child for child in run.children("t")}
    flows_of[0].finish("ask")
    flows_of[0].wait()
    # it has been counted, or will be: once
    deleted(flows, flows_of[1])
    flows_of[2].finish("ask")
    run.wait("ERROR")
    assert run.task("t")["state"] == "ERROR"
    assert (
        flows.request("PUT", f"/tasks/{run.task('t')['id']}", {"state": "RUNNING", "reset": False})[
            0
        ]
        == 200
    )
    run.wait("RUNNING")
    (again,) = [c for c in run.children("t") if c.state == "RUNNING"]
    assert again.row["input"]["n"] == 1
    again.finish("ask")
    run.wait("SUCCESS")
    assert [r["n"] for r in run.task("t")["result"]] == [0, 1, 2]
