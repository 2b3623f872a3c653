"""What engines and executors can be asked from other processes.

One method per message; the names of the arguments are those of the endpoints
(``mistral.engine.engine_server``, ``mistral.engine.executor_server``). A *cast* is a doorbell: the
sender has committed a row before, and an RPCException from it loses no work. A *call* waits for
the answer: RPCException when none comes in time, otherwise the errors of the endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mistral.context import RequestContext
from mistral.rpc.base import RPCClient
from mistral.rpc.messages import (
    ActionInput,
    ActionOrder,
    Delivery,
    Heartbeat,
    Pong,
    Report,
    RunKey,
    StartedAction,
    outcome_from_wire,
    outcome_to_wire,
)
from mistral.workflow.results import Outcome

JsonDict = dict[str, Any]


class EngineClient:
    """Requests to the engines, on somebody's behalf.

    :param ctx: who asks.
    :param timeout: seconds to wait for an answer; the transport's own if not given.
    """

    def __init__(
        self,
        rpc: RPCClient,
        ctx: RequestContext | None = None,
        timeout: float | None = None,
    ) -> None:
        self._rpc = rpc
        self._ctx = ctx
        self._timeout = timeout

    def on_behalf_of(self, ctx: RequestContext | None, timeout: float | None) -> EngineClient:
        """The same engines, asked for somebody who waits so many seconds."""
        return EngineClient(self._rpc, ctx, timeout)

    def within(self, seconds: float) -> EngineClient:
        """The same engines, asked by somebody who waits so many seconds."""
        return EngineClient(self._rpc, self._ctx, seconds)

    def ping(self) -> Pong:
        """Call: does an engine answer, and what is the time?"""
        return Pong.from_wire(self._call("ping"))

    # executions: the answers are their columns by name

    def start_workflow(
        self,
        workflow_identifier: str,
        workflow_input: Mapping[str, Any],
        *,
        description: str = "",
        params: Mapping[str, Any] | None = None,
        workflow_namespace: str = "",
        wf_ex_id: str | None = None,
    ) -> JsonDict:
        """Call: start a workflow by id or name; an id that exists starts nothing."""
        return self._columns(
            "start_workflow",
            workflow_identifier=workflow_identifier,
            workflow_namespace=workflow_namespace,
            wf_ex_id=wf_ex_id,
            workflow_input=workflow_input,
            description=description,
            params=params or {},
        )

    def pause_workflow(self, execution_id: str) -> JsonDict:
        """Call: start nothing new in an execution."""
        return self._columns("pause_workflow", execution_id=execution_id)

    def resume_workflow(self, wf_ex_id: str, env: Mapping[str, Any] | None = None) -> JsonDict:
        """Call: go on with a paused execution."""
        return self._columns("resume_workflow", wf_ex_id=wf_ex_id, env=env)

    def stop_workflow(self, execution_id: str, state: str, message: str | None = None) -> JsonDict:
        """Call: put an execution into a final state."""
        return self._columns(
            "stop_workflow", execution_id=execution_id, state=state, message=message
        )

    def rerun_workflow(
        self,
        task_ex_id: str,
        *,
        reset: bool = True,
        env: Mapping[str, Any] | None = None,
        skip: bool = False,
    ) -> JsonDict:
        """Call: run a failed task again, or skip it."""
        return self._columns(
            "rerun_workflow", task_ex_id=task_ex_id, reset=reset, env=env, skip=skip
        )

    def rollback_workflow(self, execution_id: str) -> JsonDict:
        """Call: compensate what an execution has done."""
        return self._columns("rollback_workflow", execution_id=execution_id)

    def update_env(self, wf_ex_id: str, env: Mapping[str, Any]) -> JsonDict:
        """Call: change the environment of an execution that does not run."""
        return self._columns("update_env", wf_ex_id=wf_ex_id, env=env)

    # actions

    def start_action(
        self,
        action_name: str,
        action_input: Mapping[str, Any],
        *,
        description: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> StartedAction:
        """Call: check, describe and perhaps schedule an action that belongs to no workflow."""
        answer = self._call(
            "start_action",
            action_name=action_name,
            action_input=action_input,
            description=description,
            params=params,
        )
        return StartedAction.from_wire(answer)

    def transform_result(
        self, action_name: str, outcome: Outcome, *, action_namespace: str = ""
    ) -> Outcome:
        """Call: what an ad-hoc action's definition makes of a result that nobody stores."""
        answer = self._call(
            "transform_result",
            action_name=action_name,
            action_namespace=action_namespace,
            result=outcome_to_wire(outcome),
        )
        return outcome_from_wire(answer)

    def on_action_complete(self, action_ex_id: str, outcome: Outcome) -> JsonDict:
        """Call: accept a result and go on; the action's columns."""
        return self._columns(
            "on_action_complete", action_ex_id=action_ex_id, result=outcome_to_wire(outcome)
        )

    def set_action_state(self, action_ex_id: str, state: str) -> JsonDict:
        """Call: PAUSED or RUNNING for one asynchronous action; its columns."""
        return self._columns("set_action_state", action_ex_id=action_ex_id, state=state)

    def actions_delivered(self, deliveries: Iterable[Delivery]) -> None:
        """Cast: results were committed."""
        self._rpc.cast(
            "actions_delivered", None, deliveries=[delivery.to_wire() for delivery in deliveries]
        )

    # executors

    def claim_actions(self, executor_id: str, claims: Iterable[RunKey]) -> list[str]:
        """Call: which of these actions the executor, and nobody else, is to run."""
        granted: list[str] = self._call(
            "claim_actions", executor_id=executor_id, claims=[claim.to_wire() for claim in claims]
        )
        return granted

    def release_actions(self, executor_id: str, claims: Iterable[RunKey]) -> None:
        """Call: these were claimed and not begun, others may run them."""
        self._call(
            "release_actions", executor_id=executor_id, claims=[claim.to_wire() for claim in claims]
        )

    def action_inputs(self, executor_id: str, wanted: Iterable[RunKey]) -> list[ActionInput]:
        """Call: the inputs of actions that were ordered without, of those that are still to run."""
        found = self._call(
            "action_inputs", executor_id=executor_id, wanted=[run.to_wire() for run in wanted]
        )
        return [ActionInput.from_wire(values) for values in found]

    def on_actions_complete(self, executor_id: str, reports: Iterable[Report]) -> None:
        """Call: store a batch of reports; an answer means that they are stored."""
        self._call(
            "on_actions_complete",
            executor_id=executor_id,
            results=[report.to_wire() for report in reports],
        )

    def executor_alive(self, heartbeat: Heartbeat) -> None:
        """Cast: an executor lives."""
        self._rpc.cast("executor_alive", None, **heartbeat.to_wire())

    def _call(self, method: str, **args: Any) -> Any:
        return self._rpc.call(method, self._ctx, timeout=self._timeout, **args)

    def _columns(self, method: str, **args: Any) -> JsonDict:
        columns: JsonDict = self._call(method, **args)
        return columns


