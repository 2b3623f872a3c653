"""What an execution tells its parent when it is deleted."""

from __future__ import annotations

import datetime as dt

import pytest

from mistral.engine import execution_events
from mistral.workflow.entities import ExecutionEvent, WorkflowExecution

NOW = dt.datetime(2026, 1, 1)
TEXT = "The sub-workflow execution was deleted [execution_id=child]"


def execution(state: str, parent: str | None = "parent") -> WorkflowExecution:
    return WorkflowExecution(
        id="child",
        workflow_name="w",
        spec_hash="h",
        state=state,
        attempt=2,
        parent_execution_id=parent,
        task_execution_id="task",
        task_attempt=3,
    )


def told(own: WorkflowExecution, *unheard: ExecutionEvent) -> list[ExecutionEvent]:
    return execution_events.of_deletion(own, unheard, lambda: "new", NOW)


@pytest.mark.parametrize("state", ["IDLE", "RUNNING", "PAUSED"])
def test_who_has_not_ended_tells_it(state: str) -> None:
    (event,) = told(execution(state))
    assert (event.id, event.execution_id, event.source_id) == ("new", "parent", "child")
    assert (event.task_id, event.attempt, event.next_look_at) == ("task", 3, NOW)
    assert event.payload["attempt"] == 2
    child = execution_events.left_behind(event)
    assert (child.id, child.task_attempt) == ("child", 3)
    assert (child.state, child.state_info) == ("ERROR", TEXT)


@pytest.mark.parametrize("state", ["SUCCESS", "ERROR", "CANCELLED"])
def test_who_has_ended_has_told_it(state: str) -> None:
    assert told(execution(state)) == []


def test_without_a_parent_nobody_is_told() -> None:
    assert told(execution("RUNNING", None)) == []


@pytest.mark.parametrize(
    ("state", "info", "seen"),
    [
        ("SUCCESS", None, ("ERROR", TEXT)),
        ("ERROR", "no", ("ERROR", "no")),
        ("CANCELLED", None, ("CANCELLED", None)),
    ],
)
def test_an_end_that_is_heard_too_late(
    state: str, info: str | None, seen: tuple[str, str | None]
) -> None:
    payload = {"attempt": 0, "state": state, "state_info": info}
    event = ExecutionEvent(
        id="e", execution_id="parent", kind="child-finished", source_id="child", payload=payload
    )
    child = execution_events.left_behind(event)
    assert (child.state, child.state_info) == seen


def test_who_asked_it_to_roll_back_is_told() -> None:
    own = execution("RUNNING")
    own.rollback = {"asked": {"execution_id": "above", "task_id": "undo", "attempt": 1}}
    asked = ExecutionEvent(
        id="e", execution_id="child", kind="rollback", source_id="other", task_id="t", attempt=4
    )
    paused = ExecutionEvent(id="p", execution_id="child", kind="pause", source_id="other")
    answers = told(own, asked, paused)
    assert [(a.kind, a.execution_id, a.task_id, a.attempt) for a in answers] == [
        ("child-rolled-back", "other", "t", 4),
        ("child-rolled-back", "above", "undo", 1),
    ]
    assert all(a.payload == {"done": False, "message": TEXT} for a in answers)
