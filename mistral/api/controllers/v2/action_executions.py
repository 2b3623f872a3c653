"""``/v2/action_executions`` and ``/v2/action-executions`` (doc:rest/action_executions).

Here the outside delivers results of asynchronous actions. The row is committed by this process,
whether an engine runs or not; the engine is only told to look.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mistral import exceptions as exc
from mistral.api.dependencies import ApiDependencies
from mistral.api.engine import Doorbell, EngineGateway
from mistral.api.lists import Lists, Within
from mistral.api.requests import ApiRequest, require_uuid
from mistral.api.resources.executions import ACTION_EXECUTION
from mistral.api.responses import Response, answer, empty
from mistral.api.standalone_actions import StandaloneActions
from mistral.db.core.database import Connection
from mistral.db.execution import idempotency_keys
from mistral.db.execution.action_executions import ActionExecutions, Delivery
from mistral.utils import clock
from mistral.workflow import results, states
from mistral.workflow.entities import ActionExecution
from mistral.workflow.results import UNKNOWN_ERROR, Outcome

_RUN: Final = ("name", "input", "params", "description", "workflow_namespace")
_CHANGE: Final = ("state", "output")
_ITEM: Final = ACTION_EXECUTION.shown
_RESULTS: Final = (states.SUCCESS, states.ERROR, states.CANCELLED)
_COMMANDS: Final = (states.PAUSED, states.RUNNING)


class ActionExecutionsController:
    """Action executions."""

    def __init__(self, deps: ApiDependencies) -> None:
        self._database = deps.database
        self._options = deps.options
        self._engine = EngineGateway(deps)
        self._doorbell = Doorbell(deps.doorbell or deps.engine, deps.database)
        self._lists = Lists(deps.database, ACTION_EXECUTION, deps.options.max_limit)
        self._standalone = StandaloneActions(deps, self._engine, self._lists)

    # reading

    def get_all(self, request: ApiRequest) -> Response:
        """List action executions."""
        return answer(self._lists.answer(request, extra=("include_output",)))

    def get_of_task(self, request: ApiRequest, task_id: str) -> Response:
        """List the action executions of a task; an unknown task has none."""
        require_uuid(task_id)
        return answer(
            self._lists.answer(
                request,
                within=Within("task_execution_id", task_id),
                extra=("include_output",),
            )
        )

    def get(self, request: ApiRequest, action_id: str) -> Response:
        """One action execution."""
        request.allow_query("fields")
        names = self._lists.asked_fields(request) or _ITEM
        return answer(
            self._database.read(lambda conn: self._lists.item(conn, action_id, names, request))
        )

    def get_one_of_task(self, request: ApiRequest, task_id: str, action_id: str) -> Response:
        """One action execution of a task."""
        require_uuid(task_id)
        request.allow_query("fields")
        names = self._lists.asked_fields(request) or _ITEM

        def read(conn: Connection) -> dict[str, Any]:
            owner = self._lists.item(conn, action_id, ("id", "task_execution_id"), request)
            if owner["task_execution_id"] != task_id:
                raise self._lists.not_found(action_id)
            return self._lists.item(conn, action_id, names, request)

        return answer(self._database.read(read))

    # running

    def post(self, request: ApiRequest) -> Response:
        """Run an action by itself."""
        request.allow_query()
        values = ACTION_EXECUTION.parse(request.json_body(), _RUN, request.containers)
        if not values.get("name"):
            raise exc.InputException("Please provide at least action name to run action.")
        finished = self._standalone.run(request, values)
        return answer(ACTION_EXECUTION.render(finished, _ITEM), 201)

    # completing

    def put(self, request: ApiRequest, action_id: str) -> Response:
        """Deliver a result, or pause and resume an asynchronous action."""
        request.allow_query()
        try:
            values = ACTION_EXECUTION.parse(request.json_body(), _CHANGE, request.containers)
            target = _target(values)
            outcome = _outcome(target, values.get("output"))
            if outcome is not None:
                outcome.check_size(self._options.execution_field_size_limit_kb)
        except exc.MistralException:
            # an unknown id is told before anything else is
            self._current(request, action_id)
            raise
        if outcome is None:
            self._command(request, action_id, target)
            return self.get(request, action_id)
        return answer(self._deliver(request, action_id, outcome))

    def _deliver(self, request: ApiRequest, action_id: str, outcome: Outcome) -> dict[str, Any]:
        def write(conn: Connection) -> tuple[Delivery, dict[str, Any]]:
            if not request.caller.is_admin:
                self._lists.item(conn, action_id, ("id",), request)
            delivery = ActionExecutions(conn).deliver(action_id, outcome, clock.utc_now())
            if delivery.row is None:
                raise self._lists.not_found(action_id)
            if not (delivery.accepted or delivery.repeated):
                raise exc.ResultConflictException(_refusal(delivery.row))
            return delivery, self._lists.item(conn, action_id, _ITEM, request)

        delivery, item = self._database.write(write, urgent=True)
        row = delivery.row
        if row is not None and results.is_raw(row):
            # what its definition makes of it is for an engine to say; a repetition is told the same
            self._engine.settle(request, action_id, outcome)
            return self._database.read(
                lambda conn: self._lists.item(conn, action_id, _ITEM, request)
            )
        if delivery.accepted and row is not None:
            self._doorbell.ring(action_id, row.workflow_execution_id)
        return item

    def _command(self, request: ApiRequest, action_id: str, target: str) -> None:
        current = self._current(request, action_id)
        if states.is_completed(current["state"]):
            raise exc.InvalidStateException(
                f"Action execution {action_id} is {current['state']} already, it can't become "
                f"{target}."
            )
        if target == states.PAUSED and current["is_sync"]:
            raise exc.InvalidStateException(
                f"Only asynchronous actions can be paused, {current['name']} is synchronous."
            )
        self._engine.ask(request, lambda engine: engine.set_action_state(action_id, target))

    def _current(self, request: ApiRequest, action_id: str) -> dict[str, Any]:
        names = ("name", "state", "is_sync", "task_execution_id")
        return self._database.read(
            lambda conn: self._lists.values(conn, action_id, names, request.caller)
        )

    def delete(self, request: ApiRequest, action_id: str) -> Response:
        """Delete a finished action execution that belongs to no task."""
        request.allow_query()
        if not self._options.allow_action_execution_deletion:
            raise exc.NotAllowedException("Action execution deletion is not allowed.")
        current = self._current(request, action_id)
        if current["task_execution_id"]:
            raise exc.NotAllowedException("Only ad-hoc action execution can be deleted.")
        if not states.is_completed(current["state"]):
            raise exc.NotAllowedException("Only completed action execution can be deleted.")
        if not self._database.write(
            idempotency_keys.once(lambda conn: ActionExecutions(conn).delete(action_id))
        ):
            # somebody else was faster
            raise self._lists.not_found(action_id)
        return empty()


def _target(values: Mapping[str, Any]) -> str:
    target = values.get("state")
    if target not in _RESULTS and target not in _COMMANDS:
        raise exc.InvalidResultException(
            f"Error. Expected one of {', '.join((*_COMMANDS, *_RESULTS))}, actual: {target}"
        )
    return str(target)


def _outcome(target: str, value: Any) -> Outcome | None:
    if target in _COMMANDS:
        return None
    if target == states.ERROR:
        return Outcome(target, value or UNKNOWN_ERROR)
    return Outcome(target, None if target == states.CANCELLED else value)


def _refusal(action_ex: ActionExecution) -> str:
    """Why a result comes too late."""
    text = f"Action execution {action_ex.id} is {action_ex.state} already"
    if action_ex.state_info:
        return f"{text}, its result is not wanted any more: {action_ex.state_info}"
    return f"{text}, with a different result."
