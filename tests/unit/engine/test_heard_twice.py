"""Two engines that find or hear the same thing: it takes effect once."""

from __future__ import annotations

import collections
import threading
from typing import Any

import sqlalchemy as sa

from mistral.db.core import tables
from mistral.engine.mail.actions import DeliveredResult
from mistral.engine.mail.base import Mail
from mistral.engine.mail.executions import EventDue, StartDue
from mistral.engine.mail.timers import TimerDue

NESTED = """
main:
  tasks:
    s: {workflow: sub, on-success: then}
    then: {action: std.async_noop}
sub:
  tasks:
    t: {action: std.async_noop, wait-before: 5000, on-success: u}
    u: {action: std.async_noop}
"""
ROUNDS = 3


def _hear_the_same(site: Any, engines: list[Any]) -> None:
    """Every row that waits for anything is announced to all engines, again and again."""
    found: list[tuple[str, Mail]] = []

    def read(conn: sa.Connection) -> None:
        w, a, e, r = (
            tables.workflow_executions.c,
            tables.action_executions.c,
            tables.execution_events.c,
            tables.timers.c,
        )
        found.extend((i, StartDue(i)) for (i,) in conn.execute(sa.select(w.id)))
        for owner, i in conn.execute(sa.select(a.workflow_execution_id, a.id)):
            found.append((owner, DeliveredResult(i)))
        for owner, i in conn.execute(sa.select(e.execution_id, e.id)):
            found.append((owner, EventDue(i)))
        for owner, i in conn.execute(sa.select(r.execution_id, r.id)):
            found.append((owner, TimerDue(i)))

    site.database.read(read)
    together = threading.Barrier(len(engines))

    def hear(engine: Any) -> None:
        together.wait(30)
        for _ in range(ROUNDS):
            for owner, mail in found:
                engine._mailboxes.post(owner, [mail])

    threads = [threading.Thread(target=hear, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in engines:
        site.until(lambda e=engine: not e._mailboxes._boxes, "all is handled")


def test_each_step_is_made_once(site: Any) -> None:
    engines = [site.engine(is_deaf=True), site.engine(is_deaf=True)]
    parent = site.start(engines[0], NESTED)
    child = site.child(parent)
    _hear_the_same(site, engines)
    assert site.execution(child).state == "RUNNING"
    site.time_passes()
    _hear_the_same(site, engines)
    for execution_id in (child, child, parent):
        site.deliver(execution_id)
        _hear_the_same(site, engines)
        _hear_the_same(site, engines)
    assert site.execution(child).state == site.execution(parent).state == "SUCCESS"
    names = sa.select(tables.task_executions.c.name)
    counts = collections.Counter(site.database.read(lambda conn: list(conn.scalars(names))))
    assert counts == {"s": 1, "then": 1, "t": 1, "u": 1}
    assert len(site.actions(child)) == 2
    assert len(site.actions(parent)) == 1
    for table in (tables.execution_events, tables.timers):
        assert site.database.read(lambda conn, t=table: conn.execute(sa.select(t)).all()) == []
