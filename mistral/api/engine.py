"""Asking an engine: every question has a deadline, silence is 503 (design.md §4)."""

from __future__ import annotations

import logging
from typing import Any

from mistral import exceptions as exc
from mistral.context import RequestContext
from mistral.rpc.base import RPCClient

LOG = logging.getLogger(__name__)


class EngineGateway:
    """The engine's verbs as the API uses them."""

    def __init__(self, client: RPCClient, timeout: float) -> None:
        self._client = client
        self._timeout = timeout

    def ask(self, method: str, ctx: RequestContext, **args: Any) -> Any:
        """Call the engine and wait for its answer.

        :raises EngineUnavailableException: no engine answered in time.
        """
        return self._ask(method, ctx, self._timeout, args)

    def ping(self, ctx: RequestContext, timeout: float) -> Any:
        """Whether some engine answers."""
        return self._ask("ping", ctx, timeout, {})

    def _ask(self, method: str, ctx: RequestContext, timeout: float, args: dict[str, Any]) -> Any:
        try:
            return self._client.call(method, ctx, timeout=timeout, **args)
        except exc.EngineUnavailableException:
            raise
        except exc.RPCException as error:
            LOG.warning("No engine answered %s: %s", method, error)
            raise exc.EngineUnavailableException from error

    def ring(self, ctx: RequestContext, action_ex_id: str, wf_ex_id: str | None) -> None:
        """Tell that a result was delivered; when nobody hears it, the relay finds the row."""
        try:
            self._client.cast("action_delivered", ctx, action_ex_id=action_ex_id, wf_ex_id=wf_ex_id)
        except exc.RPCException as error:
            LOG.warning("Delivery of %s waits for the relay: %s", action_ex_id, error)
