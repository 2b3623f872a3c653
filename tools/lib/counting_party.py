"""A third party that counts every start that it is told of and delivers results until it is heard.

``/unsafe/...`` and ``/safe/...`` are counted apart, by key, before anything else is done.
``/<kind>/run/KEY?seconds=S`` answers after a while, ``/<kind>/flaky/KEY`` refuses the first two
times, ``/<kind>/ask/KEY`` takes the order and delivers the result later (:class:`Callbacks`).
"""

from __future__ import annotations

import collections
import heapq
import http.client
import http.server
import itertools
import random
import threading
import time
import urllib.parse
from typing import Any

import processes

REFUSALS = 2
PAUSE = 0.3
LONGEST_WAIT = 3.0
#: How often a delivered result is delivered again, and how often a different one is tried.
REPEATED, CONTRADICTED = 0.2, 0.1

#: What a client meets while a process dies or a broker is away: it tries again.
CONNECTION_ERRORS = (OSError, http.client.HTTPException)


def is_refused(error: BaseException) -> bool:
    """Whether nobody listened, rather than that somebody broke off."""
    return isinstance(getattr(error, "reason", error), ConnectionRefusedError)


class Callbacks:
    """Delivers results as a careful client does: again and again until the service answers.

    :attr:`acknowledged` maps action ids to the values that were answered 200; :attr:`refused` are
    those of which the service said that they had ended otherwise. What should never be answered is
    in :attr:`surprises`, connections that broke in :attr:`broken`.
    """

    def __init__(self, seed: int, threads: int = 4) -> None:
        self.acknowledged: dict[str, Any] = {}
        self.refused: set[str] = set()
        self.surprises: list[str] = []
        self.broken: list[str] = []
        self.retries = 0
        self._random = random.Random(seed)
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, str, str, Any]] = []
        self._numbers = itertools.count()
        self._active = 0
        self._stopping = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def deliver(self, base_url: str, action_id: str, value: Any) -> None:
        """Deliver a result some time soon, perhaps at once."""
        with self._changed:
            wait = self._random.choice((0.0, self._random.uniform(0, LONGEST_WAIT)))
            self._add(wait, base_url, action_id, value)

    def wait_idle(self, timeout: float) -> bool:
        """Until everything is delivered; false when that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._due and not self._active, timeout)

    def stop(self) -> None:
        """Deliver no more."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(LONGEST_WAIT)

    def _add(self, wait: float, base_url: str, action_id: str, value: Any) -> None:
        entry = (time.monotonic() + wait, next(self._numbers), base_url, action_id, value)
        heapq.heappush(self._due, entry)
        self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._stopping and (not self._due or self._due[0][0] > time.monotonic()):
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._stopping:
                    return
                _, number, base_url, action_id, value = heapq.heappop(self._due)
                self._active += 1
            again = self._send(number, base_url, action_id, value)
            with self._changed:
                self._active -= 1
                if again:
                    self.retries += 1
                    self._add(PAUSE, base_url, action_id, value)
                self._changed.notify_all()

    def _send(self, number: int, base_url: str, action_id: str, value: Any) -> bool:
        """One request; whether it has to be repeated."""
        method = ("PUT", "POST")[number % 2]
        name = ("action_executions", "action-executions")[number // 2 % 2]
        body = {"state": "SUCCESS", "output": value}
        try:
            status, answer = processes.http(
                method, f"{base_url}/v2/{name}/{action_id}", body, timeout=10.0
            )
        except CONNECTION_ERRORS as error:
            if not is_refused(error):
                self.broken.append(f"callback {action_id}: {error!r}")
            return True
        if status == 200:
            self._note(base_url, action_id, value)
        elif status == 409 and action_id in self.acknowledged:
            if self.acknowledged[action_id] == value:
                self.surprises.append(f"{action_id}: a repeated callback was answered 409")
        elif status == 409:
            self.refused.add(action_id)
        elif status == 503:
            return True
        else:
            self.surprises.append(f"callback {action_id}: {status} {answer}")
            return status >= 500
        return False

    def _note(self, base_url: str, action_id: str, value: Any) -> None:
        with self._changed:
            if action_id in self.acknowledged:
                if self.acknowledged[action_id] != value:
                    self.surprises.append(f"{action_id}: a different result was answered 200")
                return
            self.acknowledged[action_id] = value
            chance = self._random.random()
            if chance < REPEATED:
                self._add(PAUSE, base_url, action_id, value)
            elif chance < REPEATED + CONTRADICTED:
                self._add(PAUSE, base_url, action_id, "something else")


class CountingParty(http.server.ThreadingHTTPServer):
    """The web service; :attr:`starts` counts by ``kind`` and key."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.callbacks = Callbacks(seed)
        self.starts: dict[str, collections.Counter[str]] = {
            "safe": collections.Counter(),
            "unsafe": collections.Counter(),
        }
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Serve and deliver no more."""
        self.callbacks.stop()
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def url(self) -> str:
        """Where it can be reached."""
        return f"http://127.0.0.1:{self.server_port}"

    def count(self, kind: str, key: str) -> int:
        """One more start; how many there are now."""
        with self._guard:
            self.starts[kind][key] += 1
            return self.starts[kind][key]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers die; that is what all this is about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: CountingParty

    def do_GET(self) -> None:
        """Take one order."""
        url = urllib.parse.urlsplit(self.path)
        _, kind, verb, key = url.path.split("/")
        seen = self.server.count(kind, key)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seconds = dict(urllib.parse.parse_qsl(url.query)).get("seconds")
        if seconds:
            time.sleep(float(seconds))
        if verb == "ask":
            base, action = (
                self.headers[f"Mistral-{name}"] for name in ("Callback-URL", "Action-Execution-Id")
            )
            self.server.callbacks.deliver(base, action, {"answer": key})
        self.send_response(500 if verb == "flaky" and seen <= REFUSALS else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Be silent."""
