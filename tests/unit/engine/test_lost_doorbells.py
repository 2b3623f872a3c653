"""Each kind of row whose doorbell nobody heard is found by another engine, and finished.

One engine commits and rings no bell, as one that dies after its commit. What it left is all that
the other one knows.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from mistral.context import system_context
from mistral.db.core import tables
from mistral.db.execution import heartbeats
from mistral.db.execution.action_executions import ActionExecutions
from mistral.db.operations import maintenance
from mistral.db.storage import Storage
from mistral.engine.background.maintenance_job import MaintenanceJob
from mistral.engine.liveness import HEARTBEAT_LOST
from mistral.engine.mail.executions import StartDue
from mistral.engine.mail.timers import TimerDue
from mistral.rpc.messages import Report
from mistral.utils import clock
from mistral.workflow.results import Outcome

ONE = """
main:
  tasks:
    t: {action: std.async_noop}
"""
NESTED = """
main:
  tasks:
    s: {workflow: sub}
sub:
  tasks:
    t: {action: std.async_noop}
"""


@pytest.fixture
def deaf(site: Any) -> Any:
    """The engine that rings no bell."""
    return site.engine(is_deaf=True)


@pytest.fixture
def other(site: Any) -> Any:
    """An engine that has heard nothing."""
    return site.engine()


@pytest.fixture
def nested(site: Any, deaf: Any) -> tuple[str, str]:
    """A parent and its child, which runs."""
    parent = site.start(deaf, NESTED)
    child = site.child(parent)
    deaf._mailboxes.post(child, [StartDue(child)])
    site.wait(child, "RUNNING")
    return parent, child


def test_an_action_that_was_not_sent(site: Any, deaf: Any, other: Any) -> None:
    execution_id = site.start(deaf, ONE)
    assert site.orders.sent == []
    site.look(other)
    site.wait_order(execution_id)


def test_a_result_that_was_not_processed(site: Any, deaf: Any, other: Any) -> None:
    execution_id = site.start(deaf, ONE)
    site.deliver(execution_id)
    site.look(other)
    site.wait(execution_id, "SUCCESS")


def test_a_child_that_was_not_started(site: Any, deaf: Any, other: Any) -> None:
    child = site.child(site.start(deaf, NESTED))
    assert site.execution(child).state == "IDLE"
    site.look(other)
    site.wait(child, "RUNNING")
    site.wait_order(child)


def test_a_child_that_was_not_reported(
    site: Any, deaf: Any, other: Any, nested: tuple[str, str]
) -> None:
    parent, child = nested
    site.deliver(child)
    deaf.action_delivered(site.action(child).id, child)
    site.wait(child, "SUCCESS")
    assert site.execution(parent).state == "RUNNING"
    site.look(other)
    site.wait(parent, "SUCCESS")


@pytest.mark.parametrize(
    ("policy", "then"),
    [("wait-before: 5000", "std.noop"), ("timeout: 5000", "std.async_noop")],
)
def test_a_timer_that_nobody_fires(
    site: Any, deaf: Any, other: Any, policy: str, then: str
) -> None:
    text = f"main:\n  tasks:\n    t: {{action: {then}, {policy}}}\n"
    execution_id = site.start(deaf, text)
    site.look(other)
    if "timeout" in policy:
        assert "timed out" in site.wait(execution_id, "ERROR").state_info
    else:
        site.wait_order(execution_id)


@pytest.mark.parametrize("safe", [True, False])
def test_a_claim_of_a_dead_executor(site: Any, deaf: Any, other: Any, safe: bool) -> None:
    task = f"{{action: std.http url=http://127.0.0.1, safe-rerun: {str(safe).lower()}}}"
    execution_id = site.start(deaf, f"main:\n  tasks:\n    t: {task}\n")
    action_ex = site.action(execution_id)
    long_ago = clock.utc_now() - dt.timedelta(hours=2)

    def claim(conn: sa.Connection) -> None:
        heartbeats.seen(conn, "dead/1", "executor", "dead", long_ago)
        ActionExecutions(conn).claim("dead/1", [(action_ex.id, 0)], long_ago, long_ago)

    site.database.write(claim)
    now = clock.utc_now()

    def listened(conn: sa.Connection) -> None:
        heartbeats.seen(conn, heartbeats.LISTENING, "engines", "", long_ago)
        heartbeats.seen(conn, heartbeats.LOOKED, "engines", "", now)

    site.database.write(listened)
    site.look(other)
    if safe:
        site.wait_order(execution_id)
    else:
        info = site.wait(execution_id, "ERROR").state_info
        assert HEARTBEAT_LOST in info


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_pause_and_its_end_that_did_not_spread(
    site: Any,
    deaf: Any,
    other: Any,
    nested: tuple[str, str],
    direction: str,
) -> None:
    who, whom = nested if direction == "down" else nested[::-1]
    deaf.pause_workflow(who)
    assert site.execution(whom).state == "RUNNING"
    site.look(other)
    site.wait(whom, "PAUSED")
    deaf.resume_workflow(who)
    assert site.execution(whom).state == "PAUSED"
    site.look(other)
    site.wait(whom, "RUNNING")


def test_a_cancellation_that_did_not_spread(
    site: Any, deaf: Any, other: Any, nested: tuple[str, str]
) -> None:
    parent, child = nested
    deaf.stop_workflow(parent, "CANCELLED", "enough")
    assert site.execution(child).state == "RUNNING"
    site.look(other)
    site.wait(child, "CANCELLED")


def test_a_child_that_runs_again(site: Any, deaf: Any, other: Any, nested: tuple[str, str]) -> None:
    parent, child = nested
    site.deliver(child, "ERROR")
    site.look(other)
    site.wait(parent, "ERROR")
    deaf.rerun_workflow(site.task(child, "t").id)
    assert site.execution(parent).state == "ERROR"
    site.look(other)
    site.wait(parent, "RUNNING")


def test_a_rollback_that_did_not_spread(site: Any, deaf: Any, other: Any) -> None:
    parent = site.start(
        deaf,
        """
