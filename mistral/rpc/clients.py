"""What the executors can be asked from other processes.

One method per message; the names of the arguments are those of the endpoint
(``mistral.engine.executor_server``). A *cast* is a doorbell: the sender has committed a row before,
and an RPCException from it loses no work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mistral.context import RequestContext
from mistral.rpc.base import RPCClient

JsonDict = dict[str, Any]


class ExecutorClient:
    """Requests to the executors, or to one of them by its name."""

    def __init__(self, rpc: RPCClient) -> None:
        self._rpc = rpc

    def run_actions(self, actions: Sequence[Mapping[str, Any]], target: str | None = None) -> None:
        """Cast: run these actions; results come by ``on_actions_complete``."""
        self._rpc.cast("run_actions", None, target=target, actions=actions)

    def run_large_actions(
        self, actions: Sequence[Mapping[str, Any]], target: str | None = None
    ) -> None:
        """Cast: the same for actions whose inputs the executor has to ask for.

        Executors of version 0.1.0 can't, and must not take them.
        """
        self._rpc.cast("run_large_actions", None, target=target, actions=actions)

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
        action_timeout: float | None = None,
        target: str | None = None,
        timeout: float | None = None,
    ) -> JsonDict:
        """Run one action and wait for its report; RPCException when it takes too long.

        :param action_timeout: seconds after which the executor gives the action up.
        :param timeout: seconds to wait for the executor.
        """
        report: JsonDict = self._rpc.call(
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
            action_timeout=action_timeout,
        )
        return report
