"""The verbs of a rollback: begin, one compensation after the other, the end.

While it lasts the execution is RUNNING and nothing else of it goes on; what had been on its way
is abandoned, its late results are recorded and not compensated.
"""

from __future__ import annotations

from typing import Any

from mistral import exceptions as exc
from mistral.engine import execution_events, task_handler
from mistral.engine.rollback import plan
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.workflow import states
from mistral.workflow.commands import (
    Command,
    NextCompensation,
    UpdateExecution,
    UpdateTask,
)
from mistral.workflow.entities import (
    ActionExecution,
    ExecutionEvent,
    TaskExecution,
    WorkflowExecution,
)
from mistral.workflow.runtime import TaskRuntime
from mistral.workflow.state_machines import WORKFLOW_ENDS, TaskEvent, WorkflowEvent
from mistral.workflow.values import EMPTY


def begin(unit: UnitOfWork) -> list[Command]:
    """Roll back by an operator's command.

    :raises WorkflowException: nothing is to be undone, or it is being undone already.
    """
    if unit.wf_ex.rollback is not None:
        raise exc.WorkflowException(
            f"The execution is being rolled back already [execution_id={unit.wf_ex.id}]"
        )
    steps = _open_steps(unit)
    if not _is_worth_it(unit, steps):
        raise exc.WorkflowException(
            f"There is nothing to roll back: no successful task of the workflow "
            f"'{unit.wf_ex.workflow_name}' declares 'rollback' [execution_id={unit.wf_ex.id}]"
        )
    return _begin(unit, steps, None, unit.command_number())


def begin_for_parent(unit: UnitOfWork, event: ExecutionEvent) -> list[Command]:
    """Roll back as part of the parent's task; nothing to undo is a success, too.

    Newer commands of operators do not matter: the parent waits for an answer.
    """
    before = (unit.wf_ex.rollback or {}).get("asked") or {}
    if event.number < before.get("number", 0):
        return []
    number = max(unit.wf_ex.command_number, event.number)
    asked = {
        "execution_id": event.source_id,
        "task_id": event.task_id,
        "attempt": event.attempt,
        "number": event.number,
    }
    return _begin(unit, _open_steps(unit), asked, number)


def _open_steps(unit: UnitOfWork) -> list[plan.Step]:
    """What is still to be undone: not what an earlier rollback has undone."""
    tasks = unit.all_tasks()
    spec = unit.spec
    actions: dict[str, list[ActionExecution]] = {}
    children: dict[str, list[WorkflowExecution]] = {}
    for task_ex in tasks:
        task_spec = spec.tasks.get(task_ex.name)
        if task_spec is None:
            continue
        if task_ex.type == "WORKFLOW":
            children[task_ex.id] = unit.store.children_of_task(task_ex.id)
        elif task_spec.rollback and task_spec.with_items:
            actions[task_ex.id] = unit.accepted_actions(task_ex)
    done = {t.unique_key for t in unit.compensations(states.SUCCESS) if _is_whole(unit, t)}
    # a sub-workflow that has run again since it was undone is undone again
    done -= {
        plan.Step(task_ex, child_id=child.id).key
        for task_ex in tasks
        for child in children.get(task_ex.id, ())
        if child.state != states.CANCELLED
    }
    return [s for s in plan.plan(spec, tasks, actions, children) if s.key not in done]


def _is_whole(unit: UnitOfWork, compensation: TaskExecution) -> bool:
    """Whether its task has not run again since a compensation began."""
    if compensation.runtime.child_id is not None:
        return True
    return plan.covers(compensation, _undone_by(unit, compensation))


def _undone_by(unit: UnitOfWork, compensation: TaskExecution) -> TaskExecution:
    return unit.task(compensation.runtime.undoes or "")


def _is_worth_it(unit: UnitOfWork, steps: list[plan.Step]) -> bool:
    """Whether anything declares a compensation, here or in a sub-workflow of any depth."""
    if any(step.child_id is None for step in steps):
        return True
    return any(_declares_below(unit, step.child_id) for step in steps if step.child_id)


