"""The verbs on one workflow. Where an error in its output becomes a state, written once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from mistral import exceptions as exc
from mistral.engine import execution_events, policies, task_handler
from mistral.engine import workflows as wf
from mistral.engine.actions import WorkflowAction
from mistral.engine.joins import handler as join_handler
from mistral.engine.rollback import handler as rollback_handler
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.workflow import ancestry, states
from mistral.workflow.commands import (
    CheckWorkflow,
    Command,
    ContinueTask,
    EvaluateJoin,
    ReviewJoins,
    SendEvent,
    SetWorkflowState,
    SkipTask,
    StartItems,
    StartTask,
    UpdateExecution,
    UpdateTask,
)
from mistral.workflow.entities import ExecutionEvent, TaskExecution, WorkflowExecution
from mistral.workflow.results import Outcome
from mistral.workflow.state_machines import TaskEvent


def existing(unit: UnitOfWork) -> wf.Workflow:
    """The domain object of the execution that the transaction handles."""
    return wf.Workflow(unit.definition, unit.wf_ex, unit)


def begin(unit: UnitOfWork) -> list[Command]:
    """Let a created execution run.

    An error in a sub-workflow is its own; an error in a root execution is that of the request.
    """
    if unit.wf_ex.state != states.IDLE:
        return []
    workflow = existing(unit)
    if unit.wf_ex.parent_execution_id is None:
        return workflow.begin()
    try:
        return workflow.begin()
    except exc.MistralException as error:
        message = f"Failed to start workflow [error={error}, wf={unit.wf_ex.workflow_name}]"
        return existing(unit).fail(message)


def check_and_complete(unit: UnitOfWork) -> list[Command]:
    """Complete the workflow if nothing of it is unfinished."""
    return _completing(unit, existing(unit).check_and_complete)


def _completing(unit: UnitOfWork, decide: Callable[[], list[Command]]) -> list[Command]:
    try:
        return decide()
    except exc.InvalidStateException:
        raise
    except exc.MistralException as error:
        message = f"Failed to check and complete [error={error}, wf={unit.wf_ex.workflow_name}]"
        return existing(unit).fail(message)


def set_state(unit: UnitOfWork, command: SetWorkflowState) -> list[Command]:
    """An engine command of the language, or a fatal error of a task."""
    workflow = existing(unit)
    if command.state == states.PAUSED:
        number = unit.command_number()
        return [carried_out(number), *_paused(unit, command.message, number)]
    if command.state == states.ERROR:
        return workflow.fail(command.message)
    return _completing(unit, lambda: workflow.stop(command.state, command.message))


def carried_out(number: int) -> Command:
    """Remember a command that may spread to other executions: no older one counts any more."""
    return UpdateExecution({"command_number": number})


# operators' commands --------------------------------------------------------


def pause(unit: UnitOfWork) -> list[Command]:
    """Pause by an operator's command."""
    if unit.wf_ex.state == states.PAUSED:
        return []
    number = unit.command_number()
    return [*existing(unit).lock(), carried_out(number), *_paused(unit, None, number)]


def _paused(
    unit: UnitOfWork, message: str | None, number: int, came_from: str | None = None
) -> list[Command]:
    """Pause the execution, and tasks with paused sub-workflows (doc:language/steering)."""
    commands = existing(unit).pause(message, number, came_from)
    if unit.wf_ex.state != states.RUNNING:
        return commands
    waiting = [t for t in unit.tasks_in(states.RUNNING) if t.type == "WORKFLOW"]
    return [*commands, *(UpdateTask(t.id, event=TaskEvent.PAUSE) for t in waiting)]


def resume(
    unit: UnitOfWork,
    env: Mapping[str, Any] | None = None,
    came_from: str | None = None,
    number: int | None = None,
) -> list[Command]:
    """Resume.

    :param came_from: the execution that passed the command on.
    :param number: of that command; a new one if there is none yet.
    """
    if unit.wf_ex.state not in (states.PAUSED, states.IDLE):
        return []
    if number is None:
        number = unit.command_number()
    held = task_handler.held(unit)
    commands = [carried_out(number), *existing(unit).resume(env, number, came_from, held)]
    paused = unit.tasks_in(states.PAUSED)
    commands += [UpdateTask(t.id, event=TaskEvent.RESUME) for t in paused]
    return [*commands, *_held_back(unit), CheckWorkflow()]


