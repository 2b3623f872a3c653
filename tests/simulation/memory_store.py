"""What the engine asks of its database, answered by :mod:`tests.simulation.memory`.

A :class:`MemoryTransaction` is what engines get of :class:`mistral.db.storage.Storage` here. Its
rooms have the methods of the real ones; one suite of tests holds both to the same answers.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from mistral.db.core.decisions import Premises
from mistral.db.execution.action_executions import ActionExecutions, SignOfLife
from mistral.db.execution.delivery_attempts import Key
from mistral.db.execution.due_rows import OWNERS
from mistral.db.execution.store import Store
from mistral.db.storage import Room, Storage, Transaction, bound
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
from mistral.workflow.values import Values
from tests.simulation.memory import MemoryConnection, Row

E = TypeVar("E", bound=Entity)
Conn = MemoryConnection


def _by_id(row: Row) -> Any:
    return row["id"]


def _by_index(row: Row) -> Any:
    return row["idx"], row["id"]


class MemoryPremises(Premises):
    """What a decision on a snapshot relies on."""

    def __init__(self) -> None:
        super().__init__()
        self.delivered: dict[str, list[str]] = {}

    def hold(self, conn: Any) -> bool:
        executions: list[WorkflowExecution] = conn.by_keys(WorkflowExecution, self._executions)
        actions: list[ActionExecution] = conn.by_keys(ActionExecution, self._actions)
        now, store = Premises(), MemoryStore(conn)
        for execution in executions:
            now.locked_execution(execution)
        now.locked_actions(actions)
        return (
            now._executions == self._executions
            and now._actions == self._actions
            and all(store.delivered_actions(t) == ids for t, ids in self.delivered.items())
        )


class MemoryStore(Store):
    """Rows of one transaction."""

    conn: Any

    def __init__(self, conn: Any) -> None:
        super().__init__(conn)
        self.premises = self._premises = MemoryPremises()

    # executions

    def lock_execution(self, execution_id: str) -> WorkflowExecution | None:
        self.conn.statement("lock execution")
        if self.conn.row(WorkflowExecution, execution_id) is None:
            return None
        self.conn.lock((WorkflowExecution, execution_id))
        found = self._one(WorkflowExecution, execution_id)
        if found is not None:
            self.premises.locked_execution(found)
        return found

    def execution(self, execution_id: str) -> WorkflowExecution | None:
        self.conn.statement("execution")
        return self._one(WorkflowExecution, execution_id)

    def _one(self, kind: type[E], key: str) -> E | None:
        found: list[E] = self.conn.by_keys(kind, [key])
        return found[0] if found else None

    def executions(self, ids: Iterable[str]) -> list[WorkflowExecution]:
        self.conn.statement("executions")
        found: list[WorkflowExecution] = self.conn.by_keys(WorkflowExecution, ids)
        return found

    def children_of_task(self, task_id: str) -> list[WorkflowExecution]:
        return self._select(
            WorkflowExecution, lambda r: r["task_execution_id"] == task_id, _by_index
        )

    def is_being_deleted(self, execution_id: str) -> bool:
        """Nothing is deleted here."""
        return False

    def children_in(self, execution_id: str, in_states: Iterable[str]) -> list[str]:
        wanted = set(in_states)
        found = self._select(
            WorkflowExecution,
            lambda r: r["parent_execution_id"] == execution_id and r["state"] in wanted,
        )
        return [child.id for child in found]

    # tasks

    def tasks(self, ids: Iterable[str]) -> list[TaskExecution]:
        self.conn.statement("tasks")
        found: list[TaskExecution] = self.conn.by_keys(TaskExecution, ids)
        return found

    def task_by_key(self, execution_id: str, key: str) -> TaskExecution | None:
        found = self._tasks(execution_id, lambda r: r["unique_key"] == key)
        return found[0] if found else None

    def latest_task(self, execution_id: str, name: str) -> TaskExecution | None:
        found = self.tasks_by_name(execution_id, [name])
        return found[-1] if found else None

    def tasks_by_name(self, execution_id: str, names: Iterable[str]) -> list[TaskExecution]:
        wanted = set(names)
        return self._tasks(execution_id, lambda r: r["name"] in wanted)

    def tasks_of(self, execution_id: str) -> list[TaskExecution]:
        return self._tasks(execution_id, lambda r: True)

    def tasks_in(self, execution_id: str, in_states: Iterable[str]) -> list[TaskExecution]:
        wanted = set(in_states)
        return self._tasks(execution_id, lambda r: r["state"] in wanted)

    def unfinished(
        self, execution_id: str, names: Iterable[str] | None = None
    ) -> list[tuple[str, str, str]]:
        wanted = None if names is None else set(names)
        found = self._tasks(
            execution_id,
            lambda r: (
                r["state"] in states.UNFINISHED
                and (wanted is None or r["name"] in wanted)
                and not str(r["unique_key"]).startswith("rollback-")
            ),
        )
        return [(t.id, t.name, t.state) for t in found]

    def end_tasks(self, execution_id: str) -> list[TaskExecution]:
        return self._tasks(
            execution_id, lambda r: r["state"] in states.COMPLETED and not r["has_next_tasks"]
        )

    def unprocessed_tasks(self, execution_id: str) -> list[TaskExecution]:
        return self._tasks(
            execution_id, lambda r: r["state"] in states.COMPLETED and not r["processed"]
        )

    def _tasks(self, execution_id: str, holds: Any) -> list[TaskExecution]:
        return self._select(
            TaskExecution,
            lambda r: r["workflow_execution_id"] == execution_id and holds(r),
            _by_id,
        )

    def _select(self, kind: type[E], holds: Any, order: Any = None) -> list[E]:
        self.conn.statement(f"select {kind.__name__}")
        found: list[E] = self.conn.select(kind, holds, order)
        return found

    # what expressions may ask of others

    def find_tasks(
        self, project_id: str | None, execution_id: str | None, recursive: bool, state: str | None
    ) -> list[TaskExecution]:
        ids = self._with_descendants(execution_id) if execution_id and recursive else [execution_id]

        def holds(row: Row) -> bool:
            if execution_id is None:
                fits = row["project_id"] == project_id
            else:
                fits = row["workflow_execution_id"] in ids
            return fits and state in (None, row["state"])

        return self._select(TaskExecution, holds, _by_id)

    def _with_descendants(self, execution_id: str) -> list[str]:
        found, level = [execution_id], [execution_id]
        while level:
            parents = set(level)
            below = self._select(
                WorkflowExecution, lambda r, p=parents: r["parent_execution_id"] in p
            )
            level = [child.id for child in below]
            found += level
        return found

    def find_executions(
        self, project_id: str | None, filters: Mapping[str, Any]
    ) -> list[WorkflowExecution]:
        names = ("id", "root_execution_id", "task_execution_id", "state")
        wanted = {n: filters[n] for n in names if filters.get(n) is not None}
        start, end = filters.get("from_time"), filters.get("to_time")

        def holds(row: Row) -> bool:
            created = row["created_at"]
            return (
                row["project_id"] == project_id
                and all(row[name] == value for name, value in wanted.items())
                and (not start or created >= dt.datetime.fromisoformat(str(start)))
                and (not end or created < dt.datetime.fromisoformat(str(end)))
            )

        return self._select(WorkflowExecution, holds, lambda r: (r["created_at"], r["id"]))

    # actions

    def lock_actions(self, ids: Iterable[str]) -> list[ActionExecution]:
        found = MemoryActions(self.conn).locked(ids)
        self.premises.locked_actions(found)
        return found

    def paused_actions(self, task_id: str) -> list[str]:
        found = self._select(
            ActionExecution,
            lambda r: r["task_execution_id"] == task_id and r["state"] == states.PAUSED,
            _by_id,
        )
        return [action_ex.id for action_ex in found]

    def abandoned_actions(self, execution_id: str) -> list[str]:
        found = self._select(
            ActionExecution,
            lambda r: (
                r["workflow_execution_id"] == execution_id
                and r["result_at"] is None
                and r["signalled_at"] is None
                and r["next_look_at"] is None
            ),
            _by_id,
        )
        return [action_ex.id for action_ex in found]

    def results_of_tasks(self, task_ids: Iterable[str]) -> list[ActionExecution]:
        wanted = set(task_ids)
        return self._select(
            ActionExecution,
            lambda r: r["task_execution_id"] in wanted and r["accepted"],
            lambda r: (r["task_execution_id"], r["idx"], r["id"]),
        )

    def discard_results(self, task_id: str, failed_only: bool = False) -> None:
        found = self._select(
            ActionExecution,
            lambda r: (
                r["task_execution_id"] == task_id
                and r["accepted"]
                and not (failed_only and r["state"] == states.SUCCESS)
            ),
        )
        for action_ex in found:
            self.conn.change(ActionExecution, action_ex.id, {"accepted": False})

    def call_off_actions(
        self, task_id: str, changes: Mapping[str, Any], known: Iterable[str]
    ) -> None:
        left = set(known)
        wanted = self.conn.select(
            ActionExecution,
            lambda r: r["task_execution_id"] == task_id and r["id"] not in left,
            _by_id,
        )
        self.conn.statement("call off actions")
        found = MemoryActions(self.conn).locked(action_ex.id for action_ex in wanted)
        for action_ex in found:
            if action_ex.result_at is None and action_ex.state in states.UNFINISHED:
                action_ex.apply(changes)
                update(self.conn, [action_ex])

    def delivered_actions(self, task_id: str) -> list[str]:
        found = self._select(
            ActionExecution,
            lambda r: (
                r["task_execution_id"] == task_id
                and r["result_at"] is not None
                and not r["processed"]
            ),
        )
        ids = [action_ex.id for action_ex in found]
        self._premises.delivered[task_id] = ids
        return ids

    # joins, timers, events

    def inbounds(self, task_id: str, names: Iterable[str] | None = None) -> list[JoinInbound]:
        wanted = None if names is None else set(names)
        return self._select(
            JoinInbound,
            lambda r: r["task_execution_id"] == task_id and (wanted is None or r["name"] in wanted),
            lambda r: r["name"],
        )

    def timers(self, ids: Iterable[str]) -> list[Timer]:
        self.conn.statement("timers")
        found: list[Timer] = self.conn.by_keys(Timer, ids)
        return found

    def events(self, ids: Iterable[str]) -> list[ExecutionEvent]:
        self.conn.statement("events")
        found: list[ExecutionEvent] = self.conn.by_keys(ExecutionEvent, sorted(ids))
        return found

    def events_from(self, execution_id: str, source_id: str) -> list[ExecutionEvent]:
        return self._select(
            ExecutionEvent,
            lambda r: r["execution_id"] == execution_id and r["source_id"] == source_id,
            _by_id,
        )

    def delete_timers(self, ids: Iterable[str]) -> None:
        self.conn.statement("delete timers")
        self.conn.delete(Timer, ids)

    def delete_events(self, ids: Iterable[str]) -> None:
        self.conn.statement("delete events")
        self.conn.delete(ExecutionEvent, ids)

    def command_number(self) -> int:
        self.conn.statement("command number")
        return next(self.conn.db.numbers)

    # values and writes

    def values(self, root_id: str) -> Values:
        return loader(self.conn, root_id)

    def known_values(self, root_id: str, hashes: Iterable[str]) -> set[str]:
        return set(self.values(root_id)._load(list(hashes)))

    def usage(self, root_id: str) -> Used:
        self.conn.statement("usage")
        found = self.conn.member((root_id, "usage"))
        return found or Used()

    def add_usage(self, root_id: str, used: Used) -> None:
        self.conn.statement("add usage")
        self.conn.see_member((root_id, "usage"), self.usage(root_id) + used)

    def save_values(self, root_id: str, new: Mapping[str, bytes]) -> None:
        store(self.conn, root_id, new)

    def insert(self, entities: Sequence[Entity]) -> None:
        insert(self.conn, entities)

    def update(self, entities: Iterable[Entity]) -> None:
        update(self.conn, entities)


# mistral.db.core.entity_rows -------------------------------------------------------------


def insert(conn: Any, entities: Sequence[Entity]) -> None:
    """Insert entities of one kind."""
    if entities:
        conn.statement(f"insert {type(entities[0]).__name__}")
        conn.insert(entities)


def update(conn: Any, entities: Iterable[Entity]) -> None:
    """Write what changed in entities of one kind."""
    changed = [entity for entity in entities if entity.__dict__["changed"]]
    if changed:
        conn.statement(f"update {type(changed[0]).__name__}")
        conn.update(changed)


# mistral.db.execution.large_values -----------------------------------------------------------


def loader(conn: Any, root_id: str) -> Values:
    """The values of a root execution, read when asked for."""

    def load(hashes: Iterable[str]) -> Mapping[str, str]:
        conn.statement("values")
        found = ((digest, conn.value(root_id, digest)) for digest in hashes)
        return {digest: text for digest, text in found if text is not None}

    return Values(load)


def store(conn: Any, root_id: str, values: Mapping[str, bytes]) -> None:
    """Insert values, in order of hash so that two writers can't block each other."""
    if values:
        conn.statement("insert values")
    for digest in sorted(values):
        conn.add_value(root_id, digest, values[digest].decode())


