"""Joins that fail because of their inbound tasks: what they know, and what operators make of it."""

from __future__ import annotations

import pytest

from tests.lib.flows import Execution, Flows

BRANCHES = """
    s: {action: std.noop, publish: {base: 7}, on-success: [a, b]}
    a: {action: std.noop, publish: {a: 1}, on-success: m}
"""

BLOCKED = {
    "an error": "b: {action: std.fail, on-success: m, on-error: noop}",
    "a late error": "b: {action: std.fail, wait-before: 1, on-success: m, on-error: noop}",
    "unreachable": """
    b: {action: std.noop, on-success: [{c: <% false %>}]}
    c: {action: std.noop, on-success: m}
""",
}


def blocked(kind: str, join: str, rest: str) -> str:
    """A workflow whose join fails because of its second branch."""
    return f"main:\n  tasks:{BRANCHES}    {BLOCKED[kind]}\n    m:\n      join: {join}\n{rest}"


@pytest.mark.parametrize("join", ["all", "2"])
@pytest.mark.parametrize("kind", list(BLOCKED))
@pytest.mark.parametrize("clause", ["on-error", "on-complete"])
def test_a_failed_join_knows_what_its_branches_published(
    flows: Flows, kind: str, join: str, clause: str
) -> None:
    text = blocked(
        kind,
        join,
        f"""
      action: std.noop
      publish-on-error: {{seen: <% $.a %>}}
      {clause}:
        - cleanup: <% $.base = 7 and $.seen = 1 %>
    cleanup:
      action: std.echo output=<% [$.base, $.a, $.seen] %>
""",
    )
    run = flows.launch(text).wait("SUCCESS" if clause == "on-error" else "ERROR")
    assert run.task("m")["published"] == {"seen": 1}
    assert run.task("cleanup")["result"] == [7, 1, 1]
    assert run.output.items() >= {"base": 7, "a": 1, "seen": 1}.items()


def test_task_defaults_of_a_failed_join_know_them_too(flows: Flows) -> None:
    run = flows.run(f"""
main:
  task-defaults:
    on-error: [{{cleanup: <% task().name = m %>}}]
  tasks:{BRANCHES}
    b: {{action: std.fail, on-success: m, on-error: noop}}
    m: {{join: all, action: std.noop}}
    cleanup: {{action: 'std.echo output=<% [$.base, $.a] %>'}}
""")
    assert run.task("cleanup")["result"] == [7, 1]


def test_a_message_of_a_failed_join_knows_them_too(flows: Flows) -> None:
    text = blocked("an error", "all", "      on-error: ['fail msg=<% $.base %>']\n")
    run = flows.launch(text).wait("ERROR")
    assert run.info == "7"
    assert run.output.items() >= {"base": 7, "a": 1}.items()


LATE = """
main:
  output-on-error: {seen: '<% [$.get(a), $.get(b), $.get(d)] %>'}
  tasks:
    a: {action: std.noop, publish: {a: 1}, on-success: m}
    b: {action: std.async_noop, publish: {b: 2}, on-success: m}
    c: {action: std.fail, wait-before: 1, on-success: m, on-error: noop}
    d: {action: std.noop, publish: {d: 3}}
    m: {join: all, action: std.noop, on-success: last}
    last: {action: 'std.echo output=<% [$.get(a), $.get(b)] %>'}
"""


def failed_before_b(flows: Flows) -> Execution:
    """An execution whose join has failed while one of its branches is under way."""
    run = flows.launch(LATE)
    run.wait_task("m", "ERROR")
    return run


@pytest.mark.parametrize("late", [False, True])
def test_the_output_of_an_error_knows_what_led_to_a_failed_join(flows: Flows, late: bool) -> None:
    run = failed_before_b(flows)
    if late:
        run.finish("b")
    else:
        assert run.put(state="ERROR")[0] == 200
    run.wait("ERROR")
    assert run.output["seen"] == [1, 2 if late else None, 3]


@pytest.mark.parametrize("command", ["skip", "rerun"])
@pytest.mark.parametrize("late", [False, True])
def test_what_follows_a_failed_join_that_an_operator_skips_or_runs(
    flows: Flows, command: str, late: bool
) -> None:
    run = failed_before_b(flows)
    if late:
        run.finish("b")
        run.wait("ERROR")
    body = {"state": "SKIPPED"} if command == "skip" else {"state": "RUNNING", "reset": True}
    assert run.put_task("m", **body)[0] == 200
    run.wait_task("last", "SUCCESS")
    if not late:
        run.finish("b")
    run.wait()
    assert run.task("last")["result"] == [1, 2 if late else None]
    assert run.states()["m"] == ("SKIPPED" if command == "skip" else "SUCCESS")
    assert len(run.actions("m")) == (command == "rerun")


def test_a_join_that_an_operator_runs_has_its_policies(flows: Flows) -> None:
    run = flows.launch("""
main:
  tasks:
    a: {action: std.noop, publish: {a: 1}, on-success: m}
    b: {action: std.fail, on-success: m, on-error: noop}
    m:
      join: all
      with-items: i in [1, 2]
      action: std.async_noop
      wait-before: 1
      retry: {count: 1, delay: 0}
""").wait("ERROR")
    assert run.task("m")["state_info"] == "Failed by tasks: ['b'] (b failed)"
    assert run.put_task("m", state="RUNNING", reset=False)[0] == 200
    run.wait_actions("m", 2)
    run.finish("m", "no", "ERROR")
    run.finish("m", "no", "ERROR")
    run.until(lambda: len(run.actions("m")) == 4, "the retry does not ask for the branches")
    run.finish("m", 1)
    run.finish("m", 2)
    assert run.wait().task("m")["result"] == [1, 2]