def _declares_below(unit: UnitOfWork, child_id: str) -> bool:
    for task_ex in unit.find_tasks(child_id, True, states.SUCCESS):
        spec = unit.other_executions.spec_of(task_ex.workflow_execution_id)
        task_spec = spec.tasks.get(task_ex.name) if spec else None
        if task_spec is not None and task_spec.rollback and not task_ex.is_compensation:
            return True
    return False


def _begin(
    unit: UnitOfWork, steps: list[plan.Step], asked: dict[str, Any] | None, number: int
) -> list[Command]:
    commands, abandoned = _abandon(unit)
    # sub-workflows start nothing new until they are told what becomes of them
    commands += execution_events.to_children(unit, unit.wf_ex, execution_events.PAUSE, number)
    is_owed = unit.wf_ex.parent_execution_id is not None and not asked
    owed = is_owed and not states.is_completed(unit.wf_ex.state)
    known = {t.unique_key: t for t in unit.compensations()}
    for order, step in enumerate(steps):
        old = known.get(step.key)
        if old is None:
            commands.append(plan.create(unit, unit.wf_ex, step, order))
        elif old.state == states.RUNNING:
            # begun before somebody stopped the rollback: it may still do its work
            commands.append(UpdateTask(old.id, old.runtime.with_order(order).change))
        else:
            commands.append(_again(old, old.runtime.with_order(order)))
    planned = {step.key for step in steps}
    for key, old in known.items():
        if key not in planned and not states.is_completed(old.state):
            # what it was to undo has changed since
            commands.append(UpdateTask(old.id, {"processed": True}, TaskEvent.CANCEL))
    changes = {
        "state_info": "Rolling back",
        "command_number": number,
        "accepted": False,
        "finished_at": None,
        "next_look_at": None,
        "attempt": unit.wf_ex.attempt + 1,
        "backlog": None,
        "rollback": {"abandoned": abandoned, "asked": asked, "owed": owed},
    }
    going_on = task_handler.awaited_again(unit, unit.compensations(states.RUNNING))
    begun = UpdateExecution(changes, WorkflowEvent.ROLL_BACK)
    return [*commands, *going_on, begun, NextCompensation()]


def _again(compensation: TaskExecution, runtime: TaskRuntime) -> Command:
    """Let a compensation that was begun before wait for another turn."""
    changes = {
        **runtime.change,
        "state_info": None,
        "attempt": compensation.attempt + 1,
        "finished_at": None,
    }
    return UpdateTask(compensation.id, changes, TaskEvent.TAKE_TURN)


def _abandon(unit: UnitOfWork) -> tuple[list[Command], list[str]]:
    """What is on its way does not count any more."""
    commands: list[Command] = []
    names = []
    for task_ex in unit.tasks_in(*sorted(states.UNFINISHED)):
        names.append(task_ex.name)
        changes = {
            "state_info": "Abandoned by a rollback of the workflow.",
            "attempt": task_ex.attempt + 1,
            "processed": True,
            "finished_at": unit.now,
        }
        commands.append(UpdateTask(task_ex.id, changes, TaskEvent.CANCEL))
    return commands, sorted(names)


def proceed(unit: UnitOfWork) -> list[Command]:
    """Run the next compensation, or end the rollback when there is none left."""
    if unit.wf_ex.rollback is None or unit.wf_ex.state != states.RUNNING:
        return []
    waiting = _waiting(unit)
    if any(t.state == states.RUNNING for t in waiting):
        return []
    if not waiting:
        return _end(unit, states.CANCELLED, _summary(unit))
    compensation = waiting[0]
    started: dict[str, Any] = {"started_at": unit.now, "state_info": None}
    child_id = compensation.runtime.child_id
    undone = _undone_by(unit, compensation)
    if child_id is None:
        started |= compensation.runtime.undoing(undone.attempt).change
    begun = UpdateTask(compensation.id, started, TaskEvent.START)
    draft = compensation.draft()
    begun.apply_to(draft)
    if child_id is not None:
        return [begun, execution_events.roll_back(unit, unit.wf_ex, child_id, draft)]
    try:
        return [begun, *plan.schedule(unit, unit.wf_ex, unit.spec, draft, undone)]
    except exc.MistralException as error:
        return [begun, *_failed(unit, compensation, str(error))]


