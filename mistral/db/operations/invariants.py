"""Does every live row have a reason to move on (law 6)?

For operators (``tools/check-invariants``) and tests. Reads only, looks at unfinished executions
alone, and reports each broken row once, at the lowest level where it is broken: a task whose only
action is stuck is fine by itself, the action is reported.

Times: a process that died a moment ago is found by the relay within seconds; ``grace`` is how
long the check trusts that.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from mistral.db import definitions
from mistral.db.core import tables
from mistral.db.operations import dead_letters
from mistral.lang import WorkflowSpec, spec_from_raw
from mistral.workflow import joins, states
from mistral.workflow.entities import TaskExecution
from mistral.workflow.look_times import NEVER
from mistral.workflow.runtime import COMPENSATION_PREFIX, MARK_OF_ITEMS, TaskRuntime

GRACE = dt.timedelta(seconds=120)

_W = tables.workflow_executions
_T = tables.task_executions
_A = tables.action_executions
_J = tables.join_inbounds
_R = tables.timers
_E = tables.execution_events
_M = tables.service_members


@dataclasses.dataclass(frozen=True, order=True)
class Violation:
    """One row that would wait for ever, or a count that is wrong."""

    kind: str
    execution_id: str | None
    object_id: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text} [id={self.object_id}, execution={self.execution_id}]"


def check(conn: sa.Connection, now: dt.datetime, grace: dt.timedelta = GRACE) -> list[Violation]:
    """All violations, sorted."""
    return sorted(
        {
            *_executions(conn),
            *_children(conn),
            *_counters(conn),
            *_tasks(conn),
            *_items(conn),
            *_rollbacks(conn),
            *_joins(conn),
            *_actions(conn, now - grace),
            *_results(conn),
            *_set_aside(conn),
            *_deletions(conn, now - grace),
        },
        key=lambda violation: (violation.kind, violation.execution_id or "", violation.object_id),
    )


def _is_unfinished(table: sa.Table) -> sa.ColumnElement[bool]:
    return table.c.state.in_(sorted(states.UNFINISHED))


def _exists(table: sa.FromClause, *where: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return sa.exists(sa.select(sa.literal(1)).select_from(table).where(*where))


_RUNNING = _W.c.state == states.RUNNING
_HAS_TIMER = _exists(
    _R,
    _R.c.task_id == _T.c.id,
    # a timeout belongs to the run, every other timer to the attempt
    sa.or_(_R.c.attempt == _T.c.attempt, _R.c.attempt == _T.c.run),
)
_HAS_EVENT = _exists(
    _E,
    _E.c.execution_id == _T.c.workflow_execution_id,
    _E.c.task_id == _T.c.id,
    _E.c.next_look_at.is_not(None),
)


_HAS_EVENT_FOR = _exists(_E, _E.c.execution_id == _W.c.id, _E.c.next_look_at.is_not(None))
_IS_COMPENSATION = sa.and_(
    _T.c.unique_key.is_not(None), _T.c.unique_key.startswith(COMPENSATION_PREFIX, autoescape=True)
)


def _executions(conn: sa.Connection) -> Iterator[Violation]:
    """RUNNING, but with nothing that would make it go on or end."""
    event = _HAS_EVENT_FOR
    work = _exists(_T, _T.c.workflow_execution_id == _W.c.id, _is_unfinished(_T))
    statement = sa.select(_W.c.id, _W.c.workflow_name).where(
        _RUNNING, _W.c.next_look_at.is_(None), ~work, ~event
    )
    for execution_id, name in conn.execute(statement):
        text = f"workflow '{name}' is RUNNING without an unfinished task"
        yield Violation("execution-without-reason", execution_id, execution_id, text)


def _children(conn: sa.Connection) -> Iterator[Violation]:
    """Waiting for a start of which nobody will think."""
    statement = sa.select(_W.c.id, _W.c.workflow_name).where(
        _W.c.state == states.IDLE, _W.c.next_look_at.is_(None)
    )
    for execution_id, name in conn.execute(statement):
        text = f"workflow '{name}' is IDLE and nobody will start it"
        yield Violation("execution-not-started", execution_id, execution_id, text)


def _counters(conn: sa.Connection) -> Iterator[Violation]:
    """Counts in the row of an execution against its tasks."""

    def counted(*where: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
        own = _T.c.workflow_execution_id == _W.c.id
        is_part = sa.or_(_T.c.unique_key.is_(None), ~_IS_COMPENSATION)
        return (
            sa.select(sa.func.count()).select_from(_T).where(own, is_part, *where).scalar_subquery()
        )

    facts = {
        "unfinished": counted(_is_unfinished(_T)),
        "cancelled": counted(_T.c.state == states.CANCELLED),
        "unhandled_errors": counted(_T.c.state == states.ERROR, _T.c.error_handled == sa.false()),
    }
    columns: list[sa.ColumnElement[Any]] = [_W.c.id]
    for name, fact in facts.items():
        columns += [_W.c[name].label(name), fact.label(f"real_{name}")]
    statement = sa.select(*columns).where(_is_unfinished(_W))
    for row in conn.execute(statement).mappings():
        wrong = [
            f"{name} says {row[name]}, but is {row[f'real_{name}']}"
            for name in facts
            if row[name] != row[f"real_{name}"]
        ]
        if wrong:
            yield Violation("counter-differs", row["id"], row["id"], "; ".join(wrong))


def _tasks(conn: sa.Connection) -> Iterator[Violation]:
    """Unfinished tasks without anything of their present attempt that is still to come."""
    action = _exists(
        _A,
        _A.c.task_execution_id == _T.c.id,
        _A.c.attempt == _T.c.attempt,
        sa.or_(
            sa.and_(_A.c.result_at.is_(None), _is_unfinished(_A)),
            sa.and_(_A.c.result_at.is_not(None), _A.c.processed == sa.false()),
        ),
    )
    child = _W.alias("child")
    of_task = (child.c.task_execution_id == _T.c.id, child.c.task_attempt == _T.c.attempt)
    has_child = _exists(child, *of_task)
    has_live_child = _exists(child, *of_task, child.c.state.in_(sorted(states.UNFINISHED)))
    statement = (
        sa.select(_T.c.id, _T.c.name, _T.c.state, _T.c.workflow_execution_id, has_child)
        .join(_W, _W.c.id == _T.c.workflow_execution_id)
        .where(
            _RUNNING,
            _is_unfinished(_T),
            sa.or_(_T.c.state != states.WAITING, _T.c.unique_key.is_(None)),
            sa.or_(_T.c.unique_key.is_(None), ~_IS_COMPENSATION),
            ~action,
            ~has_live_child,
            ~_HAS_TIMER,
            ~_HAS_EVENT,
        )
    )
    for task_id, name, state, execution_id, ended_child in conn.execute(statement):
        if ended_child:
            text = f"sub-workflows of task '{name}' ({state}) have ended, the task is not told"
            yield Violation("child-not-reported", execution_id, task_id, text)
        else:
            text = f"task '{name}' is {state} and waits for nothing"
            yield Violation("task-without-reason", execution_id, task_id, text)


def _items(conn: sa.Connection) -> Iterator[Violation]:
    """Tasks with items that may start, but nobody will start them."""
    statement = (
        sa.select(_T.c.id, _T.c.name, _T.c.workflow_execution_id, _T.c.runtime_context)
        .join(_W, _W.c.id == _T.c.workflow_execution_id)
        .where(_RUNNING, _T.c.state == states.RUNNING, ~_HAS_EVENT)
        .where(sa.cast(_T.c.runtime_context, sa.Text).contains(MARK_OF_ITEMS))
    )
    for task_id, name, execution_id, context in conn.execute(statement):
        items = TaskRuntime(context).items
        if items is not None and items.may_start:
            text = f"items of task '{name}' could start, and nobody will start them"
            yield Violation("items-without-reason", execution_id, task_id, text)


def _rollbacks(conn: sa.Connection) -> Iterator[Violation]:
    """Executions that are rolled back, but in which no compensation runs."""
    statement = sa.select(_W.c.id).where(_RUNNING, _W.c.rollback.is_not(None), ~_HAS_EVENT_FOR)
    for execution_id in conn.execute(statement).scalars().all():
        tasks = conn.execute(
            sa.select(_T.c.id, _T.c.runtime_context).where(
                _T.c.workflow_execution_id == execution_id,
                _T.c.state == states.RUNNING,
                _IS_COMPENSATION,
            )
        ).all()
        if not any(_is_compensating(conn, task_id, context) for task_id, context in tasks):
            text = "the execution is rolled back, but no compensation runs"
            yield Violation("rollback-without-reason", execution_id, execution_id, text)


def _is_compensating(conn: sa.Connection, task_id: str, context: dict[str, Any]) -> bool:
    child_id = TaskRuntime(context).child_id
    if child_id is None:
        waits = (_A.c.task_execution_id == task_id, _A.c.processed == sa.false())
        return bool(conn.execute(sa.select(_exists(_A, *waits))).scalar())
    live = (_W.c.id == child_id, _W.c.state.in_(sorted(states.UNFINISHED)))
    told = (_E.c.execution_id == child_id,)
    either = sa.or_(_exists(_W, *live), _exists(_E, *told))
    return bool(conn.execute(sa.select(either)).scalar())


def _joins(conn: sa.Connection) -> Iterator[Violation]:
    """Waiting joins that no inbound task will wake, or that count wrong."""
    waits = sa.and_(_T.c.state == states.WAITING, _T.c.unique_key.is_not(None))
    statement = (
        sa.select(_T, _W.c.workflow_name, _W.c.spec_hash)
        .join(_W, _W.c.id == _T.c.workflow_execution_id)
        .where(_RUNNING, waits, ~_HAS_TIMER, ~_HAS_EVENT)
        .order_by(_W.c.spec_hash, _T.c.workflow_execution_id)
    )
    spec: WorkflowSpec | None = None
    known = ""
    for row in conn.execute(statement).mappings().all():
        if spec is None or known != row["spec_hash"]:
            known = row["spec_hash"]
            spec = spec_from_raw(row["workflow_name"], definitions.load_spec(conn, known))
        task_ex = TaskExecution.from_row({column.name: row[column.name] for column in _T.c})
        yield from _join(conn, spec, task_ex)


def _join(conn: sa.Connection, spec: WorkflowSpec, task_ex: TaskExecution) -> Iterator[Violation]:
    inbound = spec.inbound(task_ex.name)
    statement = sa.select(_J.c.name, _J.c.state).where(_J.c.task_execution_id == task_ex.id)
    decided = {row[0]: row[1] for row in conn.execute(statement)}
    real = [list(decided.values()).count(state) for state in (joins.READY, joins.FAILED)]
    where = (task_ex.workflow_execution_id, task_ex.id)
    if real != [*joins.counts(task_ex)]:
        text = (
            f"join '{task_ex.name}' counts {joins.counts(task_ex)} (ready, failed), but is {real}"
        )
        yield Violation("counter-differs", *where, text)
        return
    verdict = joins.verdict(spec.tasks[task_ex.name], len(inbound), *real)
    if verdict != joins.WAITING:
        text = f"join '{task_ex.name}' waits, although its inbound tasks make it {verdict}"
        yield Violation("join-without-reason", *where, text)
        return
    undecided = {name for name in inbound if decided.get(name, joins.WAITING) == joins.WAITING}
    active = _active(conn, task_ex.workflow_execution_id)
    if joins.dead_inbound(spec, task_ex.name, undecided, active) == undecided:
        text = (
            f"join '{task_ex.name}' waits, although none of {sorted(undecided)} can come any more"
        )
        yield Violation("join-without-reason", *where, text)


def _active(conn: sa.Connection, execution_id: str) -> set[str]:
    """Names of the unfinished tasks that do not only wait for others."""
    statement = sa.select(_T.c.name).where(
        _T.c.workflow_execution_id == execution_id,
        _is_unfinished(_T),
        sa.or_(_T.c.state != states.WAITING, _HAS_TIMER, _HAS_EVENT),
    )
    return set(conn.scalars(statement))


def _of_live_task() -> sa.ColumnElement[bool]:
    """Actions whose result somebody waits for: of a task's present attempt, or of no task."""
    of_task = _exists(
        _T.join(_W, _W.c.id == _T.c.workflow_execution_id),
        _T.c.id == _A.c.task_execution_id,
        _T.c.attempt == _A.c.attempt,
        _is_unfinished(_T),
        _RUNNING,
    )
    return sa.or_(of_task, _A.c.task_execution_id.is_(None))


