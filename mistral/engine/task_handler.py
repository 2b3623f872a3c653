"""The verbs on one task; where a definition's error becomes a state (doc:language/states#fatal)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mistral import exceptions as exc
from mistral.engine.tasks import RegularTask, WithItemsTask, build_task
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.workflow import data_flow, results, reverse, states
from mistral.workflow.commands import (
    Command,
    GoOnLater,
    RunTask,
    SetWorkflowState,
    UpdateAction,
    UpdateTask,
)
from mistral.workflow.entities import TaskExecution
from mistral.workflow.state_machines import TaskEvent

BEFORE = "Failed to run task"
AFTER = "Failed to handle action completion"


def reverse_key(name: str) -> str:
    """The unique key of a task in a reverse workflow: it runs once."""
    return f"reverse-task-{name}"


def existing(unit: UnitOfWork, task_ex: TaskExecution) -> RegularTask:
    """The domain object of a task execution."""
    return build_task(
        unit.wf_ex, unit.spec, task_ex.name, task_ex.in_context, unit, task_ex=task_ex
    )


def run_task(unit: UnitOfWork, command: RunTask) -> list[Command]:
    """Start a new task execution."""
    key, ctx, triggers = None, command.in_context, _triggers(command)
    if unit.spec.type == "reverse":
        key = reverse_key(command.name)
        required = unit.tasks_named(list(unit.spec.tasks[command.name].requires))
        ctx = data_flow.merge(required, unit.values, unit.limits.versioning)
        triggers = [(t.id, "on-success") for t in required]
    task = build_task(
        unit.wf_ex,
        unit.spec,
        command.name,
        ctx,
        unit,
        unique_key=key,
        triggered_by=triggers,
    )
    # in the row it waits as good as in this transaction
    return guarded(task, task.run if unit.room() else task.postpone, BEFORE)


def _triggers(command: RunTask) -> Sequence[tuple[str, str]]:
    return [command.triggered_by] if command.triggered_by else []


def start_task(unit: UnitOfWork, task_id: str) -> list[Command]:
    """Go on with a task that was held back by a delay or a pause."""
    task_ex = unit.task(task_id)
    if task_ex.state not in (states.IDLE, states.DELAYED, states.WAITING):
        return []
    if not unit.room():
        return [*(hold(task_ex) if task_ex.state == states.DELAYED else ()), GoOnLater(task_id)]
    task = existing(unit, task_ex)
    is_new = task_ex.runtime.is_postponed
    return guarded(task, task.run if is_new else task.resume, BEFORE)


def rerun_task(unit: UnitOfWork, command: Any) -> list[Command]:
    """Run a finished task again."""
    task = existing(unit, unit.task(command.task_id))
    return guarded(task, lambda: task.rerun(command.reset), BEFORE)


def skip_task(unit: UnitOfWork, task_ex: TaskExecution) -> list[Command]:
    """Put a failed task into SKIPPED and go on behind it (doc:language/rerun#skip)."""
    reopened = UpdateTask(
        task_ex.id, {"error_handled": False, "processed": False}, TaskEvent.REOPEN
    )
    draft = task_ex.draft()
    reopened.apply_to(draft)
    task = existing(unit, draft)
    done = guarded(task, lambda: task.complete(states.SKIPPED, "Task was skipped."), AFTER)
    return [reopened, *done]


def continue_task(unit: UnitOfWork, task_id: str) -> list[Command]:
    """Decide what follows a task that ended while the workflow did not run."""
    task_ex = unit.task(task_id)
    if not states.is_completed(task_ex.state) or task_ex.processed:
        return []
    task = existing(unit, task_ex)
    return guarded(task, lambda: task.follow_up(resumed=True), AFTER)


def continue_items(unit: UnitOfWork, task_ex: TaskExecution) -> list[Command]:
    """Start the items that waited for the end of a pause."""
    task = existing(unit, task_ex)
    return guarded(task, task.start_missing, BEFORE) if isinstance(task, WithItemsTask) else []


def complete_task(
    unit: UnitOfWork, task_id: str, state: str, state_info: str | None, published: bool = False
) -> list[Command]:
    """End a task for a reason other than its action."""
    return complete(unit, unit.task(task_id), state, state_info, published)


def complete(
    unit: UnitOfWork,
    task_ex: TaskExecution,
    state: str,
    state_info: str | None,
    published: bool = False,
) -> list[Command]:
    """The same for a task as earlier commands will leave it."""
    task = existing(unit, task_ex)
    return guarded(task, lambda: task.complete(state, state_info, published), AFTER)


def on_action_complete(unit: UnitOfWork, task_id: str, action: Any) -> list[Command]:
    """Let a task take the end of its action or sub-workflow."""
    task_ex = unit.task(task_id)
    has_ended = states.is_completed(task_ex.state) or task_ex.state == states.DELAYED
    # items of a task that has ended are counted, for it may run on with one of them
    if has_ended and not task_ex.runtime.has_items:
        return []
    task = existing(unit, task_ex)
    return guarded(task, lambda: task.on_action_complete(action), AFTER)


def awaited_again(unit: UnitOfWork, tasks: Iterable[TaskExecution]) -> list[Command]:
    """Actions that the relay left alone after the end, although their tasks wait for them."""
    attempts = {t.id: t.attempt for t in tasks}
    if not attempts:
        return []
    found = unit.load_actions(unit.store.abandoned_actions(unit.wf_ex.id))
    return [
        UpdateAction(action_ex.id, {"next_look_at": unit.now})
        for action_ex in found
        if results.is_live(action_ex)
        and attempts.get(action_ex.task_execution_id or "") == action_ex.attempt
    ]


def retry_task(unit: UnitOfWork, task_ex: TaskExecution) -> list[Command]:
    """The delay of a retry is over."""
    if unit.wf_ex.state != states.RUNNING:
        return hold(task_ex)
    return start_task(unit, task_ex.id)


def hold(task_ex: TaskExecution) -> list[Command]:
    """A delay is over and the task can't start yet: it keeps its state until it does."""
    return [UpdateTask(task_ex.id, task_ex.runtime.delayed_enough(task_ex.attempt).change)]


def held(unit: UnitOfWork) -> list[TaskExecution]:
    """Tasks that a resume or revival of the workflow starts."""
    return [task_ex for task_ex in unit.tasks_in(states.IDLE, states.DELAYED) if is_held(task_ex)]


def is_held(task_ex: TaskExecution) -> bool:
    """Whether nothing but a start is missing."""
    if task_ex.state == states.DELAYED:
        return task_ex.runtime.is_delay_over(task_ex.attempt)
    return task_ex.state == states.IDLE


def next_of_reverse(unit: UnitOfWork, task_id: str) -> list[Command]:
    """Tasks of a reverse workflow that a finished one makes ready."""
    task_ex = unit.task(task_id)
    if task_ex.state not in (states.SUCCESS, states.SKIPPED):
        return []
    spec = unit.spec
    target = unit.values.get(unit.wf_ex.params, "task_name")
    wanted = reverse.needed(spec, target)
    dependants = [n for n in wanted if task_ex.name in spec.tasks[n].requires]
    names = {r for n in dependants for r in spec.tasks[n].requires} | set(dependants)
    found = unit.tasks_named(sorted(names))
    done = {t.name for t in found if t.state in (states.SUCCESS, states.SKIPPED)}
    started = {t.name for t in found}
    ready = reverse.ready(spec, target, done, started)
    chosen = [name for name in ready if name in dependants]
    commands: list[Command] = []
    if dependants:
        commands.append(UpdateTask(task_id, {"has_next_tasks": True}))
    return [*commands, *(RunTask(name) for name in chosen)]


def guarded(task: RegularTask, decide: Callable[[], list[Command]], phase: str) -> list[Command]:
    """Take a decision; an error in it is fatal (doc:language/states#fatal)."""
    before = task.draft.draft() if task.is_created() else None
    try:
        return decide()
    except exc.MistralException as error:
        if task.wf_ex.state in states.COMPLETED:
            return _fatal(task, before, error, phase)[:-1]
        return _fatal(task, before, error, phase)


def _fatal(
    task: RegularTask, before: TaskExecution | None, error: exc.MistralException, phase: str
) -> list[Command]:
    name = task.task_spec.name
    message = f"{phase} [error={error}, wf={task.wf_ex.workflow_name}, task={name}]"
    commands: list[Command] = []
    if before is None:
        task.task_ex = None
        commands += task.defer()
    task_ex = task.draft
    commands.append(
        UpdateTask(
            task_ex.id,
            {
                "state_info": message[: task.ports.limits.state_info_chars],
                "processed": True,
                "error_handled": False,
                "has_next_tasks": False,
                "finished_at": task.ports.now,
            },
            TaskEvent.BREAK,
        )
    )
    return [*commands, SetWorkflowState(states.ERROR, message, task_ex.id, forced=True)]
