"""Law 6 and the counters, judged over the committed rows of the database in memory.

It says the same as ``mistral.db.operations.invariants`` (a test compares them), and a little more:
how with-items count, and that a claim's owner lives.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mistral.lang import WorkflowSpec
from mistral.utils import json
from mistral.workflow import joins, states
from mistral.workflow.entities import (
    ActionExecution,
    ExecutionEvent,
    JoinInbound,
    TaskExecution,
    Timer,
    WorkflowExecution,
)
from tests.simulation.memory import MemoryDatabase, Row


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that must not be."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def _grouped(rows: Mapping[Any, Row], name: str) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = defaultdict(list)
    for row in rows.values():
        found[row[name]].append(row)
    return found


class Picture:
    """All committed rows at one moment, by what they belong to."""

    def __init__(
        self,
        database: MemoryDatabase,
        specs: Mapping[str, WorkflowSpec],
        is_alive: Callable[[str], bool],
    ) -> None:
        tables = database.tables
        self.specs = specs
        self.is_alive = is_alive
        self.executions = tables[WorkflowExecution]
        self.tasks = _grouped(tables[TaskExecution], "workflow_execution_id")
        self.actions = _grouped(tables[ActionExecution], "task_execution_id")
        self.children = _grouped(self.executions, "task_execution_id")
        self.timers = _grouped(tables[Timer], "task_id")
        self.inbounds = _grouped(tables[JoinInbound], "task_execution_id")
        self.news = _grouped(tables[ExecutionEvent], "execution_id")

    def findings(self) -> Iterator[Finding]:
        """Everything that is wrong."""
        for wf_ex in self.executions.values():
            yield from self._counters(wf_ex)
            yield from self._attempts(wf_ex)
            yield from self._left_open(wf_ex)
            if wf_ex["state"] == states.IDLE and wf_ex["next_look_at"] is None:
                yield Finding("execution-not-started", wf_ex["id"])
            if wf_ex["state"] == states.RUNNING:
                yield from self._running(wf_ex)
        for news in self.news.values():
            for event in news:
                if event["next_look_at"] is None:
                    yield Finding("event-set-aside", f"{event['kind']} {event['id']}")

    def _attempts(self, wf_ex: Row) -> Iterator[Finding]:
        """Only results since the last attempt that began anew count."""
        for task in self.tasks.get(wf_ex["id"], []):
            base = json.loads(task["runtime_context"]).get("base_attempt", 0)
            for action in self.actions.get(task["id"], []):
                if action["accepted"] and action["attempt"] < base:
                    yield Finding("stale-accepted", f"{task['name']} {action['id']}")

    def _left_open(self, wf_ex: Row) -> Iterator[Finding]:
        """Nobody is asked for a result that nobody waits for (doc:language/policies#timeout)."""
        for task in self.tasks.get(wf_ex["id"], []):
            for action in self.actions.get(task["id"], []):
                is_open = action["result_at"] is None and action["state"] in states.UNFINISHED
                is_past = task["state"] in states.COMPLETED or task["attempt"] > action["attempt"]
                if is_open and is_past:
                    yield Finding("action-left-open", f"{task['name']} {action['id']}")

    def _counters(self, wf_ex: Row) -> Iterator[Finding]:
        tasks = [t for t in self.tasks.get(wf_ex["id"], []) if not is_compensation(t)]
        real = {
            "unfinished": sum(t["state"] in states.UNFINISHED for t in tasks),
            "cancelled": sum(t["state"] == states.CANCELLED for t in tasks),
            "unhandled_errors": sum(
                t["state"] == states.ERROR and not t["error_handled"] for t in tasks
            ),
        }
        for name, count in real.items():
            if wf_ex[name] != count:
                yield Finding(
                    "counter-differs", f"{name} of {wf_ex['id']} is {wf_ex[name]}, not {count}"
                )

    def _running(self, wf_ex: Row) -> Iterator[Finding]:
        if is_rolled_back(WorkflowExecution, wf_ex):
            yield from self._rollback(wf_ex)
            return
        unfinished = [
            t
            for t in self.tasks.get(wf_ex["id"], [])
            if t["state"] in states.UNFINISHED and not is_compensation(t)
        ]
        if not unfinished and not self.news.get(wf_ex["id"]):
            yield Finding("execution-without-reason", f"{wf_ex['workflow_name']} {wf_ex['id']}")
        for task in unfinished:
            context = json.loads(task["runtime_context"])
            waits = task["state"] == states.WAITING and task["unique_key"] is not None
            if waits and not context.get("waits_for_retry"):
                yield from self._join(wf_ex, task, context)
            elif not self._has_reason(task):
                where = f"{task['name']} {task['id']} {task['state']}"
                yield Finding("task-without-reason", where)
            if context.get("with_items") and task["state"] == states.RUNNING:
                yield from self._items(task, context)

    def _rollback(self, wf_ex: Row) -> Iterator[Finding]:
        """One compensation runs at a time, and it has a reason; nothing else does."""
        tasks = self.tasks.get(wf_ex["id"], [])
        live = [t for t in tasks if t["state"] in states.UNFINISHED and not is_compensation(t)]
        if live:
            yield Finding("rollback-not-alone", f"{live[0]['name']} {live[0]['state']}")
        running = [t for t in tasks if is_compensation(t) and t["state"] == states.RUNNING]
        if len(running) != 1:
            yield Finding("rollback-without-reason", f"{len(running)} run in {wf_ex['id']}")
        for task in running:
            if not self._is_compensating(task):
                yield Finding("rollback-without-reason", f"{task['name']} {task['id']}")

    def _is_compensating(self, task: Row) -> bool:
        child_id = json.loads(task["runtime_context"]).get("child_id")
        if child_id is None:
            return self._has_reason(task)
        child = self.executions[child_id]
        told = any(event["kind"] == "rollback" for event in self.news.get(child_id, []))
        works = child["state"] == states.RUNNING and is_rolled_back(WorkflowExecution, child)
        answered = self.news.get(task["workflow_execution_id"], [])
        return told or works or any(event["task_id"] == task["id"] for event in answered)

    def _has_reason(self, task: Row) -> bool:
        attempt = task["attempt"]
        if any(t["attempt"] in (attempt, task["run"]) for t in self.timers.get(task["id"], [])):
            return True
        news = self.news.get(task["workflow_execution_id"], [])
        if any(event["task_id"] == task["id"] for event in news):
            return True
        children = self.children.get(task["id"], [])
        if any(c["task_attempt"] == attempt and c["state"] in states.UNFINISHED for c in children):
            return True
        actions = self.actions.get(task["id"], [])
        return any(a["attempt"] == attempt and self._moves(a) for a in actions)

    def _moves(self, action: Row) -> bool:
        if action["result_at"] is not None:
            return not action["processed"] and action["next_look_at"] is not None
        if action["state"] in states.COMPLETED:
            return False
        return (
            action["next_look_at"] is not None
            or action["signalled_at"] is not None
            or (action["started_by"] is not None and self.is_alive(action["started_by"]))
        )

    # joins

    def _join(self, wf_ex: Row, task: Row, context: Mapping[str, Any]) -> Iterator[Finding]:
        spec = self.specs[wf_ex["spec_hash"]]
        name = task["name"]
        rows = {row["name"]: row["state"] for row in self.inbounds.get(task["id"], [])}
        real = [list(rows.values()).count(state) for state in (joins.READY, joins.FAILED)]
        counted = context.get("join") or {}
        if real != [counted.get(joins.READY, 0), counted.get(joins.FAILED, 0)]:
            yield Finding("counter-differs", f"join {name} counts {counted}, but is {real}")
            return
        inbound = spec.inbound(name)
        needed = needed_by(spec, name)
        if real[0] >= needed or real[1] > len(inbound) - needed:
            yield Finding("join-without-reason", f"{name} waits although it has {real}")
            return
        undecided = {n for n in inbound if rows.get(n, joins.WAITING) == joins.WAITING}
        active = self._active(wf_ex["id"])
        if joins.dead_inbound(spec, name, undecided, active) == undecided:
            text = f"{name} {task['id']} waits although none of {sorted(undecided)} can come"
            yield Finding("join-without-reason", text)
            return
        # another join that waits may still fail and lead on
        others = {t["name"] for t in self.tasks[wf_ex["id"]] if t["state"] == states.WAITING}
        ended = self._ended_joins(wf_ex, spec)
        dead = joins.dead_inbound(spec, name, undecided, active | others, ended)
        if real[1] + len(dead) > len(inbound) - needed:
            text = f"{name} {task['id']} waits although {sorted(dead)} can't come"
            yield Finding("join-too-late", text)

    def _ended_joins(self, wf_ex: Row, spec: WorkflowSpec) -> dict[str, joins.EndedJoin]:
        """Ended joins, and what decides whether they run again (doc:language/joins)."""
        found = {}
        for task in self.tasks[wf_ex["id"]]:
            name = task["name"]
            if task["state"] not in states.COMPLETED or is_compensation(task):
                continue
            if spec.tasks[name].join is None:
                continue
            rows = {row["name"]: row["state"] for row in self.inbounds.get(task["id"], [])}
            ran = task["state"] == states.SUCCESS and "runs_anyway" in task["runtime_context"]
            is_settled = ran or task["state"] == states.SKIPPED
            spare = len(spec.inbound(name)) - needed_by(spec, name)
            found[name] = joins.EndedJoin(rows, spare, is_settled)
        return found

    def _active(self, execution_id: str) -> set[str]:
        return {
            t["name"]
            for t in self.tasks.get(execution_id, [])
            if t["state"] in states.UNFINISHED
            and (
                t["state"] != states.WAITING
                or json.loads(t["runtime_context"]).get("waits_for_retry")
            )
        }

    # with-items

    def _items(self, task: Row, context: Mapping[str, Any]) -> Iterator[Finding]:
        counts = context["with_items"]
        redo = counts.get("redo")
        total = counts["count"] if redo is None else len(redo)
        limit = context.get("concurrency") or total
        where = f"{task['name']} {task['id']} {counts}"
        started = counts["next"]
        ended = counts["done"] - (counts["count"] - total)
        if counts["capacity"] != limit - (started - ended):
            yield Finding("counter-differs", f"capacity of {where}")
        if task["type"] == "WORKFLOW":
            children = self.children.get(task["id"], [])
            mine = [c for c in children if c["task_attempt"] == task["attempt"]]
            live = sum(c["state"] in states.UNFINISHED and not _is_undone(c) for c in mine)
            finished = len(mine) - live
        else:
            mine = [a for a in self.actions.get(task["id"], []) if a["attempt"] == task["attempt"]]
            live = sum(a["state"] in states.UNFINISHED for a in mine)
            finished = sum(a["processed"] for a in mine)
            if finished != ended:
                yield Finding("counter-differs", f"{finished} items are processed: {where}")
        news_of_task = [
            event
            for event in self.news.get(task["workflow_execution_id"], [])
            if event["task_id"] == task["id"]
        ]
        if started < total and counts["capacity"] > 0 and not news_of_task:
            yield Finding("items-without-reason", where)
        if len(mine) != started:
            yield Finding("counter-differs", f"{len(mine)} items were started: {where}")
        # an operator may run a child again beside those that run; its parent hears of it later
        news = self.news.get(task["workflow_execution_id"])
        is_again = task["type"] == "WORKFLOW" and (counts["capacity"] < 0 or bool(news))
        if live > limit and not is_again:
            yield Finding("too-many-items", f"{live} items run at a time: {where}")
        if ended > finished and task["type"] == "WORKFLOW" and not news:
            yield Finding("counter-differs", f"{finished} items have ended: {where}")


def is_compensation(task: Row) -> bool:
    """Whether a task undoes another one."""
    return str(task.get("unique_key") or "").startswith("rollback-")


def is_rolled_back(kind: type[Any], row: Row) -> bool:
    """Whether a row is that of an execution that is rolled back, or of a compensation."""
    if kind is TaskExecution:
        return is_compensation(row)
    return kind is WorkflowExecution and row["rollback"] not in (None, "null")


def _is_undone(child: Row) -> bool:
    """Whether a child that is rolled back had ended before, and had told so."""
    return is_rolled_back(WorkflowExecution, child) and not json.loads(child["rollback"])["owed"]


def needed_by(spec: WorkflowSpec, name: str) -> int:
    """How many inbound tasks a join waits for."""
    join = spec.tasks[name].join
    return len(spec.inbound(name)) if join == "all" else int(join or 0)


def stored_results(database: MemoryDatabase) -> Iterator[Finding]:
    """Results that nobody has taken and nobody will."""
    for action in database.tables[ActionExecution].values():
        is_open = action["result_at"] is not None and not action["processed"]
        if is_open and action["workflow_execution_id"] and action["next_look_at"] is None:
            yield Finding("result-not-processed", f"{action['name']} {action['id']}")
