"""What counts as a failed try: handling that was begun, not a look at a row that has to wait."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from typing import Any, cast
from unittest.mock import MagicMock

import pytest
import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.db.core import tables
from mistral.db.execution import delivery_attempts
from mistral.db.execution.action_executions import ActionExecutions
from mistral.db.execution.deletion import delete_execution
from mistral.db.storage import AttemptRows, Storage
from mistral.engine.action_queue import ActionQueue, SendOptions
from mistral.engine.default_engine import DefaultEngine, EngineOptions
from mistral.engine.inbox import attempts, decisions
from mistral.engine.inbox.attempts import MAX_TRIES
from mistral.engine.mail.actions import DeliveredResult, LostAction, Reports
from mistral.engine.mail.base import Message
from mistral.engine.mail.executions import EventDue
from mistral.rpc.clients import ExecutorClient
from mistral.rpc.messages import Report
from mistral.utils import clock
from mistral.workflow.results import Outcome

ASKING = """
main:
  tasks:
    t: {action: std.async_noop}
    u: {action: std.async_noop}
"""


class Killed(BaseException):
    """The end of a process: nothing of it catches this, and nothing is committed any more."""


class Life:
    """An engine's process without threads of its own: what it finds is handled one by one."""

    def __init__(self, site: Any) -> None:
        queue = ActionQueue(cast(ExecutorClient, site.orders), site.catalog, SendOptions())
        self.site = site
        self.engine = DefaultEngine(
            Storage(site.database), site.catalog, queue, EngineOptions(relay_interval=10_000.0)
        )

    def look(self) -> None:
        """Find what is due, and leave it in the mailbox."""
        self.site.look(self.engine)

    def work(self) -> bool:
        """Handle what is in the mailbox; whether the process lives on."""
        boxes = self.engine._mailboxes
        while boxes.waiting:
            taken = boxes._take()
            assert taken is not None
            try:
                boxes._handle_batch(*taken)
            except Killed:
                return False
            boxes._give_back(taken[0])
        return True


def _live(site: Any, lives: int = 1) -> list[bool]:
    """So many processes, one after the other, look and work; which of them lived on."""
    ends = []
    for _ in range(lives):
        life = Life(site)
        life.look()
        ends.append(life.work())
    return ends


def _kills(monkeypatch: pytest.MonkeyPatch, kind: type[Message], names: set[str]) -> None:
    """Let the handling of certain rows end its process."""
    usual = kind.decide

    def handle(mail: Message, unit: Any) -> Any:
        if mail.id in names:
            raise Killed
        return usual(mail, unit)

    monkeypatch.setattr(kind, "decide", handle)


def _deliver(site: Any, execution_id: str) -> list[str]:
    """Results of all actions, and no bell; the ids."""
    outcome = Outcome("SUCCESS", "x")
    found = [action_ex.id for action_ex in site.actions(execution_id)]
    for action_id in found:
        site.database.write(
            lambda conn, i=action_id: ActionExecutions(conn).deliver(i, outcome, clock.utc_now())
        )
    return found


def _begun(site: Any) -> dict[str, int]:
    columns = tables.handlings.c
    found = sa.select(columns.row_id, columns.begun)
    rows = site.database.read(lambda conn: conn.execute(found).all())
    return {row.row_id: row.begun for row in rows}


