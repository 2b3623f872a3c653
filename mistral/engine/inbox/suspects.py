"""Executions of which a process has died: each of their events is counted before it is handled.

The usual path counts nothing. When a process is found dead, what it was handling is counted, and
its executions are suspects from then on, for all engines. Whatever an event brings anew each time
(a fresh result of an action that ran again, a start that is asked for again), its count rises.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence

from mistral import exceptions as exc
from mistral.db.storage import Key, Storage, Transaction
from mistral.engine.inbox.attempts import MAX_TRIES
from mistral.engine.inbox.in_flight import InFlight
from mistral.service.repetition import Repetition

LOG = logging.getLogger(__name__)


class Suspects:
    """What one engine knows of them; safe between its threads."""

    def __init__(self, storage: Storage, in_flight: InFlight, interval: float) -> None:
        self._storage = storage
        self._in_flight = in_flight
        self._ids: frozenset[str] = frozenset()
        self._repetition = Repetition("deaths", interval, self.look)

    def __contains__(self, execution_id: str) -> bool:
        return execution_id in self._ids

    def start(self) -> None:
        """Find out what the last life of this process died of; look for others now and then."""
        self._in_flight.open()
        self.look()
        self._storage.read(self.read)
        self._repetition.start()

    def stop(self) -> None:
        """Look no more."""
        self._repetition.stop()
        self._in_flight.close()

    def read(self, tx: Transaction) -> None:
        """Learn what other engines have found."""
        self._ids = tx.attempts.suspects()

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

    def _note(self, execution_id: str, keys: Sequence[Key]) -> None:
        self._storage.write(lambda tx: tx.attempts.note_death(execution_id, keys))
        self._ids |= {execution_id}

    @contextlib.contextmanager
    def trying(self, execution_id: str, key: Key) -> Iterator[None]:
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
                self._storage.write(lambda tx: _forget(tx, execution_id, key))

    def settle(self, tx: Transaction, execution_id: str) -> None:
        """Something of an execution is handled by this transaction."""
        if execution_id in self:
            tx.attempts.acquit(execution_id)

    def _check(self, execution_id: str, key: Key) -> None:
        found = self._storage.read(lambda tx: tx.attempts.begun(execution_id, [key]))
        if found.get(key, 0) >= MAX_TRIES:
            raise exc.WorkflowException(
                f"{MAX_TRIES} processes have died of this request, it is not tried again "
                f"[kind={key[0]}, id={key[1]}]"
            )


def _forget(tx: Transaction, execution_id: str, key: Key) -> None:
    tx.attempts.forget(execution_id, [key])
    tx.attempts.acquit(execution_id)
