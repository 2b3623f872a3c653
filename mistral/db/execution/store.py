"""What an engine's transaction reads and writes of one workflow execution.

Engines reach it through :mod:`mistral.db.storage`; a simulator puts dictionaries behind the same
methods.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.db.core import entity_rows, fast_statements, tables
from mistral.db.core.database import SNAPSHOT
from mistral.db.core.decisions import Premises, take_number
from mistral.db.execution import deletion, large_values, root_usage
from mistral.db.execution.action_executions import ActionExecutions
from mistral.workflow import states
from mistral.workflow.bounds import Used
from mistral.workflow.entities import (
    ActionExecution,
    Entity,
    ExecutionEvent,
    JoinInbound,
    TaskExecution,
    Timer,
    WorkflowExecution,
)
from mistral.workflow.runtime import COMPENSATION_PREFIX
from mistral.workflow.values import Values

_W = tables.workflow_executions
_T = tables.task_executions
_A = tables.action_executions
_J = tables.join_inbounds
_R = tables.timers
_E = tables.execution_events


def _param(name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name)


def _any_of(name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name, expanding=True)


_EXECUTION = sa.select(_W).where(_W.c.id == _param("id"))
_EXECUTION_LOCKED = _EXECUTION.with_for_update(key_share=True)
_EXECUTIONS = sa.select(_W).where(_W.c.id.in_(_any_of("ids")))
_CHILDREN_OF_TASK = (
    sa.select(_W).where(_W.c.task_execution_id == _param("task_id")).order_by(_W.c.idx, _W.c.id)
)
_LIVE_CHILDREN = sa.select(_W.c.id).where(
    _W.c.parent_execution_id == _param("id"), _W.c.state.in_(_any_of("states"))
)
_TASKS = sa.select(_T).where(_T.c.id.in_(_any_of("ids")))
_TASK_BY_KEY = sa.select(_T).where(
    _T.c.workflow_execution_id == _param("id"), _T.c.unique_key == _param("key")
)
_TASKS_BY_NAME = (
    sa.select(_T)
    .where(_T.c.workflow_execution_id == _param("id"), _T.c.name.in_(_any_of("names")))
    .order_by(_T.c.id)
)
_LATEST_TASK = (
    sa.select(_T)
    .where(_T.c.workflow_execution_id == _param("id"), _T.c.name == _param("name"))
    .order_by(_T.c.id.desc())
    .limit(1)
)
_TASKS_OF = sa.select(_T).where(_T.c.workflow_execution_id == _param("id")).order_by(_T.c.id)
_TASKS_IN = (
    sa.select(_T)
    .where(_T.c.workflow_execution_id == _param("id"), _T.c.state.in_(_any_of("states")))
    .order_by(_T.c.id)
)
_UNFINISHED = sa.select(_T.c.id, _T.c.name, _T.c.state).where(
    _T.c.workflow_execution_id == _param("id"),
    _T.c.state.in_(sorted(states.UNFINISHED)),
    # compensations bear the names of the tasks that they undo
    sa.or_(_T.c.unique_key.is_(None), _T.c.unique_key.not_like(f"{COMPENSATION_PREFIX}%")),
)
_UNFINISHED_NAMED = _UNFINISHED.where(_T.c.name.in_(_any_of("names")))
_END_TASKS = (
    sa.select(_T)
    .where(
        _T.c.workflow_execution_id == _param("id"),
        _T.c.state.in_(sorted(states.COMPLETED)),
        _T.c.has_next_tasks == sa.false(),
    )
    .order_by(_T.c.id)
)
_UNPROCESSED = (
    sa.select(_T)
    .where(
        _T.c.workflow_execution_id == _param("id"),
        _T.c.state.in_(sorted(states.COMPLETED)),
        _T.c.processed == sa.false(),
    )
    .order_by(_T.c.id)
)
_RESULTS_OF_TASKS = (
    sa.select(_A)
    .where(_A.c.task_execution_id.in_(_any_of("task_ids")), _A.c.accepted == sa.true())
    .order_by(_A.c.task_execution_id, _A.c.idx, _A.c.id)
)
_ABANDONED = (
    sa.select(_A.c.id)
    .where(
        _A.c.workflow_execution_id == _param("id"),
        _A.c.result_at.is_(None),
        _A.c.signalled_at.is_(None),
        _A.c.next_look_at.is_(None),
    )
    .order_by(_A.c.id)
)
_PAUSED = (
    sa.select(_A.c.id)
    .where(_A.c.task_execution_id == _param("id"), _A.c.state == states.PAUSED)
    .order_by(_A.c.id)
)
_DISCARD_RESULTS = (
    sa.update(_A)
    .where(_A.c.task_execution_id == _param("discarded_task"), _A.c.accepted == sa.true())
    .values(accepted=False)
)
_DISCARD_FAILED = _DISCARD_RESULTS.where(_A.c.state != states.SUCCESS)
_CALL_OFF = sa.update(_A).where(
    _A.c.task_execution_id == _param("of_task"),
    _A.c.id.not_in(_any_of("known")),
    _A.c.result_at.is_(None),
    _A.c.state.in_(sorted(states.UNFINISHED)),
)
_DELIVERED = (
    sa.select(_A.c.id)
    .where(
        _A.c.task_execution_id == _param("id"),
        _A.c.result_at.is_not(None),
        _A.c.processed == sa.false(),
    )
    .order_by(_A.c.id)
)
_INBOUNDS = sa.select(_J).where(_J.c.task_execution_id == _param("task_id")).order_by(_J.c.name)
_SOME_INBOUNDS = _INBOUNDS.where(_J.c.name.in_(_any_of("names")))
_TIMERS = sa.select(_R).where(_R.c.id.in_(_any_of("ids")))
_DELETE_TIMERS = sa.delete(_R).where(_R.c.id.in_(_any_of("ids")))
_EVENTS = sa.select(_E).where(_E.c.id.in_(_any_of("ids"))).order_by(_E.c.id)
_EVENTS_FROM = (
    sa.select(_E)
    .where(_E.c.execution_id == _param("id"), _E.c.source_id == _param("source_id"))
    .order_by(_E.c.id)
)
_DELETE_EVENTS = sa.delete(_E).where(_E.c.id.in_(_any_of("ids")))


class Store:
    """Rows of one transaction. The caller locks the execution first (law 2).

    Where nothing is locked, ``premises`` remembers what would have been.
    """

    def __init__(self, conn: sa.Connection) -> None:
        self.conn = conn
        self.premises = Premises()

    # executions

    def lock_execution(self, execution_id: str) -> WorkflowExecution | None:
        """Serialise with everybody who handles this execution."""
        found: WorkflowExecution | None = _first(
            entity_rows.load(self.conn, WorkflowExecution, _EXECUTION_LOCKED, {"id": execution_id})
        )
        if found is not None:
            self.premises.locked_execution(found)
        return found

    def execution(self, execution_id: str) -> WorkflowExecution | None:
        """Another execution as it was last committed, only to read."""
        return _first(
            entity_rows.load(self.conn, WorkflowExecution, _EXECUTION, {"id": execution_id})
        )

    def executions(self, ids: Iterable[str]) -> list[WorkflowExecution]:
        """Several executions, only to read."""
        return entity_rows.load(self.conn, WorkflowExecution, _EXECUTIONS, {"ids": list(ids)})

    def children_of_task(self, task_id: str) -> list[WorkflowExecution]:
        """Sub-executions of a task in order of index, oldest first."""
        return entity_rows.load(
            self.conn, WorkflowExecution, _CHILDREN_OF_TASK, {"task_id": task_id}
        )

    def is_being_deleted(self, execution_id: str) -> bool:
        """Whether parts of an execution may be gone already."""
        return deletion.is_marked(self.conn, execution_id)

    def children_in(self, execution_id: str, in_states: Iterable[str]) -> list[str]:
        """Ids of the direct sub-executions in one of some states."""
        found = self.conn.execute(_LIVE_CHILDREN, {"id": execution_id, "states": list(in_states)})
        return [row[0] for row in found]

    # tasks

    def tasks(self, ids: Iterable[str]) -> list[TaskExecution]:
        """Tasks by id."""
        return entity_rows.load(self.conn, TaskExecution, _TASKS, {"ids": list(ids)})

    def task_by_key(self, execution_id: str, key: str) -> TaskExecution | None:
        """The task of a unique key (joins, reverse workflows)."""
        found = entity_rows.load(
            self.conn, TaskExecution, _TASK_BY_KEY, {"id": execution_id, "key": key}
        )
        return _first(found)

    def tasks_by_name(self, execution_id: str, names: Iterable[str]) -> list[TaskExecution]:
        """Tasks by name, oldest first."""
        params = {"id": execution_id, "names": list(names)}
        return entity_rows.load(self.conn, TaskExecution, _TASKS_BY_NAME, params)

    def latest_task(self, execution_id: str, name: str) -> TaskExecution | None:
        """The newest task of a name: a loop may have made thousands of them."""
        params = {"id": execution_id, "name": name}
        return _first(entity_rows.load(self.conn, TaskExecution, _LATEST_TASK, params))

    def tasks_of(self, execution_id: str) -> list[TaskExecution]:
        """All tasks of an execution, oldest first."""
        return entity_rows.load(self.conn, TaskExecution, _TASKS_OF, {"id": execution_id})

    def tasks_in(self, execution_id: str, in_states: Iterable[str]) -> list[TaskExecution]:
        """Tasks of an execution in one of some states, oldest first."""
        params = {"id": execution_id, "states": list(in_states)}
        return entity_rows.load(self.conn, TaskExecution, _TASKS_IN, params)

    def unfinished(
        self, execution_id: str, names: Iterable[str] | None = None
    ) -> list[tuple[str, str, str]]:
        """Id, name and state of the unfinished tasks, of all or of some names."""
        params: dict[str, Any] = {"id": execution_id}
        if names is None:
            found = fast_statements.select(self.conn, _UNFINISHED, params)
        else:
            found = fast_statements.select(
                self.conn, _UNFINISHED_NAMED, {**params, "names": list(names)}
            )
        return [(row[0], row[1], row[2]) for row in found]

    def end_tasks(self, execution_id: str) -> list[TaskExecution]:
        """Finished tasks that nothing followed."""
        return entity_rows.load(self.conn, TaskExecution, _END_TASKS, {"id": execution_id})

    def unprocessed_tasks(self, execution_id: str) -> list[TaskExecution]:
        """Finished tasks whose followers were not decided because of a pause."""
        return entity_rows.load(self.conn, TaskExecution, _UNPROCESSED, {"id": execution_id})

    # what expressions may ask of others

    def find_tasks(
        self, project_id: str | None, execution_id: str | None, recursive: bool, state: str | None
    ) -> list[TaskExecution]:
        """Tasks of an execution (and of all below it), or of the whole project."""
        statement = sa.select(_T).where(deletion.kept(_T.c.workflow_execution_id)).order_by(_T.c.id)
        if execution_id is None:
            statement = statement.where(_T.c.project_id == project_id)
        else:
            ids = self._with_descendants(execution_id) if recursive else [execution_id]
            statement = statement.where(_T.c.workflow_execution_id.in_(ids))
        if state is not None:
            statement = statement.where(_T.c.state == state)
        return entity_rows.load(self.conn, TaskExecution, statement, {})

    def _with_descendants(self, execution_id: str) -> list[str]:
        found, level = [execution_id], [execution_id]
        while level:
            below = sa.select(_W.c.id).where(_W.c.parent_execution_id.in_(level))
            level = [row[0] for row in self.conn.execute(below)]
            found += level
        return found

    def find_executions(
        self, project_id: str | None, filters: Mapping[str, Any]
    ) -> list[WorkflowExecution]:
        """Executions of the project by id, root, parent task, state and time of creation."""
        statement = (
            sa.select(_W)
            .where(_W.c.project_id == project_id, deletion.kept(_W.c.id))
            .order_by(_W.c.created_at, _W.c.id)
        )
        for name in ("id", "root_execution_id", "task_execution_id", "state"):
            if filters.get(name) is not None:
                statement = statement.where(_W.c[name] == filters[name])
        if filters.get("from_time"):
            statement = statement.where(_W.c.created_at >= _moment(filters["from_time"]))
        if filters.get("to_time"):
            statement = statement.where(_W.c.created_at < _moment(filters["to_time"]))
        return entity_rows.load(self.conn, WorkflowExecution, statement, {})

    # actions

    def lock_actions(self, ids: Iterable[str]) -> list[ActionExecution]:
        """Actions by id, locked: results from outside are stored without the execution's lock."""
        found = ActionExecutions(self.conn).locked(ids)
        self.premises.locked_actions(found)
        return found

    def abandoned_actions(self, execution_id: str) -> list[str]:
        """Ids of actions without a result at which nobody looks any more."""
        return [row[0] for row in self.conn.execute(_ABANDONED, {"id": execution_id})]

    def paused_actions(self, task_id: str) -> list[str]:
        """Ids of the actions of a task that an operator holds."""
        return [row[0] for row in self.conn.execute(_PAUSED, {"id": task_id})]

    def results_of_tasks(self, task_ids: Iterable[str]) -> list[ActionExecution]:
        """Accepted actions of some tasks in order of index."""
        params = {"task_ids": list(task_ids)}
        return entity_rows.load(self.conn, ActionExecution, _RESULTS_OF_TASKS, params)

    def discard_results(self, task_id: str, failed_only: bool = False) -> None:
        """The results that a task has, or only the failed ones, do not count any more."""
        statement = _DISCARD_FAILED if failed_only else _DISCARD_RESULTS
        self.conn.execute(statement, {"discarded_task": task_id})

    def call_off_actions(
        self, task_id: str, changes: Mapping[str, Any], known: Iterable[str]
    ) -> None:
        """End the actions of a task that have no result yet, unless they are known already."""
        params = {"of_task": task_id, "known": list(known)}
        self.conn.execute(_CALL_OFF.values(**changes), params)

    def delivered_actions(self, task_id: str) -> list[str]:
        """Ids of the actions of a task whose results were stored and are not processed yet."""
        params = {"id": task_id}
        found = fast_statements.select(self.conn, _DELIVERED, params)
        self.premises.answered(_DELIVERED, params, found)
        return [row[0] for row in found]

    # joins, timers, events

    def inbounds(self, task_id: str, names: Iterable[str] | None = None) -> list[JoinInbound]:
        """What is decided about the inbound tasks of a join, all or some."""
        if names is None:
            return entity_rows.load(self.conn, JoinInbound, _INBOUNDS, {"task_id": task_id})
        params = {"task_id": task_id, "names": list(names)}
        return entity_rows.load(self.conn, JoinInbound, _SOME_INBOUNDS, params)

    def timers(self, ids: Iterable[str]) -> list[Timer]:
        """Timers by id."""
        return entity_rows.load(self.conn, Timer, _TIMERS, {"ids": list(ids)})

    def events(self, ids: Iterable[str]) -> list[ExecutionEvent]:
        """Events by id, oldest first."""
        return entity_rows.load(self.conn, ExecutionEvent, _EVENTS, {"ids": list(ids)})

    def events_from(self, execution_id: str, source_id: str) -> list[ExecutionEvent]:
        """What one execution has told another and that is not handled yet, oldest first."""
        params = {"id": execution_id, "source_id": source_id}
        return entity_rows.load(self.conn, ExecutionEvent, _EVENTS_FROM, params)

    def delete_timers(self, ids: Iterable[str]) -> None:
        """Forget timers."""
        self.conn.execute(_DELETE_TIMERS, {"ids": list(ids)})

    def delete_events(self, ids: Iterable[str]) -> None:
        """Forget events: they are handled by this transaction."""
        self.conn.execute(_DELETE_EVENTS, {"ids": list(ids)})

    def command_number(self) -> int:
        """The next number of an operator's command."""
        if self.conn.get_execution_options().get(SNAPSHOT):
            return self.premises.number(self.conn)
        return take_number(self.conn)

    # values and writes

    def values(self, root_id: str) -> Values:
        """The large values of a root execution."""
        return large_values.loader(self.conn, root_id)

    def known_values(self, root_id: str, hashes: Iterable[str]) -> set[str]:
        """Which large values are stored already."""
        return large_values.known(self.conn, root_id, hashes)

    def usage(self, root_id: str) -> Used:
        """What the executions below a root have used, as far as they have added it up."""
        return root_usage.read(self.conn, root_id)

    def add_usage(self, root_id: str, used: Used) -> None:
        """Add up what was used since."""
        root_usage.add(self.conn, root_id, used)

    def save_values(self, root_id: str, new: Mapping[str, bytes]) -> None:
        """Store new large values."""
        large_values.store(self.conn, root_id, new)

    def insert(self, entities: Sequence[Entity]) -> None:
        """Insert entities of one kind."""
        entity_rows.insert(self.conn, entities)

    def update(self, entities: Iterable[Entity]) -> None:
        """Write what changed in entities of one kind."""
        entity_rows.update(self.conn, entities)


def _moment(text: Any) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(str(text))
    except ValueError as error:
        raise exc.EvaluationException("A time must be written as 'YYYY-MM-DD hh:mm:ss'.") from error


def _first(found: list[Any]) -> Any:
    return found[0] if found else None
