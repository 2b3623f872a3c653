"""Beside each engine: deletions whose process died are finished, what may be forgotten goes.

What is to be done is in rows, so it does not matter which engine does it.
"""

from __future__ import annotations

import logging

from mistral.db.storage import RECEIPTS_KEPT, Storage, Transaction
from mistral.service.base import MistralService
from mistral.service.repetition import STOP_PATIENCE, Repetition
from mistral.utils.clock import utc_now

LOG = logging.getLogger(__name__)

INTERVAL = 10.0
"""Seconds between two looks."""


class Housekeeping(MistralService):
    """Looks every few seconds."""

    def __init__(self, storage: Storage, interval: float = INTERVAL) -> None:
        self._storage = storage
        self._repetition = Repetition("housekeeping", interval, self.look)

    def start(self) -> None:
        """Begin to look."""
        self._repetition.start()

    def stop(self, graceful: bool = False) -> None:
        """End after the present step."""
        self._repetition.stop(STOP_PATIENCE if graceful else 0.0)

    def look(self) -> None:
        """Do what there is to do."""
        while not self._repetition.is_stopping and self._storage.read(self._is_any_left):
            found = self._storage.write(self._take_over)
            if found is None:
                break
            LOG.info("The deletion of an execution is finished [id=%s]", found)
            self._storage.finish_deletion(found)
        while not self._repetition.is_stopping and self._storage.read(self._is_any_receipt_old):
            self._storage.write(self._forget_receipts)

    def _is_any_left(self, tx: Transaction) -> bool:
        return tx.deletions.is_any_left()

    def _take_over(self, tx: Transaction) -> str | None:
        return tx.deletions.take_over(utc_now())

    def _is_any_receipt_old(self, tx: Transaction) -> bool:
        return tx.receipts.is_any_old(utc_now() - RECEIPTS_KEPT)

    def _forget_receipts(self, tx: Transaction) -> None:
        tx.receipts.forget(utc_now() - RECEIPTS_KEPT)
