"""Executions of which a process has died: each of their events is counted before it is handled.

The usual path counts nothing. When a process is found dead, what it was handling is counted, and
its executions are suspects from then on, for all engines. Whatever an event brings anew each time
(a fresh result of an action that ran again, a start that is asked for again), its count rises.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.db.core.database import Database
from mistral.db.execution import delivery_attempts
from mistral.engine.inbox.attempts import MAX_TRIES
from mistral.engine.inbox.in_flight import InFlight
from mistral.service.repetition import Repetition

LOG = logging.getLogger(__name__)


class Suspects:
    """What one engine knows of them; safe between its threads."""

    def __init__(self, database: Database, in_flight: InFlight, interval: float) -> None:
        self._db = database
        self._in_flight = in_flight
        self._ids: frozenset[str] = frozenset()
        self._repetition = Repetition("deaths", interval, self.look)

    def __contains__(self, execution_id: str) -> bool:
        return execution_id in self._ids

    def start(self) -> None:
        """Find out what the last life of this process died of; look for others now and then."""
        self._in_flight.open()
        self.look()
        self._db.read(self.read)
        self._repetition.start()

    def stop(self) -> None:
        """Look no more."""
        self._repetition.stop()
        self._in_flight.close()

    def read(self, conn: sa.Connection) -> None:
        """Learn what other engines have found."""
        self._ids = delivery_attempts.suspects(conn)

    def look(self) -> None:
        """Count what dead processes of this host were handling."""
        with self._in_flight.left_behind() as notes:
            for note in notes:
                LOG.warning(
                    "A process died while it handled this [execution_id=%s, events=%s]",
                    note.execution_id,
                    ", ".join(f"{kind} {row_id}" for kind, row_id in note.keys),
                )
                self._note(note.execution_id, note.keys)

    def _note(self, execution_id: str, keys: Sequence[delivery_attempts.Key]) -> None:
        self._db.write(lambda conn: delivery_attempts.note_death(conn, execution_id, keys))
        self._ids |= {execution_id}

    @contextlib.contextmanager
    def trying(self, execution_id: str, key: delivery_attempts.Key) -> Iterator[None]:
        """While a request is carried out: should this process die of it, that is known.

        :raises WorkflowException: so many have that it is not tried again.
        """
        is_suspect = execution_id in self
        if is_suspect:
            self._check(execution_id, key)
        try:
            with self._in_flight.handling(execution_id, [key]):
                yield
        finally:
            if is_suspect:
                # refused or carried out, this process lives
                self._db.write(lambda conn: _forget(conn, execution_id, key))

    def settle(self, conn: sa.Connection, execution_id: str) -> None:
        """Something of an execution is handled by this transaction."""
        if execution_id in self:
            delivery_attempts.acquit(conn, execution_id)

    def _check(self, execution_id: str, key: delivery_attempts.Key) -> None:
        found = self._db.read(lambda conn: delivery_attempts.begun(conn, execution_id, [key]))
        if found.get(key, 0) >= MAX_TRIES:
            raise exc.WorkflowException(
                f"{MAX_TRIES} processes have died of this request, it is not tried again "
                f"[kind={key[0]}, id={key[1]}]"
            )


def _forget(conn: sa.Connection, execution_id: str, key: delivery_attempts.Key) -> None:
    delivery_attempts.forget(conn, execution_id, [key])
    delivery_attempts.acquit(conn, execution_id)
