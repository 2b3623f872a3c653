"""Entities know what changed; states change by a table; a parent may refuse to go on."""

from __future__ import annotations

from typing import Any

import pytest

from mistral.workflow import ancestry, states
from mistral.workflow.commands import RunTask, SetWorkflowState, from_backlog, to_backlog
from mistral.workflow.entities import ActionExecution, TaskExecution, WorkflowExecution
from mistral.workflow.values import Bag
from tests.lib.decisions import Flow, child

ALL = sorted(states.COMPLETED | states.UNFINISHED)
LEGAL = {
    "IDLE": "RUNNING ERROR CANCELLED",
    "WAITING": "RUNNING",
    "RUNNING": "PAUSED DELAYED SUCCESS ERROR CANCELLED",
    "DELAYED": "RUNNING ERROR CANCELLED",
    "PAUSED": "RUNNING ERROR CANCELLED",
    "SUCCESS": "",
    "ERROR": "RUNNING SKIPPED",
    "CANCELLED": "RUNNING",
    "SKIPPED": "",
}


@pytest.mark.parametrize("old", ALL)
def test_legal_changes(old: str) -> None:
    legal = {new for new in ALL if states.is_valid_transition(old, new)}
    assert legal == {old, *LEGAL[old].split()}
    assert states.is_completed(old) == (old in ("SUCCESS", "ERROR", "CANCELLED", "SKIPPED"))


def task_ex(**more: Any) -> TaskExecution:
    return TaskExecution(id="t", name="n", workflow_execution_id="w", **more)


def test_changes_are_noted() -> None:
    own: Any = task_ex(state="RUNNING")
    assert own.changed == set()
    own.state = "RUNNING"
    own.name = "n"
    assert own.changed == set() and not hasattr(own, "old_state")
    own.apply({"state": "DELAYED", "attempt": 1})
    own.state = "ERROR"
    assert own.changed == {"state", "attempt"}
    assert own.old_state == "RUNNING"


def test_a_loaded_entity_is_unchanged() -> None:
    own: Any = TaskExecution.from_row({"id": "t", "state": "IDLE"})
    assert own.changed == set()
    own.state = "RUNNING"
    assert (own.changed, own.old_state) == ({"state"}, "IDLE")


def test_a_draft_changes_nothing_else() -> None:
    own: Any = task_ex(attempt=1)
    own.attempt = 2
    draft: Any = own.draft()
    assert type(draft) is TaskExecution and draft.changed == {"attempt"}
    draft.name = "other"
    assert (own.name, own.changed, draft.changed) == ("n", {"attempt"}, {"attempt", "name"})


def test_defaults() -> None:
    execution = WorkflowExecution(id="w", workflow_name="n", spec_hash="h")
    assert (execution.state, execution.accepted, execution.attempt) == ("IDLE", False, 0)
    assert (execution.unfinished, execution.unhandled_errors, execution.cancelled) == (0, 0, 0)
    assert (execution.version, execution.command_number, execution.depth) == (0, 0, 0)
    assert (execution.used_tasks, execution.used_actions, execution.used_bytes) == (0, 0, 0)
    assert (execution.idx, execution.task_attempt, execution.tries) == (0, 0, 0)
    own = task_ex()
    assert (own.state, own.type, own.attempt, own.run) == ("IDLE", "ACTION", 0, 0)
    assert not (own.processed or own.has_next_tasks or own.error_handled)
    action = ActionExecution(id="a", name="n")
    assert (action.state, action.is_sync, action.attempt, action.idx) == ("RUNNING", True, 0, 0)
    assert not (action.accepted or action.processed or action.safe_rerun or action.tries)
    assert "secret" not in repr(ActionExecution(id="a", name="n", secrets="secret"))


def test_the_root_of_an_execution() -> None:
    assert child("c").root_id == "c"
    assert child("c", root_execution_id="r").root_id == "r"


def test_compensations() -> None:
    assert task_ex(runtime_context={"rollback_of": "x"}).is_compensation
    assert not task_ex().is_compensation
    assert not task_ex(runtime_context=None).is_compensation


@pytest.mark.parametrize(
    "command",
    [
        RunTask("a", Bag({"x": 1}), ("t", "on-success"), "b"),
        RunTask("a"),
        SetWorkflowState("ERROR", "why", "t"),
    ],
)
def test_what_waits_for_the_end_of_a_pause_is_kept(command: Any) -> None:
    assert from_backlog(to_backlog(command)) == command


@pytest.mark.parametrize(
    ("state", "rollback", "task_state", "attempt", "text"),
    [
        ("SUCCESS", None, "RUNNING", 2, "the parent has ended in SUCCESS [execution_id=wf]"),
        ("ERROR", {}, "RUNNING", 2, "the parent is being rolled back"),
        ("ERROR", None, "RUNNING", 1, "has been run again without it [task=a, task_ex_id=t-a"),
        ("ERROR", None, "SUCCESS", 2, "task has ended in SUCCESS [task=a"),
        ("RUNNING", None, "SKIPPED", 2, "task has ended in SKIPPED"),
        ("ERROR", None, "ERROR", 2, None),
        ("CANCELLED", None, "CANCELLED", 2, None),
        ("RUNNING", None, "RUNNING", 2, None),
    ],
)
def test_whether_a_parent_can_go_on(
    state: str, rollback: Any, task_state: str, attempt: int, text: str | None
) -> None:
    flow = Flow("tasks: {a: {workflow: sub}}", state=state, rollback=rollback)
    own = flow.task_ex("a", task_state, attempt=2)
    found = ancestry.refusal(flow.wf_ex, own, attempt)
    assert (found is None) if text is None else (found is not None and text in found)
