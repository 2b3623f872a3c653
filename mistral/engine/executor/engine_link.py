"""What an executor tells and asks engines about its runs, with growing patience."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from mistral import exceptions as exc
from mistral.engine.executor.options import ExecutorOptions
from mistral.engine.executor.run import Run
from mistral.rpc.batch_sender import CallTimeout
from mistral.rpc.clients import EngineClient
from mistral.rpc.messages import ActionOrder, Heartbeat

LOG = logging.getLogger(__name__)
T = TypeVar("T")


class EngineLink:
    """The engines as one executor sees them; UnavailableException when none answers in time."""

    def __init__(self, executor_id: str, engines: EngineClient, options: ExecutorOptions) -> None:
        self._executor_id = executor_id
        self._engines = engines
        self._flush_period = options.flush_period
        self._call_timeout = CallTimeout(options.call_timeout, options.longest_call_timeout)

    def claim(self, runs: Sequence[Run]) -> list[str]:
        """The ids of those that the executor, and nobody else, is to run."""
        claims = [run.key for run in runs]
        return self._ask(lambda engines: engines.claim_actions(self._executor_id, claims))

    def report(self, runs: Sequence[Run]) -> None:
        """Hand over how runs ended; an answer means that it is stored."""
        reports = [run.to_send() for run in runs]
        self._ask(lambda engines: engines.on_actions_complete(self._executor_id, reports))

    def input_of(self, order: ActionOrder) -> ActionOrder | None:
        """An order with its input; None if it is not to be run any more."""
        found = self._ask(lambda engines: engines.action_inputs(self._executor_id, [order.key]))
        return order.with_input(found[0].input) if found else None

    def release(self, runs: Sequence[Run]) -> None:
        """Give back what was claimed and not begun, if an engine listens."""
        if not runs:
            return
        claims = [run.key for run in runs]
        try:
            self._engines.within(self._flush_period).release_actions(self._executor_id, claims)
        except exc.MistralError as error:
            LOG.warning("Actions could not be given back: %s", error)

    def _ask(self, question: Callable[[EngineClient], T]) -> T:
        try:
            answer = question(self._engines.within(self._call_timeout.seconds))
        except exc.UnavailableException:
            self._call_timeout.stretch()
            raise
        self._call_timeout.reward()
        return answer


class Heart:
    """Tells engines again and again that an executor lives, from a thread of its own."""

    def __init__(
        self, engines: EngineClient, interval: float, heartbeat: Callable[[], Heartbeat]
    ) -> None:
        self._engines = engines
        self._interval = interval
        self._heartbeat = heartbeat
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="executor-heart", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more."""
        self._stopped.set()

    def join(self) -> None:
        """Wait a moment for the end of the thread."""
        self._thread.join(1.0)

    def _beat(self) -> None:
        while True:
            try:
                self._engines.executor_alive(self._heartbeat())
            # without its heartbeat an executor's claims are taken away, so nothing may end it
            except Exception as error:  # noqa: BLE001
                LOG.warning("A heartbeat could not be sent [cause=%s]", type(error).__name__)
            if self._stopped.wait(self._interval):
                return
