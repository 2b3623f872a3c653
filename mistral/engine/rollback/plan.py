"""Rolling back: which compensations there are, in which order, and how one runs.

A task declares with ``rollback`` the action that undoes it. Each compensation is a task execution
of its own, so it is as visible and as durable as any other task; it remembers which task it undoes.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

from mistral import exceptions as exc
from mistral.engine.actions import AdHocAction, PythonAction
from mistral.engine.base import Scope
from mistral.engine.tasks import WithItemsTask, build_task
from mistral.lang import WorkflowSpec
from mistral.workflow import data_flow, states
from mistral.workflow.commands import Command, CreateTask
from mistral.workflow.entities import ActionExecution, TaskExecution, WorkflowExecution
from mistral.workflow.ports import DecisionPorts
from mistral.workflow.runtime import COMPENSATION_PREFIX, TaskRuntime


@dataclasses.dataclass(frozen=True)
class Step:
    """One thing to undo: a task, one item of it, or a sub-workflow of it."""

    task_ex: TaskExecution
    index: int | None = None
    child_id: str | None = None

    @property
    def key(self) -> str:
        """The unique key of the compensation: there is one of each step."""
        part = self.child_id or (self.task_ex.id if self.index is None else "")
        return f"{COMPENSATION_PREFIX}{part or f'{self.task_ex.id}-{self.index}'}"


def plan(
    spec: WorkflowSpec,
    tasks: Sequence[TaskExecution],
    actions: Mapping[str, Sequence[ActionExecution]],
    children: Mapping[str, Sequence[WorkflowExecution]],
) -> list[Step]:
    """What is to be undone, newest first.

    :param actions: accepted actions by task id, of with-items tasks that declare a compensation.
    :param children: sub-executions by task id.
    """
    newest = sorted(tasks, key=_end, reverse=True)
    steps: list[Step] = []
    for task_ex in newest:
        task_spec = spec.tasks.get(task_ex.name)
        if task_spec is None:
            continue
        if task_spec.rollback and task_ex.state == states.SUCCESS:
            steps += _own_steps(task_ex, bool(task_spec.with_items), actions.get(task_ex.id, ()))
        of_task = sorted(
            children.get(task_ex.id, ()), key=lambda c: (c.finished_at or _LATEST, c.id)
        )
        steps += [Step(task_ex, child_id=child.id) for child in reversed(of_task)]
    return steps


_LATEST = dt.datetime.max


def _end(task_ex: TaskExecution) -> tuple[dt.datetime, str]:
    """What has not ended is newer than all that has."""
    return (task_ex.finished_at or _LATEST, task_ex.id)


def _own_steps(
    task_ex: TaskExecution, in_items: bool, actions: Sequence[ActionExecution]
) -> list[Step]:
    if not in_items or task_ex.type == "WORKFLOW":
        return [Step(task_ex)]
    done = [a for a in actions if a.state == states.SUCCESS]
    done.sort(key=lambda a: (a.result_at or _LATEST, a.id), reverse=True)
    # a join that ran again has several results of an item
    return [Step(task_ex, index=index) for index in dict.fromkeys(a.idx for a in done)]


def turn(compensation: TaskExecution) -> tuple[int, str]:
    """The order in which compensations run: by the latest plan, whenever they were made."""
    return (compensation.runtime.order, compensation.id)


def covers(compensation: TaskExecution, undone: TaskExecution) -> bool:
    """Whether what a compensation has undone is all: a join may have run again since."""
    last = compensation.runtime.undone_attempt
    return last is None or last >= undone.attempt


def _not_undone_yet(compensation: TaskExecution, undone: TaskExecution) -> TaskExecution:
    """A task without the results that an earlier turn of its compensation has undone."""
    last = compensation.runtime.undone_attempt
    if last is None:
        return undone
    base = max(undone.runtime.base_attempt, last + 1)
    draft = undone.draft()
    draft.apply(undone.runtime.counting_from(base).change)
    return draft


def create(ports: DecisionPorts, wf_ex: WorkflowExecution, step: Step, order: int) -> CreateTask:
    """The task execution of a compensation, waiting for its turn."""
    undone = step.task_ex
    runtime = TaskRuntime.compensation(undone.id, order, step.index, step.child_id)
    return CreateTask(
        TaskExecution(
            id=ports.new_id(),
            name=undone.name,
            workflow_execution_id=wf_ex.id,
            type="WORKFLOW" if step.child_id else "ACTION",
            state=states.IDLE,
            unique_key=step.key,
            in_context=data_flow.outbound(undone),
            runtime_context=runtime.stored,
            tags=undone.tags,
            project_id=wf_ex.project_id,
            created_at=ports.now,
            updated_at=ports.now,
        )
    )


def schedule(
    ports: DecisionPorts,
    wf_ex: WorkflowExecution,
    spec: WorkflowSpec,
    compensation: TaskExecution,
    undone: TaskExecution,
) -> list[Command]:
    """Create the action of a compensation, with the context and ``task()`` of what it undoes."""
    task_spec = spec.tasks[undone.name]
    undone = _not_undone_yet(compensation, undone)
    index = compensation.runtime.index
    item = None
    if index is not None:
        task = build_task(wf_ex, spec, undone.name, undone.in_context, ports, task_ex=undone)
        item = task.item(index) if isinstance(task, WithItemsTask) else None
    context = data_flow.context(
        ports, wf_ex, task_ex=undone, branch=data_flow.outbound(undone), item=item
    )
    evaluate = ports.expressions.evaluate_recursively
    scope = Scope(ports, wf_ex, lambda value, attribute: evaluate(value, context, attribute))
    name = evaluate(task_spec.rollback, context, "rollback")
    definition = ports.find_action(str(name))
    if not name:
        raise exc.InvalidActionException(f"The 'rollback' of task '{undone.name}' names no action.")
    kind = AdHocAction if definition.adhoc else PythonAction
    action = kind(definition, task_ex=compensation, scope=scope)
    return action.schedule(
        evaluate(dict(task_spec.rollback_params), context, "rollback"),
        None,
        index or 0,
        f"Compensation of task '{undone.name}'",
    )


def label(task_ex: TaskExecution) -> str:
    """How a message names a compensation."""
    index = task_ex.runtime.index
    return task_ex.name if index is None else f"{task_ex.name}[{index}]"
