"""Tasks that wait for other tasks."""

from __future__ import annotations

import pytest

from tests.lib.flows import Flows

BRANCHES = """
main:
  tasks:
    a: {{action: std.async_noop, on-success: j}}
    b: {{action: std.async_noop, on-success: j}}
    c: {{action: std.async_noop, on-success: j}}
    j: {{action: std.noop, join: {join}}}
"""


@pytest.mark.parametrize(("join", "needed"), [("all", 3), ("one", 1), (2, 2)])
def test_a_join_waits_for_as_many_as_it_says(flows: Flows, join: object, needed: int) -> None:
    run = flows.launch(BRANCHES.format(join=join))
    for name in "abc"[: needed - 1]:
        run.finish(name)
        run.wait_task(name, "SUCCESS")
        run.wait_task("j", "WAITING")
    run.finish("abc"[needed - 1])
    run.wait_task("j", "SUCCESS")
    for name in "abc"[needed:]:
        run.finish(name)
    run.wait()
    assert run.names() == ["a", "b", "c", "j"]


def test_a_join_of_all_merges_what_its_branches_published(flows: Flows) -> None:
    run = flows.run("""
    main:
      output:
        all: <% [$.a, $.b, $.both, $.old] %>
      tasks:
        s: {publish: {old: 1, both: {s: 0}}, on-success: [a, b]}
        a: {publish: {a: 1, both: {a: 1}}, on-success: j}
        b: {publish: {b: 2, both: {b: 2}}, on-success: j}
        j: {action: std.echo output=<% $.both %>, join: all}
    """)
    assert run.output["all"][:2] == [1, 2]
    both = run.task("j")["result"]
    assert (both["a"], both["b"]) == (1, 2)


@pytest.mark.parametrize(
    ("join", "state"), [("all", "ERROR"), ("one", "SUCCESS"), (2, "SUCCESS"), (3, "ERROR")]
)
def test_a_branch_that_fails(flows: Flows, join: object, state: str) -> None:
    run = flows.run(
        f"""
    main:
      tasks:
        a: {{action: std.noop, on-success: j}}
        b: {{action: std.fail, on-success: j}}
        c: {{action: std.noop, on-success: j}}
        j: {{action: std.noop, join: {join}}}
    """,
        ends="ERROR",
    )
    joined = run.task("j")
    assert joined["state"] == state
    if state == "ERROR":
        assert joined["state_info"] == "Failed by tasks: ['b'] (b failed)"
        assert run.actions("j") == []


def test_an_error_that_leads_to_the_join_is_ready(flows: Flows) -> None:
    run = flows.run("""
    main:
      tasks:
        a: {action: std.noop, on-success: j}
        b: {action: std.fail, on-error: j}
        j: {action: std.noop, join: all}
    """)
    assert run.states()["j"] == "SUCCESS"


def test_a_branch_that_can_not_come_any_more(flows: Flows) -> None:
    run = flows.run("""
    main:
      tasks:
        a: {action: std.noop, on-success: j}
        b: {action: std.noop, on-success: [{b2: <% false %>}]}
        b2: {action: std.noop, on-success: b3}
        b3: {action: std.noop, on-success: j}
        j: {action: std.noop, join: all, on-error: k}
        k: {action: std.noop}
    """)
    assert run.states() == {"a": "SUCCESS", "b": "SUCCESS", "j": "ERROR", "k": "SUCCESS"}
    assert run.task("j")["state_info"] == "Failed by tasks: ['b3'] (b3 never ran)"


def test_a_join_that_nobody_reaches_does_not_exist(flows: Flows) -> None:
    run = flows.run("""
    main:
      tasks:
        a: {action: std.noop, on-success: [{j: <% false %>}]}
        b: {action: std.noop, on-success: [{j: <% false %>}]}
        j: {action: std.noop, join: all}
    """)
    assert run.names() == ["a", "b"]


