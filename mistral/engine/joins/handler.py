"""The verbs on a join: arrivals, edges not taken, what can't come any more (doc:language/joins)."""

from __future__ import annotations

from collections.abc import Sequence

from mistral.engine import task_handler
from mistral.engine.joins import reachability
from mistral.engine.tasks import build_task
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.workflow import data_flow, joins, states
from mistral.workflow.commands import (
    Command,
    EvaluateJoin,
    GoOnLater,
    RerunTask,
    ReviewJoins,
    RunTask,
    SetInbound,
    TaskCompleted,
    UpdateTask,
)
from mistral.workflow.entities import JoinInbound, TaskExecution
from mistral.workflow.values import EMPTY

_FEW = 16
"""So many inbound tasks are looked at one by one; of more, the whole execution is."""

_TOLD = 5
"""Of so many inbound tasks a failed join tells why they did not come."""


def join_key(name: str) -> str:
    """The unique key of a join: one execution per workflow execution."""
    return f"join-task-{name}"


def arrive(unit: UnitOfWork, command: RunTask) -> list[Command]:
    """An inbound task has chosen a join."""
    task_ex = unit.task_by_key(join_key(command.name))
    commands: list[Command] = []
    if task_ex is None:
        commands, task_ex = _create(unit, command.name)
    elif states.is_completed(task_ex.state) and not _is_decided(unit, task_ex, command):
        commands = _run_again(unit, task_ex, command.source_name or "")
    trigger = command.triggered_by or (None, None)
    inbound = JoinInbound(
        task_execution_id=task_ex.id,
        name=command.source_name or "",
        state=joins.READY,
        source_task_id=trigger[0],
        event=trigger[1],
        attempt=task_ex.attempt,
    )
    return [*commands, SetInbound(inbound), EvaluateJoin(task_ex.id)]


def _is_decided(unit: UnitOfWork, task_ex: TaskExecution, command: RunTask) -> bool:
    """Whether an operator has skipped or run a join without the inbound task that arrives now.

    One that had arrived before belongs to the next round of a loop.
    """
    if not joins.is_settled(task_ex):
        return False
    inbound = unit.inbounds.one(task_ex.id, command.source_name or "")
    return inbound is None or inbound.state != joins.READY


def _create(unit: UnitOfWork, name: str) -> tuple[list[Command], TaskExecution]:
    task = build_task(
        unit.wf_ex, unit.spec, name, EMPTY, unit, unique_key=join_key(name), waiting=True
    )
    commands = task.defer() if task.is_waiting() else task.run()
    task_ex = task.draft
    for inbound_name in sorted(_already_decided(unit, name)):
        commands.append(_failed(task_ex, inbound_name))
    return commands, task_ex


def _run_again(unit: UnitOfWork, task_ex: TaskExecution, source: str) -> list[Command]:
    """A join that has ended gets another inbound task: it waits again.

    In a loop it waits for those that are on their way once more. One that failed for good stays
    failed: its followers have been told.
    """
    decided = {n: r.state for n, r in unit.inbounds.of(task_ex.id).items() if n != source}
    dead = reachability.lost(unit, task_ex.name, decided, reachability.active(unit))
    failed = sum(decided[name] == joins.FAILED for name in dead)
    ready = 1 + sum(decided[name] == joins.READY for name in dead)
    total = len(unit.spec.inbound(task_ex.name))
    task_spec = unit.spec.tasks[task_ex.name]
    if joins.verdict(task_spec, total, ready, failed) == joins.FAILED:
        # joins behind this one may have waited for it to come again
        return [TaskCompleted(task_ex.id, again=True)]
    attempt = task_ex.attempt + 1
    return [
        *task_handler.existing(unit, task_ex).rearm(),
        *(
            SetInbound(JoinInbound(task_ex.id, name, joins.WAITING, attempt=attempt))
            for name in sorted(decided.keys() - dead)
        ),
    ]


def _failed(task_ex: TaskExecution, name: str) -> Command:
    return SetInbound(JoinInbound(task_ex.id, name, joins.FAILED, attempt=task_ex.attempt))


def _already_decided(unit: UnitOfWork, name: str) -> set[str]:
    """Inbound tasks that have ended without choosing the join, or that can't start any more."""
    inbound = unit.spec.inbound(name)
    by_name: dict[str, list[TaskExecution]] = {}
    for task_ex in unit.tasks_named(list(inbound)):
        by_name.setdefault(task_ex.name, []).append(task_ex)
    failed = set()
    for inbound_name, found in by_name.items():
        ended = all(states.is_completed(t.state) and t.processed for t in found)
        chose = any(n[0] == name for n in (found[-1].next_tasks or ()))
        if ended and not chose:
            failed.add(inbound_name)
    missing = [n for n in inbound if n not in by_name]
    if missing or failed:
        unsure = [*missing, *failed]
        return reachability.lost(unit, name, unsure, reachability.active(unit))
    return failed


