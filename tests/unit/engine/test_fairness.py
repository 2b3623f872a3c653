"""A transaction that makes as much as it may leaves the rest for later ones, whatever that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from mistral.db.core import tables
from mistral.db.execution.action_executions import ActionExecutions
from mistral.engine.mail.actions import DeliveredResult
from mistral.engine.mail.base import Mail
from mistral.engine.mail.executions import EventDue, StartDue
from mistral.engine.mail.timers import TimerDue
from mistral.utils import clock
from mistral.workflow.limits import Limits
from mistral.workflow.results import Outcome

WAITING = """
main:
  tasks:
    one: {wait-before: 3600, action: std.async_noop}
    two: {wait-before: 3600, action: std.async_noop}
    three: {wait-before: 3600, action: std.async_noop}
"""
RETRIED = """
main:
  task-defaults: {retry: {count: 2, delay: 3600}}
  tasks:
    one: {action: std.async_noop}
    two: {action: std.async_noop}
    three: {action: std.async_noop}
"""
CHILDREN = """
main:
  tasks:
    t: {with-items: "i in <% range(4) %>", concurrency: 2, workflow: sub}
sub:
  tasks:
    x: {action: std.async_noop}
"""
LARGE_ITEMS = """
main:
  vars: {big: <% 'x' * 60000 %>}
  tasks:
    t:
      with-items: i in <% range(5) %>
      action: std.echo
      input: {output: <% $.big + str($.i) %>}
"""
LARGE_TASKS = """
main:
  vars: {big: <% 'x' * 60000 %>}
  tasks:
    one: {action: std.echo, input: {output: "<% $.big + '1' %>"}}
    two: {action: std.echo, input: {output: "<% $.big + '2' %>"}}
    three: {action: std.echo, input: {output: "<% $.big + '3' %>"}}
"""

_E = tables.execution_events
_W = tables.workflow_executions


@pytest.fixture
def usual(site: Any) -> Any:
    """An engine that rings no bell: what happens next, and in which transaction, a test says."""
    return site.engine(is_deaf=True)


@pytest.fixture
def small(site: Any) -> Any:
    """The same with transactions that make one thing each."""
    return site.engine(is_deaf=True, limits=Limits(rows_at_once=1, items_at_once=1))


def _ids(site: Any, column: sa.Column[str], *where: Any) -> list[str]:
    found = sa.select(column).where(*where).order_by(column)
    return list(site.database.read(lambda conn: conn.scalars(found).all()))


def _timers(site: Any) -> list[Mail]:
    return [TimerDue(i) for i in _ids(site, tables.timers.c.id)]


def _news(site: Any, execution_id: str, kind: str) -> list[Mail]:
    own = _ids(site, _E.c.id, _E.c.execution_id == execution_id, _E.c.kind == kind)
    return [EventDue(i) for i in own]


def _ended(site: Any, execution_ids: Sequence[str], state: str) -> list[Mail]:
    """The results of all actions of executions are stored."""

    def work(conn: sa.Connection) -> None:
        for action_id in found:
            ActionExecutions(conn).deliver(action_id, Outcome(state, "x"), clock.utc_now())

    found = [a.id for each in execution_ids for a in site.actions(each)]
    site.database.write(work)
    return [DeliveredResult(i) for i in found]


def test_delays_that_end_together(site: Any, usual: Any, small: Any) -> None:
    execution_id = site.start(usual, WAITING)
    small._inbox.handle(execution_id, _timers(site))
    assert len(site.actions(execution_id)) == 1

    usual._inbox.handle(execution_id, _news(site, execution_id, "go-on"))
    assert len(site.actions(execution_id)) == 3
    assert site.read(lambda s: s.tasks_in(execution_id, ["DELAYED"])) == []


def test_retries_that_come_together(site: Any, usual: Any, small: Any) -> None:
    execution_id = site.start(usual, RETRIED)
    usual._inbox.handle(execution_id, _ended(site, [execution_id], "ERROR"))
    small._inbox.handle(execution_id, _timers(site))
    assert len(site.actions(execution_id)) == 4

    usual._inbox.handle(execution_id, _news(site, execution_id, "go-on"))
    assert len(site.actions(execution_id)) == 6


def test_items_whose_place_one_that_runs_again_takes(site: Any, usual: Any, small: Any) -> None:
    def hear(kind: str) -> None:
        small._inbox.handle(parent, _news(site, parent, kind))

    def let_end(child: str, state: str) -> None:
        usual._inbox.handle(child, [StartDue(child)])
        usual._inbox.handle(child, _ended(site, [child], state))
        hear("child-finished")

    def children() -> list[str]:
        return _ids(site, _W.c.id, _W.c.parent_execution_id == parent)

    parent = site.start(small, CHILDREN)
    let_end(children()[0], "ERROR")
    hear("go-on")
    first, second = children()
    usual.rerun_workflow(site.task(first, "x").id)
    hear("child-running")
    # no other item may start now
    hear("go-on")
    assert len(children()) == 2

    let_end(second, "SUCCESS")
    assert len(children()) == 3


@pytest.mark.parametrize("text", [LARGE_ITEMS, LARGE_TASKS])
def test_few_large_inputs_are_as_much_as_many_small_ones(site: Any, text: str) -> None:
    """The variable and one input are enough for the first transaction, two for any other."""
    engine = site.engine(is_deaf=True, limits=Limits(bytes_at_once=100_000))
    execution_id = site.start(engine, text)
    made = [len(site.actions(execution_id))]
    while news := _news(site, execution_id, "go-on"):
        for mail in news:
            engine._inbox.handle(execution_id, [mail])
        made.append(len(site.actions(execution_id)))
    total = 5 if text == LARGE_ITEMS else 3
    assert made[0] == 1 and made[-1] == total
    assert all(after - before <= 2 for before, after in zip(made, made[1:], strict=False))


def test_one_large_value_for_many_items_is_made_once(site: Any) -> None:
    engine = site.engine(is_deaf=True, limits=Limits(bytes_at_once=100_000))
    execution_id = site.start(engine, LARGE_ITEMS.replace("$.big + str($.i)", "$.big"))
    assert len(site.actions(execution_id)) == 5
    stored = sa.select(sa.func.count()).select_from(tables.execution_values)
    assert site.database.read(lambda conn: conn.execute(stored).scalar()) == 1
