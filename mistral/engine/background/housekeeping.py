"""Beside each engine: deletions whose process died are finished, what may be forgotten goes.

What is to be done is in rows, so it does not matter which engine does it.
"""

from __future__ import annotations

import logging

import sqlalchemy as sa

from mistral.db.core.database import Database
from mistral.db.execution import deletion, idempotency_keys
from mistral.service.base import MistralService
from mistral.service.repetition import STOP_PATIENCE, Repetition
from mistral.utils.clock import utc_now

LOG = logging.getLogger(__name__)

INTERVAL = 10.0
"""Seconds between two looks."""


class Housekeeping(MistralService):
    """Looks every few seconds."""

    def __init__(self, database: Database, interval: float = INTERVAL) -> None:
        self._db = database
        self._repetition = Repetition("housekeeping", interval, self.look)

    def start(self) -> None:
        """Begin to look."""
        self._repetition.start()

    def stop(self, graceful: bool = False) -> None:
        """End after the present step."""
        self._repetition.stop(STOP_PATIENCE if graceful else 0.0)

    def look(self) -> None:
        """Do what there is to do."""
        while not self._repetition.is_stopping and self._db.read(deletion.is_any_left):
            found = self._db.write(self._take_over)
            if found is None:
                break
            LOG.info("The deletion of an execution is finished [id=%s]", found)
            deletion.finish(self._db, found)
        while not self._repetition.is_stopping and self._db.read(self._is_any_receipt_old):
            self._db.write(self._forget_receipts)

    def _take_over(self, conn: sa.Connection) -> str | None:
        return deletion.take_over(conn, utc_now())

    def _is_any_receipt_old(self, conn: sa.Connection) -> bool:
        return idempotency_keys.is_any_old(conn, utc_now() - idempotency_keys.KEPT)

    def _forget_receipts(self, conn: sa.Connection) -> None:
        idempotency_keys.forget(conn, utc_now() - idempotency_keys.KEPT)
