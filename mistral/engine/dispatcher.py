"""The interpreter: turns commands into changes of the unit of work (law 3).

Commands are handled one after the other, what they lead to first. A flow command is answered by a
handler with further commands; everything else is a row.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from mistral.engine import execution_events, task_handler, workflow_handler
from mistral.engine.joins import handler as join_handler
from mistral.engine.rollback import handler as rollback_handler
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.workflow import commands as c
from mistral.workflow import states
from mistral.workflow.entities import TaskExecution


def dispatch(unit: UnitOfWork, commands: Iterable[c.Command]) -> None:
    """Handle commands and all that they lead to.

    Whether the workflow has ended is asked last: what still waits here may start something. An end
    that one task chose comes after what others have chosen: nothing of theirs would remember it.
    """
    todo = unit.pending = collections.deque(commands)
    _answer(unit, todo)
    if _has_begun(unit) and (message := unit.usage.exceeded(unit.wf_ex)):
        todo.append(c.SetWorkflowState(states.ERROR, message, forced=True))
        _answer(unit, todo)


def _has_begun(unit: UnitOfWork) -> bool:
    """Whether the execution may go on, or is paused, by itself."""
    return unit.wf_ex.state in (states.RUNNING, states.PAUSED) and unit.wf_ex.rollback is None


def _answer(unit: UnitOfWork, todo: collections.deque[c.Command]) -> None:
    while todo:
        command = todo.popleft()
        if isinstance(command, c.CheckWorkflow) and todo:
            if not isinstance(todo[-1], c.CheckWorkflow):
                todo.append(command)
            continue
        if _is_end(command) and (place := _behind_choices(todo)):
            todo.insert(place, command)
            continue
        further = _ANSWERS[type(command)](unit, command) or ()
        todo.extend(command for command in further if _is_forced(command))
        todo.extendleft(command for command in reversed(further) if not _is_forced(command))


def _is_forced(command: c.Command) -> bool:
    """Whether a task's start or end demands it: what was chosen beside the task goes first."""
    return isinstance(command, c.SetWorkflowState) and command.forced


def _is_end(command: c.Command) -> bool:
    """Whether a task has chosen ``fail`` or ``succeed``."""
    return (
        isinstance(command, c.SetWorkflowState)
        and not command.forced
        and states.is_completed(command.state)
    )


def _behind_choices(todo: Sequence[c.Command]) -> int:
    """The place behind everything that tasks have chosen already; 0 when nothing of it is left."""
    choices = (c.RunTask, c.TaskCompleted)
    return max((i for i, other in enumerate(todo, 1) if isinstance(other, choices)), default=0)


def _lock(unit: UnitOfWork, command: c.LockExecution) -> None:
    if unit.wf_ex.id != command.execution_id:
        raise AssertionError("One transaction handles one execution.")


def _create_execution(unit: UnitOfWork, command: c.CreateExecution) -> None:
    execution = command.execution
    if execution.parent_execution_id is None or execution.id == unit.wf_ex.id:
        unit.begin_new(execution)
    else:
        unit.new_executions.append(execution)


def _begin_workflow(unit: UnitOfWork, command: c.BeginWorkflow) -> list[c.Command]:
    return workflow_handler.begin(unit)


def _update_execution(unit: UnitOfWork, command: c.UpdateExecution) -> None:
    command.apply_to(unit.wf_ex)
    if "params" in command.changes:
        unit.forget_env()


def _create_task(unit: UnitOfWork, command: c.CreateTask) -> None:
    unit.add_task(command.task)


def _update_task(unit: UnitOfWork, command: c.UpdateTask) -> None:
    """Change a task; what it has been running ends with it, or with its attempt."""
    task_ex = unit.task(command.task_id)
    before = task_ex.draft()
    unit.change_task(command)
    has_ended = states.is_completed(task_ex.state) and not states.is_completed(before.state)
    if (has_ended or task_ex.attempt > before.attempt) and _may_run(before):
        unit.call_off_actions(before, _cause(task_ex))


def _may_run(task_ex: TaskExecution) -> bool:
    """Whether actions of a task may have no result yet."""
    if task_ex.type == "WORKFLOW":
        return False
    items = task_ex.runtime.items
    return items is None or items.are_running


def _cause(task_ex: TaskExecution) -> str:
    if states.is_completed(task_ex.state):
        return task_ex.state_info or f"The task has ended in {task_ex.state}."
    return "The task runs again."


def _create_action(unit: UnitOfWork, command: c.CreateAction) -> None:
    unit.add_action(command.action)


def _update_action(unit: UnitOfWork, command: c.UpdateAction) -> None:
    action_ex = unit.action(command.action_id)
    if action_ex is not None:
        command.apply_to(action_ex)
        if command.event is not None or "output" in command.changes:
            action_ex.updated_at = unit.now


def _discard(unit: UnitOfWork, command: c.DiscardResults) -> None:
    unit.discard_results(command.task_id, command.failed_only)


def _set_inbound(unit: UnitOfWork, command: c.SetInbound) -> None:
    """Store what an inbound task means for a join, and count it there."""
    inbound = command.inbound
    before = unit.inbounds.put(inbound)
    counted = unit.task(inbound.task_execution_id).runtime.recounted(before, inbound.state)
    unit.change_task(c.UpdateTask(inbound.task_execution_id, counted.change))


def _create_timer(unit: UnitOfWork, command: c.CreateTimer) -> None:
    unit.outgoing.add_timer(command.timer)


def _send_event(unit: UnitOfWork, command: c.SendEvent) -> None:
    unit.outgoing.add_event(command.event)


