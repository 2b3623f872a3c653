"""Ends a process whose interpreter stands still, as the last resort.

A call into C that does not return keeps all threads of the process from running: no request is
answered, no sign of life is sent, no signal is heard. Nothing in Python can end that; a thread of
``faulthandler`` does, which needs no interpreter. It writes where every thread stands, then the
process is gone, and whoever supervises it starts it again.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any, Final

_LONGEST_INTERVAL: Final = 1.0


@contextlib.contextmanager
def watching(limit: float) -> Iterator[None]:
    """End the process as soon as no thread could run for so many seconds; 0 = never."""
    if not limit:
        yield
        return
    interval = min(_LONGEST_INTERVAL, limit / 4)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(interval):
            _wind_up(limit)

    _wind_up(limit)
    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        faulthandler.cancel_dump_traceback_later()


def _wind_up(limit: float) -> None:
    faulthandler.dump_traceback_later(limit, exit=True, file=_log())


def _log() -> Any:
    """Where the log goes: a file, which may be another one after it was rotated, or stderr."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler) and handler.stream is not None:
            return handler.stream
    return sys.stderr
