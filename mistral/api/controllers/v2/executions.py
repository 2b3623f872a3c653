"""``/v2/executions`` (doc:rest/executions): starting, watching, steering, deleting executions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mistral import exceptions as exc
from mistral.api.dependencies import ApiDependencies
from mistral.api.engine import EngineGateway
from mistral.api.lists import Lists, Within
from mistral.api.requests import ApiRequest, require_uuid
from mistral.api.resources.executions import EXECUTION
from mistral.api.resources.types import json_text
from mistral.api.responses import Response, answer, empty
from mistral.db.core.database import Connection
from mistral.db.execution import deletion, descriptions, idempotency_keys
from mistral.db.reading import task_results
from mistral.engine import execution_events
from mistral.utils import clock, ids, json
from mistral.workflow import states
from mistral.workflow.data_flow import merge_mappings
from mistral.workflow.entities import ExecutionEvent, WorkflowExecution

_START: Final = (
    "id",
    "workflow_id",
    "workflow_name",
    "workflow_namespace",
    "input",
    "params",
    "description",
    "source_execution_id",
)
_CHANGE: Final = ("state", "description", "params", "state_info")
_STORED: Final = tuple(name for name in EXECUTION.shown if name != "published_global")
_TARGETS: Final = (
    states.RUNNING,
    states.PAUSED,
    states.SUCCESS,
    states.ERROR,
    states.CANCELLED,
)
_ROLLBACK: Final = "ROLLBACK"
"""Not a state but a command: run the compensations of what was done."""
_FINISHED: Final = frozenset({states.SUCCESS, states.ERROR, states.CANCELLED})
_DESCRIPTION_LIMIT: Final = 255
_OF_POSITION: Final = frozenset({"root_execution_id", "task_execution_id", "index", "namespace"})
"""Parameters that the engine sets by itself."""


class ExecutionsController:
    """Workflow executions."""

    def __init__(self, deps: ApiDependencies) -> None:
        self._database = deps.database
        self._engine = EngineGateway(deps)
        self._lists = Lists(deps.database, EXECUTION, deps.options.max_limit)

    # reading

    def get_all(self, request: ApiRequest) -> Response:
        """List executions."""
        return answer(self._lists.answer(request, extra=("include_output", "nulls")))

    def get_of_task(self, request: ApiRequest, task_id: str) -> Response:
        """List the direct sub-executions of a task."""
        require_uuid(task_id)
        return answer(
            self._lists.answer(
                request,
                within=Within("task_execution_id", task_id),
                extra=("include_output", "nulls"),
                excluded=("root_execution_id",),
            )
        )

    def get(self, request: ApiRequest, execution_id: str) -> Response:
        """One execution."""
        request.allow_query("fields")
        names = self._lists.asked_fields(request)
        return answer(self._show(request, execution_id, names or EXECUTION.shown))

    def _show(
        self, request: ApiRequest, execution_id: str, names: tuple[str, ...]
    ) -> dict[str, Any]:
        def read(conn: Connection) -> dict[str, Any]:
            item = self._lists.item(conn, execution_id, names, request)
            if "published_global" in names:
                item["published_global"] = json_text(
                    task_results.published_global(conn, execution_id)
                )
            return item

        return self._database.read(read)

    def _stored(self, request: ApiRequest, execution_id: str) -> dict[str, Any]:
        return self._show(request, execution_id, _STORED)

    # starting

    def post(self, request: ApiRequest) -> Response:
        """Start a workflow; an id that exists already starts nothing."""
        request.allow_query()
        values = EXECUTION.parse(request.json_body(), _START, request.containers)
        chosen = values.get("id")
        if chosen:
            existing = self._existing(request, chosen)
            if existing is not None:
                return answer(existing, 201)
        if values.get("source_execution_id"):
            values = self._from_source(request, values)
        identifier = values.get("workflow_id") or values.get("workflow_name")
        if not identifier:
            raise exc.WorkflowException(
                "Workflow ID or workflow name must be provided. Workflow ID is preferred."
            )
        description = values.get("description", "")
        _check_description(description)
        execution_id = chosen or ids.new_id()
        started = self._engine.ask_to_start(
            request,
            lambda engine: engine.start_workflow(
                identifier,
                values.get("input") or {},
                description=description,
                params=values.get("params"),
                workflow_namespace=values.get("workflow_namespace", ""),
                wf_ex_id=execution_id,
            ),
        )
        return answer(EXECUTION.render(started, _STORED), 201)

    def _existing(self, request: ApiRequest, execution_id: str) -> dict[str, Any] | None:
        try:
            return self._stored(request, execution_id)
        except exc.NotFoundException:
            return None

    def _from_source(self, request: ApiRequest, values: Mapping[str, Any]) -> dict[str, Any]:
        source_id = values["source_execution_id"]
        source = self._stored(request, source_id)
        as_sent = EXECUTION.parse(
            {name: source[name] for name in ("workflow_namespace", "input", "params")},
            _START,
            json.NO_CONTAINER_LIMIT,
        )
        params = {k: v for k, v in as_sent.get("params", {}).items() if k not in _OF_POSITION}
        given = {name: value for name, value in values.items() if value != ""}
        if "workflow_name" in given or "workflow_id" in given:
            workflow = {}
        else:
            workflow = {"workflow_id": source["workflow_id"] or source["workflow_name"]}
        description = f"{values.get('description', '')} Based on the execution '{source_id}'"
        return {
            **as_sent,
            **workflow,
            **given,
            "input": merge_mappings(as_sent.get("input", {}), values.get("input", {})),
            "params": merge_mappings(params, values.get("params", {})),
            "description": description.strip(),
        }

    # steering

    def put(self, request: ApiRequest, execution_id: str) -> Response:
        """Change the state, the description or the environment."""
        request.allow_query()
        current = self._show(request, execution_id, ("id", "state"))["state"]
        values = EXECUTION.parse(request.json_body(), _CHANGE, request.containers)
        env = _env_of(values)
        target, description = values.get("state"), values.get("description")
        _check_change(target, description, env, current)
        if target:
            self._steer(request, execution_id, current, target, env, values.get("state_info"))
        else:
            if env:
                self._engine.ask(request, lambda engine: engine.update_env(execution_id, env))
            if description:
                self._describe(execution_id, description)
        return answer(self._stored(request, execution_id))

    def _describe(self, execution_id: str, description: str) -> None:
        now = clock.utc_now()
        self._database.write(
            idempotency_keys.once(
                lambda conn: descriptions.describe(conn, execution_id, description, now)
            )
        )

    def _steer(
        self,
        request: ApiRequest,
        execution_id: str,
        current: str,
        target: str,
        env: dict[str, Any],
        message: str | None,
    ) -> None:
        if target == _ROLLBACK:
            self._engine.ask(request, lambda engine: engine.rollback_workflow(execution_id))
            return
        if _is_settled(current, target):
            return
        _check_transition(current, target)
        if target == states.RUNNING:
            self._engine.ask(
                request, lambda engine: engine.resume_workflow(execution_id, env or None)
            )
        elif target == states.PAUSED:
            self._engine.ask(request, lambda engine: engine.pause_workflow(execution_id))
        else:
            self._engine.ask(
                request, lambda engine: engine.stop_workflow(execution_id, target, message)
            )

    def delete(self, request: ApiRequest, execution_id: str) -> Response:
        """Delete an execution and its sub-executions."""
        request.allow_query("force")
        force = request.flag("force")
        state = self._show(request, execution_id, ("id", "state"))["state"]
        if state not in _FINISHED and not force:
            raise exc.NotAllowedException(
                "Only completed executions can be deleted. Use --force to override this. "
                f"Execution {execution_id} is in {state} state."
            )

        def farewell(
            own: WorkflowExecution, unheard: Sequence[ExecutionEvent]
        ) -> list[ExecutionEvent]:
            return execution_events.of_deletion(own, unheard, ids.new_id, clock.utc_now())

        deletion.delete_execution(self._database, execution_id, farewell)
        return empty()


def _env_of(values: Mapping[str, Any]) -> dict[str, Any]:
    env = (values.get("params") or {}).get("env")
    if env and not isinstance(env, dict):
        raise exc.InputException("Invalid params.env: a JSON object is expected.")
    return env or {}


def _check_change(
    target: str | None, description: str | None, env: dict[str, Any], current: str
) -> None:
    if not (target or description or env):
        raise exc.InputException("The property 'state', 'description' or 'env' is not provided.")
    if description and target:
        raise exc.InputException(
            "The property 'description' must be updated separately from 'state'."
        )
    if env and target and target != states.RUNNING:
        raise exc.InputException(
            "The property 'env' can only be updated when the workflow execution is not running "
            "or is being resumed."
        )
    if env and not target and current not in states.ENV_CHANGEABLE:
        raise exc.NotAllowedException(
            f"The environment can't be updated while the workflow execution is in {current} "
            f"state; it has to be in one of {', '.join(sorted(states.ENV_CHANGEABLE))}."
        )
    if target and target not in (*_TARGETS, _ROLLBACK):
        allowed = ", ".join((*_TARGETS, _ROLLBACK))
        raise exc.InputException(f"Can not change state to {target}. Allowed states are: {allowed}")
    _check_description(description or "")


def _check_description(description: str) -> None:
    if len(description) > _DESCRIPTION_LIMIT:
        raise exc.InputException(f"The description is longer than {_DESCRIPTION_LIMIT} characters.")


def _is_settled(current: str, target: str) -> bool:
    """Whether the command asks for nothing that is still to be done (doc:rest/executions#steer)."""
    if target == states.RUNNING:
        return current == states.RUNNING or current in _FINISHED
    if target == states.PAUSED:
        return current == states.PAUSED
    return target in (states.ERROR, states.CANCELLED) and current in _FINISHED


def _check_transition(current: str, target: str) -> None:
    allowed = True
    if target == states.PAUSED:
        allowed = current == states.RUNNING
    elif target == states.SUCCESS:
        allowed = current in (states.RUNNING, states.SUCCESS)
    if not allowed:
        raise exc.InvalidStateException(
            f"Can't change workflow execution state from {current} to {target}."
        )
