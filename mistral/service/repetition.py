"""A thread that does the same work every few seconds, whatever became of it the last time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from mistral import exceptions as exc

LOG = logging.getLogger(__name__)

STOP_PATIENCE = 10.0


class Repetition:
    """Repeats ``work`` until it is stopped.

    :param name: of the thread and of the work, in logs.
    :param interval: seconds between two turns.
    """

    def __init__(self, name: str, interval: float, work: Callable[[], object]) -> None:
        self._name = name
        self._interval = interval
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_stopping(self) -> bool:
        """Whether work that is long should end at the next occasion."""
        return self._stop.is_set()

    def start(self) -> None:
        """Begin, with a pause."""
        self._thread.start()

    def stop(self, patience: float = STOP_PATIENCE) -> None:
        """Take no further turn; wait at most ``patience`` seconds for the present one."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(patience)

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self._work()
            except exc.UnavailableException as error:
                LOG.warning("%s waits: %s", self._name, error)
            # the edge of a thread: without it the work would never be done again
            except Exception:
                LOG.exception("%s failed, its next turn is in %s s", self._name, self._interval)
