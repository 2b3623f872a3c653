"""What the relay does with actions that are due, over a real database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest

from mistral.db import actions, members, rows, tables
from mistral.db.transaction import Database
from mistral.engine.action_queue import PROCESS_SILENCE, ActionQueue, Relay, SendOptions
from mistral.engine.mailbox import Mail
from mistral.utils import clock, ids
from mistral.workflow.entities import ActionExecution

EXECUTOR = "executor/1"


class Surroundings:
    """A database with actions, and what the relay sends and posts."""

    def __init__(self, database: Database) -> None:
        self.database = database
        # counted from now: the whole run may take longer than the times that are judged
        self.long_ago = clock.utc_now() - dt.timedelta(seconds=60)
        self.queue = MagicMock(spec=ActionQueue)
        self.queue.options = SendOptions(silence_limit=300)
        self.queue.call.side_effect = lambda action_ex, *_: {"id": action_ex.id}
        self.posted: list[Mail] = []
        self.relay = Relay(
            database, self.queue, lambda _, mails: self.posted.extend(mails), MagicMock(), 1.0
        )

    def action(self, **values: Any) -> str:
        """An action that is due."""
        action_ex = ActionExecution(
            id=ids.new_id(),
            name="std.http",
            created_at=self.long_ago,
            next_look_at=self.long_ago,
            **values,
        )
        self.database.write(lambda conn: rows.insert(conn, [action_ex]))
        return action_ex.id

    def listens_since(self, moment: dt.datetime) -> None:
        """The relay has looked all the time since then."""
        self.relay._listening_since, self.relay._last_look = moment, clock.utc_now()

    @property
    def sent(self) -> list[str]:
        """The ids of the actions that were sent again."""
        return [call["id"] for args in self.queue.send.call_args_list for _, call in args.args[0]]

    def next_look(self, action_id: str) -> dt.datetime | None:
        """When the relay looks at an action again."""
        found = self.database.read(lambda conn: actions.by_ids(conn, [action_id]))
        return found[0].next_look_at


@pytest.fixture
def around(fresh_sqlite_url: str) -> Iterator[Surroundings]:
    """An empty database."""
    database = Database(fresh_sqlite_url)
    with database.connect() as conn:
        tables.metadata.create_all(conn)
        conn.commit()
    yield Surroundings(database)
    database.close()


def test_what_nobody_has_claimed_is_sent_again(around: Surroundings) -> None:
    action_id = around.action()
    around.relay.sweep()
    assert around.sent == [action_id]
    assert around.next_look(action_id)


@pytest.mark.parametrize("started_by", [None, EXECUTOR])
def test_what_waits_for_a_third_party_is_left_alone(
    around: Surroundings, started_by: str | None
) -> None:
    """Whatever set the mark: the third party is not told twice, nor is the action given up."""
    action_id = around.action(
        started_by=started_by, started_at=around.long_ago, signalled_at=around.long_ago
    )
    around.listens_since(around.long_ago)
    around.relay.sweep()
    assert (around.sent, around.posted, around.next_look(action_id)) == ([], [], None)


def test_a_sign_of_life_does_not_wake_what_waits(around: Surroundings) -> None:
    action_id = around.action(signalled_at=around.long_ago)
    around.relay.sweep()
    now = clock.utc_now()
    around.database.write(lambda conn: actions.heard_of(conn, [action_id], now, now))
    assert around.next_look(action_id) is None


def test_a_sign_of_life_may_name_more_actions_than_a_statement_can(around: Surroundings) -> None:
    action_id = around.action(started_by=EXECUTOR)
    now = clock.utc_now()
    known = [ids.new_id() for _ in range(40_000)] + [action_id]
    around.database.write(lambda conn: actions.heard_of(conn, known, now, now))
    assert around.next_look(action_id) == now


@pytest.mark.parametrize(
    ("was_seen", "has_listened", "is_lost"),
    [
        ("long ago", True, True),
        ("now", True, False),
        # an engine that has only just begun can't know
        ("long ago", False, False),
        ("never", True, True),
    ],
)
def test_claims_of_silent_executors(
    around: Surroundings, was_seen: str, has_listened: bool, is_lost: bool
) -> None:
    now = clock.utc_now()
    assert now - around.long_ago > PROCESS_SILENCE
    if was_seen != "never":
        seen = now if was_seen == "now" else around.long_ago
        around.database.write(lambda conn: members.seen(conn, EXECUTOR, "executor", "h", seen))
    around.action(started_by=EXECUTOR, started_at=around.long_ago)
    again = around.action(started_by=EXECUTOR, started_at=around.long_ago, safe_rerun=True)
    around.listens_since(around.long_ago if has_listened else now)
    around.relay.sweep()
    assert [mail.kind for mail in around.posted] == ["lost"] * is_lost
    assert around.sent == [again] * is_lost
