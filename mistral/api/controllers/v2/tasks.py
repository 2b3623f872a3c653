"""``/v2/tasks`` (doc:rest/tasks): watching tasks, running them again, skipping them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mistral import exceptions as exc
from mistral.api.dependencies import ApiDependencies
from mistral.api.engine import EngineGateway
from mistral.api.lists import Lists, Within
from mistral.api.requests import ApiRequest
from mistral.api.resources.executions import EXECUTION, TASK
from mistral.api.resources.types import json_text
from mistral.api.responses import Response, answer
from mistral.api.waiting import Waiting
from mistral.db.core.database import Connection
from mistral.db.reading import task_results
from mistral.workflow import states

_CHANGE: Final = ("state", "id", "name", "workflow_name", "reset", "env")
_CURRENT: Final = ("id", "name", "workflow_name", "state", "workflow_state")
_COMPUTED: Final = frozenset({"result", "published_global"})


class TasksController:
    """Task executions."""

    def __init__(self, deps: ApiDependencies, waiting: Waiting) -> None:
        self._database = deps.database
        self._waiting = waiting
        self._engine = EngineGateway(deps)
        self._lists = Lists(deps.database, TASK, deps.options.max_limit)
        self._executions = Lists(deps.database, EXECUTION, deps.options.max_limit)

    def get_all(self, request: ApiRequest) -> Response:
        """List tasks."""
        return self._answer(request)

    def get_of_execution(self, request: ApiRequest, execution_id: str) -> Response:
        """List the tasks of an execution."""
        self._database.read(lambda conn: self._executions.require(conn, execution_id, request))
        return self._answer(request, Within("workflow_execution_id", execution_id))

    def _answer(self, request: ApiRequest, within: Within | None = None) -> Response:
        shown = self._lists.answer(request, within=within)
        self._waiting.explain(shown[TASK.collection])
        return answer(shown)

    def get(self, request: ApiRequest, task_id: str) -> Response:
        """One task with its result."""
        request.allow_query("fields")
        names = self._lists.asked_fields(request)
        return answer(self._show(request, task_id, names or TASK.shown, whole=names is None))

    def _show(
        self, request: ApiRequest, task_id: str, names: tuple[str, ...], whole: bool = True
    ) -> dict[str, Any]:
        def read(conn: Connection) -> dict[str, Any]:
            item = self._lists.item(conn, task_id, names, request)
            computed = _COMPUTED.intersection(names)
            if computed:
                result, published = task_results.task_facts(conn, task_id)
                shown = {"result": result, "published_global": published}
                item |= {
                    name: None if shown[name] is None else json_text(shown[name])
                    for name in names
                    if name in computed and (shown[name] is not None or not whole)
                }
            return item

        shown = self._database.read(read)
        self._waiting.explain([shown])
        return shown

    # rerun and skip

    def put(self, request: ApiRequest, task_id: str) -> Response:
        """Run a failed task again, or skip it."""
        request.allow_query()
        current = self._current(request, task_id)
        values = TASK.parse(request.json_body(), _CHANGE, request.containers)
        _check_change(values, current)
        # a rerun without reset is the engine's to judge, it knows which tasks have items
        if current["workflow_state"] != states.PAUSED or values.get("reset") is False:
            self._engine.ask(
                request,
                lambda engine: engine.rerun_workflow(
                    task_id,
                    reset=values.get("reset", True),
                    env=values.get("env") or None,
                    skip=values["state"] == states.SKIPPED,
                ),
            )
        return answer(self._show(request, task_id, TASK.shown))

    def _current(self, request: ApiRequest, task_id: str) -> dict[str, Any]:
        return self._database.read(
            lambda conn: self._lists.values(conn, task_id, _CURRENT, request.caller)
        )


def _check_change(values: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    for name in ("id", "name", "workflow_name"):
        if values.get(name) and values[name] != current[name]:
            raise exc.WorkflowException(f"The {name} of the task does not match: {values[name]}")
    target = values.get("state")
    if target not in (states.RUNNING, states.SKIPPED):
        raise exc.WorkflowException(
            f"Invalid task state '{target}': a task can only be set to "
            f"{states.RUNNING} or {states.SKIPPED} (rerun or skip)."
        )
    if current["state"] != states.ERROR:
        raise exc.WorkflowException(
            f"The current task execution must be in ERROR for rerun or skip; "
            f"it is in {current['state']}."
        )
    if target == states.RUNNING:
        _check_rerun(values)
    workflow_state = current["workflow_state"]
    if values.get("env") and workflow_state not in states.ENV_CHANGEABLE:
        raise exc.NotAllowedException(
            "The environment can't be updated while the workflow execution is in "
            f"{workflow_state} state; it has to be in one of "
            f"{', '.join(sorted(states.ENV_CHANGEABLE))}."
        )
    if not states.is_valid_transition(workflow_state, states.RUNNING):
        raise exc.WorkflowException(
            f"Can't run a task of a workflow execution in {workflow_state} state."
        )


def _check_rerun(values: Mapping[str, Any]) -> None:
    if "reset" not in values:
        raise exc.WorkflowException("Mandatory field missing: reset.")