def _held_back(unit: UnitOfWork) -> list[Command]:
    """What came while the execution did not run: followers, items, joins."""
    commands: list[Command] = [ContinueTask(t.id) for t in unit.unprocessed_tasks()]
    for task_ex in unit.tasks_in(states.RUNNING, states.PAUSED):
        if task_ex.runtime.has_items:
            commands.append(StartItems(task_ex.id))
    return commands + [EvaluateJoin(t.id) for t in unit.tasks_in(states.WAITING)]


def _held_by_the_end(unit: UnitOfWork) -> list[Command]:
    """What an execution that has ended goes on with when it runs again."""
    if not states.is_completed(unit.wf_ex.state):
        return []
    delayed = task_handler.held(unit)
    waiting = task_handler.awaited_again(unit, unit.tasks_in(states.RUNNING))
    starts = (StartTask(t.id) for t in delayed)
    return [*waiting, *starts, *_held_back(unit), ReviewJoins()]


def _overdue(unit: UnitOfWork) -> list[Command]:
    """Timeouts that passed after the end; to be handled before anything else changes the tasks."""
    if not states.is_completed(unit.wf_ex.state):
        return []
    return [
        command
        for task_ex in unit.tasks_in(*sorted(states.UNFINISHED))
        for command in policies.noted_timeouts(unit, unit.wf_ex, task_ex)
    ]


def stop(unit: UnitOfWork, state: str, message: str | None) -> list[Command]:
    """Put the execution into a final state by an operator's command."""
    workflow = existing(unit)
    if state != states.CANCELLED or workflow.is_completed():
        return _completing(unit, lambda: workflow.stop(state, message))
    number = unit.command_number()
    stopped = _completing(unit, lambda: workflow.stop(state, message, number))
    return [carried_out(number), *stopped]


def update_env(unit: UnitOfWork, env: Mapping[str, Any]) -> list[Command]:
    """Change the environment of an execution that does not run."""
    allowed = states.ENV_CHANGEABLE
    if unit.wf_ex.state not in allowed:
        raise exc.NotAllowedException(
            f"The environment can only be updated when the workflow execution is in one of "
            f"{', '.join(allowed)} [execution_id={unit.wf_ex.id}, state={unit.wf_ex.state}]"
        )
    return existing(unit).update_env(env)


def rerun(
    unit: UnitOfWork, task_id: str, reset: bool, env: Mapping[str, Any] | None, skip: bool
) -> list[Command]:
    """Run a failed task again, or skip it."""
    task_ex = unit.task(task_id)
    if not reset and not skip and not unit.spec.tasks[task_ex.name].with_items:
        raise exc.WorkflowException(
            "Only with-items task has the option to not reset "
            f"[task={task_ex.name}, task_ex_id={task_ex.id}]"
        )
    if unit.wf_ex.state == states.PAUSED:
        return []
    if task_ex.is_compensation or unit.wf_ex.rollback is not None:
        raise exc.WorkflowException(
            "Nothing can be rerun or skipped while it is rolled back, nor can a compensation; "
            f"roll the execution back again instead [task={task_ex.name}, task_ex_id={task_ex.id}]"
        )
    if task_ex.state != states.ERROR:
        raise exc.WorkflowException(
            f"Only tasks in ERROR can be rerun or skipped [task={task_ex.name}, "
            f"task_ex_id={task_ex.id}, state={task_ex.state}]"
        )
    if not states.is_valid_transition(unit.wf_ex.state, states.RUNNING):
        existing(unit).set_state(states.RUNNING)
    _check_ancestors(unit)
    workflow = existing(unit)
    overdue, held = _overdue(unit), _held_by_the_end(unit)
    if not skip:
        return [*overdue, *workflow.rerun(task_ex, reset, env), *held]
    commands = workflow.update_env(env) if env else []
    return [*overdue, *commands, *workflow.revive(), SkipTask(task_id), *held]


