"""What engines and executors can be asked from other processes.

One method per message; the names of the arguments are those of the endpoints
(``mistral.engine.engine_server``, ``mistral.engine.executor_server``). A *cast* is a doorbell: the
sender has committed a row before, and an RPCException from it loses no work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mistral.context import RequestContext
from mistral.exceptions import EngineUnavailableException, RPCException
from mistral.rpc.base import RPCClient

JsonDict = dict[str, Any]


class EngineClient:
    """Requests to any engine. Answers are JSON dictionaries."""

    def __init__(self, rpc: RPCClient, timeout: float | None = None) -> None:
        self._rpc = rpc
        self._timeout = timeout

    def _call(self, method: str, ctx: RequestContext | None, **args: Any) -> Any:
        try:
            return self._rpc.call(method, ctx, timeout=self._timeout, **args)
        except RPCException as error:
            raise EngineUnavailableException() from error

    # executions

    def start_workflow(
        self,
        ctx: RequestContext,
        workflow_identifier: str,
        workflow_namespace: str,
        wf_ex_id: str,
        workflow_input: Mapping[str, Any],
        description: str,
        params: Mapping[str, Any],
    ) -> JsonDict:
        """Start a workflow under an identifier that the caller made: a repeat starts nothing."""
        return self._call(
            "start_workflow",
            ctx,
            workflow_identifier=workflow_identifier,
            workflow_namespace=workflow_namespace,
            wf_ex_id=wf_ex_id,
            workflow_input=workflow_input,
            description=description,
            params=params,
        )

    def pause_workflow(self, ctx: RequestContext, execution_id: str) -> JsonDict:
        """Start nothing new in an execution until it is resumed."""
        return self._call("pause_workflow", ctx, execution_id=execution_id)

    def resume_workflow(
        self, ctx: RequestContext, wf_ex_id: str, env: Mapping[str, Any] | None = None
    ) -> JsonDict:
        """Go on with a paused execution."""
        return self._call("resume_workflow", ctx, wf_ex_id=wf_ex_id, env=env)

    def stop_workflow(
        self, ctx: RequestContext, execution_id: str, state: str, message: str | None = None
    ) -> JsonDict:
        """End an execution in SUCCESS, ERROR or CANCELLED."""
        return self._call(
            "stop_workflow", ctx, execution_id=execution_id, state=state, message=message
        )

    def rerun_workflow(
        self,
        ctx: RequestContext,
        task_ex_id: str,
        reset: bool = True,
        env: Mapping[str, Any] | None = None,
        skip: bool = False,
    ) -> JsonDict:
        """Run a failed task again, or skip it, and go on from there."""
        return self._call(
            "rerun_workflow", ctx, task_ex_id=task_ex_id, reset=reset, env=env, skip=skip
        )

    def rollback_workflow(self, ctx: RequestContext, execution_id: str) -> JsonDict:
        """Stop an execution and run the compensating actions of its successful tasks."""
        return self._call("rollback_workflow", ctx, execution_id=execution_id)

    def update_env(self, ctx: RequestContext, wf_ex_id: str, env: Mapping[str, Any]) -> JsonDict:
        """Change the environment of an execution that does not run."""
        return self._call("update_env", ctx, wf_ex_id=wf_ex_id, env=env)

    # actions

    def start_action(
        self,
        ctx: RequestContext,
        action_name: str,
        action_input: Mapping[str, Any],
        description: str | None,
        params: Mapping[str, Any],
    ) -> JsonDict:
        """Check and describe an action that belongs to no workflow, and start it if it is to be."""
        return self._call(
            "start_action",
            ctx,
            action_name=action_name,
            action_input=action_input,
            description=description,
            params=params,
        )

    def on_action_complete(
        self, ctx: RequestContext, action_ex_id: str, result: Any, wf_action: bool = False
    ) -> JsonDict:
        """Deliver a result and wait until it is stored."""
        return self._call(
            "on_action_complete",
            ctx,
            action_ex_id=action_ex_id,
            result=result,
            wf_action=wf_action,
        )

    def set_action_state(self, ctx: RequestContext, action_ex_id: str, state: str) -> JsonDict:
        """An operator's PAUSED or RUNNING for one action."""
        return self._call("set_action_state", ctx, action_ex_id=action_ex_id, state=state)

    def action_delivered(
        self, ctx: RequestContext | None, action_ex_id: str, wf_ex_id: str | None
    ) -> None:
        """Cast: a result has been committed; handle it now instead of at the next look."""
        self._rpc.cast("action_delivered", ctx, action_ex_id=action_ex_id, wf_ex_id=wf_ex_id)

    # executors

    def claim_actions(self, executor_id: str, claims: Sequence[Mapping[str, Any]]) -> list[str]:
        """The actions out of ``claims`` that this executor, and nobody else, is to run."""
        return self._call("claim_actions", None, executor_id=executor_id, claims=claims)

    def on_actions_complete(self, executor_id: str, results: Sequence[Mapping[str, Any]]) -> Any:
        """Hand over a batch of results; once this returns they are stored."""
        return self._call("on_actions_complete", None, executor_id=executor_id, results=results)

    def release_actions(self, executor_id: str, claims: Sequence[Mapping[str, Any]]) -> Any:
        """Give back what was claimed and has not begun."""
        return self._call("release_actions", None, executor_id=executor_id, claims=claims)

    def executor_alive(self, executor_id: str, host: str, running: Sequence[str]) -> None:
        """Cast: a sign of life, with what is being run."""
        self._rpc.cast("executor_alive", None, executor_id=executor_id, host=host, running=running)

    # processes

    def ping(self, timeout: float | None = None) -> JsonDict:
        """Whether any engine answers."""
        try:
            return self._rpc.call("ping", None, timeout=timeout or self._timeout)
        except RPCException as error:
            raise EngineUnavailableException() from error


class ExecutorClient:
    """Requests to the executors, or to one of them by its name."""

    def __init__(self, rpc: RPCClient) -> None:
        self._rpc = rpc

    def run_actions(self, actions: Sequence[Mapping[str, Any]], target: str | None = None) -> None:
        """Cast: run these actions; results come by ``on_actions_complete``."""
        self._rpc.cast("run_actions", None, target=target, actions=actions)

    def run_action(
        self,
        ctx: RequestContext | None,
        action_ex_id: str | None,
        action_class_str: str,
        attributes: Mapping[str, Any],
        params: Mapping[str, Any],
        safe_rerun: bool,
        *,
        name: str = "",
        execution_context: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        target: str | None = None,
        timeout: float | None = None,
    ) -> JsonDict:
        """Run one action and wait for its result; RPCException when it takes too long."""
        return self._rpc.call(
            "run_action",
            ctx,
            timeout=timeout,
            target=target,
            action_ex_id=action_ex_id,
            action_class_str=action_class_str,
            attributes=attributes,
            params=params,
            safe_rerun=safe_rerun,
            name=name,
            execution_context=execution_context,
            dry_run=dry_run,
        )
