"""Running one action outside any workflow (doc:rest/action_executions#single-runs).

The engine checks and describes the action; if somebody waits for the result, it is this process
that calls the executor and, when the run is saved, delivers the result as any other one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from mistral import exceptions as exc
from mistral.api.dependencies import ApiDependencies
from mistral.api.engine import EngineGateway
from mistral.api.lists import Lists
from mistral.api.requests import ApiRequest
from mistral.api.resources.executions import ACTION_EXECUTION
from mistral.api.resources.types import FLAG, NAME, checked
from mistral.context import RequestContext
from mistral.db.execution.action_executions import ActionExecutions
from mistral.lang import LONGEST_SECONDS
from mistral.rpc.messages import ActionOrder, Report
from mistral.utils import clock
from mistral.workflow import states
from mistral.workflow.results import UNKNOWN_ERROR, Outcome

LOG = logging.getLogger(__name__)

EXECUTOR_GRACE = 2.0
"""Seconds that an executor gets beyond the action's own deadline to say that it has passed."""

_FLAGS = ("save_result", "run_sync")
_UNSAVED = ("id", "project_id", "created_at", "updated_at")


class _Refused(exc.UnavailableException):
    """The executor did not take it."""


class StandaloneActions:
    """Runs actions for a caller who may wait for them."""

    def __init__(self, deps: ApiDependencies, engine: EngineGateway, lists: Lists) -> None:
        self._engine = engine
        self._lists = lists
        self._executor = deps.executor
        self._database = deps.database
        self._timeout = deps.options.action_timeout
        self._size_limit_kb = deps.options.execution_field_size_limit_kb
        self._admission = deps.admission

    def run(self, request: ApiRequest, values: Mapping[str, Any]) -> dict[str, Any]:
        """Start an action; finish it, too, unless it is only to be saved.

        :returns: the action execution by the names of its columns.
        :raises UnavailableException: too many callers wait already.
        """
        with self._admission.to_wait(request.route.lane):
            return self._run(request.caller, values)

    def _run(self, ctx: RequestContext, values: Mapping[str, Any]) -> dict[str, Any]:
        params = _params(values)
        started = self._engine.ask_admitted(
            ctx,
            lambda engine: engine.start_action(
                values["name"],
                values.get("input") or {},
                description=values.get("description"),
                params=params,
            ),
        )
        row = started.action
        if started.order is None:
            return self._stored(ctx, row)
        try:
            outcome = self._execute(ctx, started.order, row.get("target"))
        except _Refused as error:
            if started.saved:
                # it does not run, and the caller begins anew
                self._deliver(ctx, row, Outcome(states.ERROR, str(error)))
            raise
        if started.saved:
            self._deliver(ctx, row, outcome.fitting(self._size_limit_kb))
            return self._stored(ctx, row)
        if row.get("base_name"):
            outcome = self._transformed(ctx, row, outcome)
        return {
            **row,
            **dict.fromkeys(_UNSAVED),
            "state": outcome.state,
            "output": {"result": outcome.value},
        }

    def _execute(self, ctx: RequestContext, order: ActionOrder, target: str | None) -> Outcome:
        limit = order.timeout
        patience = limit + EXECUTOR_GRACE if limit else self._timeout
        try:
            report = self._executor.run_action(ctx, order, target, patience)
        except exc.RPCException as error:
            if limit:
                return Outcome(states.ERROR, f"Action timed out after {limit:g} seconds.")
            raise exc.UnavailableException("No executor answered in time, try again.") from error
        except exc.UnavailableException as error:
            raise _Refused(str(error)) from error
        return _outcome(report)

    def _deliver(self, ctx: RequestContext, row: Mapping[str, Any], outcome: Outcome) -> None:
        self._database.write(
            lambda conn: ActionExecutions(conn).deliver(row["id"], outcome, clock.utc_now())
        )
        if row.get("base_name"):
            # what its definition makes of the result is evaluated by an engine
            self._engine.settle_admitted(ctx, row["id"], outcome)

    def _transformed(
        self, ctx: RequestContext, row: Mapping[str, Any], outcome: Outcome
    ) -> Outcome:
        """What its definition makes of the result, which no row holds."""
        return self._engine.ask_admitted(
            ctx,
            lambda engine: engine.transform_result(
                row["name"], outcome, action_namespace=row.get("workflow_namespace") or ""
            ),
        )

    def _stored(self, ctx: RequestContext, row: Mapping[str, Any]) -> dict[str, Any]:
        names = ACTION_EXECUTION.plan(ACTION_EXECUTION.shown).columns

        return self._database.read(lambda conn: self._lists.values(conn, row["id"], names, ctx))


def _outcome(report: Report) -> Outcome:
    if report.state == states.ERROR:
        return Outcome(states.ERROR, report.result or UNKNOWN_ERROR)
    return report.outcome


def _params(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the engine is to know, checked; other parameters of the caller mean nothing."""
    given = {k: v for k, v in (values.get("params") or {}).items() if v is not None}
    params = {k: checked(FLAG, f"params.{k}", given[k]) for k in _FLAGS if k in given}
    if given.get("target"):
        params["target"] = checked(NAME, "params.target", given["target"])
    if values.get("workflow_namespace"):
        namespace = values["workflow_namespace"]
        params["namespace"] = checked(NAME, "workflow_namespace", namespace)
    elif given.get("namespace"):
        params["namespace"] = checked(NAME, "params.namespace", given["namespace"])
    if "timeout" in given:
        _check_timeout(given)
        params["timeout"] = given["timeout"]
    return params


def _check_timeout(params: Mapping[str, Any]) -> None:
    timeout = params["timeout"]
    is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if not (is_number and 0 < timeout <= LONGEST_SECONDS):
        raise exc.InputException(
            f"Invalid params.timeout: a number from 0 to {LONGEST_SECONDS} is expected."
        )