def test_looks_are_no_tries(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that is slow, or was stopped, finds rows again and again and handles none."""
    execution_id = site.start(Life(site).engine, ASKING)
    _deliver(site, execution_id)
    for _ in range(2 * MAX_TRIES):
        Life(site).look()
    usual = DeliveredResult.decide
    fails = MagicMock(side_effect=[IndexError("a bug"), IndexError("a bug")])
    monkeypatch.setattr(DeliveredResult, "decide", fails)
    _live(site)
    assert site.execution(execution_id).state == "RUNNING"
    monkeypatch.setattr(DeliveredResult, "decide", usual)
    _live(site)
    assert site.execution(execution_id).state == "SUCCESS"
    assert _begun(site) == {}


def test_what_kills_its_engine_is_given_up(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing else of its execution before."""
    execution_id = site.start(Life(site).engine, ASKING)
    poisoned, healthy = _deliver(site, execution_id)
    _kills(monkeypatch, DeliveredResult, {poisoned})
    assert _live(site, MAX_TRIES + 1) == [False] * (MAX_TRIES + 1)
    assert site.execution(execution_id).state == "RUNNING"
    assert _begun(site)[poisoned] == MAX_TRIES
    assert _begun(site).get(healthy, 0) <= 1
    assert _live(site) == [True]
    ended = site.execution(execution_id)
    assert ended.state == "ERROR"
    assert f"kind=delivered, id={poisoned}, cause=it was begun" in ended.state_info
    states = {site.task(execution_id, name).state for name in "tu"}
    assert "ERROR" in states
    monkeypatch.undo()
    delete_execution(site.database, execution_id)
    assert _begun(site) == {}


def test_an_end_that_kills_as_well(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    execution_id = site.start(Life(site).engine, ASKING)
    poisoned, _ = _deliver(site, execution_id)
    _kills(monkeypatch, DeliveredResult, {poisoned})
    monkeypatch.setattr(decisions, "give_up", MagicMock(side_effect=Killed))
    assert _live(site, MAX_TRIES + 2) == [False] * (MAX_TRIES + 2)
    assert _live(site) == [True]
    assert site.execution(execution_id).state == "ERROR"


def test_what_another_engine_handled_meanwhile_is_not_given_up(site: Any) -> None:
    life = Life(site)
    execution_id = site.start(life.engine, ASKING)
    action_id, _ = _deliver(site, execution_id)
    for _ in range(2):
        life.look()
    slow = DeliveredResult(action_id, looks=9)
    for _ in range(MAX_TRIES):
        life.engine._inbox._attempts.begin_again(execution_id, slow)
    life.engine._transactions.handle(
        execution_id,
        lambda unit: decisions.decide(unit, [DeliveredResult(action_id)]),
        MagicMock(),
        MagicMock(),
    )
    life.engine._inbox.handle(execution_id, [slow])
    assert site.execution(execution_id).state == "RUNNING"


def test_reports_that_were_sent_again_and_again_are_stored_first(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their executor would kill one engine after the other with them."""
    execution_id = site.start(Life(site).engine, ASKING)
    action_id = site.action(execution_id).id
    _kills(monkeypatch, Reports, {"executor/1"})
    report = Report(action_id, attempt=0, state="SUCCESS", result=1)

    def send(sent: int) -> bool:
        life = Life(site)
        done: concurrent.futures.Future[Any] = concurrent.futures.Future()
        again = dataclasses.replace(report, sent=sent)
        mail = Reports("executor/1", [again], done=done, looks=sent - 1)
        life.engine._mailboxes.post(execution_id, [mail])
        life.work()
        return done.done()

    assert [send(1), send(2)] == [False, False]
    assert site.action(execution_id).result_at is None
    assert send(3)
    assert site.action(execution_id).result_at is not None


def test_an_action_whose_loss_kills(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets its result, and that is counted like any other."""
    execution_id = site.start(Life(site).engine, ASKING)
    lost = site.action(execution_id).id
    _kills(monkeypatch, LostAction, {lost})
    outcome = Outcome("ERROR", "Heartbeat wasn't received.")

    def find(looks: int) -> bool:
        life = Life(site)
        life.engine._mailboxes.post(execution_id, [LostAction(lost, outcome, looks=looks)])
        return life.work()

    assert [find(1), find(2), find(3)] == [False, False, True]
    assert site.action(execution_id).state == "ERROR"
    assert site.action(execution_id).processed


def test_a_database_that_is_away_is_no_try(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    execution_id = site.start(Life(site).engine, ASKING)
    _deliver(site, execution_id)
    usual = DeliveredResult.decide
    fails = MagicMock(side_effect=exc.UnavailableException("away"))
    monkeypatch.setattr(DeliveredResult, "decide", fails)
    _live(site, 2 * MAX_TRIES)
    assert set(_begun(site).values()) == {0}
    monkeypatch.setattr(DeliveredResult, "decide", usual)
    _live(site)
    assert site.execution(execution_id).state == "SUCCESS"


@pytest.mark.parametrize("kills", [True, False])
def test_tries_count_after_the_database_was_away(
    site: Any, monkeypatch: pytest.MonkeyPatch, kills: bool
) -> None:
    execution_id = site.start(Life(site).engine, ASKING)
    poisoned, _ = _deliver(site, execution_id)
    with monkeypatch.context() as away:
        fails = MagicMock(side_effect=exc.UnavailableException("away"))
        away.setattr(DeliveredResult, "decide", fails)
        _live(site, 3)
    assert set(_begun(site).values()) == {0}
    if kills:
        _kills(monkeypatch, DeliveredResult, {poisoned})
    else:
        fails = MagicMock(side_effect=IndexError("bug"))
        monkeypatch.setattr(DeliveredResult, "decide", fails)
    _live(site, 3 * MAX_TRIES)
    assert site.execution(execution_id).state == "ERROR"


def test_what_was_signalled_meanwhile_is_not_lost(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution_id = site.start(Life(site).engine, ASKING)
    lost = site.action(execution_id).id
    outcome = Outcome("ERROR", "Heartbeat wasn't received.")

    def find(looks: int) -> bool:
        life = Life(site)
        life.engine._mailboxes.post(execution_id, [LostAction(lost, outcome, looks=looks)])
        return life.work()

    with monkeypatch.context() as killing:
        _kills(killing, LostAction, {lost})
        assert [find(1), find(2)] == [False, False]
    signalled = [Report(lost, attempt=0, kind="signalled")]
    Life(site).engine._inbox.handle(execution_id, [Reports("x", signalled)])
    assert find(3)
    assert site.action(execution_id).state == "RUNNING"


def test_an_outage_takes_back_the_tries_of_a_batch_at_once(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution_id = site.start(Life(site).engine, ASKING)
    both = [DeliveredResult(a.id, looks=2) for a in site.actions(execution_id)]
    life = Life(site)
    taken = MagicMock(wraps=delivery_attempts.take_back)
    monkeypatch.setattr(vars(AttemptRows)["take_back"], "_function", taken)
    fails = MagicMock(side_effect=exc.UnavailableException("away"))
    monkeypatch.setattr(DeliveredResult, "decide", fails)
    life.engine._inbox.handle(execution_id, both)
    assert len(both) == 2 and taken.call_count == 1
    assert set(_begun(site).values()) == {0}


def test_only_what_is_found_twice_is_noted(site: Any) -> None:
    life = Life(site)
    once, twice = EventDue("e", looks=1), EventDue("e", looks=2)
    assert not attempts.is_watched(EventDue("e")) and not attempts.is_watched(once)
    assert attempts.is_watched(twice)
    waiting = EventDue("e", done=concurrent.futures.Future(), looks=7)
    assert not attempts.is_watched(waiting)
    assert life.engine._inbox._attempts.begin("gone", [twice]) == []
    assert _begun(site) == {}


def _dies(site: Any, execution_id: str, *keys: tuple[str, str]) -> None:
    site.database.write(lambda conn: delivery_attempts.note_death(conn, execution_id, keys))


def _suspects(site: Any) -> frozenset[str]:
    return cast(frozenset[str], site.database.read(delivery_attempts.suspects))


def _report(site: Any, execution_id: str) -> None:
    """An action ran again and brings a new result; whether the process lives on."""
    life = Life(site)
    life.engine._suspects.start()
    report = Report(site.actions(execution_id)[0].id, attempt=0, state="SUCCESS", result=1)
    done: concurrent.futures.Future[Any] = concurrent.futures.Future()
    life.engine._mailboxes.post(execution_id, [Reports("executor/1", [report], done=done)])
    life.work()
    life.engine._suspects.stop()


def test_new_results_of_a_killer_are_counted(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    execution_id = site.start(Life(site).engine, ASKING)
    action_id = site.actions(execution_id)[0].id
    _kills(monkeypatch, Reports, {"executor/1"})
    _kills(monkeypatch, DeliveredResult, {action_id})
    _report(site, execution_id)
    _dies(site, execution_id, ("delivered", action_id))
    for number in range(2, MAX_TRIES + 1):
        _report(site, execution_id)
        assert _begun(site)[action_id] == number
        assert site.execution(execution_id).state == "RUNNING"
    _report(site, execution_id)
    ended = site.execution(execution_id)
    assert ended.state == "ERROR"
    assert f"kind=delivered, id={action_id}" in ended.state_info


def test_a_suspect_is_none_any_more_when_all_is_handled(site: Any) -> None:
    execution_id = site.start(Life(site).engine, ASKING)
    action_id = site.actions(execution_id)[0].id
    _dies(site, execution_id, ("delivered", action_id))
    assert _suspects(site) == {execution_id}
    _report(site, execution_id)
    assert site.action(execution_id).result_at is not None
    assert (_suspects(site), _begun(site)) == (frozenset(), {})


def test_it_stays_one_when_it_is_not_known_what_it_was(site: Any) -> None:
    execution_id = site.start(Life(site).engine, ASKING)
    _dies(site, execution_id)
    _report(site, execution_id)
    assert site.action(execution_id).processed
    assert _suspects(site) == {execution_id}


def test_commands_that_killed_are_refused_at_last(site: Any) -> None:
    execution_id = site.start(Life(site).engine, ASKING)
    for _ in range(MAX_TRIES):
        _dies(site, execution_id, ("command", "a-request"))
    engine = Life(site).engine
    engine._suspects.start()
    try:
        with (
            pytest.raises(exc.WorkflowException, match="5 processes have died"),
            engine._suspects.trying(execution_id, ("command", "a-request")),
        ):
            raise AssertionError("It was tried.")
        with engine._suspects.trying(execution_id, ("command", "another")):
            pass
    finally:
        engine._suspects.stop()


def test_a_request_that_is_refused_harms_nobody(site: Any) -> None:
    execution_id = site.start(Life(site).engine, ASKING)
    key = ("command", "a-request")
    _dies(site, execution_id, key)
    engine = Life(site).engine
    engine._suspects.start()
    try:
        with (
            pytest.raises(exc.NotAllowedException),
            engine._suspects.trying(execution_id, key),
        ):
            raise exc.NotAllowedException("No.")
    finally:
        engine._suspects.stop()
    assert (_suspects(site), _begun(site)) == (frozenset(), {})


def test_two_processes_note_the_same_at_once(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    execution_id = site.start(Life(site).engine, ASKING)
    _dies(site, execution_id, ("event", "e"))
    with monkeypatch.context() as patch:
        # the other one's transaction has not ended when this one looks
        patch.setattr(delivery_attempts, "begun", lambda *_: {})
        _dies(site, execution_id, ("event", "e"))
    assert _begun(site)["e"] == 1