# mistral.db.execution.action_executions ------------------------------------------------------


class MemoryActions(ActionExecutions):
    """Actions without the lock of their execution."""

    conn: Any

    def locked(self, ids: Iterable[str]) -> list[ActionExecution]:
        """Actions by their ids, locked until the transaction ends, in order of id."""
        self.conn.statement("lock actions")
        wanted = sorted(set(ids))
        for key in wanted:
            if self.conn.row(ActionExecution, key) is not None:
                self.conn.lock((ActionExecution, key))
        found: list[ActionExecution] = self.conn.by_keys(ActionExecution, wanted)
        return found

    def by_ids(self, ids: Iterable[str]) -> list[ActionExecution]:
        """Actions by their ids, only to read."""
        self.conn.statement("actions")
        found: list[ActionExecution] = self.conn.by_keys(ActionExecution, ids)
        return found

    def heard_of(self, ids: Sequence[str], sign: SignOfLife) -> None:
        """An executor answers for these actions: look at them later."""
        if not ids:
            return
        self.conn.statement("heartbeat")
        soon = sign.now + min(sign.waiting_look, sign.claimed_look) / 2
        for key in ids:
            row = self.conn.row(ActionExecution, key)
            if row is None or not self.conn.try_lock((ActionExecution, key)):
                continue
            row = self.conn.row(ActionExecution, key)
            if row["result_at"] is not None or row["signalled_at"] is not None:
                continue
            if row["next_look_at"] is None:
                continue
            named = row["last_heartbeat"] or row["started_at"]
            is_stale = row["started_by"] is not None and named < sign.now - sign.refresh
            if row["next_look_at"] < soon or is_stale:
                is_free = row["started_by"] is None or row["safe_rerun"]
                look = sign.waiting_look if is_free else sign.claimed_look
                change = {"last_heartbeat": sign.now, "next_look_at": sign.now + look}
                self.conn.change(ActionExecution, key, change)

    def update(self, rows: Sequence[ActionExecution]) -> None:
        update(self.conn, rows)

    def values(self, root_id: str) -> Values:
        return loader(self.conn, root_id)

    def known_values(self, root_id: str, hashes: Iterable[str]) -> set[str]:
        return MemoryStore(self.conn).known_values(root_id, hashes)

    def save_values(self, root_id: str, new: Mapping[str, bytes]) -> None:
        store(self.conn, root_id, new)