def evaluate(unit: UnitOfWork, task_id: str) -> list[Command]:
    """Run a waiting join, fail it, or let it wait."""
    task_ex = unit.task(task_id)
    if task_ex.state != states.WAITING or task_ex.runtime.waits_for_retry:
        return []
    if unit.wf_ex.state != states.RUNNING:
        return []
    verdict = _verdict(unit, task_ex)
    if verdict == joins.READY or task_ex.runtime.runs_anyway:
        return _run(unit, task_ex) if unit.room() else _postpone(task_ex)
    return _fail_now(unit, task_ex) if verdict == joins.FAILED else []


def _verdict(unit: UnitOfWork, task_ex: TaskExecution) -> str:
    ready, failed = joins.counts(task_ex)
    total = len(unit.spec.inbound(task_ex.name))
    return joins.verdict(unit.spec.tasks[task_ex.name], total, ready, failed)


def _postpone(task_ex: TaskExecution) -> list[Command]:
    """Let a later transaction run a join; until then it is on its way as one to be retried."""
    waiting = task_ex.runtime.waiting_for_retry()
    return [UpdateTask(task_ex.id, waiting.change), GoOnLater(task_ex.id)]


def _run(unit: UnitOfWork, task_ex: TaskExecution) -> list[Command]:
    gathered = _gathered(unit, task_ex)
    task = task_handler.existing(unit, _with(task_ex, gathered))
    decide = task.resume if task_ex.runtime.is_retried else task.run
    return [gathered, *task_handler.guarded(task, decide, task_handler.BEFORE)]


def _fail_now(unit: UnitOfWork, task_ex: TaskExecution) -> list[Command]:
    """A failing join knows what its branches found, too (doc:language/joins#waiting)."""
    found = unit.inbounds.of(task_ex.id).values()
    blamed = sorted(r.name for r in found if r.state == joins.FAILED)
    info = f"Failed by tasks: {blamed} ({_causes(unit, task_ex.name, blamed)})"
    gathered = _gathered(unit, task_ex)
    ended = task_handler.complete(unit, _with(task_ex, gathered), states.ERROR, info)
    return [gathered, *ended]


def _causes(unit: UnitOfWork, join: str, blamed: Sequence[str]) -> str:
    told = blamed[:_TOLD]
    last = {task_ex.name: task_ex.state for task_ex in unit.tasks_named(told)}
    causes = [joins.cause(unit.spec.tasks[name], join, last.get(name)) for name in told]
    return "; ".join([*causes, "..."] if len(blamed) > _TOLD else causes)


def _gathered(unit: UnitOfWork, task_ex: TaskExecution) -> UpdateTask:
    """The join's context is that of the branches which have arrived so far."""
    arrived = unit.arrived(task_ex)
    ready = unit.inbounds.ready(task_ex.id)
    runtime = task_ex.runtime.triggered_by((r.source_task_id, r.event) for r in ready)
    return UpdateTask(
        task_ex.id,
        {
            "in_context": data_flow.merge(arrived, unit.values, unit.limits.versioning),
            **runtime.change,
        },
    )


def _with(task_ex: TaskExecution, update: UpdateTask) -> TaskExecution:
    draft = task_ex.draft()
    update.apply_to(draft)
    return draft


def edges_not_taken(unit: UnitOfWork, command: TaskCompleted) -> list[Command]:
    """Tell joins of a task that ended without choosing them, or without leading to them."""
    spec, ended = unit.spec, unit.task(command.task_id)
    targets = [name for name in spec.outbound(ended.name) if name not in command.chosen]
    affected = {name for name in targets if spec.tasks[name].join is not None}
    for name in targets:
        affected.update(spec.joins_reachable_from(name))
    waiting = [unit.task_by_key(join_key(name)) for name in sorted(affected)]
    found = [join for join in waiting if join is not None and not states.is_completed(join.state)]
    if not found:
        return []
    lost = _lost_behind(unit, found, command, targets) or _lost_among_waiting(unit, found, command)
    return [*lost, command] if lost else []


def _lost_behind(
    unit: UnitOfWork, found: list[TaskExecution], command: TaskCompleted, targets: list[str]
) -> list[Command]:
    """What is lost because of the edges not taken: nothing but what they lead to.

    Only tasks from which these inbound tasks could still come are looked for, not all there are.
    """
    spec, ended = unit.spec, unit.task(command.task_id)
    behind = {ended.name, *targets}.union(*(spec.reachable_from(name) for name in targets))
    opened = {}
    for join in found:
        names = [name for name in spec.inbound(join.name) if name in behind]
        opened[join.name] = _undecided(unit, join, command, names)
    wanted = None
    if sum(map(len, opened.values())) <= _FEW:
        wanted = set().union(*(joins.origins(spec, join, opened[join]) for join in opened))
    # a join that waits may still fail and lead on
    alive = set().union(*reachability.unfinished(unit, wanted)) | reachability.about_to_come(unit)
    lost: list[Command] = []
    for join in found:
        dead = reachability.lost(unit, join.name, opened[join.name], alive)
        lost += _fail(unit, join, command, dead)
    return lost


