"""The verbs on one action: results, signals, the states that operators give it."""

from __future__ import annotations

from mistral import exceptions as exc
from mistral.engine import workflow_handler
from mistral.engine.actions import AdHocAction, PythonAction
from mistral.engine.base import Scope
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.workflow import results, states
from mistral.workflow.commands import (
    ActionCompleted,
    Command,
    SetWorkflowState,
    UpdateAction,
    UpdateExecution,
    UpdateTask,
)
from mistral.workflow.definitions import ActionDefinition
from mistral.workflow.entities import ActionExecution
from mistral.workflow.state_machines import ActionEvent, TaskEvent


def signalled(unit: UnitOfWork, action_ex: ActionExecution) -> list[Command]:
    """A third party was told: from now on nothing dispatches the action again."""
    if action_ex.signalled_at is not None or not results.is_live(action_ex):
        return []
    changes = {"signalled_at": unit.now, "next_look_at": None, "secrets": None}
    return [UpdateAction(action_ex.id, changes)]


def take_result(unit: UnitOfWork, action_ex: ActionExecution) -> list[Command]:
    """Let a task take a stored result, unless it belongs to an earlier attempt."""
    if action_ex.result_at is None or action_ex.processed:
        return []
    counted = _counted(unit, action_ex)
    found = unit.tasks([action_ex.task_execution_id] if action_ex.task_execution_id else [])
    if not found or found[0].attempt != action_ex.attempt:
        taken = UpdateAction(action_ex.id, {"processed": True, "next_look_at": None})
        return [*counted, taken]
    return [*counted, *_completed(unit, action_ex), ActionCompleted(found[0].id, action_ex)]


def _counted(unit: UnitOfWork, action_ex: ActionExecution) -> list[Command]:
    """Count the bytes of a result that was stored by somebody else."""
    runtime = action_ex.runtime
    if not runtime.stored_bytes:
        return []
    used = (unit.wf_ex.used_bytes or 0) + runtime.stored_bytes
    return [
        UpdateExecution({"used_bytes": used}),
        UpdateAction(action_ex.id, runtime.counted().change),
    ]


def _completed(unit: UnitOfWork, action_ex: ActionExecution) -> list[Command]:
    """The changes of the action's own row; a result may be too large (doc:language/limits)."""
    outcome = results.Outcome(action_ex.state)
    if action_ex.base_name is not None:
        # nobody else looks at the value
        outcome = results.outcome_of(action_ex, unit.values)
    try:
        return _domain_object(unit, action_ex).complete(outcome)
    except exc.MistralException as error:
        task_id = action_ex.task_execution_id or ""
        message = (
            f"Failed to handle action completion [error={error}, action={action_ex.name}, "
            f"wf={unit.wf_ex.workflow_name}, task={unit.task(task_id).name}]"
        )
        output = unit.values.pack({"result": str(error)})
        failed = action_ex.draft()
        spoiled = UpdateAction(action_ex.id, {"output": output}, ActionEvent.SPOIL)
        spoiled.apply_to(failed)
        action = PythonAction(
            ActionDefinition(action_ex.name, None),
            failed,
            unit.task(task_id),
            Scope(unit, unit.wf_ex, lambda value, _attribute: value),
        )
        return [
            spoiled,
            *action.fail(str(error)),
            UpdateTask(
                task_id,
                {"state_info": message, "processed": True, "finished_at": unit.now},
                TaskEvent.BREAK,
            ),
            SetWorkflowState(states.ERROR, message, task_id, forced=True),
        ]


def _domain_object(unit: UnitOfWork, action_ex: ActionExecution) -> PythonAction:
    task_ex = unit.task(action_ex.task_execution_id or "")
    scope = Scope(unit, unit.wf_ex, lambda value, _attribute: value)
    if action_ex.base_name is None:
        return PythonAction(
            ActionDefinition(action_ex.name, None), action_ex, task_ex=task_ex, scope=scope
        )
    return AdHocAction(
        unit.find_action(_short_name(unit, action_ex)), action_ex, task_ex=task_ex, scope=scope
    )


def _short_name(unit: UnitOfWork, action_ex: ActionExecution) -> str:
    """The name as a task of the same workbook would write it."""
    workbook = unit.wf_ex.workbook_name
    prefix = f"{workbook}." if workbook else ""
    return action_ex.name.removeprefix(prefix)


def check_change(action_ex: ActionExecution, state: str) -> None:
    """Refuse what an operator can't make of an action.

    :raises WorkflowException: it is synchronous, or the change is not in the table of states.
    """
    if action_ex.is_sync:
        raise exc.WorkflowException(
            f"Only asynchronous actions can be paused or resumed [action_ex_id={action_ex.id}]"
        )
    if not results.is_live(action_ex) or not states.is_valid_transition(action_ex.state, state):
        raise exc.InvalidStateException(
            f"Can't change action execution state from {action_ex.state} to {state}. "
            f"[action_ex_id={action_ex.id}]"
        )


def event_of(state: str) -> ActionEvent:
    """What an operator means who gives an action this state."""
    return ActionEvent.PAUSE if state == states.PAUSED else ActionEvent.RESUME


def set_state(unit: UnitOfWork, action_ex_id: str, state: str) -> list[Command]:
    """PAUSED or RUNNING by an operator: task and workflow follow (doc:language/steering)."""
    found = unit.load_actions([action_ex_id])
    return _set_state(unit, found[0], state) if found else []


def _set_state(unit: UnitOfWork, action_ex: ActionExecution, state: str) -> list[Command]:
    check_change(action_ex, state)
    if action_ex.state == state:
        return []
    if state == states.PAUSED and unit.wf_ex.rollback is not None:
        raise exc.WorkflowException(
            f"An action can't be paused while its execution is rolled back "
            f"[action_ex_id={action_ex.id}]"
        )
    is_pause = state == states.PAUSED
    commands: list[Command] = [UpdateAction(action_ex.id, event=event_of(state))]
    task_ex = unit.task(action_ex.task_execution_id or "")
    if states.is_completed(task_ex.state) or states.is_completed(unit.wf_ex.state):
        return commands
    if state == states.RUNNING and unit.store.paused_actions(task_ex.id) != [action_ex.id]:
        # others of the task are still held: each is resumed by itself
        return commands
    # a task that waits or has gone on to another attempt does not follow an old action
    if task_ex.attempt == action_ex.attempt and task_ex.state in (states.RUNNING, states.PAUSED):
        event = TaskEvent.PAUSE if is_pause else TaskEvent.RESUME
        commands.append(UpdateTask(task_ex.id, event=event))
    if is_pause:
        if unit.wf_ex.state == states.PAUSED:
            return commands
        return [*commands, SetWorkflowState(states.PAUSED, None, task_ex.id)]
    others = [t for t in unit.tasks_in(states.PAUSED) if t.id != task_ex.id]
    return commands if others else commands + workflow_handler.resume(unit)