# mistral.db.execution.due_rows ---------------------------------------------------------------


def due_rows(
    conn: Any,
    kind: type[Entity],
    moment: dt.datetime,
    limit: int,
    without: Collection[str] = (),
) -> list[Any]:
    """Rows whose time to be looked at has come, oldest first, skipping what others look at."""
    conn.statement(f"due {kind.__name__}")
    found = conn.select(
        kind,
        lambda r: (
            r["next_look_at"] is not None
            and r["next_look_at"] <= moment
            and r[OWNERS[kind]] not in without
        ),
        lambda r: r["next_look_at"],
    )
    return list(itertools.islice((r for r in found if conn.try_lock((kind, r.id))), limit))


def due_timers(
    conn: Any,
    now: dt.datetime,
    until: dt.datetime,
    limit: int,
    without: Collection[str] = (),
) -> list[Timer]:
    """Timers that are due soon and that no engine keeps in memory, locked."""
    conn.statement("due timers")

    def holds(row: Row) -> bool:
        claimed = row["claimed_until"]
        is_free = row["due_at"] <= until and (claimed is None or claimed <= now)
        return bool(is_free and row["execution_id"] not in without)

    found = conn.select(Timer, holds, lambda r: r["due_at"])
    return list(itertools.islice((r for r in found if conn.try_lock((Timer, r.id))), limit))