def _check_ancestors(unit: UnitOfWork) -> None:
    """Refuse to run again what some ancestor would not go on with."""
    reason = unit.other_executions.refusal(unit.wf_ex)
    if reason is not None:
        raise exc.WorkflowException(
            f"Nothing can be rerun or skipped in this sub-workflow execution: {reason}. "
            f"Start the workflow by itself instead [execution_id={unit.wf_ex.id}]"
        )


# events of relatives --------------------------------------------------------


def on_event(unit: UnitOfWork, event: ExecutionEvent) -> list[Command]:
    """A child or the parent tells something."""
    if event.kind in _COMMANDS:
        return _command(unit, event, lambda: _COMMANDS[event.kind](unit, event))
    return _ON_EVENT[event.kind](unit, event)


def told_before(unit: UnitOfWork, event: ExecutionEvent) -> list[ExecutionEvent]:
    """Events that are older than this one and have not arrived, although they were told before.

    A child that runs again says so, and later that it has ended: the other way round its end would
    be taken by a task that has ended, and then its task would wait for an end.
    """
    place = _place(event)
    if place is None or place <= (0, 1):
        return []
    waiting = unit.store.events_from(unit.wf_ex.id, event.source_id or "")
    earlier = [
        (known, other)
        for other in waiting
        if (known := _place(other)) is not None and known < place
    ]
    done = set(unit.outgoing.done_events)
    return [other for _, other in sorted(earlier, key=lambda pair: pair[0]) if other.id not in done]


def _place(event: ExecutionEvent) -> tuple[int, int] | None:
    """The place of an event in a child's life: of each attempt the beginning, then the end."""
    kinds = (execution_events.CHILD_RUNNING, execution_events.CHILD_FINISHED)
    if event.kind not in kinds:
        return None
    return (event.payload.get("attempt", 0), kinds.index(event.kind))


def _command(
    unit: UnitOfWork, event: ExecutionEvent, decide: Callable[[], list[Command]]
) -> list[Command]:
    """Carry out a command from a relative, unless a newer one was carried out already."""
    if event.number <= unit.wf_ex.command_number:
        return []
    return [carried_out(event.number), *decide()]


def take_child(unit: UnitOfWork, task_ex: TaskExecution, child: WorkflowExecution) -> list[Command]:
    """Let a task take the end of a sub-workflow, as far as it is of the same attempt."""
    if task_ex.attempt != child.task_attempt or not states.is_completed(child.state):
        return []
    action = WorkflowAction(None, child, task_ex)
    return action.complete(Outcome(child.state))


def _go_on(unit: UnitOfWork, event: ExecutionEvent) -> list[Command]:
    """An earlier transaction has left something of a task for later ones.

    A pause or the end is no time for it: a resume or revival goes on with all that is left.
    """
    found = unit.tasks([event.task_id] if event.task_id else [])
    if not found or found[0].attempt != event.attempt:
        return []
    task_ex = found[0]
    if task_ex.state == states.WAITING:
        return join_handler.retry(unit, task_ex)
    if unit.wf_ex.state != states.RUNNING or unit.wf_ex.rollback is not None:
        return []
    if task_handler.is_held(task_ex):
        return [StartTask(task_ex.id)]
    items = task_ex.runtime.items
    if items is None or task_ex.state != states.RUNNING:
        return []
    return [StartItems(task_ex.id)] if items.next == event.payload["next"] else []


def _child_finished(unit: UnitOfWork, event: ExecutionEvent) -> list[Command]:
    found = unit.tasks([event.task_id] if event.task_id else [])
    child = unit.store.execution(event.source_id) if event.source_id else None
    if not found or found[0].attempt != event.attempt:
        return []
    ended = event.payload
    if child is None or ended.get("deleted"):
        child = execution_events.left_behind(event)
    elif child.attempt != ended.get("attempt"):
        # it runs again meanwhile; the event of that comes next and finds its end counted
        told = {"state": ended["state"], "state_info": ended["state_info"]}
        child = dataclasses.replace(child, **told)
    return take_child(unit, found[0], child)


