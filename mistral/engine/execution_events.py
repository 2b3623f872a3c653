"""What an execution tells its relatives: its parent, its children, who waits for its rollback.

Pure: events are commands, which become rows; the other execution handles them in a transaction of
its own. ``workflows`` and ``rollback_handler`` tell, ``workflow_handler`` hears.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mistral.workflow import states
from mistral.workflow.commands import Command, SendEvent
from mistral.workflow.entities import ExecutionEvent, TaskExecution, WorkflowExecution
from mistral.workflow.ports import WorkflowDecisionPorts

CHILD_FINISHED = "child-finished"
CHILD_RUNNING = "child-running"
CHILD_PAUSED = "child-paused"
CHILD_RESUMED = "child-resumed"
PAUSE = "pause"
RESUME = "resume"
CANCEL = "cancel"
ROLLBACK = "rollback"
CHILD_ROLLED_BACK = "child-rolled-back"
GO_ON = "go-on"
_DELETED = "The sub-workflow execution was deleted [execution_id={}]"


def to_parent(
    ports: WorkflowDecisionPorts, own: WorkflowExecution, kind: str, number: int = 0
) -> list[Command]:
    """Tell the parent, if there is one, what has become of this execution."""
    if own.parent_execution_id is None:
        return []
    payload = {"attempt": own.attempt, "state": own.state, "state_info": own.state_info}
    return [
        _told(
            ports,
            own,
            own.parent_execution_id,
            kind,
            task_id=own.task_execution_id,
            attempt=own.task_attempt,
            number=number,
            payload=payload,
        )
    ]


def of_deletion(
    own: WorkflowExecution,
    unheard: Sequence[ExecutionEvent],
    new_id: Callable[[], str],
    now: dt.datetime,
) -> list[ExecutionEvent]:
    """What others have to hear when this execution is deleted: those who wait for it.

    One that has ended has told its parent already, who may hear it when nothing is left of it.

    :param unheard: events of this execution that it did not handle any more.
    """
    asked = [not_rolled_back(event, new_id(), now) for event in unheard if event.kind == ROLLBACK]
    rolling_back = (own.rollback or {}).get("asked")
    if rolling_back is not None:
        asked.append(_not_undone(own.id, rolling_back, new_id(), now))
    elif own.parent_execution_id is not None and not states.is_completed(own.state):
        asked.append(_deleted(own, own.parent_execution_id, new_id(), now))
    return asked


def not_rolled_back(event: ExecutionEvent, new_id: str, now: dt.datetime) -> ExecutionEvent:
    """The answer to a parent that asks an execution to roll back of which nothing is left."""
    asked = {
        "execution_id": event.source_id,
        "task_id": event.task_id,
        "attempt": event.attempt,
    }
    return _not_undone(event.execution_id, asked, new_id, now)


def _not_undone(
    own_id: str, asked: Mapping[str, Any], new_id: str, now: dt.datetime
) -> ExecutionEvent:
    return ExecutionEvent(
        id=new_id,
        execution_id=asked["execution_id"],
        kind=CHILD_ROLLED_BACK,
        source_id=own_id,
        task_id=asked["task_id"],
        attempt=asked["attempt"],
        payload={"done": False, "message": _DELETED.format(own_id)},
        next_look_at=now,
        created_at=now,
    )


def _deleted(
    own: WorkflowExecution, parent_id: str, new_id: str, now: dt.datetime
) -> ExecutionEvent:
    return ExecutionEvent(
        id=new_id,
        execution_id=parent_id,
        kind=CHILD_FINISHED,
        source_id=own.id,
        task_id=own.task_execution_id,
        attempt=own.task_attempt,
        payload={
            "attempt": own.attempt,
            "state": states.ERROR,
            "state_info": _DELETED.format(own.id),
            "deleted": True,
        },
        next_look_at=now,
        created_at=now,
    )


def left_behind(event: ExecutionEvent) -> WorkflowExecution:
    """A child that was deleted before its end was heard, as its event tells of it.

    Whatever it had to give is gone: its success would be one without a result.
    """
    state, info = event.payload["state"], event.payload["state_info"]
    if state == states.SUCCESS:
        state, info = states.ERROR, _DELETED.format(event.source_id)
    return WorkflowExecution(
        id=str(event.source_id),
        workflow_name="",
        spec_hash="",
        task_execution_id=event.task_id,
        task_attempt=event.attempt,
        state=state,
        state_info=info,
    )


def to_children(
    ports: WorkflowDecisionPorts,
    own: WorkflowExecution,
    kind: str,
    number: int,
    payload: Mapping[str, Any] | None = None,
    came_from: str | None = None,
) -> list[Command]:
    """Pass a command on to the children that have not ended.

    :param came_from: the execution that the command came from; it does not get it back.
    """
    return [
        _told(ports, own, child_id, kind, number=number, payload=dict(payload or {}))
        for child_id in ports.live_children()
        if child_id != came_from
    ]


def refuse(
    ports: WorkflowDecisionPorts, own: WorkflowExecution, event: ExecutionEvent, reason: str
) -> Command:
    """End a child that runs again although nobody waits for it any more."""
    return _told(
        ports,
        own,
        str(event.source_id),
        CANCEL,
        number=ports.command_number(),
        payload={"message": f"The rerun or skip came too late: {reason}"},
    )


def roll_back(
    ports: WorkflowDecisionPorts, own: WorkflowExecution, child_id: str, compensation: TaskExecution
) -> Command:
    """Ask a child to roll back; the compensation waits for the answer."""
    return _told(
        ports,
        own,
        child_id,
        ROLLBACK,
        task_id=compensation.id,
        attempt=compensation.attempt,
        # every turn needs a number of its own: a child may be asked again after a failure
        number=ports.command_number(),
    )


def rolled_back(
    ports: WorkflowDecisionPorts,
    own: WorkflowExecution,
    undoing: Mapping[str, Any],
    done: bool,
    message: str | None,
) -> list[Command]:
    """Tell those who wait for the end of a rollback, or for that of this execution."""
    asked = undoing.get("asked")
    if asked is None:
        return to_parent(ports, own, CHILD_FINISHED) if undoing.get("owed") else []
    return [
        _told(
            ports,
            own,
            asked["execution_id"],
            CHILD_ROLLED_BACK,
            task_id=asked["task_id"],
            attempt=asked["attempt"],
            payload={"done": done, "message": message},
        )
    ]


def go_on(
    ports: WorkflowDecisionPorts,
    own: WorkflowExecution,
    task_id: str,
    item: int | None,
    attempt: int,
) -> Command:
    """Remind an execution of a task with which this transaction does not go on.

    :param item: the position of the next one of several items.
    """
    more = {"task_id": task_id, "attempt": attempt, "payload": {"next": item}}
    return _told(ports, own, own.id, GO_ON, **more)


def _told(
    ports: WorkflowDecisionPorts, own: WorkflowExecution, execution_id: str, kind: str, **more: Any
) -> Command:
    return SendEvent(
        ExecutionEvent(
            id=ports.new_id(),
            execution_id=execution_id,
            kind=kind,
            source_id=own.id,
            created_at=ports.now,
            **more,
        )
    )
