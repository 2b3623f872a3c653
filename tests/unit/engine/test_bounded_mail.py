"""What waits in an engine's memory has a bound: the rest waits in the database."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any
from unittest.mock import MagicMock

import pytest

from mistral import exceptions as exc
from mistral.db.core import entity_rows, tables
from mistral.db.core.database import Database
from mistral.db.storage import Storage
from mistral.definitions.catalog import Catalog
from mistral.engine import default_engine
from mistral.engine.action_queue import ActionQueue, SendOptions
from mistral.engine.background.relay import SWEEP_SIZE, Relay
from mistral.engine.default_engine import DefaultEngine
from mistral.engine.mail.actions import ActionResult, DeliveredResult, Reports
from mistral.engine.mail.base import Mail
from mistral.engine.mail.executions import EventDue, StartDue
from mistral.engine.mailbox import BATCH, Mailboxes
from mistral.utils import clock, ids
from mistral.workflow import look_times
from mistral.workflow.entities import ExecutionEvent
from mistral.workflow.results import Outcome


@pytest.fixture
def idle_engine() -> Iterator[DefaultEngine]:
    """An engine whose workers do not run."""
    queue = MagicMock(spec=ActionQueue)
    queue.options = SendOptions()
    yield DefaultEngine(MagicMock(spec=Storage), MagicMock(spec=Catalog), queue)


def test_doorbells_are_not_heard_when_enough_waits(
    idle_engine: DefaultEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_engine, "FULL_WITH", 3)
    for number in range(5):
        idle_engine.action_delivered(f"a{number}", "w" if number % 2 else None)
    assert idle_engine._mailboxes.size == 3


def test_mail_that_was_taken_does_not_wait() -> None:
    boxes = Mailboxes(MagicMock(), threads=1)
    boxes.post("w", [DeliveredResult(str(n)) for n in range(BATCH + 5)])
    assert boxes.size == BATCH + 5
    boxes._take()
    assert boxes.size == 5


def test_a_row_is_held_once_however_often_it_is_found() -> None:
    boxes = Mailboxes(MagicMock(), threads=1)
    boxes.post("w", [EventDue("e", looks=1), DeliveredResult("a"), EventDue("e", looks=2)])
    boxes.post("w", [EventDue("e", looks=3), DeliveredResult("e"), EventDue("e")])
    boxes.post("v", [EventDue("e")])
    assert (boxes.size, boxes.waiting) == (4, 2)
    assert boxes._take() == (
        "w",
        [EventDue("e", looks=3), DeliveredResult("a"), DeliveredResult("e")],
    )
    assert boxes._take() == ("v", [EventDue("e")])
    assert (boxes.size, boxes._doorbells) == (0, {})


def test_a_row_that_is_found_while_it_is_handled_is_looked_at_again() -> None:
    """It may have changed since."""
    boxes = Mailboxes(MagicMock(), threads=1)
    boxes.post("w", [EventDue("e")])
    boxes._take()
    boxes.post("w", [EventDue("e", looks=1)])
    boxes._give_back("w")
    assert boxes._take() == ("w", [EventDue("e", looks=1)])


def test_everybody_who_waits_gets_an_answer() -> None:
    boxes = Mailboxes(MagicMock(), threads=1)
    mails = [ActionResult("a", Outcome("SUCCESS", 1), done=Future()) for _ in range(2)]
    boxes.post("w", mails)
    assert boxes._take() == ("w", mails)


def test_what_the_relay_finds_again_and_again_does_not_pile_up(
    fresh_sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Engines are too slow for hours: every look finds the same rows."""
    monkeypatch.setattr(look_times, "LOOK_AGAIN", dt.timedelta(0))
    database = Database(fresh_sqlite_url)
    database.write(tables.metadata.create_all)
    now = clock.utc_now()
    event = ExecutionEvent(
        ids.new_id(), ids.new_id(), "child-finished", next_look_at=now, created_at=now
    )
    database.write(lambda conn: entity_rows.insert(conn, [event]))
    queue = MagicMock(spec=ActionQueue)
    queue.options = SendOptions()
    engine = DefaultEngine(Storage(database), MagicMock(spec=Catalog), queue)
    for _ in range(3):
        engine._relay.sweep()
    assert engine._mailboxes.size == 1
    assert engine._mailboxes._take() == (event.execution_id, [EventDue(event.id, looks=3)])
    database.close()


@pytest.mark.parametrize(("is_busy", "looks"), [(True, 1), (False, 3)])
def test_a_busy_engine_looks_for_no_more_than_it_has_to(is_busy: bool, looks: int) -> None:
    relay: Any = Relay(
        MagicMock(spec=Storage), MagicMock(spec=ActionQueue), MagicMock(), MagicMock(), 1.0,
        lambda: is_busy,
    )  # fmt: skip
    relay.sweep = MagicMock(side_effect=[SWEEP_SIZE, SWEEP_SIZE, 0])
    relay.look()
    assert relay.sweep.call_count == looks


def test_the_sub_workflows_of_one_root_let_others_pass() -> None:
    boxes = Mailboxes(MagicMock(), threads=1)
    for number in range(5):
        boxes.post(f"child{number}", [StartDue(f"child{number}", root="wide")])
    boxes.post("other", [Reports("r", [])])
    boxes.post("child0", [Reports("r", [])])

    def taken() -> str:
        execution = boxes._take()
        assert execution is not None
        return execution[0]

    assert [taken(), taken()] == ["child0", "other"]
    # what comes without saying it belongs to the root, too
    boxes._give_back("child0")
    boxes.post("child0", [Reports("r", [])])
    boxes.post("another", [Reports("r", [])])
    assert [taken(), taken(), taken()] == ["child1", "another", "child2"]


def test_an_engine_ends_although_there_is_always_more() -> None:
    boxes: Mailboxes

    def handle(execution_id: str, batch: Sequence[Mail]) -> None:
        time.sleep(0.01)
        boxes.post(execution_id, [EventDue(f"after {batch[0].id}")])

    boxes = Mailboxes(handle, threads=2)
    boxes.start()
    boxes.post("w", [EventDue("e")])
    boxes.stop(patience=0.2)
    assert not any(worker.is_alive() for worker in boxes._workers)
    waiting: Future[None] = Future()
    boxes.post("v", [Reports("r", [], done=waiting)])
    with pytest.raises(exc.UnavailableException):
        waiting.result(timeout=1)