def anything_due(conn: Any, now: dt.datetime, until: dt.datetime) -> bool:
    """Whether a sweep would find anything."""
    conn.statement("anything due")
    kinds = (ExecutionEvent, WorkflowExecution, ActionExecution)
    return any(
        row["due_at"] <= until and (row["claimed_until"] is None or row["claimed_until"] <= now)
        for row in conn.rows(Timer)
    ) or any(
        row["next_look_at"] is not None and row["next_look_at"] <= now
        for kind in kinds
        for row in conn.rows(kind)
    )


# mistral.db.execution.heartbeats ----------------------------------------------------------


def seen(conn: Any, member_id: str, kind: str, host: str, now: dt.datetime) -> None:
    """Note that a process is alive."""
    conn.statement("member seen")
    conn.see_member(member_id, now)


def last_seen(conn: Any, member_ids: Iterable[str]) -> dict[str, dt.datetime]:
    """When these processes were last seen; one that never was is left out."""
    conn.statement("members")
    found = ((member_id, conn.member(member_id)) for member_id in member_ids)
    return {member_id: moment for member_id, moment in found if moment is not None}


# mistral.db.execution.delivery_attempts --------------------------------------------------------


def begun(conn: Any, execution_id: str, keys: Iterable[Key]) -> dict[Key, int]:
    """How often these were begun; without those that never were."""
    conn.statement("handlings")
    found = {key: conn.member((execution_id, *key)) for key in keys}
    return {key: count for key, count in found.items() if count is not None}


