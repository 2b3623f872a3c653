"""How often an event was tried: what can't be handled is given up, what only has to wait is not.

A look of the relay is no try. What it had to look for more than once is noted before its handling
and forgotten by the transaction that handled it, so that a handling that takes its process along
counts as well as one that fails.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from mistral import exceptions as exc
from mistral.db.storage import Key, Storage, Transaction
from mistral.engine.mail.base import Message

LOG = logging.getLogger(__name__)

T = TypeVar("T")

MAX_TRIES = 5
"""After so many failed tries an event ends its task, else its execution, in ERROR."""

WATCHED_FROM = 2
"""The first look finds what lost its doorbell: under overload most of what there is to do."""


def is_repeated(mail: Message) -> bool:
    """Whether somebody may have tried it before."""
    return mail.looks >= WATCHED_FROM


def suspected(mail: Message) -> Message:
    """Mail as if somebody had tried it before."""
    return dataclasses.replace(mail, looks=max(mail.looks, WATCHED_FROM))


def is_watched(mail: Message) -> bool:
    """Whether its tries are counted: there is a row, and nobody else who would repeat it."""
    return mail.done is None and is_repeated(mail)


class DeliveryAttempts:
    """Counts the tries of events; safe to share between threads."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def begin(self, execution_id: str, mails: Sequence[Message]) -> list[Message]:
        """Note that mail is about to be handled; not that which was begun before: it is returned.

        Only one at a time of those may be tried again, lest the others count as failed with it.
        """
        keys = [mail.key for mail in mails]

        def work(tx: Transaction) -> dict[Key, int]:
            known = tx.attempts.begun(execution_id, keys)
            tx.attempts.begin(execution_id, [key for key in keys if not known.get(key)])
            return known

        known = self._locked(execution_id, work) or {}
        return [mail for mail in mails if known.get(mail.key)]

    def begin_again(self, execution_id: str, mail: Message) -> int:
        """Note that one is about to be handled; the number of this try."""

        def work(tx: Transaction) -> int:
            tx.attempts.begin(execution_id, [mail.key])
            return tx.attempts.begun(execution_id, [mail.key])[mail.key]

        return self._locked(execution_id, work) or 0

    def failed(self, execution_id: str, mail: Message) -> int:
        """A try has failed; how many there were. Those of a first doorbell don't count."""
        if not mail.looks or mail.done is not None:
            return 0
        if not is_watched(mail):
            return self.begin_again(execution_id, mail)
        found = self._storage.read(lambda tx: tx.attempts.begun(execution_id, [mail.key]))
        return found.get(mail.key, 0)

    def take_back(self, execution_id: str, mails: Sequence[Message]) -> None:
        """It was not their fault: the database was away."""
        keys = [mail.key for mail in mails if is_watched(mail)]
        if not keys:
            return
        try:
            self._locked(execution_id, lambda tx: tx.attempts.take_back(execution_id, keys))
        except exc.UnavailableException as error:
            LOG.info("These count as tries: %s", error)

    def handled(self, tx: Transaction, execution_id: str, mails: Sequence[Message]) -> None:
        """It is handled by this transaction."""
        keys = [mail.key for mail in mails if is_watched(mail)]
        if keys:
            tx.attempts.forget(execution_id, keys)

    def _locked(self, execution_id: str, work: Callable[[Transaction], T]) -> T | None:
        """While nobody else handles the execution; nothing where it is gone."""

        def locked(tx: Transaction) -> T | None:
            store = tx.store
            if store.lock_execution(execution_id) is None and not store.lock_actions(
                [execution_id]
            ):
                return None
            return work(tx)

        return self._storage.write(locked)
