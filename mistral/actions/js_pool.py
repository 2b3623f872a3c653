"""Processes that run scripts: warm ones are kept, one that broke a limit is replaced."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import subprocess
import sys
import threading
import time
from typing import Any

from mistral.actions import js_worker
from mistral.utils.worker_pool import DeadlineWatch
from mistral_lib.actions import ActionException

LOG = logging.getLogger(__name__)

_START_TIMEOUT = 60.0
#: Then a process is replaced: libraries may leave something behind each time.
_SCRIPTS_OF_A_PROCESS = 1000
#: What it needs to find its libraries: passwords may be in the rest.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "VIRTUAL_ENV")
#: What becomes of a script when its process can't tell.
DIED, LATE, NO_PROCESS = b"died", b"late", b"none"

Answer = tuple[bytes, bytes]
"""What became of a script, and its value or the text of its error."""


class ScriptProcess:
    """One process; used by one thread at a time, and ended by any."""

    def __init__(self, watch: DeadlineWatch, max_memory: int) -> None:
        self.scripts = 0
        self._watch = watch
        self._lock = threading.Lock()
        self._asked: object | None = None
        self._is_late = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", js_worker.__name__, str(max_memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        )

    def start(self) -> bool:
        """Wait until it can run scripts; whether it can."""
        return self._ask(None, _START_TIMEOUT, 0)[0] == js_worker.READY

    def run(self, script: str, timeout: float, max_size: int) -> Answer:
        """Run a script."""
        self.scripts += 1
        return self._ask(script.encode("utf-8", "replace"), timeout, max_size)

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()

    def dispose(self) -> int:
        """Let nothing of it be left; its exit code. No other thread may use it any more."""
        self.kill()
        code = self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            # what was not written yet
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        return code

    def _ask(self, script: bytes | None, timeout: float, max_size: int) -> Answer:
        pipes: Any = self._process
        question = self._asked = object()
        killer = self._watch.add(timeout, functools.partial(self._end_late, question))
        try:
            if script is not None:
                js_worker.send(pipes.stdin, js_worker.SCRIPT, script)
            kind, content = js_worker.receive(pipes.stdout, max_size)
        except OSError:
            kind, content = b"", b""
        with self._lock:
            self._asked = None
            is_late = self._is_late
        self._watch.forget(killer)
        return (LATE if is_late else kind or DIED), content

    def _end_late(self, question: object) -> None:
        with self._lock:
            # the answer may have come while this was on its way
            if self._asked is question:
                self._is_late = True
                self.kill()


class ScriptPool:
    """At most ``size`` processes; they are started when there is something to run."""

    def __init__(self, size: int, max_memory: int) -> None:
        self._size = size
        self._max_memory = max_memory
        self._changed = threading.Condition()
        self._watch = DeadlineWatch("script-deadlines")
        self._idle: list[ScriptProcess] = []
        self._busy: set[ScriptProcess] = set()
        self._starting = 0
        self._is_closed = False

    def run(self, script: str, timeout: float, max_size: int) -> Answer:
        """Run a script, as soon as a process is free."""
        process = self._take(timeout)
        if process is None:
            return NO_PROCESS, b""
        answer = (DIED, b"")
        try:
            answer = process.run(script, timeout, max_size)
        finally:
            self._give_back(process, answer[0])
        return answer

    def close(self) -> None:
        """End all processes, and with them the scripts that run."""
        with self._changed:
            self._is_closed = True
            idle, self._idle = self._idle, []
            for process in self._busy:
                # whose thread disposes of it
                process.kill()
            self._changed.notify_all()
        for process in idle:
            process.dispose()
        self._watch.stop()

    def _take(self, timeout: float) -> ScriptProcess | None:
        ends_at = time.monotonic() + timeout
        with self._changed:
            while not self._is_closed and not self._idle and not self._has_room():
                if not self._changed.wait(max(0.0, ends_at - time.monotonic())):
                    return None
            if self._is_closed:
                raise ActionException("JavaScriptAction failed: the executor is stopping")
            if self._idle:
                process = self._idle.pop()
                self._busy.add(process)
                return process
            self._starting += 1
        return self._start()

    def _has_room(self) -> bool:
        return len(self._busy) + len(self._idle) + self._starting < self._size

    def _start(self) -> ScriptProcess:
        process = None
        is_ready = False
        try:
            process = ScriptProcess(self._watch, self._max_memory)
            is_ready = process.start()
        except OSError as error:
            LOG.error("A process for scripts can't be started: %s", error)
        finally:
            with self._changed:
                self._starting -= 1
                is_ready = is_ready and not self._is_closed
                if process is not None and is_ready:
                    self._busy.add(process)
                self._changed.notify()
            if process is not None and not is_ready:
                LOG.error("A process for scripts ended with code %s", process.dispose())
        if process is None or not is_ready:
            raise ActionException("JavaScriptAction failed: a process for scripts can't be started")
        return process

    def _give_back(self, process: ScriptProcess, outcome: bytes) -> None:
        with self._changed:
            self._busy.discard(process)
            is_kept = (
                outcome in (js_worker.VALUE, js_worker.FAILURE)
                and process.scripts < _SCRIPTS_OF_A_PROCESS
                and not self._is_closed
            )
            if is_kept:
                self._idle.append(process)
            self._changed.notify()
        if not is_kept:
            code = process.dispose()
            LOG.info("A process for scripts is gone [outcome=%s, code=%s]", outcome.decode(), code)