main:
  tasks:
    s: {workflow: sub, on-success: f}
    f: {action: std.async_noop}
sub:
  tasks:
    t: {action: std.async_noop, rollback: std.noop}
""",
    )
    child = site.child(parent)
    for _ in range(2):
        site.look(other)
        site.wait(child, "RUNNING")
        site.deliver(child)
    site.look(other)
    site.wait(child, "SUCCESS")
    site.look(other)
    site.wait_order(parent)
    deaf.rollback_workflow(parent)
    assert site.execution(child).rollback is None
    site.look(other)
    site.wait(child, "RUNNING")
    site.wait_order(child)
    compensation = site.action(child)
    report = Report(compensation.id, child, state="SUCCESS")
    deaf.on_actions_complete("executor/1", [report])
    assert site.execution(parent).rollback is not None
    site.look(other)
    assert "Rolled back: s." in site.wait(parent, "CANCELLED").state_info


def test_the_result_of_an_action_of_no_workflow(site: Any, deaf: Any, other: Any) -> None:
    """An ad-hoc one: an engine has to transform the result."""
    text = "version: '2.0'\ndouble: {base: std.async_noop, output: '<% $ + $ %>'}\n"
    site.definitions.create_actions(text, system_context())
    answer = deaf.start_action("double", {}, None, system_context(), {"save_result": True})
    action_id = answer.action["id"]
    outcome = Outcome("SUCCESS", 4)
    site.database.write(
        lambda conn: ActionExecutions(conn).deliver(action_id, outcome, clock.utc_now())
    )
    site.look(other)

    def is_done() -> bool:
        found = site.database.read(lambda conn: ActionExecutions(conn).by_ids([action_id]))[0]
        return bool(found.processed)

    site.until(is_done)


def test_a_maintenance_that_nobody_has_begun(
    site: Any, deaf: Any, other: Any, nested: tuple[str, str]
) -> None:
    """Its row is found like any other; the commands spread by rows, too."""
    job = MaintenanceJob(Storage(site.database), other, 1.0)
    site.database.write(lambda conn: maintenance.ask(conn, "PAUSED", clock.utc_now()))
    while job.take_turn():
        continue
    assert {site.execution(each).state for each in nested} == {"PAUSED"}
    site.database.write(lambda conn: maintenance.ask(conn, "RUNNING", clock.utc_now()))
    while job.take_turn():
        continue
    assert {site.execution(each).state for each in nested} == {"RUNNING"}


def test_every_kind_of_outbox_row_is_looked_at() -> None:
    """A new table or column of this kind needs a test of its own above."""
    marks = {
        f"{table.name}.{column.name}"
        for table in tables.metadata.sorted_tables
        for column in table.columns
        if column.name in ("next_look_at", "due_at", "claimed_until")
    }
    assert marks == {
        "workflow_executions.next_look_at",
        "action_executions.next_look_at",
        "execution_events.next_look_at",
        "timers.due_at",
        "timers.claimed_until",
        "maintenance.claimed_until",
        # tests/unit/db/test_deletion.py
        "deletions.next_look_at",
    }


def test_a_result_counts_that_was_delivered_before_the_timeout(site: Any, deaf: Any) -> None:
    execution_id = site.start(deaf, "main: {tasks: {t: {action: std.async_noop, timeout: 5000}}}")
    site.deliver(execution_id)
    timers = tables.timers
    found = sa.select(timers.c.id).where(timers.c.execution_id == execution_id)
    timer_id = site.database.read(lambda conn: conn.execute(found).scalar_one())
    deaf._mailboxes.post(execution_id, [TimerDue(timer_id)])
    site.wait(execution_id, "SUCCESS")


def test_items_that_had_no_turn_yet(site: Any, deaf: Any, other: Any) -> None:
    text = "main: {tasks: {t: {with-items: 'i in <% range(120) %>', action: std.async_noop}}}"
    execution_id = site.start(deaf, text)
    assert len(site.actions(execution_id)) == 50
    other._transactions.ring = lambda ready: None
    for count in (100, 120):
        site.look(other)
        site.until(lambda n=count: len(site.actions(execution_id)) == n, f"{count} are there")
    events = tables.execution_events
    assert site.database.read(lambda conn: conn.scalars(sa.select(events.c.id)).all()) == []


def test_tasks_that_had_no_turn_yet(site: Any, deaf: Any, other: Any) -> None:
    tasks = ", ".join(f"t{number}: {{action: std.async_noop}}" for number in range(300))
    execution_id = site.start(deaf, f"main: {{tasks: {{{tasks}}}}}")
    assert len(site.actions(execution_id)) == 250
    assert len(site.read(lambda s: s.tasks_in(execution_id, ["IDLE"]))) == 50
    site.look(other)
    site.until(lambda: len(site.actions(execution_id)) == 300, "all have begun")
