"""What happens before a task starts and after it completes."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.lib.flows import Execution, Flows


def seconds_of(run: Execution) -> float:
    """How long an execution took, as the API tells it: whole seconds."""
    row = run.row
    begin, end = (dt.datetime.fromisoformat(row[name]) for name in ("created_at", "updated_at"))
    return (end - begin).total_seconds()


def test_waits_around_a_task(flows: Flows) -> None:
    run = flows.launch("""
    main:
      tasks:
        t: {wait-before: 1, action: std.async_noop, wait-after: 1, on-success: next}
        next: {action: std.noop}
    """)
    run.wait_task("t", "DELAYED")
    assert run.actions("t") == []
    run.finish("t", 1)
    # the result is known, the end is not
    run.until(lambda: run.tasks("t")[0]["state"] == "DELAYED" and run.actions("t", "SUCCESS"))
    assert run.names() == ["t"]
    assert run.wait().names() == ["next", "t"]
    assert seconds_of(run) >= 2
    assert run.task("t")["state_info"] is None


RETRY = """
main:
  tasks:
    t:
      action: std.async_noop
      publish-on-error: {{seen: <% task().result %>}}
      retry: {{count: 2, delay: 0{more}}}
      on-error: noop
"""


def test_retries_have_attempts(flows: Flows) -> None:
    run = flows.launch(RETRY.format(more=""))
    seen = []
    for number in range(3):
        run.finish("t", f"bad {number}", "ERROR")
        seen.append(number)
        if number < 2:
            run.until(lambda n=number: len(run.actions("t")) == n + 2, "the next attempt")
    run.wait()
    task = run.task("t")
    assert (task["state"], task["published"]) == ("ERROR", {"seen": "bad 2"})
    assert task["runtime_context"]["retry_task_policy"] == {"retry_no": 2}
    actions = run.actions("t")
    assert [row["accepted"] for row in actions] == [False, False, True]
    first = actions[0]["id"]
    assert flows.complete(first, "bad 0", "ERROR")[0] == 200
    assert flows.complete(first, "other", "ERROR")[0] == 409


@pytest.mark.parametrize(
    ("more", "result", "state", "count"),
    [
        (", break-on: <% task().result = stop %>", "stop", "ERROR", 1),
        (", continue-on: <% task().result = again %>", "stop", "ERROR", 1),
    ],
)
def test_retries_that_stop_early(
    flows: Flows, more: str, result: str, state: str, count: int
) -> None:
    run = flows.launch(RETRY.format(more=more))
    run.finish("t", result, state)
    run.wait()
    assert len(run.actions("t")) == count


def test_a_retry_that_succeeds(flows: Flows) -> None:
    run = flows.launch("""
    main:
      output: {r: <% $.r %>}
      tasks:
        t:
          action: std.async_noop
          retry: count=3 delay=1 continue-on=<% task().result != ready %>
          publish: {r: <% task().result %>}
    """)
    run.finish("t", "not yet")
    task = run.wait_task("t", "DELAYED")
    assert "retry" in task["state_info"]
    run.finish("t", "ready")
    run.wait()
    assert run.output == {"r": "ready"}
    assert run.task("t")["state_info"] is None


def test_a_timeout_and_what_comes_too_late(flows: Flows) -> None:
    run = flows.run("""
    main:
      tasks:
        t: {action: std.async_noop, timeout: 1, on-error: after, on-success: fail}
        after: {action: std.noop}
    """)
    task = run.task("t")
    assert (task["state"], task["state_info"]) == ("ERROR", "Task timed out [timeout(s)=1].")
    (action,) = run.actions("t")
    assert action["state"] == "CANCELLED"
    status, answer = flows.complete(action["id"], "late")
    assert status == 409 and "timed out" in answer["faultstring"]
    assert run.actions("t") == [action]
    assert run.states() == {"t": "ERROR", "after": "SUCCESS"}


def test_a_synchronous_action_that_takes_too_long(flows: Flows) -> None:
    run = flows.run("""
    main:
      tasks:
        t: {action: std.sleep seconds=20, timeout: 1, on-error: noop}
    """)
    assert run.task("t")["state"] == "ERROR"


def test_fail_on(flows: Flows) -> None:
    run = flows.run("""
    main:
      output: {n: <% $.n %>}
      tasks:
        t:
          action: std.echo output=5
          publish: {n: <% task().result %>}
          fail-on: <% task().result > 4 %>
          on-error: noop
    """)
    task = run.task("t")
    assert (task["state"], task["state_info"]) == ("ERROR", "Failed by 'fail-on' policy")
    assert run.output == {"n": 5}


def test_pause_before(flows: Flows) -> None:
    run = flows.launch("""
    main:
      tasks:
        a: {action: std.noop, on-success: t}
        t: {action: std.noop, pause-before: true}
    """).wait("PAUSED")
    assert run.states() == {"a": "SUCCESS", "t": "IDLE"}
    assert run.put(state="RUNNING")[0] == 200
    assert run.wait().states()["t"] == "SUCCESS"


def test_defaults_of_all_tasks(flows: Flows) -> None:
    run = flows.run("""
    main:
      task-defaults:
        on-error: handler
        retry: {count: 1, delay: 0}
      tasks:
        a: {action: std.fail}
        b: {action: std.fail, on-error: noop}
        handler: {action: std.noop}
    """)
    assert run.names() == ["a", "b", "handler"]
    assert (len(run.actions("a")), len(run.actions("b"))) == (2, 2)


@pytest.mark.parametrize("policy", ["wait-before", "wait-after", "timeout", "concurrency"])
def test_a_policy_of_the_wrong_type_is_fatal(flows: Flows, policy: str) -> None:
    run = flows.run(
        f"""
    main:
      tasks:
        t: {{action: std.noop, {policy}: <% text %>, on-error: noop}}
    """,
        ends="ERROR",
    )
    assert "Policy" in run.info


@pytest.mark.parametrize(
    "policy",
    [
        "wait-before: <% $.time %>",
        "wait-after: <% $.time %>",
        "timeout: <% $.time %>",
        "retry: {count: 1, delay: <% $.time %>}",
    ],
)
def test_no_clock_reaches_so_far(flows: Flows, policy: str) -> None:
    flows.define(f"""
    main:
      input: [time]
      tasks:
        t: {{action: std.noop, {policy}}}
    """)
    run = flows.start("main", {"time": 10**15}).wait("ERROR")
    assert "at most 315360000 seconds" in run.info


def test_a_pause_before_one_task_does_not_hold_those_chosen_beside_it(flows: Flows) -> None:
    run = flows.launch("""
    main:
      tasks:
        held: {action: std.noop, pause-before: true}
        held too: {action: std.noop, pause-before: true}
        beside: {action: std.async_noop, on-success: after}
        after: {action: std.noop}
    """)
    run.wait("PAUSED")
    run.finish("beside", 1)
    run.wait_task("beside", "SUCCESS")
    assert [run.task(name)["state"] for name in ("held", "held too")] == ["IDLE", "IDLE"]
    assert "after" not in run.names()
    run.put(state="RUNNING")
    run.wait()
    assert run.names() == ["after", "beside", "held", "held too"]


def test_tasks_chosen_beside_one_that_fails_to_start_are_started(flows: Flows) -> None:
    run = flows.run(
        """
    main:
      tasks:
        bad: {action: there.is.none}
        beside: {action: std.async_noop, on-success: after}
        after: {action: std.noop}
    """,
        ends="ERROR",
    )
    assert run.task("beside")["state"] == "RUNNING"
    run.finish("beside", 1)
    run.wait_task("beside", "SUCCESS")
    assert run.names() == ["bad", "beside"]


def test_a_command_beside_a_held_task_comes_before_the_pause(flows: Flows) -> None:
    run = flows.run(
        """
    main:
      tasks:
        first: {action: std.noop, on-success: [held, fail msg="over"]}
        held: {action: std.noop, pause-before: true}
    """,
        ends="ERROR",
    )
    assert (run.info, run.task("held")["state"]) == ("over", "IDLE")


def test_the_executor_ends_an_action_that_takes_longer_than_its_task_may(flows: Flows) -> None:
    run = flows.launch(
        """
        main:
          tasks:
            a: {action: std.sleep seconds=3600, timeout: 1}
        """
    ).wait("ERROR")
    assert run.task("a")["state_info"] in (
        "Task timed out [timeout(s)=1].",
        "Timeout after 1 seconds",
    )
    (action,) = run.actions("a")
    assert action["state"] in ("CANCELLED", "ERROR")


def test_long_texts_are_cut(flows: Flows) -> None:
    run = flows.launch(
        """
        main:
          tasks:
            a: {action: std.fail error_data=<% 'x' * 70000 %>}
        """
    ).wait("ERROR")
    assert len(run.task("a")["state_info"]) == len(run.info) == 65500
    assert len(run.output["result"]) > 70000
