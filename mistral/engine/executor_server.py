"""The executor's end of the message bus."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from mistral.engine.default_executor import DefaultExecutor
from mistral.rpc.base import RPCServer, Transport
from mistral.rpc.messages import ActionOrder
from mistral.service.base import MistralService
from mistral.utils import clock

LOG = logging.getLogger(__name__)

TOPIC = "mistral_executor"
SERVER_THREADS = 32
"""More than ``ExecutorOptions.direct_runs``: some are always free for orders."""


class ExecutorServer(MistralService):
    """Receives orders for one executor and manages its life.

    Only methods that take ``rpc_ctx`` can be reached by a message. ``setup_profiler`` is part of
    the public signature; there is no profiler to set up.
    """

    def __init__(
        self,
        executor: DefaultExecutor,
        setup_profiler: bool = True,
        *,
        transport: Transport,
        topic: str = TOPIC,
        threads: int = SERVER_THREADS,
    ) -> None:
        self.executor = executor
        self._transport = transport
        self._topic = topic
        self._threads = threads
        self._server: RPCServer | None = None

    def start(self) -> None:
        """Start the executor, then let messages come."""
        self.executor.start()
        self._server = self._transport.server(
            self._topic, self.executor.options.host, self, self._threads
        )
        self._server.start()
        LOG.info("Executor started [id=%s]", self.executor.executor_id)

    def stop(self, graceful: bool = False) -> None:
        """Receive no more, then end the executor; ``graceful`` lets actions end first."""
        if self._server is not None:
            self._server.stop(graceful=graceful)
            self._server = None
        self.executor.stop(graceful=graceful)
        LOG.info("Executor stopped [id=%s]", self.executor.executor_id)

    def run_actions(self, rpc_ctx: Mapping[str, Any], actions: Sequence[Mapping[str, Any]]) -> None:
        """Orders of an engine (a cast): results are reported to the engines later."""
        self.executor.run_actions(map(ActionOrder.from_wire, actions))

    def run_large_actions(
        self, rpc_ctx: Mapping[str, Any], actions: Sequence[Mapping[str, Any]]
    ) -> None:
        """Orders without their inputs (a cast): the executor asks for them."""
        self.executor.run_actions(map(ActionOrder.from_wire, actions))

    def run_action(
        self,
        rpc_ctx: Mapping[str, Any],
        action_ex_id: str | None,
        action_class_str: str,
        attributes: Mapping[str, Any] | None,
        params: Mapping[str, Any],
        safe_rerun: bool = False,
        *,
        redelivered: bool = False,
        name: str = "",
        action_timeout: float | None = None,
        execution_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """An ad-hoc run whose result the caller waits for (a call).

        A broker that delivers the request again, because whoever had it died, marks its context.
        """
        deadline = rpc_ctx.get("deadline")
        report = self.executor.run_action(
            action_ex_id,
            action_class_str,
            attributes,
            params,
            safe_rerun,
            redelivered or bool(rpc_ctx.get("redelivered")),
            name=name,
            timeout=action_timeout,
            context=execution_context,
            patience=None if deadline is None else max(0.0, deadline - clock.COMMON.seconds()),
        )
        return report.to_wire()