def test_nested_joins(flows: Flows) -> None:
    text = """
    main:
      input: [b]
      tasks:
        a: {action: std.noop, on-success: inner}
        b: {action: <% $.b %>, on-success: inner}
        c: {action: std.noop, on-success: outer}
        inner: {action: std.noop, join: all, on-success: outer}
        outer: {action: std.noop, join: all}
    """
    assert flows.run(text, {"b": "std.noop"}).states() == dict.fromkeys(
        ("a", "b", "c", "inner", "outer"), "SUCCESS"
    )
    failed = flows.start("main", {"b": "std.fail"}).wait("ERROR")
    assert failed.task("outer")["state_info"] == "Failed by tasks: ['inner'] (inner failed)"


@pytest.mark.parametrize(
    ("task", "cause"),
    [
        (
            "action: std.noop, on-success: [{j: <% false %>}]",
            "b succeeded, but the condition of its transition was false",
        ),
        (
            "action: std.fail, on-error: noop, on-complete: [{j: <% false %>}]",
            "b failed, but the condition of its transition was false",
        ),
        ("action: std.noop, on-error: j", "b succeeded, but leads here in other cases only"),
        ("action: std.fail, on-success: j, on-error: c", "b failed"),
    ],
)
def test_a_join_says_why_it_failed(flows: Flows, task: str, cause: str) -> None:
    run = flows.run(f"""
    main:
      tasks:
        a: {{action: std.noop, on-success: j}}
        b: {{{task}}}
        c: {{join: one, action: std.noop}}
        j: {{action: std.noop, join: all, on-error: c}}
    """)
    assert run.task("j")["state_info"] == f"Failed by tasks: ['b'] ({cause})"


def test_a_join_in_a_loop_runs_in_each_pass(flows: Flows) -> None:
    run = flows.run("""
    main:
      output: {n: <% $.n %>}
      tasks:
        start: {publish: {n: 0}, on-success: fork}
        fork: {publish: {n: <% $.n + 1 %>}, on-success: [left, right]}
        left: {action: std.noop, on-success: j}
        right: {action: std.noop, on-success: j}
        j: {action: std.noop, join: all, on-success: [{fork: <% $.n < 3 %>}]}
    """)
    assert run.output["n"] == 3
    assert len(run.actions("j")) == 3
    assert run.names().count("fork") == 3


def test_a_wide_join(flows: Flows) -> None:
    names = [f"t{n}" for n in range(60)]
    tasks = "\n".join(f"    {n}: {{action: std.noop, on-success: j}}" for n in names)
    run = flows.run(f"main:\n  tasks:\n{tasks}\n    j: {{action: std.noop, join: all}}\n")
    assert run.names() == sorted([*names, "j"])
    assert len(run.actions("j")) == 1


def test_a_join_that_was_skipped_does_not_run_when_its_inbound_task_is_skipped_later(
    flows: Flows,
) -> None:
    run = flows.launch(
        """
        main:
          tasks:
            a: {action: std.noop, on-success: j}
            b: {action: std.fail, on-success: j}
            j: {join: all, action: std.noop, on-success: last}
            last: {action: std.noop}
        """
    ).wait("ERROR")
    assert run.states()["j"] == "ERROR"
    assert run.put_task("j", state="SKIPPED")[0] == 200
    run.wait_task("last", "SUCCESS")
    run.wait("ERROR")
    assert run.put_task("b", state="SKIPPED")[0] == 200
    run.wait()
    assert run.states() == {"a": "SUCCESS", "b": "SKIPPED", "j": "SKIPPED", "last": "SUCCESS"}
    assert run.actions("j") == []
    assert run.names() == ["a", "b", "j", "last"]


