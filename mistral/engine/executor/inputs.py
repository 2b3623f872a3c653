"""Loading of large inputs: an executor asks for them when it is about to run the action."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from mistral import exceptions as exc
from mistral.engine.executor.engine_link import EngineLink
from mistral.engine.executor.options import ExecutorOptions
from mistral.engine.executor.run import Run
from mistral.rpc.messages import ActionOrder

LOG = logging.getLogger(__name__)


class Unreadable(exc.MistralException):
    """Engines answer, but can't give the input."""


class InputLoader:
    """Asks for inputs, a few at a time.

    :param is_kept: whether a run is still to be run; nobody asks for it otherwise.
    """

    def __init__(
        self, engines: EngineLink, options: ExecutorOptions, is_kept: Callable[[Run], bool]
    ) -> None:
        self._engines = engines
        self._options = options
        self._is_kept = is_kept
        self._turns = threading.Semaphore(options.loads)
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Wait for no engine any more."""
        self._stopped.set()

    def order_of(self, run: Run) -> ActionOrder | None:
        """The order with its input; None: it is not to be run.

        :raises Unreadable: engines have refused the input again and again.
        """
        if not run.order.input_size:
            return run.order
        pause, tries = self._options.first_pause, 0
        while self._is_kept(run):
            try:
                with self._turns:
                    return self._engines.input_of(run.order)
            except exc.MistralError as error:
                tries += not isinstance(error, exc.UnavailableException)
                if tries >= self._options.load_tries:
                    raise Unreadable(f"Its input can't be read: {error}") from error
                LOG.warning("An input is asked for again: %s", error)
            self._stopped.wait(pause)
            pause = min(self._options.longest_pause, 2 * pause)
        return None
