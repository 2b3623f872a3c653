"""The time of a process without a database: that of the engines."""

from __future__ import annotations

import logging
import threading

from mistral.exceptions import MistralError
from mistral.rpc.clients import EngineClient
from mistral.service.base import MistralService
from mistral.utils import clock

LOG = logging.getLogger(__name__)

INTERVAL = 30.0
SOON = 2.0
_PATIENCE = 5.0


class EngineClock(MistralService):
    """Asks engines for the time; engines of version 0.1.0 don't tell it."""

    def __init__(self, engines: EngineClient, known: clock.Clock = clock.COMMON) -> None:
        self._engines = engines.within(_PATIENCE)
        self._known = known
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-clock", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, graceful: bool = False) -> None:
        self._stopped.set()

    def ask(self) -> bool:
        """Ask once; whether an engine answered."""
        asked_at = clock.steady()
        try:
            answer = self._engines.ping()
        except MistralError as error:
            LOG.debug("No engine told the time: %s", error)
            return False
        if answer.now is not None:
            self._known.measured(answer.now, asked_at, by_database=False)
        return True

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._stopped.wait(INTERVAL if self.ask() else SOON)