def _child_running(unit: UnitOfWork, event: ExecutionEvent) -> list[Command]:
    """A child that had ended runs again, so do its task and this one (doc:language/rerun)."""
    found = unit.tasks([event.task_id] if event.task_id else [])
    if not found:
        return []
    task_ex = found[0]
    reason = ancestry.refusal(unit.wf_ex, task_ex, event.attempt)
    if reason is not None:
        return [execution_events.refuse(unit, unit.wf_ex, event, reason)]
    changes: dict[str, Any] = {
        "state_info": None,
        "processed": False,
        "error_handled": False,
        "has_next_tasks": False,
        "next_tasks": None,
        "finished_at": None,
    }
    items = task_ex.runtime.items
    if items is not None:
        changes |= task_ex.runtime.with_items(items.item_runs_again()).change
    runs_again = [
        UpdateTask(task_ex.id, changes, TaskEvent.RUN_AGAIN),
        *join_handler.not_yet(unit, task_ex),
    ]
    if unit.wf_ex.state == states.PAUSED:
        return [*runs_again, *resume(unit, None, event.source_id)]
    overdue, held = _overdue(unit), _held_by_the_end(unit)
    return [*overdue, *runs_again, *existing(unit).revive(), *held]


def _child_paused(unit: UnitOfWork, event: ExecutionEvent) -> list[Command]:
    if not _may_pause(unit):
        return []
    found = unit.tasks([event.task_id] if event.task_id else [])
    commands: list[Command] = [
        UpdateTask(t.id, event=TaskEvent.PAUSE) for t in found if t.state == states.RUNNING
    ]
    return commands + _paused(unit, None, event.number, event.source_id)


def _child_resumed(unit: UnitOfWork, event: ExecutionEvent) -> list[Command]:
    if states.is_completed(unit.wf_ex.state):
        return []
    found = unit.tasks([event.task_id] if event.task_id else [])
    siblings = [c for t in found for c in unit.store.children_of_task(t.id)]
    if any(c.state == states.PAUSED for c in siblings):
        return []
    commands: list[Command] = [
        UpdateTask(t.id, event=TaskEvent.RESUME) for t in found if t.state == states.PAUSED
    ]
    others = [t for t in unit.tasks_in(states.PAUSED) if t.id != event.task_id]
    return commands if others else commands + resume(unit, None, event.source_id, event.number)


def _may_pause(unit: UnitOfWork) -> bool:
    return not states.is_completed(unit.wf_ex.state) and unit.wf_ex.rollback is None


def _paused_from_above(unit: UnitOfWork, event: ExecutionEvent) -> list[Command]:
    if not _may_pause(unit):
        return []
    return _paused(unit, None, event.number, event.source_id)


def _resumed_from_above(unit: UnitOfWork, event: ExecutionEvent) -> list[Command]:
    return resume(unit, None, event.source_id, event.number)


def _cancelled_from_above(unit: UnitOfWork, event: ExecutionEvent) -> list[Command]:
    message = event.payload.get("message")
    return existing(unit).stop(states.CANCELLED, message, event.number)


def _told_to_roll_back(unit: UnitOfWork, event: ExecutionEvent) -> list[Command]:
    if unit.store.is_being_deleted(unit.wf_ex.id):
        return [SendEvent(execution_events.not_rolled_back(event, unit.new_id(), unit.now))]
    return rollback_handler.begin_for_parent(unit, event)


def _child_rolled_back(unit: UnitOfWork, event: ExecutionEvent) -> list[Command]:
    return rollback_handler.on_child(unit, event)


_ON_EVENT: Mapping[str, Callable[[UnitOfWork, ExecutionEvent], list[Command]]] = {
    execution_events.GO_ON: _go_on,
    execution_events.CHILD_FINISHED: _child_finished,
    execution_events.CHILD_RUNNING: _child_running,
    execution_events.ROLLBACK: _told_to_roll_back,
    execution_events.CHILD_ROLLED_BACK: _child_rolled_back,
}
_COMMANDS: Mapping[str, Callable[[UnitOfWork, ExecutionEvent], list[Command]]] = {
    execution_events.CHILD_PAUSED: _child_paused,
    execution_events.CHILD_RESUMED: _child_resumed,
    execution_events.PAUSE: _paused_from_above,
    execution_events.RESUME: _resumed_from_above,
    execution_events.CANCEL: _cancelled_from_above,
}
"""Commands that have come from a relative: they are numbered, an old one does not count."""
