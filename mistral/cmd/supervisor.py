"""The parent of a service that nobody else would start again: small, and nothing but that.

Run as ``python -m mistral.cmd.supervisor`` with the arguments of ``mistral-server``, by
:mod:`mistral.cmd.server`. It imports nothing of the service. A service that has died is started
again; one that has ended (it was told to, or it can't run with its configuration) says so before,
and is not. Signals are passed on, and the service dies with its parent.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

from mistral.service import supervision

SERVICE: Final = (sys.executable, "-P", "-m", "mistral.cmd.launch")
PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before the service is started again; doubled each time it does not live long."""

LONG_LIFE = 60.0
"""Who has lived for so many seconds starts again after the shortest pause."""

_PR_SET_PDEATHSIG = 1


class Supervisor:
    """Keeps one command running. Must be used on the main thread."""

    def __init__(self, command: Sequence[str], pause: float = SHORTEST_PAUSE) -> None:
        self._command = list(command)
        self._shortest = self._pause = pause
        self._child: subprocess.Popen[bytes] | None = None
        self._is_stopping = False

    def run(self) -> int:
        """Until the command ends in order; its exit status."""
        for number in PASSED_ON:
            signal.signal(number, self._pass_on)
        while True:
            began = time.monotonic()
            status, has_ended = self._live()
            if has_ended or not status or self._is_stopping:
                return status if status >= 0 else 1
            if time.monotonic() - began > LONG_LIFE:
                self._pause = self._shortest
            _tell(f"the service died ({_cause(status)}), it is started again")
            if not self._sleep(self._pause):
                return 1
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _live(self) -> tuple[int, bool]:
        """One life of the service: its status, and whether it has said that it ends."""
        last_words, own_end = os.pipe()
        environment = {**os.environ, supervision.VARIABLE: str(own_end)}
        try:
            self._child = subprocess.Popen(
                self._command, env=environment, pass_fds=[own_end], preexec_fn=_dying_with_parent()
            )
        finally:
            os.close(own_end)
        if self._is_stopping:
            # told between two lives
            self._child.send_signal(signal.SIGTERM)
        status = self._child.wait()
        self._child = None
        # a child of the service may have inherited the other end: nobody waits for that
        os.set_blocking(last_words, False)
        try:
            said = os.read(last_words, len(supervision.ENDED))
        except BlockingIOError:
            said = b""
        os.close(last_words)
        return status, said == supervision.ENDED

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._is_stopping = self._is_stopping or number != signal.SIGHUP
        child = self._child
        if child is not None and child.returncode is None:
            child.send_signal(number)

    def _sleep(self, seconds: float) -> bool:
        """Wait; False when somebody wants the end meanwhile."""
        until = time.monotonic() + seconds
        while not self._is_stopping and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
        return not self._is_stopping


def _dying_with_parent() -> Callable[[], None] | None:
    """What a child does first so that it never outlives its parent, even killed; on Linux."""
    if not sys.platform.startswith("linux"):
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return prepare


def _cause(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    return signal.Signals(-status).name


def _tell(text: str) -> None:
    print(f"mistral-server: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Run the service with the arguments of this process."""
    return Supervisor([*SERVICE, *sys.argv[1:]]).run()


if __name__ == "__main__":
    sys.exit(main())
