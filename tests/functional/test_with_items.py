"""One task over many items."""

from __future__ import annotations

import pytest
from flows import Flows

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
