"""Executions with everything below them (doc:rest/executions#what-lies-below)."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from mistral.api.dependencies import ApiDependencies
from mistral.api.lists import Lists
from mistral.api.requests import ApiRequest, require_uuid
from mistral.api.resources.executions import EXECUTION, TASK
from mistral.api.responses import Response, answer
from mistral.api.waiting import Waiting
from mistral.db.core.database import Connection, RowMapping
from mistral.db.reading import execution_trees
from mistral.utils import clock
from mistral.workflow import states
from mistral.workflow.runtime import TaskRuntime

_COUNTED: Final = {
    states.RUNNING: "running_tasks_count",
    states.SUCCESS: "success_tasks_count",
    states.ERROR: "error_tasks_count",
    states.IDLE: "idle_tasks_count",
    states.PAUSED: "paused_tasks_count",
}
_SAMPLES: Final = 20


class ExecutionTreesController:
    """Sub-executions as a flat list, and reports."""

    def __init__(self, deps: ApiDependencies, waiting: Waiting) -> None:
        self._database = deps.database
        self._waiting = waiting
        self._executions = Lists(deps.database, EXECUTION, deps.options.max_limit)
        self._tasks = Lists(deps.database, TASK, deps.options.max_limit)

    def of_execution(self, request: ApiRequest, execution_id: str) -> Response:
        """An execution and all below it."""
        names, depth, errors_only = self._options(request)

        def read(conn: Connection) -> list[dict[str, Any]]:
            self._executions.require(conn, execution_id, request)
            found = execution_trees.flat_tree(conn, [execution_id], depth, errors_only)
            return self._executions.items(conn, found, names, request)

        return answer({"executions": self._database.read(read)})

    def of_task(self, request: ApiRequest, task_id: str) -> Response:
        """The sub-executions of a task and all below them."""
        require_uuid(task_id)
        names, depth, errors_only = self._options(request)

        def read(conn: Connection) -> list[dict[str, Any]]:
            task = self._tasks.item(conn, task_id, ("id", "state"), request)
            if errors_only and task["state"] != states.ERROR:
                return []
            tops = execution_trees.children_of_task(conn, task_id)
            found = execution_trees.flat_tree(conn, tops, depth, errors_only)
            return self._executions.items(conn, found, names, request)

        return answer({"executions": self._database.read(read)})

    def _options(self, request: ApiRequest) -> tuple[tuple[str, ...], int, bool]:
        request.allow_query("errors_only", "max_depth", "include_output")
        names = EXECUTION.listed
        if request.flag("include_output"):
            names = tuple(n for n in EXECUTION.shown if n == "output" or n in names)
        return names, request.number("max_depth", -1), request.flag("errors_only")

    def report(self, request: ApiRequest, execution_id: str) -> Response:
        """Statistics of an execution and the tree of what ran."""
        request.allow_query("errors_only", "max_depth", "statistics_only")
        errors_only = request.flag("errors_only")
        statistics_only = request.flag("statistics_only")
        depth = request.number("max_depth", -1)

        tasks: list[dict[str, Any]] = []

        def read(conn: Connection) -> dict[str, Any]:
            self._executions.require(conn, execution_id, request)
            rows = execution_trees.report_rows(
                conn, execution_id, depth, errors_only, not statistics_only
            )
            if rows is None:
                raise self._executions.not_found(execution_id)
            document: dict[str, Any] = {"statistics": _statistics(conn, rows)}
            if not statistics_only:
                shown = _Shown(rows, errors_only)
                document["root_workflow_execution"] = shown.execution(rows.top)
                tasks[:] = shown.tasks
            return document

        found = self._database.read(read)
        self._waiting.explain(tasks)
        return answer(found)


def _statistics(conn: Connection, rows: execution_trees.ReportRows) -> dict[str, int]:
    counts = {"total_tasks_count": 0, **dict.fromkeys(_COUNTED.values(), 0)}
    for task in rows.all_tasks():
        counter = _COUNTED.get(task["state"])
        if counter:
            counts[counter] += 1
            counts["total_tasks_count"] += 1
    return {**counts, "estimated_time": _estimated_time(conn, rows.top)}


def _estimated_time(conn: Connection, top: RowMapping) -> int:
    if top["state"] != states.RUNNING:
        return 0
    durations = execution_trees.durations_of_successes(conn, top["id"], _SAMPLES)
    if not durations:
        return -1
    mean = sum(durations, dt.timedelta()) / len(durations)
    return max(1, int((mean - (clock.utc_now() - top["created_at"])).total_seconds()))


def _common(row: RowMapping) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "state": row["state"],
        "state_info": row["state_info"],
        "created_at": clock.render(row["created_at"]),
        "updated_at": clock.render(row["updated_at"]),
    }


class _Shown:
    """The tree of a report, with all tasks or only those in ERROR."""

    def __init__(self, rows: execution_trees.ReportRows, errors_only: bool) -> None:
        self._rows = rows
        self._errors_only = errors_only
        self.tasks: list[dict[str, Any]] = []

    def execution(self, row: RowMapping) -> dict[str, Any]:
        """An execution with its tasks, unless it lies too deep."""
        shown = _common(row)
        if row["id"] in self._rows.tasks:
            shown["task_executions"] = [
                self._task(task)
                for task in self._rows.tasks[row["id"]]
                if task["state"] == states.ERROR or not self._errors_only
            ]
        return shown

    def _task(self, row: RowMapping) -> dict[str, Any]:
        shown = _common(row)
        shown["action_executions"] = [
            {
                **_common(action),
                "accepted": bool(action["accepted"]),
                "last_heartbeat": clock.render(action["last_heartbeat"]),
            }
            for action in self._rows.actions.get(row["id"], [])
        ]
        children = self._rows.executions.get(row["id"], [])
        shown["workflow_executions"] = [self.execution(child) for child in children]
        runtime = TaskRuntime(row["runtime_context"])
        if runtime.is_retried:
            shown["retry_count"] = runtime.retries
        self.tasks.append(shown)
        return shown