def _lost_among_waiting(
    unit: UnitOfWork, found: list[TaskExecution], command: TaskCompleted
) -> list[Command]:
    """What is lost because nothing but waiting joins leads to it."""
    names = {join.name for join in found}
    others = reachability.waiting(unit)
    if len(names) == 1 and others <= names:
        return []
    active = reachability.active(unit)
    lost: list[Command] = []
    for join in found:
        opened = _undecided(unit, join, command, unit.spec.inbound(join.name))
        dead = reachability.lost(unit, join.name, opened, active)
        lost += _fail(unit, join, command, dead)
    return lost


def _undecided(
    unit: UnitOfWork, join: TaskExecution, command: TaskCompleted, names: Sequence[str]
) -> list[str]:
    """Which inbound tasks of a join, out of some, may still come or not."""
    if not names:
        return []
    decided = unit.inbounds.of(join.id, names)
    ended = unit.task(command.task_id)

    def is_open(name: str) -> bool:
        row = decided.get(name)
        if row is None or row.state == joins.WAITING:
            return True
        # the same task came before, was run again and chose otherwise
        return not command.again and name == ended.name and row.source_task_id == ended.id

    return [name for name in names if is_open(name)]


def _fail(
    unit: UnitOfWork, join: TaskExecution, command: TaskCompleted, dead: set[str]
) -> list[Command]:
    """Inbound tasks of a join that can't come any more because of a route not taken."""
    dead = dead - reachability.chosen_by(unit, join.name)
    if not dead:
        return []
    ended = unit.task(command.task_id)
    found = {name: _failed(join, name) for name in sorted(dead)}
    events = dict(ended.next_tasks or ()) if command.again else {}
    if ended.name in found and join.name in events:
        found[ended.name] = SetInbound(
            JoinInbound(join.id, ended.name, joins.READY, ended.id, events[join.name], join.attempt)
        )
    return [*found.values(), EvaluateJoin(join.id)]


def review(unit: UnitOfWork) -> list[Command]:
    """What waiting joins have lost by the end of an execution that runs again."""
    if states.is_completed(unit.wf_ex.state):
        return []
    sure, waits = reachability.unfinished(unit)
    coming = sure | reachability.about_to_come(unit)
    found = [task_ex for task_ex in unit.tasks_in(states.WAITING) if task_ex.name in waits]
    # a join that waits may still fail and lead on
    for alive in (coming | waits, coming):
        lost = [command for join in found for command in _given_up(unit, join, alive)]
        if lost:
            return [*lost, ReviewJoins()]
    return []


def _given_up(unit: UnitOfWork, join: TaskExecution, alive: set[str]) -> list[Command]:
    decided = unit.inbounds.of(join.id)
    undecided = [
        name
        for name in unit.spec.inbound(join.name)
        if name not in decided or decided[name].state == joins.WAITING
    ]
    dead = reachability.lost(unit, join.name, undecided, alive)
    dead -= reachability.chosen_by(unit, join.name)
    failed = [_failed(join, name) for name in sorted(dead)]
    return [*failed, EvaluateJoin(join.id)] if failed else []


def not_yet(unit: UnitOfWork, task_ex: TaskExecution) -> list[Command]:
    """An inbound task runs again: joins that still wait do so for it, too (doc:language/joins)."""
    found = [
        unit.task_by_key(join_key(name))
        for name in unit.spec.outbound(task_ex.name)
        if unit.spec.tasks[name].join is not None
    ]
    commands: list[Command] = []
    for join in found:
        if join is None or join.state != states.WAITING:
            continue
        row = unit.inbounds.one(join.id, task_ex.name)
        if row is not None and row.state == joins.READY and row.source_task_id == task_ex.id:
            waits = JoinInbound(join.id, task_ex.name, joins.WAITING, attempt=join.attempt)
            commands.append(SetInbound(waits))
    return commands


def rerun(unit: UnitOfWork, command: RerunTask) -> list[Command]:
    """Run a join again; one that failed by its precondition runs, too: the operator decides."""
    task = task_handler.existing(unit, unit.task(command.task_id))
    renewed = task.renew(command.reset)
    gathered = _gathered(unit, task.draft)
    draft = _with(task.draft, gathered)
    if _verdict(unit, draft) != joins.READY:
        # a retry of this run does not ask for the inbound tasks again
        gathered = UpdateTask(
            draft.id, {**gathered.changes, **draft.runtime.running_anyway().change}
        )
        draft = _with(draft, gathered)
    task = task_handler.existing(unit, draft)
    return [*renewed, gathered, *task_handler.guarded(task, task.run, task_handler.BEFORE)]


def skip(unit: UnitOfWork, task_id: str) -> list[Command]:
    """Skip a failed join: behind it all is known that led to it (doc:language/joins#waiting)."""
    task_ex = unit.task(task_id)
    gathered = _gathered(unit, task_ex)
    return [gathered, *task_handler.skip_task(unit, _with(task_ex, gathered))]


def retry(unit: UnitOfWork, task_ex: TaskExecution) -> list[Command]:
    """The delay of a join's retry is over."""
    due = task_ex.runtime.retry_is_due()
    return [UpdateTask(task_ex.id, due.change), EvaluateJoin(task_ex.id)]
