"""Processes of this machine: start, watch and end them, and talk to them over HTTP.

Standard library only: ``tools/demo`` runs this with nothing installed but the service itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

POLL = 0.05
READY_TIMEOUT = 120.0
STOP_GRACE = 30.0
LOG_TAIL = 30

# Proxies of the environment are never wanted: every address is on this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ClusterError(Exception):
    """A process did not do what it should; the text ends with its log's last lines."""


def free_port(preferred: int | None = None) -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, ``preferred`` if possible."""
    for port in (preferred, 0):
        if port is None:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise ClusterError("No free TCP port on 127.0.0.1")


def wait_until(
    condition: Callable[[], Any], what: str, timeout: float = READY_TIMEOUT, poll: float = POLL
) -> Any:
    """The first true answer of ``condition``, or a ClusterError that says ``what`` was missed."""
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise ClusterError(f"Not within {timeout:g} s: {what}")
        time.sleep(poll)


def http(
    method: str, url: str, body: object | None = None, *, timeout: float = 30.0
) -> tuple[int, Any]:
    """One request: status and parsed body. Text is sent as text, anything else as JSON."""
    data = kind = None
    if isinstance(body, str):
        data, kind = body.encode(), "text/plain"
    elif body is not None:
        data, kind = json.dumps(body).encode(), "application/json"
    request = urllib.request.Request(url, data=data, method=method)
    if kind:
        request.add_header("Content-Type", kind)
    try:
        with _opener.open(request, timeout=timeout) as response:
            status, raw = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, raw = error.code, error.read()
    try:
        return status, json.loads(raw) if raw else None
    except ValueError:
        return status, raw.decode(errors="replace")


def answers(method: str, url: str, body: object | None = None, *, status: int = 200) -> bool:
    """Whether the request is answered with ``status`` now."""
    try:
        return http(method, url, body, timeout=5.0)[0] == status
    except OSError:
        return False


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would configure Mistral, its client or Python."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OS_", "MISTRAL_")) and name not in ("PYTHONPATH", "PYTHONHOME")
    }
    return kept | {"PYTHONUNBUFFERED": "1"} | dict(extra or {})


def command_path(name: str) -> str:
    """The installed console script that belongs to this Python."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise ClusterError(f"{path} is missing: install the project into this environment first")
    return str(path)


@dataclasses.dataclass
class ManagedProcess:
    """One child process, in a session of its own so that a Ctrl-C reaches only us."""

    name: str
    command: list[str]
    log: Path
    pid_file: Path
    environment: dict[str, str]
    popen: subprocess.Popen[bytes] | None = None
    said_before: int = 0
    """Bytes of the log from before the last start."""

    def start(self) -> None:
        """Start it; the log is appended to."""
        with self.log.open("ab") as log:
            self.said_before = log.tell()
            self.popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=self.log.parent,
                start_new_session=True,
            )
        self.pid_file.write_text(f"{self.popen.pid}\n")

    @property
    def pid(self) -> int:
        """The process id; an error before the start."""
        if self.popen is None:
            raise ClusterError(f"{self.name} was not started")
        return self.popen.pid

    def alive(self) -> bool:
        """Whether it runs now."""
        return self.popen is not None and self.popen.poll() is None

    def require_alive(self) -> None:
        """A ClusterError with the log's end unless it runs."""
        if not self.alive():
            status = self.popen.returncode if self.popen else None
            raise ClusterError(f"{self.name} ended with status {status}\n{self.log_tail()}")

    def says(self, sentence: bytes) -> bool:
        """Whether its log has this sentence since the last start."""
        with self.log.open("rb") as log:
            log.seek(self.said_before)
            return sentence in log.read()

    def log_tail(self) -> str:
        """The last lines of the log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"--- end of {self.log}:", *lines[-LOG_TAIL:]])

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        if self.alive():
            os.kill(self.pid, number)

    @property
    def service_pid(self) -> int:
        """The process that does the work: the supervisor's child where there is one; Linux only."""
        if b"mistral.cmd.supervisor" not in Path(f"/proc/{self.pid}/cmdline").read_bytes():
            return self.pid
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(children[0]) if children else self.pid

    def resident_mb(self) -> float:
        """The resident memory of the service; Linux only."""
        lines = Path(f"/proc/{self.service_pid}/status").read_text().splitlines()
        line = next(line for line in lines if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def suspend(self) -> None:
        """SIGSTOP for the process and all its children."""
        if self.alive():
            os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT, after :meth:`suspend`; no harm otherwise."""
        if self.alive():
            os.killpg(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """kill -9 of the process and of all its children."""
        if self.popen is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        self.pid_file.unlink(missing_ok=True)

    def stop(self, grace: float = STOP_GRACE) -> bool:
        """SIGTERM, then wait; after ``grace`` seconds kill. True for an end without force."""
        self.send(signal.SIGTERM)
        return self.wait_end(grace)

    def wait_end(self, grace: float = STOP_GRACE) -> bool:
        """Wait for the end of a process that was told to stop; after ``grace`` seconds kill.

        A second signal would end it at once, and not in order. True for an end without force.
        """
        if self.popen is None:
            return True
        try:
            self.popen.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self.kill()  # what it may have left behind
        return True


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into KeyboardInterrupt, so that ``finally`` ends the children."""

    def interrupt(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
