"""Running one action outside any workflow (contract §11.4).

The engine checks and describes the action; if somebody waits for the result, it is this process
that calls the executor and, when the run is saved, delivers the result as any other one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.api.dependencies import ApiDependencies
from mistral.api.engine import EngineGateway
from mistral.api.resources.executions import ACTION_EXECUTION
from mistral.context import RequestContext
from mistral.db import actions
from mistral.utils import clock
from mistral.workflow import states
from mistral.workflow.results import UNKNOWN_ERROR, Outcome

LOG = logging.getLogger(__name__)

EXECUTOR_GRACE = 2.0
"""Seconds that an executor gets beyond the action's own deadline to say that it has passed."""

_UNSAVED = ("id", "project_id", "created_at", "updated_at")


class AdhocRunner:
    """Runs actions for a caller who may wait for them."""

    def __init__(self, deps: ApiDependencies, engine: EngineGateway) -> None:
        self._engine = engine
        self._executor = deps.executor
        self._database = deps.database
        self._timeout = deps.options.action_timeout

    def run(self, ctx: RequestContext, values: Mapping[str, Any]) -> dict[str, Any]:
        """Start an action; finish it, too, unless it is only to be saved.

        :returns: the action execution by the names of its columns.
        """
        params = dict(values.get("params") or {})
        _check_timeout(params)
        if values.get("workflow_namespace"):
            params["namespace"] = values["workflow_namespace"]
        started = self._engine.ask(
            "start_action",
            ctx,
            action_name=values["name"],
            action_input=values.get("input") or {},
            description=values.get("description"),
            params=params,
        )
        row, call = dict(started["action"]), started.get("call")
        if call is None:
            return self._stored(ctx, row)
        outcome = self._execute(ctx, call, row.get("target"))
        if started["saved"]:
            self._deliver(ctx, row, outcome)
            return self._stored(ctx, row)
        return {
            **row,
            **dict.fromkeys(_UNSAVED),
            "state": outcome.state,
            "output": {"result": outcome.value},
        }

    def _execute(self, ctx: RequestContext, call: Mapping[str, Any], target: str | None) -> Outcome:
        limit = call.get("timeout")
        try:
            result = self._executor.call(
                "run_action",
                ctx,
                timeout=limit + EXECUTOR_GRACE if limit else self._timeout,
                target=target,
                action_ex_id=call["id"],
                action_class_str=call["action_class"],
                attributes=call["attributes"],
                params=call["input"],
                safe_rerun=call["safe_rerun"],
                name=call["name"],
                execution_context=call["context"],
            )
        except exc.RPCException as error:
            if limit:
                return Outcome(states.ERROR, f"Action timed out after {limit:g} seconds.")
            raise exc.UnavailableException("No executor answered in time, try again.") from error
        return _outcome(result)

    def _deliver(self, ctx: RequestContext, row: Mapping[str, Any], outcome: Outcome) -> None:
        self._database.write(
            lambda conn: actions.deliver(conn, row["id"], outcome, clock.utc_now())
        )
        if not row.get("base_name"):
            return
        try:
            # what its definition makes of the result is evaluated by an engine
            self._engine.ask(
                "on_action_complete",
                ctx,
                action_ex_id=row["id"],
                result={"state": outcome.state, "result": outcome.value},
            )
        except exc.EngineUnavailableException:
            LOG.warning("The result of %s waits for the relay", row["id"])

    def _stored(self, ctx: RequestContext, row: Mapping[str, Any]) -> dict[str, Any]:
        names = ACTION_EXECUTION.plan(ACTION_EXECUTION.shown).columns

        def read(conn: sa.Connection) -> list[Any]:
            return ACTION_EXECUTION.reader.item(conn, row["id"], names, ctx)

        return dict(zip(names, self._database.read(read), strict=True))


def _outcome(report: Mapping[str, Any]) -> Outcome:
    state, value = report["state"], report.get("result")
    return Outcome(state, (value or UNKNOWN_ERROR) if state == states.ERROR else value)


def _check_timeout(params: Mapping[str, Any]) -> None:
    timeout = params.get("timeout")
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout <= 0:
        raise exc.InputException("Invalid params.timeout: a positive number is expected.")
