"""One task over many items."""

from __future__ import annotations

import statistics
import time

import pytest

from tests.lib.flows import Flows

ASYNC = """
main:
  input: [items]
  output: {all: <% task(t).result %>}
  tasks:
    t:
      with-items: i in <% $.items %>
      action: std.async_noop
      concurrency: 2
"""


def test_results_are_in_the_order_of_the_items(flows: Flows) -> None:
    run = flows.run("""
    main:
      output: {all: <% $.all %>, none: <% $.none %>}
      tasks:
        t:
          with-items:
            - i in [3, 1, 2]
            - name in <% [a, b, c] %>
          action: std.echo
          input: {output: "<% $.i %><% $.name %>"}
          publish: {all: <% task().result %>}
          on-success: empty
        empty:
          with-items: i in []
          action: std.echo output=<% $.i %>
          publish: {none: <% task().result %>}
    """)
    assert run.output == {"all": ["3a", "1b", "2c"], "none": []}
    assert run.actions("empty") == []
    assert run.task("t")["runtime_context"]["with_items"]["count"] == 3


def test_concurrency_bounds_what_is_unfinished(flows: Flows) -> None:
    run = flows.launch(ASYNC, {"items": list(range(5))})
    done: dict[str, int] = {}
    for number in range(5):
        expected = min(2, 5 - number)
        waiting = run.wait_actions("t", expected)
        assert len(waiting) == expected
        # the newest first: the order of ends does not matter
        done[waiting[-1]] = number
        assert flows.complete(waiting[-1], number)[0] == 200
        run.until(lambda n=number: len(run.actions("t", "SUCCESS")) == n + 1)
    run.wait()
    assert sorted(run.output["all"]) == [0, 1, 2, 3, 4]
    assert run.output["all"] == [done[row["id"]] for row in run.actions("t")]


@pytest.mark.parametrize("size", [1, 1000])
def test_items_are_those_of_the_beginning(flows: Flows, size: int) -> None:
    """Whatever becomes of the variables that they came from, small ones and large ones."""
    run = flows.launch(
        """
        main:
          input: [size]
          output: {all: <% task(t).result.select($.n) %>}
          tasks:
            begin:
              on-success:
                publish:
                  global:
                    items: <% let(s => $.size) -> range(3).select(dict(n => $, x => "x" * $s)) %>
                next: [t, later]
            t:
              with-items: i in <% global(items) %>
              action: std.async_noop
              concurrency: 1
            later:
              on-success:
                publish:
                  global: {items: []}
        """,
        {"size": size},
    )
    run.wait_task("later", "SUCCESS")
    for number in range(3):
        run.until(lambda n=number: len(run.actions("t")) == n + 1)
        waiting = run.wait_actions("t", 1)
        assert flows.complete(waiting[0], {"n": number})[0] == 200
    run.wait()
    assert run.output["all"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("state", "ends", "info"),
    [
        ("ERROR", "ERROR", "One or more actions had failed."),
        ("CANCELLED", "CANCELLED", "One or more actions was cancelled."),
    ],
)
def test_an_item_that_does_not_succeed(flows: Flows, state: str, ends: str, info: str) -> None:
    run = flows.launch(ASYNC, {"items": [1, 2]})
    first, second = run.wait_actions("t", 2)
    assert flows.complete(first, "bad", state)[0] == 200
    if state == "ERROR":
        assert run.wait_task("t", "RUNNING")
        assert flows.complete(second, "good")[0] == 200
    run.wait(ends)
    task = run.task("t")
    assert (task["state"], task["state_info"]) == (ends, info)
    if state == "ERROR":
        assert task["result"] == ["bad", "good"]


@pytest.mark.parametrize(
    ("clause", "text"),
    [
        ("[i in [1, 2], 'k in [1]']", "same length"),
        ("i in <% 5 %>", "with-items"),
    ],
)
def test_wrong_lists_are_fatal(flows: Flows, clause: str, text: str) -> None:
    clause = clause.replace("[i in [1, 2],", "['i in [1, 2]',")
    run = flows.run(
        f"""
    main:
      tasks:
        t: {{with-items: {clause}, action: std.noop, on-error: noop}}
    """,
        ends="ERROR",
    )
    assert text in run.info


def test_items_as_sub_workflows(flows: Flows) -> None:
    text = """
    sub:
      input: [n]
      output: {twice: <% $.n * 2 %>}
      tasks:
        t: {action: std.noop, on-success: [{fail: <% $.n = 3 %>}]}
    main:
      input: [items]
      output: {all: <% task(t).result.twice %>}
      tasks:
        t: {with-items: i in <% $.items %>, workflow: sub, input: {n: <% $.i %>}, concurrency: 2}
    """
    run = flows.run(text, {"items": [1, 2, 4, 5, 6]})
    assert run.output == {"all": [2, 4, 8, 10, 12]}
    children = run.children("t")
    assert sorted(child.row["params"]["index"] for child in children) == [0, 1, 2, 3, 4]
    failed = flows.start("main", {"items": [1, 3]}).wait("ERROR")
    assert [child.state for child in failed.children("t")] == ["SUCCESS", "ERROR"]


def test_items_are_joined(flows: Flows) -> None:
    run = flows.run("""
    main:
      output: {sum: <% $.a.sum() + $.b.sum() %>}
      tasks:
        a:
          with-items: i in <% range(20) %>
          action: std.echo output=<% $.i %>
          publish: {a: <% task().result %>}
          on-success: j
        b:
          with-items: i in <% range(20) %>
          action: std.echo output=<% $.i %>
          publish: {b: <% task().result %>}
          on-success: j
        j: {action: std.noop, join: all}
    """)
    assert run.output == {"sum": 380}


