"""Beside each engine: an operator is told when there is nobody to run actions."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable

from mistral.db.storage import Living, Storage, Transaction
from mistral.service.base import MistralService
from mistral.service.repetition import STOP_PATIENCE, Repetition
from mistral.utils import clock

LOG = logging.getLogger(__name__)

INTERVAL = 10.0
"""Seconds between two looks."""

SILENCE = dt.timedelta(seconds=10)
SAID_AGAIN = 60.0
"""Seconds after which it is said once more."""


class ExecutorWatch(MistralService):
    """Looks every few seconds whether any executor is alive."""

    def __init__(
        self,
        storage: Storage,
        interval: float = INTERVAL,
        steady: Callable[[], float] = clock.steady,
    ) -> None:
        self._storage = storage
        self._steady = steady
        self._said_at: float | None = None
        self._repetition = Repetition("executor-watch", interval, self.look)

    def start(self) -> None:
        """Begin to look."""
        self._repetition.start()

    def stop(self, graceful: bool = False) -> None:
        """End after the present step."""
        self._repetition.stop(STOP_PATIENCE if graceful else 0.0)

    def look(self) -> None:
        """Look once, and say what changed or is still bad after a while."""
        living = self._storage.read(self._living)
        now = self._steady()
        if living.hosts:
            if self._said_at is not None:
                LOG.info("An executor is alive again")
            self._said_at = None
        elif living.is_sure and (self._said_at is None or now - self._said_at >= SAID_AGAIN):
            LOG.warning(
                "No executor has shown a sign of life for %g seconds: actions wait. Start "
                "mistral-server --server executor, or see whether it reaches the broker.",
                SILENCE.total_seconds(),
            )
            self._said_at = now

    def _living(self, tx: Transaction) -> Living:
        return tx.heartbeats.living(clock.utc_now() - SILENCE)
