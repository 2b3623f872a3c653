"""Saved runs that a caller waits for: they end, also when the caller's process does not see it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from mistral.context import system_context
from mistral.db.execution.action_executions import ActionExecutions
from mistral.engine.liveness import CALLER_GONE
from mistral.utils import clock
from mistral.workflow import states
from mistral.workflow.results import Outcome

WAITS = {"run_sync": True, "save_result": True}


def _begin(site: Any, **params: Any) -> Any:
    answer = site.engine().start_action(
        "std.echo", {"output": 1}, None, system_context(), {**WAITS, **params}
    )
    assert answer.saved
    return answer.action["id"]


def _row(site: Any, action_id: str) -> Any:
    return site.database.read(lambda conn: ActionExecutions(conn).by_ids([action_id]))[0]


def test_a_run_whose_caller_is_gone_ends(site: Any) -> None:
    action_id = _begin(site)
    engine = site.engine()
    engine._relay.sweep()
    assert _row(site, action_id).state == states.RUNNING
    site.look(engine)
    engine._mailboxes.stop()
    row = _row(site, action_id)
    assert (row.state, row.processed, row.next_look_at) == (states.ERROR, True, None)
    assert site.read(lambda s: s.values(action_id).unpack(row.output)) == {"result": CALLER_GONE}
    assert site.orders.sent == []


def test_nobody_is_faster_than_the_caller(site: Any) -> None:
    started = clock.utc_now()
    action_id = _begin(site, timeout=500)
    assert _row(site, action_id).next_look_at > started + dt.timedelta(seconds=500)


def test_a_result_of_the_caller_counts(site: Any) -> None:
    action_id = _begin(site)
    outcome = Outcome(states.SUCCESS, 5)
    site.database.write(
        lambda conn: ActionExecutions(conn).deliver(action_id, outcome, clock.utc_now())
    )
    engine = site.engine()
    site.look(engine)
    engine._mailboxes.stop()
    assert _row(site, action_id).state == states.SUCCESS
