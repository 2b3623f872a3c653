"""Policies: what each answers before a start and after an end (doc:language/policies)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.engine import policies
from mistral.engine.base import TaskPolicy
from mistral.lang import LONGEST_SECONDS
from mistral.workflow.commands import (
    Command,
    CreateTimer,
    DiscardResults,
    SetWorkflowState,
    UpdateTask,
)
from mistral.workflow.entities import TaskExecution, Timer
from mistral.workflow.state_machines import TaskEvent
from tests.lib.decisions import NOW, Flow, carry_out, changes, names, one

FLOW = Flow("""
tasks:
  a: {}
  j: {join: all}
  every:
    pause-before: true
    wait-before: 1
    timeout: 2
    concurrency: 3
    wait-after: 4
    fail-on: <% true %>
    retry: {count: 5, delay: 6, break-on: <% $.b %>, continue-on: <% $.c %>}
""")
KEPT = {"kept": 1}


def task_ex(state: str = "RUNNING", **more: Any) -> TaskExecution:
    """A task in the middle of its life."""
    given = {"attempt": 2, "run": 1, "runtime_context": {**KEPT, **more.pop("context", {})}}
    return FLOW.task_ex("a", state, **{**given, **more})


def before(policy: TaskPolicy, own: TaskExecution, **variables: Any) -> list[Command]:
    return policy.before_task_start(own, FLOW.spec.tasks["a"], FLOW.scope(**variables))


def after(
    policy: TaskPolicy, own: TaskExecution, name: str = "a", **variables: Any
) -> list[Command]:
    return policy.after_task_complete(own, FLOW.spec.tasks[name], FLOW.scope(**variables))


def timer(commands: list[Command]) -> Timer:
    """The only timer, which belongs to the task."""
    found = one(CreateTimer, commands).timer
    assert (found.execution_id, found.task_id, found.tries) == ("wf", "t-a", 0)
    assert found.id.startswith("new-")
    return found


def test_the_policies_of_a_task_in_their_order() -> None:
    every, none = FLOW.spec.tasks["every"], FLOW.spec.tasks["a"]
    assert [type(policy).__name__ for policy in policies.before_policies(every)] == [
        "PauseBeforePolicy",
        "WaitBeforePolicy",
        "TimeoutPolicy",
        "ConcurrencyPolicy",
    ]
    found = policies.after_policies(every)
    assert [type(policy).__name__ for policy in found] == [
        "WaitAfterPolicy",
        "FailOnPolicy",
        "RetryPolicy",
    ]
    assert vars(found[2]) == {
        "count": 5,
        "delay": 6,
        "break_on": "<% $.b %>",
        "continue_on": "<% $.c %>",
    }
    assert policies.before_policies(none) == policies.after_policies(none) == []


def test_without_surroundings_nothing_is_decided() -> None:
    with pytest.raises(exc.MistralException, match="FailOnPolicy was asked without"):
        policies.FailOnPolicy(True).after_task_complete(
            task_ex("SUCCESS"), FLOW.spec.tasks["a"], None
        )


@pytest.mark.parametrize(
    ("policy", "refused"),
    [
        (policies.WaitBeforePolicy, [True, -1, "1", 1.0, None, LONGEST_SECONDS + 1]),
        (policies.TimeoutPolicy, [False, -1, "1", LONGEST_SECONDS + 1]),
        (policies.ConcurrencyPolicy, [True, -1, "1"]),
        (policies.PauseBeforePolicy, [1, 0, "true", None]),
    ],
)
def test_what_is_no_number_or_boolean(policy: Any, refused: list[Any]) -> None:
    for value in refused:
        with pytest.raises(exc.InputException):
            before(policy("$.x"), task_ex(), x=value)


def test_a_pause_before_the_start() -> None:
    assert before(policies.PauseBeforePolicy(False), task_ex()) == []
    commands = before(policies.PauseBeforePolicy("$.x"), task_ex(), x=True)
    assert changes(commands, "t-a") == {
        "state": "IDLE",
        "state_info": "Set by 'pause-before' policy",
    }
    assert commands[1] == SetWorkflowState(
        "PAUSED", "Set by 'pause-before' policy [task=a]", forced=True
    )


def test_a_wait_before_the_start() -> None:
    assert before(policies.WaitBeforePolicy(0), task_ex()) == []
    # another policy has stopped the start already
    assert before(policies.WaitBeforePolicy(5), task_ex("IDLE")) == []
    commands = before(policies.WaitBeforePolicy(5), task_ex())
    assert changes(commands, "t-a") == {
        "state": "DELAYED",
        "state_info": "Delayed by 'wait-before' policy [delay=5]",
        "runtime_context": {**KEPT, "wait_before_policy": {"skip": True}},
    }
    found = timer(commands)
    assert (found.kind, found.attempt, found.payload) == ("wait-before", 2, {})
    assert found.due_at == NOW + dt.timedelta(seconds=5)
    assert before(policies.WaitBeforePolicy(LONGEST_SECONDS), task_ex())


def test_a_timeout() -> None:
    assert before(policies.TimeoutPolicy(0), task_ex()) == []
    commands = before(policies.TimeoutPolicy(7), task_ex())
    assert changes(commands, "t-a") == {"runtime_context": {**KEPT, "timeout": 7}}
    found = timer(commands)
    assert (found.kind, found.attempt, found.payload) == ("timeout", 1, {"seconds": 7})
    assert found.due_at == NOW + dt.timedelta(seconds=7)


def test_a_timeout_that_came_after_the_end_of_the_workflow() -> None:
    own = task_ex(context={"timeout": 7})
    own.apply(changes(policies.note_timeout(own), "t-a"))
    assert own.runtime_context == {**KEPT, "timeout": 7, "timed_out": 1}
    commands = policies.noted_timeouts(FLOW.ports, FLOW.wf_ex, own)
    assert changes(commands, "t-a") == {"runtime_context": {**KEPT, "timeout": 7}}
    found = timer(commands)
    assert (found.kind, found.attempt, found.payload) == ("timeout", 1, {"seconds": 7})
    assert found.due_at == NOW
    own.run = 2
    assert policies.noted_timeouts(FLOW.ports, FLOW.wf_ex, own) == []
    assert policies.noted_timeouts(FLOW.ports, FLOW.wf_ex, task_ex()) == []


def test_concurrency() -> None:
    assert before(policies.ConcurrencyPolicy(0), task_ex()) == []
    commands = before(policies.ConcurrencyPolicy("$.x"), task_ex(), x=3)
    assert names(commands) == ["UpdateTask"]
    assert changes(commands, "t-a") == {"runtime_context": {**KEPT, "concurrency": 3}}


def test_a_wait_after_the_end() -> None:
    own = task_ex("ERROR", state_info="why")
    assert after(policies.WaitAfterPolicy(0), own) == []
    commands = after(policies.WaitAfterPolicy(5), own)
    assert changes(commands, "t-a") == {
        "state": "DELAYED",
        "state_info": "Delayed by 'wait-after' policy [delay=5]",
        "runtime_context": {**KEPT, "wait_after_policy": {"skip": True}},
    }
    found = timer(commands)
    assert (found.kind, found.attempt) == ("wait-after", 2)
    assert found.payload == {"state": "ERROR", "state_info": "why"}
    assert found.due_at == NOW + dt.timedelta(seconds=5)
    # it has waited
    carry_out(commands, own)
    assert after(policies.WaitAfterPolicy(5), own) == []
    assert after(policies.WaitAfterPolicy(5), task_ex(context={"wait_after_policy": {}})) != []


@pytest.mark.parametrize(
    ("state", "value", "fails"),
    [("SUCCESS", True, True), ("SUCCESS", False, False), ("ERROR", True, False)],
)
def test_fail_on(state: str, value: bool, fails: bool) -> None:
    commands = after(policies.FailOnPolicy("$.x"), task_ex(state), x=value)
    expected = UpdateTask("t-a", {"state_info": "Failed by 'fail-on' policy"}, TaskEvent.FAIL_ON)
    assert commands == ([expected] if fails else [])


def retry(count: Any = 2, break_on: Any = None, continue_on: Any = None) -> policies.RetryPolicy:
    return policies.RetryPolicy(count, 4, break_on, continue_on)


def test_a_retry_is_another_attempt() -> None:
    own = task_ex("ERROR", context={"with_items": {"count": 1}, "result_erased": True})
    commands = after(retry(), own)
    assert names(commands) == ["UpdateTask", "DiscardResults", "CreateTimer"]
    assert changes(commands, "t-a") == {
        "state": "DELAYED",
        "state_info": "Delayed by 'retry' policy [delay=4]",
        "attempt": 3,
        "runtime_context": {**KEPT, "retry_task_policy": {"retry_no": 1}, "base_attempt": 3},
    }
    assert commands[1] == DiscardResults("t-a")
    found = timer(commands)
    assert (found.kind, found.attempt, found.payload) == ("retry", 3, {})
    assert found.due_at == NOW + dt.timedelta(seconds=4)


def test_a_join_waits_for_its_retry() -> None:
    own = FLOW.task_ex("j", "ERROR")
    found = changes(after(retry(), own, "j"), "t-j")
    assert found["state"] == "WAITING"
    assert found["runtime_context"]["waits_for_retry"] is True


@pytest.mark.parametrize(("done", "again"), [(0, True), (1, True), (2, False), (3, False)])
def test_how_often(done: int, again: bool) -> None:
    own = task_ex("ERROR", context={"retry_task_policy": {"retry_no": done}})
    found = changes(after(retry("$.n"), own, n=2), "t-a")
    assert bool(found) == again
    if again:
        assert found["runtime_context"]["retry_task_policy"] == {"retry_no": done + 1}
    assert after(retry(0), task_ex("ERROR")) == []


@pytest.mark.parametrize(
    ("state", "expressions", "again"),
    [
        ("SUCCESS", {}, False),
        ("SUCCESS", {"continue_on": True}, True),
        ("SUCCESS", {"continue_on": False}, False),
        ("SUCCESS", {"continue_on": True, "break_on": True}, True),
        ("CANCELLED", {"continue_on": True}, False),
        ("ERROR", {}, True),
        ("ERROR", {"break_on": True}, False),
        ("ERROR", {"break_on": False}, True),
        ("ERROR", {"continue_on": True}, True),
        ("ERROR", {"continue_on": False}, False),
        ("ERROR", {"break_on": False, "continue_on": True}, True),
        ("ERROR", {"break_on": True, "continue_on": True}, False),
    ],
)
def test_when_a_task_is_tried_again(
    state: str, expressions: Mapping[str, bool], again: bool
) -> None:
    policy = retry(**{name: f"$.{name}" for name in expressions})
    assert bool(after(policy, task_ex(state), **expressions)) == again


def test_policies_that_only_look_at_the_other_end() -> None:
    assert after(policies.WaitBeforePolicy(5), task_ex("SUCCESS")) == []
    assert before(policies.WaitAfterPolicy(5), task_ex()) == []
