"""Executions below executions, read level by level."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from mistral.db.core import tables
from mistral.db.execution import deletion
from mistral.db.reading import listings
from mistral.workflow import states

_WF = tables.workflow_executions
_TASK = tables.task_executions
_ACTION = tables.action_executions
_BATCH: Final = 500


def _any_of(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    return column.in_(sa.bindparam("ids", expanding=True))


_CHILDREN: Final = (
    sa.select(_WF.c.id, _WF.c.parent_execution_id)
    .where(_any_of(_WF.c.parent_execution_id))
    .order_by(_WF.c.created_at, _WF.c.id)
)
_CHILDREN_OF_FAILED: Final = _CHILDREN.join_from(
    _WF, _TASK, _TASK.c.id == _WF.c.task_execution_id
).where(_TASK.c.state == states.ERROR)
_CHILDREN_OF_TASK: Final = (
    sa.select(_WF.c.id).where(_any_of(_WF.c.task_execution_id)).order_by(_WF.c.created_at, _WF.c.id)
)

_SHORT = ("id", "name", "state", "state_info", "created_at", "updated_at")
_EXECUTIONS: Final = (
    sa.select(
        _WF.c.id,
        _WF.c.workflow_name.label("name"),
        _WF.c.state,
        _WF.c.state_info,
        _WF.c.created_at,
        _WF.c.updated_at,
        _WF.c.parent_execution_id,
        _WF.c.task_execution_id,
    )
    .where(deletion.kept(_WF.c.id))
    .order_by(_WF.c.created_at, _WF.c.id)
)
_TASKS: Final = (
    sa.select(
        *[_TASK.c[name] for name in _SHORT], _TASK.c.workflow_execution_id, _TASK.c.runtime_context
    )
    .where(_any_of(_TASK.c.workflow_execution_id))
    .order_by(_TASK.c.created_at, _TASK.c.id)
)
_ACTIONS: Final = (
    sa.select(
        *[_ACTION.c[name] for name in _SHORT if name != "state"],
        listings.action_state.label("state"),
        _ACTION.c.task_execution_id,
        _ACTION.c.accepted,
        # a claim is a sign of life, too
        sa.func.coalesce(_ACTION.c.last_heartbeat, _ACTION.c.started_at).label("last_heartbeat"),
    )
    .where(_any_of(_ACTION.c.task_execution_id))
    .order_by(_ACTION.c.created_at, _ACTION.c.id)
)


def _in_batches(
    conn: sa.Connection, statement: sa.Select[Any], ids: Sequence[str]
) -> list[sa.Row[Any]]:
    found: list[sa.Row[Any]] = []
    for start in range(0, len(ids), _BATCH):
        found += conn.execute(statement, {"ids": list(ids[start : start + _BATCH])})
    return found


def children_of_task(conn: sa.Connection, task_id: str) -> list[str]:
    """Ids of the direct sub-executions of a task, oldest first."""
    return [row[0] for row in conn.execute(_CHILDREN_OF_TASK, {"ids": [task_id]})]


def flat_tree(
    conn: sa.Connection, tops: Sequence[str], max_depth: int, errors_only: bool
) -> list[str]:
    """Ids of executions and of those below them, depth first; the tops have depth 0."""
    statement = _CHILDREN_OF_FAILED if errors_only else _CHILDREN
    children: dict[str, list[str]] = {}
    level, depth = list(tops), 0
    while level and (max_depth < 0 or depth < max_depth):
        rows = _in_batches(conn, statement, level)
        for row in rows:
            children.setdefault(row.parent_execution_id, []).append(row.id)
        level, depth = [row.id for row in rows], depth + 1
    ordered: list[str] = []
    stack = list(reversed(tops))
    while stack:
        current = stack.pop()
        ordered.append(current)
        stack.extend(reversed(children.get(current, [])))
    return ordered


@dataclasses.dataclass
class ReportRows:
    """The rows of a report: the tasks of each execution, what each task ran."""

    top: sa.RowMapping
    tasks: dict[str, list[sa.RowMapping]] = dataclasses.field(default_factory=dict)
    """By execution; an execution that is not expanded is missing."""
    actions: dict[str, list[sa.RowMapping]] = dataclasses.field(default_factory=dict)
    executions: dict[str, list[sa.RowMapping]] = dataclasses.field(default_factory=dict)

    def all_tasks(self) -> Iterable[sa.RowMapping]:
        """The tasks of all expanded executions."""
        return (task for tasks in self.tasks.values() for task in tasks)


def report_rows(
    conn: sa.Connection, execution_id: str, max_depth: int, errors_only: bool, with_actions: bool
) -> ReportRows | None:
    """What a report tells of an execution; None when it doesn't exist.

    :param errors_only: only tasks in ERROR are to be shown; all are counted.
    """
    top = conn.execute(_EXECUTIONS.where(_WF.c.id == execution_id)).mappings().first()
    if top is None:
        return None
    report = ReportRows(top)
    level, depth = [execution_id], 0
    while level and (max_depth < 0 or depth <= max_depth):
        report.tasks |= {each: [] for each in level}
        tasks = _in_batches(conn, _TASKS, level)
        for task in tasks:
            report.tasks[task.workflow_execution_id].append(task._mapping)
        task_ids = [task.id for task in tasks]
        if with_actions:
            shown = [t.id for t in tasks if t.state == states.ERROR or not errors_only]
            for action in _in_batches(conn, _ACTIONS, shown):
                report.actions.setdefault(action.task_execution_id, []).append(action._mapping)
        below = _in_batches(conn, _EXECUTIONS.where(_any_of(_WF.c.task_execution_id)), task_ids)
        for child in below:
            report.executions.setdefault(child.task_execution_id, []).append(child._mapping)
        level, depth = [child.id for child in below], depth + 1
    return report


def durations_of_successes(
    conn: sa.Connection, execution_id: str, limit: int
) -> list[dt.timedelta]:
    """How long the latest successful runs of the same workflow took."""
    same = sa.select(_WF.c.workflow_id).where(_WF.c.id == execution_id).scalar_subquery()
    statement = (
        sa.select(_WF.c.created_at, sa.func.coalesce(_WF.c.finished_at, _WF.c.updated_at))
        .where(_WF.c.workflow_id == same, _WF.c.state == states.SUCCESS)
        .order_by(_WF.c.created_at.desc())
        .limit(limit)
    )
    return [end - start for start, end in conn.execute(statement) if end is not None]