class ExecutorClient:
    """Requests to the executors, or to one of them by its name."""

    def __init__(self, rpc: RPCClient) -> None:
        self._rpc = rpc

    def run_actions(self, orders: Sequence[ActionOrder], target: str | None = None) -> None:
        """Cast: run these actions; results come by ``on_actions_complete``."""
        actions = [order.to_wire() for order in orders]
        self._rpc.cast("run_actions", None, target=target, actions=actions)

    def run_large_actions(self, orders: Sequence[ActionOrder], target: str | None = None) -> None:
        """Cast: the same for actions whose inputs the executor has to ask for.

        Executors of version 0.1.0 can't, and must not take them.
        """
        actions = [order.to_wire() for order in orders]
        self._rpc.cast("run_large_actions", None, target=target, actions=actions)

    def run_action(
        self,
        ctx: RequestContext | None,
        order: ActionOrder,
        target: str | None = None,
        timeout: float | None = None,
    ) -> Report:
        """Call: run one action and wait for its report.

        :param timeout: seconds to wait for the executor.
        """
        answer = self._rpc.call(
            "run_action",
            ctx,
            timeout=timeout,
            target=target,
            action_ex_id=order.id,
            action_class_str=order.action_class,
            attributes=order.attributes,
            params=order.input,
            safe_rerun=order.safe_rerun,
            name=order.name,
            execution_context=order.context,
            action_timeout=order.timeout,
        )
        return Report.from_wire(answer)
