"""What completing one plain task costs: transactions, statements, messages.

Counted in one process that holds API, engine and executor, over PostgreSQL and the local transport:
the driver's cursors see every statement before it goes to the server, whoever sends it, and the
topics every message. (``pg_stat_statements`` would need a server that preloads it.) Left out, as
the idle share: signs of life, the relay's looks and the requests of this test.
"""

from __future__ import annotations

import collections
import statistics
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cluster
import processes
import psycopg
import pytest

from mistral import config
from mistral.cmd import assembly
from mistral.db.core import schema_version
from mistral.rpc import local
from tests.lib.flows import Flows

LONG, SHORT = 1000, 10
STATEMENTS, TRANSACTIONS, MESSAGES = 8, 1, 2
IDLE_THREADS = ("relay", "http", "MainThread")
IDLE_MESSAGES = ("executor_alive", "ping")
SAMPLE = 100
CHANCE = 0.05


class Counter:
    """Counts while it listens. One entry of :attr:`transactions` is one committed transaction."""

    def __init__(self) -> None:
        self.transactions: list[list[str]] = []
        self.reads = 0
        self.messages: collections.Counter[str] = collections.Counter()
        self._open: dict[int, list[str]] = {}
        self._guard = threading.Lock()

    def statement(self, connection: object, text: str, count: int = 1) -> None:
        """A statement; a batch counts as many times as the server gets it."""
        if threading.current_thread().name.startswith(IDLE_THREADS) or "service_members" in text:
            return
        with self._guard:
            self._open.setdefault(id(connection), []).extend([text] * count)

    def committed(self, connection: object) -> None:
        """The end of a transaction."""
        with self._guard:
            if statements := self._open.pop(id(connection), None):
                self.transactions.append(statements)

    def undone(self, connection: object) -> None:
        """The end of one that only read."""
        with self._guard:
            self.reads += len(self._open.pop(id(connection), ()))

    def message(self, method: str) -> None:
        """A message that was queued."""
        if method not in IDLE_MESSAGES:
            with self._guard:
                self.messages[method] += 1

    @property
    def statements(self) -> int:
        """All statements."""
        return self.reads + sum(map(len, self.transactions))

    def clear(self) -> None:
        """Begin again."""
        with self._guard:
            self.transactions, self.reads = [], 0
            self.messages.clear()


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Listens to all databases and topics of this process."""
    found = Counter()
    execute, executemany = psycopg.Cursor.execute, psycopg.Cursor.executemany
    commit, rollback = psycopg.Connection.commit, psycopg.Connection.rollback
    put = local._Topic.put

    def counted_execute(cursor: Any, query: Any, *args: Any, **options: Any) -> Any:
        found.statement(cursor.connection, str(query))
        return execute(cursor, query, *args, **options)

    def counted_executemany(cursor: Any, query: Any, values: Any, **options: Any) -> None:
        found.statement(cursor.connection, str(query), len(values))
        executemany(cursor, query, values, **options)

    def counted_commit(connection: Any) -> None:
        commit(connection)
        found.committed(connection)

    def counted_rollback(connection: Any) -> None:
        rollback(connection)
        found.undone(connection)

    def counted_put(topic: Any, message: Any, host: str | None) -> None:
        found.message(message.method)
        put(topic, message, host)

    monkeypatch.setattr(psycopg.Cursor, "execute", counted_execute)
    monkeypatch.setattr(psycopg.Cursor, "executemany", counted_executemany)
    monkeypatch.setattr(psycopg.Connection, "commit", counted_commit)
    monkeypatch.setattr(psycopg.Connection, "rollback", counted_rollback)
    monkeypatch.setattr(local._Topic, "put", counted_put)
    return found


@pytest.fixture
def flows(fresh_postgresql_url: str, tmp_path: Path, counter: Counter) -> Iterator[Flows]:
    """The whole service in this process."""
    schema_version.upgrade(fresh_postgresql_url)
    sections = cluster.embedded_sections(processes.free_port(), fresh_postgresql_url)
    path = cluster.write_config(tmp_path / "mistral.conf", sections)
    service = assembly.build_service(config.load(["--config-file", str(path)]))
    service.start()
    yield Flows(f"http://127.0.0.1:{sections['api']['port']}")
    service.stop(graceful=True)


def chain(length: int) -> str:
    """A workflow of so many tasks, one after the other."""
    lines = [f"c{length}:", "  tasks:"]
    for number in range(length):
        following = f", on-success: t{number + 1}" if number + 1 < length else ""
        lines.append(f"    t{number}: {{action: std.noop{following}}}")
    return "\n".join(lines) + "\n"


@pytest.mark.timeout(180)
def test_the_budget_of_a_task(flows: Flows, counter: Counter) -> None:
    for length in (SHORT, LONG):
        flows.define(chain(length))
    flows.start(f"c{SHORT}").wait()  # caches are filled

    counter.clear()
    flows.start(f"c{SHORT}").wait()
    short = (counter.statements, len(counter.transactions), counter.messages.total())
    counter.clear()
    flows.start(f"c{LONG}").wait(timeout=120)
    long = (counter.statements, len(counter.transactions), counter.messages.total())

    # what a start and an end cost besides cancels out
    more = LONG - SHORT
    statements, transactions, messages = ((b - a) / more for a, b in zip(short, long, strict=True))
    # the counters do see what happens
    assert transactions > 0.9 and statements > 2 and messages > 1
    shown = "\n".join(counter.transactions[len(counter.transactions) // 2])
    assert statistics.median(map(len, counter.transactions)) <= STATEMENTS, shown
    # one more or less among so many is a matter of chance
    assert statements <= STATEMENTS + CHANCE, shown
    assert transactions <= TRANSACTIONS + CHANCE, shown
    assert messages <= MESSAGES + CHANCE, counter.messages

    # the thousandth task costs what the tenth does
    first = sum(map(len, counter.transactions[SHORT : SHORT + SAMPLE])) / SAMPLE
    last = sum(map(len, counter.transactions[-SHORT - SAMPLE : -SHORT])) / SAMPLE
    assert last <= first + 0.1, (first, last)
