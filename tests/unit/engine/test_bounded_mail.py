"""What waits in an engine's memory has a bound: the rest waits in the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest

from mistral.db.transaction import Database
from mistral.engine import default_engine
from mistral.engine.action_queue import SWEEP_SIZE, ActionQueue, Relay, SendOptions
from mistral.engine.default_engine import DefaultEngine
from mistral.engine.mailbox import BATCH, Mail, Mailboxes
from mistral.services.catalog import Catalog


@pytest.fixture
def idle_engine() -> Iterator[DefaultEngine]:
    """An engine whose workers do not run."""
    queue = MagicMock(spec=ActionQueue)
    queue.options = SendOptions()
    yield DefaultEngine(MagicMock(spec=Database), MagicMock(spec=Catalog), queue)


def test_doorbells_are_not_heard_when_enough_waits(
    idle_engine: DefaultEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_engine, "FULL_WITH", 3)
    for number in range(5):
        idle_engine.action_delivered(f"a{number}", "w" if number % 2 else None)
    assert idle_engine._mailboxes.size == 3


def test_mail_that_was_taken_does_not_wait() -> None:
    boxes = Mailboxes(MagicMock(), threads=1)
    boxes.post("w", [Mail("delivered", str(n)) for n in range(BATCH + 5)])
    assert boxes.size == BATCH + 5
    boxes._take()
    assert boxes.size == 5


@pytest.mark.parametrize(("is_busy", "looks"), [(True, 1), (False, 3)])
def test_a_busy_engine_looks_for_no_more_than_it_has_to(is_busy: bool, looks: int) -> None:
    relay: Any = Relay(
        MagicMock(spec=Database), MagicMock(spec=ActionQueue), MagicMock(), MagicMock(), 1.0,
        lambda: is_busy,
    )  # fmt: skip
    relay.sweep = MagicMock(side_effect=[SWEEP_SIZE, SWEEP_SIZE, 0])
    relay.look()
    assert relay.sweep.call_count == looks