def _actions(conn: sa.Connection, alive_since: dt.datetime) -> Iterator[Violation]:
    """Actions without result that nobody will dispatch, run or answer."""
    claimed = sa.and_(_A.c.started_by.is_not(None), _A.c.created_at >= alive_since)
    by_living = _exists(_M, _M.c.id == _A.c.started_by, _M.c.last_seen_at >= alive_since)
    statement = sa.select(_A.c.id, _A.c.name, _A.c.workflow_execution_id, _A.c.started_by).where(
        _is_unfinished(_A),
        _A.c.state != states.PAUSED,
        _A.c.result_at.is_(None),
        _A.c.next_look_at.is_(None),
        _A.c.signalled_at.is_(None),
        ~claimed,
        ~by_living,
        _of_live_task(),
    )
    for action_id, name, execution_id, started_by in conn.execute(statement):
        if started_by is None:
            text = f"action '{name}' is not due for dispatch, not claimed and not signalled"
            yield Violation("action-without-reason", execution_id, action_id, text)
        else:
            text = f"action '{name}' is claimed by '{started_by}', which is gone"
            yield Violation("action-claimed-by-dead", execution_id, action_id, text)


def _results(conn: sa.Connection) -> Iterator[Violation]:
    """Results that no engine will look at."""
    statement = sa.select(_A.c.id, _A.c.name, _A.c.workflow_execution_id).where(
        _A.c.result_at.is_not(None),
        _A.c.processed == sa.false(),
        _A.c.next_look_at.is_(None),
        _of_live_task(),
    )
    for action_id, name, execution_id in conn.execute(statement):
        text = f"the result of action '{name}' is stored, but nobody will process it"
        yield Violation("result-not-processed", execution_id, action_id, text)


