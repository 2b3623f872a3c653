"""The engine's end of the message bus: RPC in, use case out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from mistral.context import RequestContext
from mistral.engine.base import Start
from mistral.engine.default_engine import WAIT_SECONDS, DefaultEngine
from mistral.rpc.base import RPCServer, Transport, stop_together
from mistral.rpc.messages import (
    Delivery,
    Heartbeat,
    Pong,
    Report,
    RunKey,
    outcome_from_wire,
    outcome_to_wire,
)
from mistral.service.base import MistralService
from mistral.utils import clock, hosts

LOG = logging.getLogger(__name__)

TOPIC = "mistral_engine"
SERVER_THREADS = 64
ALIVE_THREADS = 2
RESULT_THREADS = 16

JsonDict = dict[str, Any]


def alive_topic(topic: str) -> str:
    """Where executors say that they live, and the API that results were delivered.

    Not among the requests: an executor whose sign of life waits behind a thousand starts would be
    taken for dead, with all that it runs. Handling such a message takes no time.
    """
    return f"{topic}_alive"


def results_topic(topic: str) -> str:
    """Where executors claim actions and report results: what has begun goes before what starts.

    Engines of version 0.1.0 don't know it and take all this from the topic itself.
    """
    return f"{topic}_results"


class EngineServer(MistralService):
    """Receives requests for one engine and manages its life.

    Only methods that take ``rpc_ctx`` can be reached by a message. ``setup_profiler`` is part of
    the public signature; there is no profiler to set up.
    """

    def __init__(
        self,
        engine: DefaultEngine,
        setup_profiler: bool = True,
        *,
        transport: Transport,
        topic: str = TOPIC,
        host: str = "engine",
        threads: int = SERVER_THREADS,
    ) -> None:
        self.engine = engine
        self._transport = transport
        self._topic = topic
        self._host = host
        self._threads = threads
        self._servers: list[RPCServer] = []

    def start(self) -> None:
        """Start the engine, then let messages come.

        Who gets an answer to a ping sends requests next, so pings are the last to be heard.
        """
        self.engine.start()
        for topic, threads in (
            (results_topic(self._topic), RESULT_THREADS),
            (self._topic, self._threads),
            (alive_topic(self._topic), ALIVE_THREADS),
        ):
            server = self._transport.server(topic, self._host, self, threads)
            self._servers.append(server)
            server.start()
        LOG.info("Engine started [host=%s]", hosts.shown(self._host))

    def stop(self, graceful: bool = False) -> None:
        """Receive no more, finish what has arrived, end."""
        stop_together(self._servers, graceful)
        self._servers.clear()
        self.engine.stop()
        LOG.info("Engine stopped [host=%s]", hosts.shown(self._host))

    def ping(self, rpc_ctx: Mapping[str, Any]) -> JsonDict:
        """Tell that an engine answers, and the time."""
        return Pong(self._host, clock.COMMON.seconds()).to_wire()

    # executions

    def start_workflow(
        self,
        rpc_ctx: Mapping[str, Any],
        workflow_identifier: str,
        workflow_input: Mapping[str, Any],
        description: str = "",
        params: Mapping[str, Any] | None = None,
        workflow_namespace: str = "",
        wf_ex_id: str | None = None,
    ) -> JsonDict:
        """Start a workflow."""
        ctx = RequestContext.from_dict(rpc_ctx)
        request = Start(workflow_namespace, wf_ex_id, params or {}, ctx)
        return self.engine.start_workflow(workflow_identifier, workflow_input, description, request)

    def pause_workflow(self, rpc_ctx: Mapping[str, Any], execution_id: str) -> JsonDict:
        """Pause an execution."""
        return self.engine.pause_workflow(execution_id, call_id=_call_id(rpc_ctx))

    def resume_workflow(
        self, rpc_ctx: Mapping[str, Any], wf_ex_id: str, env: Mapping[str, Any] | None = None
    ) -> JsonDict:
        """Resume an execution."""
        return self.engine.resume_workflow(wf_ex_id, env, call_id=_call_id(rpc_ctx))

    def stop_workflow(
        self,
        rpc_ctx: Mapping[str, Any],
        execution_id: str,
        state: str,
        message: str | None = None,
    ) -> JsonDict:
        """Put an execution into a final state."""
        return self.engine.stop_workflow(execution_id, state, message, call_id=_call_id(rpc_ctx))

    def rerun_workflow(
        self,
        rpc_ctx: Mapping[str, Any],
        task_ex_id: str,
        reset: bool = True,
        env: Mapping[str, Any] | None = None,
        skip: bool = False,
    ) -> JsonDict:
        """Run a failed task again, or skip it."""
        return self.engine.rerun_workflow(task_ex_id, reset, env, skip, call_id=_call_id(rpc_ctx))

    def rollback_workflow(self, rpc_ctx: Mapping[str, Any], execution_id: str) -> JsonDict:
        """Compensate what an execution has done."""
        return self.engine.rollback_workflow(execution_id, call_id=_call_id(rpc_ctx))

    def update_env(
        self, rpc_ctx: Mapping[str, Any], wf_ex_id: str, env: Mapping[str, Any]
    ) -> JsonDict:
        """Change the environment of an execution that does not run."""
        return self.engine.update_env(wf_ex_id, env, call_id=_call_id(rpc_ctx))

    # actions

    def start_action(
        self,
        rpc_ctx: Mapping[str, Any],
        action_name: str,
        action_input: Mapping[str, Any],
        description: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> JsonDict:
        """Check, describe and perhaps schedule a single action."""
        ctx = RequestContext.from_dict(rpc_ctx)
        started = self.engine.start_action(
            action_name, action_input, description, ctx, params, call_id=_call_id(rpc_ctx)
        )
        return started.to_wire()

    def transform_result(
        self,
        rpc_ctx: Mapping[str, Any],
        action_name: str,
        action_namespace: str,
        result: Mapping[str, Any],
    ) -> JsonDict:
        """The result of a run that is not saved, as the action's definition transforms it."""
        ctx = RequestContext.from_dict(rpc_ctx)
        outcome = outcome_from_wire(result)
        transformed = self.engine.transform_result(action_name, outcome, action_namespace, ctx)
        return outcome_to_wire(transformed)

    def on_action_complete(
        self,
        rpc_ctx: Mapping[str, Any],
        action_ex_id: str,
        result: Mapping[str, Any] | None,
        wf_action: bool = False,
    ) -> JsonDict:
        """Accept a result: ``{"state": ..., "result": ...}``."""
        outcome = outcome_from_wire(result or {})
        return self.engine.on_action_complete(action_ex_id, outcome, wf_action)

    def actions_delivered(self, rpc_ctx: Mapping[str, Any], deliveries: Sequence[JsonDict]) -> None:
        """Results were committed (a cast)."""
        if rpc_ctx.get("redelivered"):
            # whoever heard it before may have died of it: the relay finds them, and counts
            return
        for delivery in map(Delivery.from_wire, deliveries):
            self.engine.action_delivered(delivery.id, delivery.wf_ex_id)

    def set_action_state(
        self, rpc_ctx: Mapping[str, Any], action_ex_id: str, state: str
    ) -> JsonDict:
        """PAUSED or RUNNING for one asynchronous action."""
        return self.engine.set_action_state(action_ex_id, state, call_id=_call_id(rpc_ctx))

    # executors

    def on_actions_complete(
        self, rpc_ctx: Mapping[str, Any], executor_id: str, results: Sequence[JsonDict]
    ) -> JsonDict:
        """Store a batch of reports; the answer means that they are stored."""
        deadline = rpc_ctx.get("deadline")
        wait = WAIT_SECONDS if deadline is None else deadline - clock.COMMON.seconds()
        reports = [Report.from_wire(report) for report in results]
        return {"stored": self.engine.on_actions_complete(executor_id, reports, wait)}

    def claim_actions(
        self, rpc_ctx: Mapping[str, Any], executor_id: str, claims: Sequence[JsonDict]
    ) -> list[str]:
        """Which of these actions the executor is to run."""
        return self.engine.claim_actions(executor_id, [RunKey.from_wire(c) for c in claims])

    def action_inputs(
        self, rpc_ctx: Mapping[str, Any], executor_id: str, wanted: Sequence[JsonDict]
    ) -> list[JsonDict]:
        """The inputs of actions that were ordered without them, of those that are still to run."""
        runs = [RunKey.from_wire(run) for run in wanted]
        return [found.to_wire() for found in self.engine.action_inputs(executor_id, runs)]

    def release_actions(
        self, rpc_ctx: Mapping[str, Any], executor_id: str, claims: Sequence[JsonDict]
    ) -> None:
        """An executor gives back what it has claimed and not begun."""
        self.engine.release_actions(executor_id, [RunKey.from_wire(c) for c in claims])

    def executor_alive(
        self,
        rpc_ctx: Mapping[str, Any],
        executor_id: str,
        host: str,
        running: Sequence[str],
    ) -> None:
        """A sign of life of an executor (a cast)."""
        self.engine.executor_alive(Heartbeat(executor_id, host, running))


def _call_id(rpc_ctx: Mapping[str, Any]) -> str | None:
    """Names the request; messages of version 0.1.0 have none."""
    return rpc_ctx.get("call_id")