def _waiting(unit: UnitOfWork) -> list[TaskExecution]:
    """The compensations that have not ended, in order of their turn."""
    return sorted(unit.compensations(states.IDLE, states.RUNNING), key=plan.turn)


def on_action_complete(
    unit: UnitOfWork, compensation: TaskExecution, action_ex: Any
) -> list[Command]:
    """The action of a compensation has ended."""
    if states.is_completed(compensation.state):
        return []
    if action_ex.state == states.SUCCESS:
        return _done(unit, compensation)
    output = action_ex.output
    value = unit.values.get(output, "result") if output and "result" in output else None
    return _failed(unit, compensation, str(value))


def on_child(unit: UnitOfWork, event: ExecutionEvent) -> list[Command]:
    """A sub-workflow was rolled back, or could not be."""
    found = unit.tasks([event.task_id] if event.task_id else [])
    if not found or found[0].attempt != event.attempt or states.is_completed(found[0].state):
        return []
    if event.payload.get("done"):
        return _done(unit, found[0])
    return _failed(unit, found[0], str(event.payload.get("message")))


def _done(unit: UnitOfWork, compensation: TaskExecution) -> list[Command]:
    runtime = compensation.runtime.undone()
    if unit.wf_ex.rollback is not None and _has_more(unit, compensation, runtime):
        return [_again(compensation, runtime), NextCompensation()]
    changes = {
        **runtime.change,
        "state_info": None,
        "processed": True,
        "has_next_tasks": True,
        "finished_at": unit.now,
    }
    return [UpdateTask(compensation.id, changes, TaskEvent.SUCCEED), NextCompensation()]


def _has_more(unit: UnitOfWork, compensation: TaskExecution, runtime: TaskRuntime) -> bool:
    """Whether a task has run again while its compensation was under way."""
    if runtime.undone_attempt is None:
        return False
    undone = _undone_by(unit, compensation)
    return undone.state == states.SUCCESS and undone.attempt > runtime.undone_attempt


def _failed(unit: UnitOfWork, compensation: TaskExecution, cause: str) -> list[Command]:
    info = cause[: unit.limits.state_info_chars]
    changes = {
        "state_info": info,
        "processed": True,
        "has_next_tasks": True,
        "finished_at": unit.now,
    }
    remains = [plan.label(compensation)]
    remains += [plan.label(t) for t in _waiting(unit) if t.id != compensation.id]
    ended = UpdateTask(compensation.id, changes, TaskEvent.FAIL)
    if unit.wf_ex.rollback is None:
        # somebody has stopped the rollback meanwhile
        return [ended]
    message = (
        f"The rollback failed at task '{plan.label(compensation)}': {info}. "
        f"Not rolled back: {', '.join(remains)}. {_summary(unit)}"
    )
    return [ended, *_end(unit, states.ERROR, message)]


def _summary(unit: UnitOfWork) -> str:
    undone = unit.compensations(states.SUCCESS)
    undone.sort(key=lambda t: (t.finished_at or unit.now, *plan.turn(t)))
    done = [plan.label(t) for t in undone]
    text = f"Rolled back: {', '.join(done) or 'nothing'}."
    abandoned = (unit.wf_ex.rollback or {}).get("abandoned")
    if abandoned:
        text += f" Abandoned, not rolled back even if a result comes later: {', '.join(abandoned)}."
    return text


def _end(unit: UnitOfWork, state: str, message: str) -> list[Command]:
    text = message[: unit.limits.state_info_chars]
    progress = unit.wf_ex.rollback or {}
    changes = {
        "state_info": text,
        "output": EMPTY.updated(unit.values.pack({"result": text})),
        "accepted": True,
        "finished_at": unit.now,
        "rollback": None,
    }
    told = execution_events.rolled_back(unit, unit.wf_ex, progress, state == states.CANCELLED, text)
    return [UpdateExecution(changes, WORKFLOW_ENDS[state]), *told]