def begin(conn: Any, execution_id: str, keys: Iterable[Key]) -> None:
    """Note that these are about to be handled."""
    _count(conn, execution_id, keys, lambda count: (count or 0) + 1)


def take_back(conn: Any, execution_id: str, keys: Iterable[Key]) -> None:
    """Their last handling is not held against them."""
    _count(conn, execution_id, keys, lambda count: count and count - 1)


def forget(conn: Any, execution_id: str, keys: Iterable[Key]) -> None:
    """They are handled."""
    _count(conn, execution_id, keys, lambda count: None)


def _count(
    conn: Any,
    execution_id: str,
    keys: Iterable[Key],
    change: Callable[[int | None], int | None],
) -> None:
    before = begun(conn, execution_id, keys)
    for key in keys:
        conn.see_member((execution_id, *key), change(before.get(key)))


# mistral.db.storage --------------------------------------------------------------------------


class MemoryDefinitions(Room):
    """The catalog of a run finds everything by its name."""

    def find_workflow_to_start(self, identifier: str, namespace: str, project_id: str) -> str:
        return identifier


class MemoryDueRows(Room):
    anything = bound(anything_due)
    rows_of = bound(due_rows)
    timers = bound(due_timers)


class MemoryHeartbeats(Room):
    last_seen = bound(last_seen)
    seen = bound(seen)


class MemoryAttempts(Room):
    begin = bound(begin)
    begun = bound(begun)
    forget = bound(forget)
    take_back = bound(take_back)

    def suspects(self) -> frozenset[str]:
        return frozenset()


class MemoryReceipts(Room):
    """A COMMIT's answer does not get lost here, and commands come once."""

    def once_for(self, key: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        return work()

    def answer(self, key: str) -> None:
        return None

    def leave(self, key: str, answered: dict[str, Any]) -> None:
        pass


class MemoryTransaction(Transaction):
    """The rooms that the simulated engines enter."""

    def __init__(self, conn: Any) -> None:
        rooms: dict[str, Any] = {
            "store": MemoryStore(conn),
            "actions": MemoryActions(conn),
            "attempts": MemoryAttempts(conn),
            "definitions": MemoryDefinitions(conn),
            "due": MemoryDueRows(conn),
            "heartbeats": MemoryHeartbeats(conn),
            "receipts": MemoryReceipts(conn),
        }
        vars(self).update(rooms)

    def ask_time(self) -> None:
        """The world has one clock."""


def storage(database: Any) -> Storage:
    """The storage of an engine that works on rows in memory."""
    return Storage(database, MemoryTransaction)