def _run_task(unit: UnitOfWork, command: c.RunTask) -> list[c.Command] | None:
    if _has_ended(unit):
        return None
    if _is_paused(unit):
        return [_kept(unit, command)]
    if unit.spec.tasks[command.name].join is not None:
        return join_handler.arrive(unit, command)
    return task_handler.run_task(unit, command)


def _has_ended(unit: UnitOfWork) -> bool:
    """Whether nothing of the execution starts any more."""
    return states.is_completed(unit.wf_ex.state) or unit.wf_ex.rollback is not None


def _is_paused(unit: UnitOfWork) -> bool:
    """Whether what was chosen is kept until the end of a pause."""
    return unit.wf_ex.state == states.PAUSED


def _kept(unit: UnitOfWork, command: c.Command) -> c.Command:
    """Keep a choice for the end of the pause (doc:language/transitions#commands)."""
    return c.UpdateExecution({"backlog": [*(unit.wf_ex.backlog or ()), c.to_backlog(command)]})


def _set_workflow_state(unit: UnitOfWork, command: c.SetWorkflowState) -> list[c.Command] | None:
    if command.forced:
        if states.is_completed(unit.wf_ex.state):
            return None
    elif _has_ended(unit):
        return None
    elif _is_paused(unit):
        return [_kept(unit, command)]
    return workflow_handler.set_state(unit, command)


def _task_completed(unit: UnitOfWork, command: c.TaskCompleted) -> list[c.Command] | None:
    if states.is_completed(unit.wf_ex.state):
        return None
    if unit.spec.type == "reverse":
        return task_handler.next_of_reverse(unit, command.task_id)
    return join_handler.edges_not_taken(unit, command)


def _evaluate_join(unit: UnitOfWork, command: c.EvaluateJoin) -> list[c.Command]:
    return join_handler.evaluate(unit, command.task_id)


def _review_joins(unit: UnitOfWork, command: c.ReviewJoins) -> list[c.Command]:
    return join_handler.review(unit)


def _next_compensation(unit: UnitOfWork, command: c.NextCompensation) -> list[c.Command]:
    return rollback_handler.proceed(unit)


def _action_completed(unit: UnitOfWork, command: c.ActionCompleted) -> list[c.Command]:
    task_ex = unit.task(command.task_id)
    if not task_ex.runtime.has_items:
        unit.settled.add((task_ex.id, task_ex.attempt))
    if task_ex.is_compensation:
        return rollback_handler.on_action_complete(unit, task_ex, command.action)
    return task_handler.on_action_complete(unit, command.task_id, command.action)


def _start_task(unit: UnitOfWork, command: c.StartTask) -> list[c.Command] | None:
    if unit.wf_ex.state != states.RUNNING or unit.wf_ex.rollback is not None:
        return None
    return task_handler.start_task(unit, command.task_id)


def _rerun_task(unit: UnitOfWork, command: c.RerunTask) -> list[c.Command]:
    task_ex = unit.task(command.task_id)
    open_again = join_handler.not_yet(unit, task_ex)
    if unit.spec.tasks[task_ex.name].join is not None:
        return [*open_again, *join_handler.rerun(unit, command)]
    return [*open_again, *task_handler.rerun_task(unit, command)]


def _skip_task(unit: UnitOfWork, command: c.SkipTask) -> list[c.Command]:
    task_ex = unit.task(command.task_id)
    if unit.spec.tasks[task_ex.name].join is not None:
        return join_handler.skip(unit, task_ex.id)
    return task_handler.skip_task(unit, task_ex)


def _start_items(unit: UnitOfWork, command: c.StartItems) -> list[c.Command]:
    return task_handler.continue_items(unit, unit.task(command.task_id))


def _go_on_later(unit: UnitOfWork, command: c.GoOnLater) -> list[c.Command]:
    task_ex = unit.task(command.task_id)
    items = task_ex.runtime.items
    place = task_ex.id, items.next if items is not None else None
    if place in unit.postponed:
        return []
    unit.postponed.add(place)
    return [execution_events.go_on(unit, unit.wf_ex, *place, task_ex.attempt)]


def _continue_task(unit: UnitOfWork, command: c.ContinueTask) -> list[c.Command]:
    return task_handler.continue_task(unit, command.task_id)


def _check_workflow(unit: UnitOfWork, command: c.CheckWorkflow) -> list[c.Command]:
    return workflow_handler.check_and_complete(unit)


_ANSWERS: Final[Mapping[type[c.Command], Callable[[UnitOfWork, Any], list[c.Command] | None]]] = (
    MappingProxyType(
        {
            c.LockExecution: _lock,
            c.CreateExecution: _create_execution,
            c.BeginWorkflow: _begin_workflow,
            c.UpdateExecution: _update_execution,
            c.CreateTask: _create_task,
            c.UpdateTask: _update_task,
            c.CreateAction: _create_action,
            c.UpdateAction: _update_action,
            c.DiscardResults: _discard,
            c.SetInbound: _set_inbound,
            c.CreateTimer: _create_timer,
            c.SendEvent: _send_event,
            c.RunTask: _run_task,
            c.StartTask: _start_task,
            c.RerunTask: _rerun_task,
            c.SkipTask: _skip_task,
            c.StartItems: _start_items,
            c.GoOnLater: _go_on_later,
            c.ContinueTask: _continue_task,
            c.EvaluateJoin: _evaluate_join,
            c.ReviewJoins: _review_joins,
            c.TaskCompleted: _task_completed,
            c.ActionCompleted: _action_completed,
            c.SetWorkflowState: _set_workflow_state,
            c.CheckWorkflow: _check_workflow,
            c.NextCompensation: _next_compensation,
        }
    )
)