MANY = """
child:
  input: [i]
  output: {i: <% $.i %>}
  tasks:
    t: {action: std.noop}
main:
  input: [count, concurrency]
  output: {all: <% task(t).result %>}
  tasks:
    t:
      with-items: i in <% range($.count) %>
      concurrency: <% $.concurrency %>
"""


def test_many_items_in_order(flows: Flows) -> None:
    flows.define(MANY + "      action: std.echo output=<% $.i %>\n")
    for count, concurrency in ((1234, 0), (230, 120), (120, 1)):
        run = flows.start("main", {"count": count, "concurrency": concurrency}).wait()
        assert run.output == {"all": list(range(count))}
        counts = run.task("t")["runtime_context"]["with_items"]
        assert (counts["count"], counts["next"], counts["done"]) == (count, count, count)


def test_many_sub_workflows(flows: Flows) -> None:
    run = flows.launch(
        MANY + "      workflow: child i=<% $.i %>\n", {"count": 60, "concurrency": 0}
    )
    assert run.wait().output == {"all": [{"i": i} for i in range(60)]}


def test_a_pause_between_two_batches(flows: Flows) -> None:
    run = flows.launch(MANY + "      action: std.async_noop\n", {"count": 400, "concurrency": 0})
    assert run.put(state="PAUSED")[0] == 200
    begun = len(run.actions("t"))
    first = run.actions("t")[0]["id"]
    assert flows.complete(first, "first")[0] == 200
    run.until(lambda: len(run.actions("t", "SUCCESS")) == 1)
    assert len(run.actions("t")) == begun < 400
    assert run.put(state="RUNNING")[0] == 200
    for action_id in run.wait_actions("t", 399):
        assert flows.complete(action_id, "other")[0] == 200
    run.wait()
    assert sorted(run.output["all"]) == ["first"] + ["other"] * 399


def test_a_cancellation_between_two_batches(flows: Flows) -> None:
    run = flows.launch(MANY + "      action: std.async_noop\n", {"count": 9000, "concurrency": 0})
    (first, *_) = run.wait_actions("t")
    assert flows.complete(first, None, "CANCELLED")[0] == 200
    run.wait("CANCELLED")
    found = run.actions("t")
    assert len(found) < 9000
    assert {row["state"] for row in found} == {"CANCELLED"}


def test_the_end_between_two_batches(flows: Flows) -> None:
    run = flows.launch(MANY + "      action: std.async_noop\n", {"count": 9000, "concurrency": 0})
    assert run.put(state="CANCELLED")[0] == 200
    begun = len(run.actions("t"))
    assert begun < 9000
    run.until(lambda: len(run.actions("t")) == begun)


def test_items_of_many_that_failed_run_again(flows: Flows) -> None:
    run = flows.run(
        MANY + "      action: std.noop\n      fail-on: <% env().fails %>\n",
        {"count": 120, "concurrency": 0},
        ends="ERROR",
        env={"fails": True},
    )
    body = {"state": "RUNNING", "reset": True, "env": {"fails": False}}
    assert run.put_task("t", **body)[0] == 200
    assert run.wait().output == {"all": [None] * 120}
    assert len(run.actions("t")) == 240


def test_many_tasks_that_start_together(flows: Flows) -> None:
    """More than one transaction starts; a fork, and what a pause has held back."""
    names = [f"t{number}" for number in range(700)]
    tasks = "\n".join(f"        {name}: {{action: std.noop, on-success: all}}" for name in names)
    run = flows.launch(f"""
    main:
      tasks:
        begin: {{action: std.async_noop, on-success: [{", ".join(names)}]}}
{tasks}
        all: {{join: all, action: std.noop}}
    """)
    (action_id,) = run.wait_actions("begin")
    run.put(state="PAUSED")
    assert flows.complete(action_id)[0] == 200
    run.wait_task("begin", "SUCCESS")
    run.put(state="RUNNING")
    run.wait(timeout=60)
    assert len(run.tasks()) == 702


def test_others_have_their_turn_meanwhile(flows: Flows) -> None:
    flows.define("one: {tasks: {t: {action: std.noop}}}")
    flows.start("one").wait()
    run = flows.launch(MANY + "      action: std.async_noop\n", {"count": 3000, "concurrency": 0})
    seconds = []
    while run.task("t")["runtime_context"]["with_items"]["next"] < 3000:
        begin = time.monotonic()
        flows.start("one").wait()
        seconds.append(time.monotonic() - begin)
    # on a machine that does nothing else no one waits so long
    assert len(seconds) > 2
    assert statistics.median(seconds) < 1.0
    assert run.put(state="CANCELLED")[0] == 200


def test_many_large_items(flows: Flows) -> None:
    """More than one transaction makes; no message brings an input, and each action gets its own."""
    run = flows.run(
        """
    main:
      input: [big]
      tasks:
        t:
          with-items: i in <% range(40) %>
          action: std.echo
          input: {output: <% $.big + str($.i) %>}
    """,
        {"big": "x" * 200_000},
    )
    results = [row["output"]["result"] for row in run.actions("t", "SUCCESS")]
    assert sorted(results) == sorted(f"{'x' * 200_000}{number}" for number in range(40))
