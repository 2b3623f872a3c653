"""Beside each engine: deletions whose process died are finished, what may be forgotten goes.

What is to be done is in rows, so it does not matter which engine does it.
"""

from __future__ import annotations

import logging
import threading

import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.db import deletion, receipts
from mistral.db.transaction import Database
from mistral.service.base import MistralService
from mistral.utils.clock import utc_now

LOG = logging.getLogger(__name__)

INTERVAL = 10.0
"""Seconds between two looks."""


class Housekeeping(MistralService):
    """Looks every few seconds."""

    def __init__(self, database: Database, interval: float = INTERVAL) -> None:
        self._db = database
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self, graceful: bool = False) -> None:
        """End after the present step."""
        self._stop.set()
        if graceful and self._thread.ident is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self.look()
            except exc.UnavailableException as error:
                LOG.warning("Housekeeping waits: %s", error)
            # the edge of a thread: without it nothing would ever be tidied up
            except Exception:
                LOG.exception("Housekeeping failed, it goes on in %s s", self._interval)

    def look(self) -> None:
        """Do what there is to do."""
        while not self._stop.is_set() and self._db.read(deletion.is_any_left):
            found = self._db.write(self._take_over)
            if found is None:
                break
            LOG.info("The deletion of an execution is finished [id=%s]", found)
            deletion.finish(self._db, found)
        while not self._stop.is_set() and self._db.read(self._is_any_receipt_old):
            self._db.write(self._forget_receipts)

    def _take_over(self, conn: sa.Connection) -> str | None:
        return deletion.take_over(conn, utc_now())

    def _is_any_receipt_old(self, conn: sa.Connection) -> bool:
        return receipts.is_any_old(conn, utc_now() - receipts.KEPT)

    def _forget_receipts(self, conn: sa.Connection) -> None:
        receipts.forget(conn, utc_now() - receipts.KEPT)
