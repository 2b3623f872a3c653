"""Asking an engine: every question has a deadline, silence is 503."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from mistral import exceptions as exc
from mistral.api.dependencies import ApiDependencies
from mistral.api.requests import ApiRequest
from mistral.context import RequestContext
from mistral.db.core import server_clock
from mistral.db.core.database import Database
from mistral.rpc.batch_sender import BatchSender
from mistral.rpc.clients import EngineClient
from mistral.rpc.messages import Delivery
from mistral.workflow.results import Outcome

LOG = logging.getLogger(__name__)
T = TypeVar("T")
Question = Callable[[EngineClient], T]
"""What is asked: one verb of the engines that it is given, which know who asks."""

_SETTLE_PATIENCE = 5.0
_AGAIN = 0.2
"""Seconds until an engine that had enough to do is asked once more."""


class EngineGateway:
    """The engine's verbs as the API uses them."""

    def __init__(self, deps: ApiDependencies) -> None:
        self._engines = deps.engine
        self._timeout = deps.options.engine_timeout
        self._admission = deps.admission

    def ask(self, request: ApiRequest, question: Question[T]) -> T:
        """Call the engine on behalf of a request and wait for its answer.

        :raises EngineUnavailableException: no engine answered in time.
        :raises UnavailableException: too many requests of this process wait for engines.
        """
        with self._admission.to_wait(request.route.lane):
            return self._ask(question, request.caller, self._timeout)

    def ask_to_start(self, request: ApiRequest, question: Question[T]) -> T:
        """Start an execution whose id is chosen; an engine that has enough to do is asked again.

        :raises EngineUnavailableException: no engine answered in time.
        :raises UnavailableException: no engine could do it in time.
        """
        give_up_at = time.monotonic() + self._timeout
        with self._admission.to_wait(request.route.lane):
            while True:
                remaining = give_up_at - time.monotonic()
                try:
                    return self._ask(question, request.caller, max(remaining, _AGAIN))
                except exc.EngineUnavailableException:
                    raise
                except exc.UnavailableException:
                    if remaining < 2 * _AGAIN:
                        raise
                time.sleep(_AGAIN * (1 + random.random()))

    def ask_admitted(self, ctx: RequestContext, question: Question[T]) -> T:
        """As :meth:`ask`, for a request that has been admitted already."""
        return self._ask(question, ctx, self._timeout)

    def settle(self, request: ApiRequest, action_ex_id: str, outcome: Outcome) -> None:
        """Let an engine handle a committed result, for an answer with what becomes of it.

        A moment is all that a caller waits: nothing depends on it, the relay finds the result.
        """
        try:
            with self._admission.to_wait(request.route.lane):
                patience = min(_SETTLE_PATIENCE, self._timeout)
                self._settle(request.caller, action_ex_id, outcome, patience)
        except exc.UnavailableException as error:
            LOG.info("The result of %s waits for the relay: %s", action_ex_id, error)

    def settle_admitted(self, ctx: RequestContext, action_ex_id: str, outcome: Outcome) -> None:
        """The same for a request that has been admitted already to wait for its result."""
        self._settle(ctx, action_ex_id, outcome, self._timeout)

    def _settle(
        self, ctx: RequestContext, action_ex_id: str, outcome: Outcome, timeout: float
    ) -> None:
        try:
            self._ask(lambda engine: engine.on_action_complete(action_ex_id, outcome), ctx, timeout)
        except exc.MistralError as error:
            LOG.warning("The result of %s waits for the relay: %s", action_ex_id, error)

    def _ask(self, question: Question[T], ctx: RequestContext, timeout: float) -> T:
        try:
            return question(self._engines.on_behalf_of(ctx, timeout))
        except exc.EngineUnavailableException:
            raise
        except exc.RPCException as error:
            LOG.warning("No engine answered: %s", error)
            raise exc.EngineUnavailableException from error


class Doorbell:
    """Tells engines of delivered results; what nobody hears is found by the relay.

    Rings that come close together travel in one message. The thread starts with the first ring,
    because some HTTP servers fork after they have loaded the application.
    """

    def __init__(self, engines: EngineClient, database: Database) -> None:
        self._engines = engines
        self._database = database
        self._guard = threading.Lock()
        self._sender: BatchSender | None = None

    def ring(self, action_ex_id: str, wf_ex_id: str | None) -> None:
        """A result of this action is committed."""
        self._started().put([Delivery(action_ex_id, wf_ex_id)])

    def _started(self) -> BatchSender:
        with self._guard:
            if self._sender is None:
                self._sender = BatchSender("doorbell", self._send, threads=1, gather=0.003)
                self._sender.start()
            return self._sender

    def _send(self, deliveries: Sequence[Delivery]) -> None:
        try:
            self._engines.actions_delivered(deliveries)
        except exc.RPCException as error:
            LOG.warning("%s deliveries wait for the relay: %s", len(deliveries), error)
        try:
            # this thread has the time to see to it, and only the API's deliveries depend on it
            server_clock.keep_synchronised(self._database)
        except exc.UnavailableException as error:
            LOG.debug("The database did not tell the time: %s", error)
