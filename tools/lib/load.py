"""Clients that start workflows without a pause, and remember what the service has promised them.

A client sends the id of the execution along and repeats the request until it is answered: 503 and
a broken connection mean "again", anything else but 201 is a surprise. What was answered is in the
:class:`Ledger`, against which :mod:`audit` holds the service afterwards.
"""

from __future__ import annotations

import dataclasses
import random
import threading
import time
import uuid
from collections.abc import Sequence
from typing import Any

import load_flows
import processes
from counting_party import CONNECTION_ERRORS, CountingParty, is_refused

PAUSE = 0.2
LOOK = 0.3
REQUEST_TIMEOUT = 20.0


@dataclasses.dataclass
class Start:
    """One start; times are those of the monotonic clock."""

    workflow: str
    sent_at: float
    acknowledged_at: float | None = None
    ended_at: float | None = None


class Ledger:
    """What was asked for, what was promised, and when it was seen to have ended."""

    def __init__(self) -> None:
        self.starts: dict[str, Start] = {}
        self.surprises: list[str] = []
        #: Requests whose connection broke, which a process does that is killed.
        self.broken: list[str] = []
        self.retries = 0
        self.guard = threading.Lock()

    def acknowledged(self) -> dict[str, Start]:
        """The starts that were answered."""
        with self.guard:
            return {id_: s for id_, s in self.starts.items() if s.acknowledged_at is not None}

    def open(self) -> dict[str, Start]:
        """Those of them that are not known to have ended."""
        return {id_: start for id_, start in self.acknowledged().items() if start.ended_at is None}


class Client:
    """Requests to any of several APIs, repeated until one of them answers."""

    def __init__(self, urls: Sequence[str], ledger: Ledger) -> None:
        self.urls = list(urls)
        self.ledger = ledger
        self._turn = 0

    def request(
        self, method: str, path: str, body: object | None, until: float, *accepted: int
    ) -> Any:
        """The document of the answer, or None when there was none by the time ``until``."""
        while time.monotonic() < until:
            url = self.urls[self._turn % len(self.urls)]
            try:
                status, answer = processes.http(
                    method, f"{url}/v2{path}", body, timeout=REQUEST_TIMEOUT
                )
            except CONNECTION_ERRORS as error:
                status, answer = 503, None
                if not is_refused(error):
                    with self.ledger.guard:
                        self.ledger.broken.append(f"{method} {path}: {error!r}")
            if status in accepted:
                return answer
            if status != 503:
                with self.ledger.guard:
                    self.ledger.surprises.append(f"{method} {path}: {status} {answer}")
                if status < 500:
                    return None
            with self.ledger.guard:
                self.ledger.retries += 1
            self._turn += 1
            time.sleep(PAUSE)
        return None

    def all(self, path: str) -> list[dict[str, Any]]:
        """Every row of a list, page by page."""
        rows: list[dict[str, Any]] = []
        name = path.lstrip("/").partition("?")[0]
        while path:
            page = self.request("GET", path, None, time.monotonic() + 60, 200)
            if page is None:
                raise processes.ClusterError(f"No answer to GET {path}")
            rows += page[name]
            path = page.get("next", "").partition("/v2")[2]
        return rows


class Load:
    """Starts executions from several threads; a context manager that ends with the last answer.

    :param rate: starts a second, of all threads together.
    :param limit: how many executions may be under way before the clients wait.
    """

    def __init__(
        self,
        urls: Sequence[str],
        party: CountingParty,
        seed: int,
        *,
        rate: float = 3.0,
        limit: int = 200,
        threads: int = 4,
        patience: float = 120.0,
    ) -> None:
        self.ledger = Ledger()
        self._urls = list(urls)
        self._party = party
        self._random = random.Random(seed)
        self._rate = rate
        self._limit = limit
        self._patience = patience
        self._next = 0.0
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(number,), daemon=True)
            for number in range(threads)
        ]
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def define(self) -> None:
        """Store the workflows, unless an earlier round has done so."""
        client = Client(self._urls, self.ledger)
        until = time.monotonic() + self._patience
        if client.request("POST", "/workflows", load_flows.DEFINITIONS, until, 201, 409) is None:
            raise processes.ClusterError(
                f"The load's workflows were not stored: {self.ledger.surprises}"
            )

    def __enter__(self) -> Load:
        self._next = time.monotonic()
        for thread in [*self._threads, self._watcher]:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Start no more; returns when every start under way was answered or given up."""
        self._stopping.set()
        for thread in [*self._threads, self._watcher]:
            thread.join()

    def start(self, workflow: str, client: Client | None = None) -> str:
        """Start one execution, and return its id when that was answered."""
        with self.ledger.guard:
            execution_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
            start = self.ledger.starts[execution_id] = Start(workflow, time.monotonic())
        body = {
            "id": execution_id,
            "workflow_name": workflow,
            "input": {"url": self._party.url, "key": execution_id},
        }
        until = time.monotonic() + self._patience
        client = client or Client(self._urls, self.ledger)
        answer = client.request("POST", "/executions", body, until, 201)
        if answer is not None:
            with self.ledger.guard:
                start.acknowledged_at = time.monotonic()
                if answer["id"] != execution_id:
                    self.ledger.surprises.append(f"{execution_id} was answered as {answer['id']}")
        return execution_id

    def wait_ended(self, timeout: float) -> bool:
        """Look until every promised execution has ended; also after :meth:`stop`."""
        deadline = time.monotonic() + timeout
        client = Client(self._urls, self.ledger)
        while self.ledger.open():
            if time.monotonic() > deadline:
                return False
            self.look(client)
            time.sleep(LOOK)
        return True

    def look(self, client: Client) -> None:
        """Note which executions have ended by now."""
        before = self.ledger.open()
        path = "/executions?fields=id&state=in:IDLE,RUNNING,PAUSED"
        live = {row["id"] for row in client.all(path)}
        now = time.monotonic()
        for execution_id, start in before.items():
            if execution_id not in live:
                start.ended_at = now

    def _work(self, number: int) -> None:
        client = Client(self._urls[number % len(self._urls) :] + self._urls, self.ledger)
        while not self._stopping.is_set():
            with self.ledger.guard:
                wait = self._next - time.monotonic()
                self._next = max(self._next, time.monotonic() - 1.0) + 1.0 / self._rate
                (workflow,) = self._random.choices(
                    list(load_flows.MIX), list(load_flows.MIX.values())
                )
            if wait > 0 and self._stopping.wait(wait):
                return
            if len(self.ledger.open()) < self._limit:
                self.start(workflow, client)

    def _watch(self) -> None:
        client = Client(self._urls, self.ledger)
        while not self._stopping.wait(LOOK):
            try:
                self.look(client)
            except processes.ClusterError:
                continue  # nobody answers for a minute: that is found out by the audit