def test_a_skipped_join_runs_in_the_next_round_of_a_loop(flows: Flows) -> None:
    run = flows.launch(
        """
        main:
          vars: {n: 0}
          tasks:
            entry: {action: std.noop, on-success: start}
            start: {action: std.noop, on-success: [a, b]}
            a: {action: std.noop, on-success: j}
            b:
              action: std.noop
              publish: {n: <% $.n + 1 %>}
              on-success:
                - j
            j:
              join: all
              action: <% switch($.n = 1 => "std.fail", true => "std.noop") %>
              on-success:
                - start: <% $.n < 2 %>
        """
    ).wait("ERROR")
    assert run.put_task("j", state="SKIPPED")[0] == 200
    run.wait()
    assert run.states()["j"] == "SUCCESS"
    assert run.names() == ["a", "a", "b", "b", "entry", "j", "start", "start"]


def test_an_item_that_failed_when_its_join_ran_again_is_run_again(flows: Flows) -> None:
    run = flows.launch(
        """
        main:
          tasks:
            a: {action: std.noop, on-success: j}
            b: {action: std.async_noop, on-success: j}
            j:
              join: 1
              with-items: i in [1, 2]
              action: std.async_noop
        """
    )
    for index in range(2):
        run.finish("j", index)
    run.wait_task("j", "SUCCESS")
    run.finish("b")
    run.until(lambda: len(run.actions("j")) == 4, "another round")
    run.finish("j", "no", "ERROR")
    run.finish("j", 1)
    run.wait("ERROR")
    assert run.put_task("j", state="RUNNING", reset=False)[0] == 200
    run.until(lambda: len(run.actions("j")) == 5, "the failed item")
    run.finish("j", 0)
    run.wait()


@pytest.mark.parametrize(
    ("result", "state"), [("SUCCESS", "ERROR"), ("ERROR", "SUCCESS")], ids=["otherwise", "again"]
)
def test_a_join_waits_for_an_inbound_task_that_runs_again(
    flows: Flows, result: str, state: str
) -> None:
    run = flows.launch("""
main:
  tasks:
    one: {action: std.async_noop, on-error: join}
    two: {action: std.async_noop, on-success: [join, beside]}
    join: {join: all, action: std.noop, on-error: noop}
    beside: {action: std.noop}
""")
    run.finish("one", "no", "ERROR")
    run.wait_task("join", "WAITING")
    assert run.put_task("one", state="RUNNING", reset=True)[0] == 200
    run.finish("two")
    run.wait_task("beside", "SUCCESS")
    assert run.states()["join"] == "WAITING"
    run.finish("one", None, result)
    assert run.wait().states()["join"] == state


def test_no_update_is_lost_where_branches_meet(flows: Flows) -> None:
    run = flows.run("""
main:
  tasks:
    start: {publish: {a: 0, b: 0}, on-success: [left, right]}
    left: {publish: {a: 1}, on-success: left2}
    left2: {action: std.noop, on-success: j}
    right: {publish: {b: 1}, on-success: right2}
    right2: {action: std.noop, on-success: j}
    j: {join: all, action: 'std.echo output=<% [$.a, $.b] %>'}
""")
    assert run.task("j")["result"] == [1, 1]
    assert run.output.items() >= {"a": 1, "b": 1}.items()


@pytest.mark.parametrize("joined", [True, False])
def test_a_mapping_that_was_replaced_does_not_come_back(flows: Flows, joined: bool) -> None:
    follow = ", on-success: j" if joined else ""
    run = flows.run(f"""
main:
  tasks:
    s: {{publish: {{other: {{s: 1}}}}, on-success: [t1, t2, t3]}}
    t1: {{publish: {{shm: {{k1: 1}}}}, on-success: t4}}
    t4: {{publish: {{shm: {{k4: 4}}}}{follow}}}
    t2: {{publish: {{other: {{t: 2}}}}, on-success: t5}}
    t5: {{action: std.noop{follow}}}
    t3: {{action: std.noop{follow}}}
    {"j: {join: all, publish: {seen: '<% [$.shm, $.other] %>'}}" if joined else ""}
""")
    assert [run.output["shm"], run.output["other"]] == [{"k4": 4}, {"t": 2}]
    if joined:
        assert run.output["seen"] == [{"k4": 4}, {"t": 2}]