def test_a_join_that_an_operator_has_run_does_not_run_again_for_who_failed_it(
    flows: Flows,
) -> None:
    run = flows.launch("""
main:
  tasks:
    a: {action: std.noop, on-success: m}
    b: {action: std.async_noop, on-success: m}
    m: {join: all, action: std.noop, on-success: last}
    last: {action: std.noop}
""")
    run.finish("b", "no", "ERROR")
    run.wait("ERROR")
    assert run.put_task("m", state="RUNNING", reset=True)[0] == 200
    run.wait_task("last", "SUCCESS")
    run.wait("ERROR")
    assert run.put_task("b", state="RUNNING", reset=True)[0] == 200
    run.finish("b")
    run.wait()
    assert run.names() == ["a", "b", "last", "m"]
    assert len(run.actions("m")) == 1


def test_a_join_that_failed_when_an_operator_ran_it_recovers_by_the_missing_task(
    flows: Flows,
) -> None:
    run = flows.launch("""
main:
  tasks:
    a: {action: std.noop, on-success: m}
    b: {action: std.async_noop, on-success: m}
    m: {join: all, action: std.async_noop}
""")
    run.finish("b", "no", "ERROR")
    run.wait("ERROR")
    assert run.put_task("m", state="RUNNING", reset=True)[0] == 200
    run.finish("m", "no", "ERROR")
    run.wait("ERROR")
    assert run.put_task("b", state="RUNNING", reset=True)[0] == 200
    run.finish("b")
    run.finish("m")
    assert run.wait().states() == dict.fromkeys("abm", "SUCCESS")


def test_a_join_that_needs_a_failed_one_is_told_once(flows: Flows) -> None:
    """Whoever leads to both comes again; the failed one stays failed, so the other does, too."""
    run = flows.launch("""
main:
  tasks:
    begin: {on-success: [x, y, z]}
    x: {action: std.noop, on-success: [outer, inner]}
    y: {action: std.async_noop, on-error: noop, on-success: inner}
    z: {action: std.async_noop, on-success: x}
    inner: {join: all, on-error: noop, on-success: outer}
    outer: {join: all, on-error: told}
    told: {action: std.noop}
""")
    run.finish("y", "no", "ERROR")
    run.wait_task("told", "SUCCESS")
    run.finish("z")
    run.wait()
    assert len(run.tasks("x")) == 2
    assert len(run.tasks("told")) == 1


NESTED = """
main:
  tasks:
    a: {action: std.noop, publish: {a: 1}, on-success: inner}
    b: {action: std.async_noop, on-success: inner}
    c: {action: std.async_noop, on-success: inner}
    x: {action: std.async_noop, on-success: outer}
    y: {action: std.async_noop, on-success: outer}
    inner: {join: all, action: std.noop, on-success: [outer, beside]}
    beside: {action: std.noop}
    outer: {join: all, action: std.noop, on-error: last, on-success: last, on-skip: last}
    last: {action: std.noop}
"""


@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
def test_a_join_fails_at_once_with_a_failed_join_that_it_needs(
    flows: Flows, is_first: bool
) -> None:
    run = flows.launch(NESTED)
    for task, result in (("x", "SUCCESS"), ("b", "ERROR"))[:: 1 if is_first else -1]:
        run.finish(task, None, result)
        run.wait_task(task, result)
    failed = run.wait_task("outer", "ERROR")
    assert failed["state_info"] == "Failed by tasks: ['inner'] (inner failed)"
    run.wait_task("last", "SUCCESS")
    assert [run.states()[name] for name in ("c", "y")] == ["RUNNING", "RUNNING"]
    # what comes later to either changes nothing
    run.finish("c")
    run.finish("y")
    run.wait("ERROR")
    assert run.actions("inner") == run.actions("outer") == []
    assert run.names().count("last") == 1


def test_joins_that_failed_one_after_the_other_recover_together(flows: Flows) -> None:
    run = flows.launch(NESTED)
    run.finish("x")
    run.finish("b", None, "ERROR")
    run.wait_task("outer", "ERROR")
    for task in "cy":
        run.finish(task)
    run.wait("ERROR")
    assert run.put_task("b", state="RUNNING", reset=True)[0] == 200
    run.finish("b")
    run.wait()
    assert [run.states()[name] for name in ("inner", "outer")] == ["SUCCESS", "SUCCESS"]


def test_a_join_that_was_skipped_does_not_come_any_more(flows: Flows) -> None:
    run = flows.launch("""
main:
  tasks:
    a: {action: std.noop, on-success: inner}
    b: {action: std.fail, on-success: inner, on-error: noop}
    c: {action: std.async_noop, on-success: inner}
    x: {action: std.async_noop, on-success: outer}
    y: {action: std.async_noop, on-success: outer}
    inner: {join: all, action: std.noop, on-success: outer, on-skip: noop}
    outer: {join: all, action: std.noop, on-error: noop}
""")
    run.wait_task("inner", "ERROR")
    assert run.put_task("inner", state="SKIPPED")[0] == 200
    run.wait_task("inner", "SKIPPED")
    run.finish("x")
    info = run.wait_task("outer", "ERROR")["state_info"]
    assert info == "Failed by tasks: ['inner'] (inner was skipped)"
    for task in "cy":
        run.finish(task)
    run.wait()