def _deletions(conn: sa.Connection, before: dt.datetime) -> Iterator[Violation]:
    """Executions that are hidden and half deleted, with which nobody goes on."""
    marks = tables.deletions
    overdue = sa.select(marks.c.execution_id).where(marks.c.next_look_at < before)
    for execution_id in conn.scalars(overdue):
        text = "the execution is deleted in part, and nobody goes on"
        yield Violation("deletion-left", execution_id, execution_id, text)


def _set_aside(conn: sa.Connection) -> Iterable[Violation]:
    """Events, timers and actions that nobody looks at again, in spite of what they announce."""
    events = sa.select(_E.c.id, _E.c.kind, _E.c.execution_id).where(_E.c.next_look_at.is_(None))
    for event_id, kind, execution_id in conn.execute(events):
        text = f"event '{kind}' waits and nobody will look at it"
        yield Violation("event-set-aside", execution_id, event_id, text)
    is_aside = _R.c.claimed_until == NEVER
    timers = sa.select(_R.c.id, _R.c.kind, _R.c.execution_id).where(is_aside)
    for timer_id, kind, execution_id in conn.execute(timers):
        text = f"the execution of timer '{kind}' is gone"
        yield Violation("timer-set-aside", execution_id, timer_id, text)
    columns = (_A.c.id, _A.c.name, _A.c.workflow_execution_id)
    for action_id, name, execution_id in conn.execute(
        sa.select(*columns).where(dead_letters.ACTIONS)
    ):
        text = f"the execution of action '{name}' is gone"
        yield Violation("action-set-aside", execution_id, action_id, text)
