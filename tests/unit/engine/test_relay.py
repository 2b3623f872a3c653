"""What the relay does with actions that are due, over a real database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest
import sqlalchemy as sa

from mistral.db.core import entity_rows, tables
from mistral.db.core.database import Database
from mistral.db.execution import heartbeats
from mistral.db.execution.action_executions import ActionExecutions
from mistral.db.storage import Storage, Transaction
from mistral.engine import liveness
from mistral.engine.action_queue import ActionQueue, SendOptions
from mistral.engine.background.relay import SWEEP_SIZE, Relay
from mistral.engine.liveness import (
    CALLER_GONE,
    HEARTBEAT_LOST,
    KILLER,
    MAX_LOSSES,
    PROCESS_SILENCE,
    HeartbeatOptions,
)
from mistral.engine.mail.base import Mail
from mistral.engine.signs_of_life import note_executor
from mistral.rpc.messages import ActionOrder, Heartbeat
from mistral.utils import clock, ids
from mistral.workflow.entities import (
    CALLER,
    ActionExecution,
    ExecutionEvent,
    Timer,
    WorkflowExecution,
)

EXECUTOR = "executor/1"
SILENCE = 30.0


class Surroundings:
    """A database with actions, and what the relay sends and posts."""

    def __init__(self, database: Database) -> None:
        self.database = database
        # counted from now: the whole run may take longer than the times that are judged
        self.long_ago = clock.utc_now() - dt.timedelta(seconds=60)
        self.queue = MagicMock(spec=ActionQueue)
        self.queue.options = SendOptions(heartbeat=HeartbeatOptions(silence=SILENCE, refresh=5))
        self.queue.order.side_effect = lambda action_ex, *_: ActionOrder(action_ex.id, "x")
        self.posted: list[Mail] = []
        self.timers = MagicMock()
        self.relay = Relay(
            Storage(database),
            self.queue,
            lambda _, mails: self.posted.extend(mails),
            self.timers,
            1.0,
        )

    def action(self, **values: Any) -> str:
        """An action that is due."""
        action_ex = ActionExecution(
            id=ids.new_id(),
            name="std.http",
            created_at=self.long_ago,
            **({"next_look_at": self.long_ago} | values),
        )
        self.database.write(lambda conn: entity_rows.insert(conn, [action_ex]))
        return action_ex.id

    def hear_of(self, *action_ids: str) -> dt.datetime:
        """An executor names these."""
        now = clock.utc_now()
        options = self.queue.options.heartbeat
        self.database.write(
            lambda conn: note_executor(
                Transaction(conn), Heartbeat(EXECUTOR, "h", action_ids), now, options
            )
        )
        return now

    def claim(self, executor_id: str, action_id: str) -> list[str]:
        """An executor asks for an action."""
        now = clock.utc_now()
        return self.database.write(
            lambda conn: ActionExecutions(conn).claim(executor_id, [(action_id, 0)], now, now)
        )

    def make_due(self, action_id: str) -> None:
        """Let the relay look at an action again."""
        table = tables.action_executions
        statement = sa.update(table).where(table.c.id == action_id)
        self.database.write(lambda conn: conn.execute(statement.values(next_look_at=self.long_ago)))

    def listens_since(self, moment: dt.datetime) -> None:
        """Some engine has looked all the time since then."""
        now = clock.utc_now()

        def note(conn: sa.Connection) -> None:
            heartbeats.seen(conn, heartbeats.LISTENING, "engines", "", moment)
            heartbeats.seen(conn, heartbeats.LOOKED, "engines", "", now)

        self.database.write(note)

    @property
    def sent(self) -> list[str]:
        """The ids of the actions that were sent again."""
        return [order.id for args in self.queue.send.call_args_list for _, order in args.args[0]]

    def next_look(self, action_id: str) -> dt.datetime | None:
        """When the relay looks at an action again."""
        found = self.database.read(lambda conn: ActionExecutions(conn).by_ids([action_id]))
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
    around.hear_of(action_id)
    assert around.next_look(action_id) is None


def test_a_sign_of_life_may_name_more_actions_than_a_statement_can(around: Surroundings) -> None:
    action_id = around.action(started_by=EXECUTOR)
    known = [ids.new_id() for _ in range(40_000)] + [action_id]
    now = around.hear_of(*known)
    assert around.next_look(action_id) == now + dt.timedelta(seconds=SILENCE)


def test_only_what_would_be_looked_at_soon_is_rewritten(around: Surroundings) -> None:
    """Whatever an executor has: signs of life must not cost a write for each action each time."""
    soon = clock.utc_now() + dt.timedelta(seconds=1)
    later = clock.utc_now() + dt.timedelta(seconds=60)
    waiting = around.action(next_look_at=later)
    waiting_long = around.action(next_look_at=soon)
    begun = around.action(next_look_at=later, started_by=EXECUTOR, started_at=clock.utc_now())
    begun_long_ago = around.action(
        next_look_at=later, started_by=EXECUTOR, started_at=around.long_ago
    )
    ended = around.action(next_look_at=None)
    now = around.hear_of(waiting, waiting_long, begun, begun_long_ago, ended)
    assert around.next_look(waiting) == later
    assert around.next_look(waiting_long) == now + PROCESS_SILENCE
    assert around.next_look(begun) == later
    assert around.next_look(begun_long_ago) == now + dt.timedelta(seconds=SILENCE)
    assert around.next_look(ended) is None


@pytest.mark.parametrize("safe_rerun", [False, True])
@pytest.mark.parametrize(
    ("silent_for", "has_listened", "outcome"),
    [
        (0, True, "waits"),
        (PROCESS_SILENCE.total_seconds() + 1, True, "waits, unless it is safe"),
        (SILENCE + 1, True, "lost"),
        # an engine that has only just begun can't know
        (SILENCE + 1, False, "waits"),
    ],
)
def test_claims_of_silent_executors(
    around: Surroundings, silent_for: float, has_listened: bool, outcome: str, safe_rerun: bool
) -> None:
    now = clock.utc_now()
    seen = now - dt.timedelta(seconds=silent_for)
    around.database.write(lambda conn: heartbeats.seen(conn, EXECUTOR, "executor", "h", seen))
    action_id = around.action(started_by=EXECUTOR, started_at=seen, safe_rerun=safe_rerun)
    around.listens_since(around.long_ago if has_listened else now)
    around.relay.sweep()
    is_lost = outcome == "lost"
    assert around.sent == ([action_id] if safe_rerun and outcome != "waits" else [])
    assert [m.outcome.value for m in around.posted] == [HEARTBEAT_LOST] * (
        is_lost and not safe_rerun
    )


def test_what_is_safe_to_repeat_is_not_for_ever(around: Surroundings) -> None:
    """Their executors died each time; it may be that they died of it."""
    action_id = around.action(safe_rerun=True)
    around.listens_since(around.long_ago)
    for number in range(MAX_LOSSES):
        around.relay.sweep()
        assert around.sent == [action_id] * (number + 1)
        seen = around.long_ago + dt.timedelta(seconds=1)
        changes = {"started_by": f"executor/{number}", "started_at": seen}
        around.database.write(
            lambda conn, changes=changes: conn.execute(
                sa.update(tables.action_executions).values(**changes)
            )
        )
        around.make_due(action_id)
    around.relay.sweep()
    assert around.sent == [action_id] * MAX_LOSSES
    assert [m.outcome.value for m in around.posted] == [KILLER]


def test_an_executor_that_was_never_seen_is_silent_since_its_claim(around: Surroundings) -> None:
    around.action(started_by=EXECUTOR, started_at=around.long_ago)
    around.listens_since(around.long_ago)
    around.relay.sweep()
    assert [mail.kind for mail in around.posted] == ["lost"]


def test_lost_actions_are_found_in_batches(around: Surroundings) -> None:
    around.queue.options = SendOptions(heartbeat=HeartbeatOptions(silence=SILENCE, batch=2))
    for _ in range(5):
        around.action(started_by=EXECUTOR, started_at=around.long_ago)
    around.listens_since(around.long_ago)
    assert around.relay.sweep() == SWEEP_SIZE
    assert len(around.posted) == 2
    around.relay.look()
    assert len({mail.id for mail in around.posted}) == 5


def test_what_a_living_executor_has_forgotten_is_lost(around: Surroundings) -> None:
    now = clock.utc_now()
    around.database.write(lambda conn: heartbeats.seen(conn, EXECUTOR, "executor", "h", now))
    around.action(started_by=EXECUTOR, started_at=around.long_ago)
    around.listens_since(around.long_ago)
    around.relay.sweep()
    assert [mail.kind for mail in around.posted] == ["lost"]


def test_a_lost_claim_is_not_granted_again(around: Surroundings) -> None:
    """Its executor may wake up before the loss is stored, but then it begins nothing."""
    action_id = around.action(started_by=EXECUTOR, started_at=around.long_ago)
    around.listens_since(around.long_ago)
    around.relay.sweep()
    assert around.claim(EXECUTOR, action_id) == []
    # should the mail get lost, too: the next look finds it again
    around.make_due(action_id)
    around.listens_since(clock.utc_now())
    around.relay.sweep()
    assert [mail.kind for mail in around.posted] == ["lost"] * 2


def test_a_confirmed_claim_is_a_sign_of_life(around: Surroundings) -> None:
    action_id = around.action(started_by=EXECUTOR, started_at=around.long_ago)
    assert around.claim(EXECUTOR, action_id) == [action_id]
    around.listens_since(around.long_ago)
    around.relay.sweep()
    assert around.posted == []


def test_asynchronous_actions_say_that_their_signal_is_uncertain(around: Surroundings) -> None:
    around.action(started_by=EXECUTOR, started_at=around.long_ago, is_sync=False)
    around.listens_since(around.long_ago)
    around.relay.sweep()
    [mail] = around.posted
    assert "not known whether the third party was told" in mail.outcome.value


def test_without_heartbeats_silence_proves_nothing(around: Surroundings) -> None:
    around.queue.options = SendOptions(heartbeat=HeartbeatOptions(silence=0))
    around.action(started_by=EXECUTOR, started_at=around.long_ago)
    around.listens_since(around.long_ago)
    around.relay.sweep()
    assert around.posted == []


def test_what_no_executor_takes_notice_of_fails_at_last(around: Surroundings) -> None:
    around.queue.options = SendOptions(heartbeat=HeartbeatOptions(silence=SILENCE, first=120))
    ignored = around.action(tries=10)
    around.action(tries=10, is_sync=False)
    around.action(tries=10, last_heartbeat=around.long_ago)
    around.action(tries=1)
    around.relay.sweep()
    assert [(m.id, m.outcome.value) for m in around.posted] == [(ignored, HEARTBEAT_LOST)]
    assert len(around.sent) == 3


def test_what_a_caller_has_begun_ends_without_it(around: Surroundings) -> None:
    around.action(started_by=CALLER)
    around.relay.sweep()
    assert [mail.outcome.value for mail in around.posted] == [CALLER_GONE]


def _owned(around: Surroundings, kind: str, owner: str, count: int, age: int) -> list[str]:
    """Due rows of one kind that belong to an execution."""
    moment = around.long_ago - dt.timedelta(seconds=age)
    names = [ids.new_id() for _ in range(count)]
    made: list[Any] = []
    for name in names:
        if kind == "action":
            made.append(
                ActionExecution(
                    id=name,
                    name="std.noop",
                    workflow_execution_id=owner,
                    next_look_at=moment,
                    created_at=moment,
                )
            )
        elif kind == "event":
            made.append(
                ExecutionEvent(
                    name, owner, "pause", next_look_at=moment, created_at=around.long_ago
                )
            )
        elif kind == "start":
            made.append(
                WorkflowExecution(
                    name,
                    "w",
                    "0",
                    parent_execution_id=owner,
                    next_look_at=moment,
                    created_at=moment,
                )
            )
        else:
            made.append(Timer(name, "retry", owner, ids.new_id(), 0, moment))
    around.database.write(lambda conn: entity_rows.insert(conn, made))
    return names


def _found(around: Surroundings) -> list[str]:
    """What the relay has sent, posted or put among the timers so far."""
    timers = [t.id for args in around.timers.call_args_list for t in args.args[0]]
    return [*around.sent, *(mail.id for mail in around.posted), *timers]


@pytest.mark.parametrize("kind", ["action", "event", "start", "timer"])
def test_one_execution_does_not_starve_the_others(around: Surroundings, kind: str) -> None:
    """However much older and however many its rows are."""
    for owner in ("huge", "small"):
        if kind == "action":
            execution = WorkflowExecution(owner, "w", "0", created_at=around.long_ago)
            execution.state = "RUNNING"
            around.database.write(lambda conn, row=execution: entity_rows.insert(conn, [row]))
    huge = _owned(around, kind, "huge", 5 * SWEEP_SIZE, age=100)
    small = _owned(around, kind, "small", 3, age=0)
    for _ in range(2):
        assert around.relay.sweep() >= SWEEP_SIZE
    assert set(small) <= set(_found(around))
    while around.relay.sweep() >= SWEEP_SIZE:
        continue
    assert sorted(_found(around)) == sorted(huge + small)


def test_what_cannot_be_read_does_not_hold_up_the_others(around: Surroundings) -> None:
    broken, other = around.action(), around.action()

    def order(action_ex: ActionExecution, *_: Any) -> ActionOrder:
        if action_ex.id == broken:
            raise KeyError("a value that is gone")
        return ActionOrder(action_ex.id, "x")

    around.queue.order.side_effect = order
    around.relay.sweep()
    assert around.sent == [other]
    assert [(mail.kind, mail.id) for mail in around.posted] == [("lost", broken)]


@pytest.mark.parametrize(
    ("looked", "since", "expected"),
    [
        pytest.param(None, None, 0, id="the first engine ever"),
        pytest.param(2, 500, 500, id="one that has just started beside others"),
        pytest.param(5, 500, 500, id="engines that are killed and started again"),
        pytest.param(7, 500, 0, id="there was none for a while"),
        pytest.param(2, None, 86400, id="for longer than is remembered"),
    ],
)
def test_silence_counts_while_any_engine_listens(
    looked: int | None, since: int | None, expected: int
) -> None:
    now = clock.utc_now()

    def ago(seconds: int | None) -> dt.datetime | None:
        return None if seconds is None else now - dt.timedelta(seconds=seconds)

    assert liveness.listening_since(ago(looked), ago(since), now) == ago(expected)


def test_engines_note_that_they_listen(around: Any) -> None:
    around.relay.sweep()
    first = around.database.read(lambda conn: heartbeats.last_seen(conn, _NOTED))
    assert set(first) == set(_NOTED)
    around.relay.sweep()
    later = around.database.read(lambda conn: heartbeats.last_seen(conn, _NOTED))
    assert later[heartbeats.LISTENING] == first[heartbeats.LISTENING]


_NOTED = (heartbeats.LOOKED, heartbeats.LISTENING)
