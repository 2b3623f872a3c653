"""Maintenance mode in the background: pauses what runs, and resumes it afterwards.

Beside each engine runs one of these; they take turns. What is still to be done is in rows, so it
does not matter which of them goes on when one dies. An execution is paused and resumed by the
usual commands, which change nothing when they come twice.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime as dt
import functools
import logging
from collections.abc import Callable
from typing import Any

from mistral import exceptions as exc
from mistral.db.storage import (
    PAUSED,
    PAUSING,
    RUNNING,
    DatabaseError,
    Maintenance,
    Storage,
    Transaction,
)
from mistral.engine.base import Engine
from mistral.service.base import MistralService
from mistral.service.repetition import STOP_PATIENCE, Repetition
from mistral.utils.clock import utc_now

LOG = logging.getLogger(__name__)

TURN = 50
"""Executions that are told in one turn."""

_LEASE = dt.timedelta(seconds=30)
_THREADS = 4


@dataclasses.dataclass
class _Pass:
    """One walk over all executions; ``after`` is how far it has come, with roots and with all.

    ``has_failed``: some could not be told for the moment.
    """

    number: int = 0
    has_told: bool = False
    has_failed: bool = False
    after: dict[bool, str] = dataclasses.field(default_factory=lambda: {True: "", False: ""})


class MaintenanceJob(MistralService):
    """Does what the row of the maintenance mode asks for.

    :param interval: seconds between two looks at the row.
    """

    def __init__(self, storage: Storage, engine: Engine, interval: float) -> None:
        self._storage = storage
        self._engine = engine
        self._repetition = Repetition("maintenance", interval, self._take_turns)
        self._pass = _Pass()

    def start(self) -> None:
        """Begin to look."""
        self._repetition.start()

    def stop(self, graceful: bool = False) -> None:
        """End after the present turn."""
        self._repetition.stop(STOP_PATIENCE if graceful else 0.0)

    def _take_turns(self) -> None:
        while self.take_turn() and not self._repetition.is_stopping:
            continue

    def take_turn(self) -> bool:
        """Do a part of what is to be done; whether there may be more of it now."""
        if not self._storage.read(_has_something):
            return False
        now = utc_now()
        claimed = self._storage.write(lambda tx: tx.maintenance.claim(now, now + _LEASE))
        if claimed is None:
            return False
        if self._pass.number != claimed.number:
            self._pass = _Pass(claimed.number)
        try:
            return self._resume(claimed) if claimed.resuming else self._pause(claimed)
        finally:
            self._storage.write(lambda tx: tx.maintenance.release())

    def _pause(self, claimed: Maintenance) -> bool:
        page = self._page(lambda tx: tx.maintenance.to_pause)
        paused = self._tell(page, self._engine.pause_workflow)
        if self._storage.read(_row).status == RUNNING:
            # these came too late to be seen by who resumes
            self._tell(paused, self._engine.resume_workflow)
            return False
        if page:
            return True
        self._pass = _Pass(claimed.number)
        if claimed.status == PAUSING and self._storage.read(_is_quiet):
            self._storage.write(lambda tx: tx.maintenance.paused(utc_now()))
            LOG.info("Maintenance: all executions are paused")
        return False

    def _resume(self, claimed: Maintenance) -> bool:
        page = self._page(
            lambda tx: functools.partial(tx.maintenance.to_resume, number=claimed.number)
        )
        taken = self._tell(page, self._engine.resume_workflow)
        if page:
            self._pass.has_told = self._pass.has_told or bool(taken)
            return True
        ended, self._pass = self._pass, _Pass(claimed.number)
        if ended.has_failed:
            # whoever takes the next turn begins anew: nobody else would ever resume those
            return False
        if ended.has_told:
            # once more from the beginning: some may have failed only for the moment
            return True
        self._storage.write(lambda tx: tx.maintenance.resumed(claimed.number, utc_now()))
        LOG.info("Maintenance: executions are resumed")
        return False

    def _page(self, find: Callable[[Transaction], Callable[..., list[str]]]) -> list[str]:
        """The next ids: roots, which spread a command; then the others, as far as it did not."""

        def work(tx: Transaction) -> list[str]:
            for roots_only, after in self._pass.after.items():
                found = find(tx)(roots_only=roots_only, after=after, limit=TURN)
                if found:
                    self._pass.after[roots_only] = found[-1]
                    return found
            return []

        return self._storage.read(work)

    def _tell(self, ids: list[str], command: Callable[[str], Any]) -> list[str]:
        """Give a command to several executions; the ids of those that took it."""
        if not ids:
            return []
        with concurrent.futures.ThreadPoolExecutor(_THREADS, "maintenance") as pool:
            taken = pool.map(functools.partial(self._tell_one, command), ids)
            return [each for each, is_taken in zip(ids, taken, strict=True) if is_taken]

    def _tell_one(self, command: Callable[[str], Any], execution_id: str) -> bool:
        try:
            return _is_taken(command, execution_id)
        except (exc.UnavailableException, TimeoutError) as error:
            LOG.warning("Maintenance repeats a command [id=%s, cause=%s]", execution_id, error)
            self._pass.has_failed = True
            return False


def _is_taken(command: Callable[[str], Any], execution_id: str) -> bool:
    try:
        command(execution_id)
    except (exc.UnavailableException, TimeoutError):
        raise
    except (exc.MistralError, DatabaseError) as error:
        # it may have ended meanwhile, or is rolled back; the next pass looks at it again
        LOG.info("Maintenance leaves an execution [id=%s, cause=%s]", execution_id, error)
        return False
    return True


def _row(tx: Transaction) -> Maintenance:
    return tx.maintenance.read()


def _is_quiet(tx: Transaction) -> bool:
    return tx.maintenance.is_quiet()


def _has_something(tx: Transaction) -> bool:
    found = _row(tx)
    if found.status == PAUSED:
        # a start may have been on its way
        return bool(tx.maintenance.to_pause(roots_only=False, after="", limit=1))
    return found.has_work
