"""One behaviour, two databases: what the simulator's rows do, real ones do too."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from mistral.db.core import tables
from mistral.db.core.database import Database
from mistral.db.core.errors import is_duplicate
from mistral.db.storage import SignOfLife, Storage, Store
from mistral.utils import ids
from mistral.workflow import results, states
from mistral.workflow.bounds import Used
from mistral.workflow.entities import (
    ActionExecution,
    ExecutionEvent,
    JoinInbound,
    TaskExecution,
    Timer,
    WorkflowExecution,
)
from mistral.workflow.values import Bag
from tests.simulation import memory_store
from tests.simulation.memory import MemoryDatabase

NOW = dt.datetime(2024, 5, 6, 7, 8, 9)
LATER = NOW + dt.timedelta(minutes=1)
WAIT = 20


@dataclasses.dataclass
class Kind:
    """A database and its storage."""

    db: Any
    storage: Storage
    has_row_locks: bool

    def write(self, work: Callable[[Any], Any]) -> Any:
        """One transaction with a store."""
        return self.storage.write(lambda tx: work(tx.store))

    def read(self, work: Callable[[Any], Any]) -> Any:
        """The same, only to read."""
        return self.storage.read(lambda tx: work(tx.store))


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    if request.param == "memory":
        memory = MemoryDatabase()
        yield Kind(memory, memory_store.storage(memory), True)
        return
    database = Database(request.getfixturevalue(f"fresh_{request.param}_url"))
    database.write(tables.metadata.create_all)
    yield Kind(database, Storage(database), request.param == "postgresql")
    database.close()


def _execution(name: str, **facts: Any) -> WorkflowExecution:
    return WorkflowExecution(name, "wf", "hash", created_at=NOW, **facts)


def _task(name: str, **facts: Any) -> TaskExecution:
    return TaskExecution(name, name, "w", created_at=NOW, **facts)


def _action(name: str, **facts: Any) -> ActionExecution:
    return ActionExecution(name, "std.echo", "w", "w", "t", created_at=NOW, **facts)


def _insert(row: Any, s: Any) -> None:
    s.insert([row])


def test_the_simulated_store_has_every_method() -> None:
    public = {n for n, _ in inspect.getmembers(Store, inspect.isfunction) if n[0] != "_"}
    assert public <= set(vars(memory_store.MemoryStore))


def test_what_is_written_comes_back_as_new_objects(kind: Kind) -> None:
    context = {"with_items": {"count": 2}, "list": [1, [2]]}
    task_ex = _task("t", runtime_context=context, in_context=Bag({"a": [1]}))
    task_ex.next_tasks = [["x", "y"]]
    kind.write(lambda s: s.insert([_execution("w", params=Bag({"env": {"k": 1}}))]))
    kind.write(lambda s: s.insert([task_ex]))
    found = kind.write(lambda s: s.tasks(["t", "unknown"]))
    assert len(found) == 1
    assert found[0] is not task_ex
    assert found[0].runtime_context == context
    assert found[0].in_context == Bag({"a": [1]})
    assert found[0].next_tasks == [["x", "y"]]
    assert kind.write(lambda s: s.execution("w")).params == Bag({"env": {"k": 1}})
    assert kind.write(lambda s: s.execution("unknown")) is None


def test_only_what_changed_is_written(kind: Kind) -> None:
    kind.write(lambda s: s.insert([_task("t")]))
    first = kind.write(lambda s: s.tasks(["t"]))[0]
    second = kind.write(lambda s: s.tasks(["t"]))[0]
    first.state = states.RUNNING
    second.processed = True
    kind.write(lambda s: s.update([first]))
    kind.write(lambda s: s.update([second]))
    found = kind.write(lambda s: s.tasks(["t"]))[0]
    assert (found.state, found.processed) == (states.RUNNING, True)


def test_a_failed_transaction_leaves_nothing(kind: Kind) -> None:
    def work(s: Any) -> None:
        s.insert([_task("t")])
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        kind.write(work)
    assert kind.write(lambda s: s.tasks(["t"])) == []


def test_unique_keys(kind: Kind) -> None:
    kind.write(lambda s: s.insert([_task("a", unique_key="join-x"), _task("b"), _task("c")]))
    for again in (_task("a"), _task("d", unique_key="join-x")):
        with pytest.raises(sa.exc.IntegrityError) as caught:
            kind.write(functools.partial(_insert, again))
        assert is_duplicate(caught.value)
    inbound = JoinInbound("a", "x", "ready")
    kind.write(lambda s: s.insert([inbound]))
    with pytest.raises(sa.exc.IntegrityError):
        kind.write(lambda s: s.insert([JoinInbound("a", "x", "failed")]))
    assert kind.write(lambda s: s.task_by_key("w", "join-x")).id == "a"
    assert kind.write(lambda s: s.task_by_key("w", "join-y")) is None


def test_questions_about_tasks(kind: Kind) -> None:
    done = {"state": states.SUCCESS, "processed": True}
    tasks = [
        _task("a", **done, has_next_tasks=True),
        _task("b", **done),
        _task("c", state=states.ERROR),
        _task("d", state=states.RUNNING),
    ]
    kind.write(lambda s: s.insert(tasks))

    def names(ask: Callable[[Any], Any]) -> list[str]:
        return [t.id for t in kind.write(ask)]

    assert names(lambda s: s.tasks_of("w")) == ["a", "b", "c", "d"]
    assert names(lambda s: s.tasks_in("w", ["RUNNING", "ERROR"])) == ["c", "d"]
    assert names(lambda s: s.tasks_by_name("w", ["d", "a"])) == ["a", "d"]
    assert kind.write(lambda s: s.latest_task("w", "d")).id == "d"
    assert kind.write(lambda s: s.latest_task("w", "other")) is None
    assert names(lambda s: s.end_tasks("w")) == ["b", "c"]
    assert names(lambda s: s.unprocessed_tasks("w")) == ["c"]
    assert kind.write(lambda s: s.unfinished("w")) == [("d", "d", "RUNNING")]
    assert kind.write(lambda s: s.unfinished("w", ["a", "d"])) == [("d", "d", "RUNNING")]
    assert kind.write(lambda s: s.unfinished("w", ["a"])) == []
    assert names(lambda s: s.find_tasks(None, "w", True, "ERROR")) == ["c"]
    assert names(lambda s: s.tasks([])) == []


def test_questions_about_children_and_results(kind: Kind) -> None:
    children = [
        _execution("y", task_execution_id="t", parent_execution_id="w", idx=0, state="RUNNING"),
        _execution("x", task_execution_id="t", parent_execution_id="w", idx=1, state="SUCCESS"),
    ]
    found = [
        _action("k", idx=1, accepted=True, state=states.ERROR),
        _action("l", idx=0, accepted=True, state=states.SUCCESS),
        _action("m", idx=2),
    ]
    kind.write(lambda s: s.insert([_execution("w"), *children]))
    kind.write(lambda s: s.insert(found))
    assert [c.id for c in kind.write(lambda s: s.children_of_task("t"))] == ["y", "x"]
    assert kind.write(lambda s: s.children_in("w", ["RUNNING"])) == ["y"]
    assert [a.id for a in kind.write(lambda s: s.lock_actions(["m", "k"]))] == ["k", "m"]
    assert [a.id for a in kind.write(lambda s: s.results_of_tasks(["t"]))] == ["l", "k"]
    told = _action("n", signalled_at=NOW)
    kind.write(lambda s: s.insert([_action("o", next_look_at=NOW), told]))
    assert kind.write(lambda s: s.abandoned_actions("w")) == ["k", "l", "m"]
    kind.write(lambda s: s.insert([_action("p", state=states.PAUSED, signalled_at=NOW)]))
    assert kind.write(lambda s: s.paused_actions("t")) == ["p"]
    kind.write(lambda s: s.discard_results("t", failed_only=True))
    assert [a.id for a in kind.write(lambda s: s.results_of_tasks(["t"]))] == ["l"]
    kind.write(lambda s: s.discard_results("t"))
    assert kind.write(lambda s: s.results_of_tasks(["t"])) == []


def test_actions_are_called_off(kind: Kind) -> None:
    found = [
        _action("a"),
        _action("b"),
        _action("c", state=states.PAUSED),
        _action("d", state=states.SUCCESS, result_at=NOW),
        _action("e", state=states.SUCCESS, result_at=NOW, processed=True),
        ActionExecution("f", "std.echo", "w", "w", "other", created_at=NOW),
    ]
    kind.write(lambda s: s.insert(found))
    assert kind.write(lambda s: s.delivered_actions("t")) == ["d"]
    changes = {**results.called_off("over", NOW), "state": states.CANCELLED}
    kind.write(lambda s: s.call_off_actions("t", changes, ["b"]))
    after = kind.write(lambda s: s.lock_actions("abcdef"))
    assert [a.state for a in after] == [
        states.CANCELLED,
        states.RUNNING,
        states.CANCELLED,
        states.SUCCESS,
        states.SUCCESS,
        states.RUNNING,
    ]
    assert {name: getattr(after[0], name) for name in changes} == changes
    assert kind.write(lambda s: s.delivered_actions("t")) == ["d"]


def test_timers_events_values_numbers(kind: Kind) -> None:
    soon = Timer("1", "retry", "w", "t", 0, NOW)
    claimed = Timer("2", "retry", "w", "t", 0, NOW, claimed_until=LATER)
    late = Timer("3", "retry", "w", "t", 0, LATER + dt.timedelta(hours=1))
    events = [ExecutionEvent(i, "w", "pause", f"from {i}", created_at=NOW) for i in ("b", "a")]
    kind.write(lambda s: s.insert([soon, claimed, late]))
    kind.write(lambda s: s.insert(events))
    found = kind.storage.write(lambda tx: tx.due.timers(NOW, LATER, 10))
    assert [t.id for t in found] == ["1"]
    assert [e.id for e in kind.write(lambda s: s.events(["b", "a"]))] == ["a", "b"]
    assert [e.id for e in kind.write(lambda s: s.events_from("w", "from b"))] == ["b"]
    assert kind.write(lambda s: s.events_from("other", "from b")) == []
    kind.write(lambda s: s.delete_timers(["1", "unknown"]))
    kind.write(lambda s: s.delete_events(["a"]))
    assert [t.id for t in kind.write(lambda s: s.timers(["1", "2"]))] == ["2"]
    assert [e.id for e in kind.write(lambda s: s.events(["b", "a"]))] == ["b"]
    for _ in range(2):
        kind.write(lambda s: s.save_values("w", {"h": b'"text"'}))
    assert kind.write(lambda s: s.values("w")._load(["h", "unknown"])) == {"h": '"text"'}
    assert kind.write(lambda s: s.known_values("w", ["h", "unknown"])) == {"h"}
    assert kind.write(lambda s: s.usage("w")) == Used()
    for _ in range(2):
        kind.write(lambda s: s.add_usage("w", Used(1, 2, 3, 4)))
    assert kind.write(lambda s: s.usage("w")) == Used(2, 4, 6, 8)
    first = kind.write(lambda s: s.command_number())
    assert kind.write(lambda s: s.command_number()) > first


def test_due_rows(kind: Kind) -> None:
    found = [_action("a", next_look_at=LATER), _action("b", next_look_at=NOW), _action("c")]
    kind.write(lambda s: s.insert(found))

    def due(moment: dt.datetime, limit: int) -> list[str]:
        work = lambda tx: tx.due.rows_of(ActionExecution, moment, limit)  # noqa: E731
        return [a.id for a in kind.storage.write(work)]

    assert due(NOW, 10) == ["b"]
    assert due(LATER, 10) == ["b", "a"]
    assert due(LATER, 1) == ["b"]


def test_results_claims_and_heartbeats(kind: Kind) -> None:
    kind.write(lambda s: s.insert([_action("a", next_look_at=NOW), _action("b", attempt=2)]))
    write = kind.storage.write
    asked = [("a", 0), ("b", 1), ("unknown", 0)]
    assert write(lambda tx: tx.actions.claim("one", asked, NOW, LATER)) == ["a"]
    assert write(lambda tx: tx.actions.by_ids(["a"]))[0].next_look_at == LATER
    assert write(lambda tx: tx.actions.claim("one", asked, NOW, LATER)) == ["a"]
    assert write(lambda tx: tx.actions.claim("two", asked, NOW, LATER)) == []
    write(lambda tx: tx.actions.release("one", asked, NOW))
    assert write(lambda tx: tx.actions.by_ids(["a"]))[0].started_by is None

    outcome = results.Outcome(states.SUCCESS, {"big": "x" * 5000})
    answers = [write(lambda tx: tx.actions.deliver("a", outcome, NOW)) for _ in range(2)]
    assert [(a.accepted, a.repeated) for a in answers] == [(True, False), (False, True)]
    other = write(lambda tx: tx.actions.deliver("a", results.Outcome(states.ERROR, 1), NOW))
    assert (other.accepted, other.repeated) == (False, False)
    assert write(lambda tx: tx.actions.deliver("unknown", outcome, NOW)).row is None
    stored = kind.write(lambda s: s.values("w").unpack(s.lock_actions(["a"])[0].output))
    assert stored == {"result": outcome.value}
    assert write(lambda tx: tx.actions.claim("two", asked, NOW, LATER)) == []


def test_handlings_are_counted(kind: Kind) -> None:
    write = kind.storage.write
    one, other, third = ("event", "1"), ("timer", "1"), ("event", "2")
    write(lambda tx: tx.attempts.begin("w", [one, other]))
    write(lambda tx: tx.attempts.begin("w", [one, third]))
    write(lambda tx: tx.attempts.begin("v", [one]))
    write(lambda tx: tx.attempts.begin("w", []))
    assert write(lambda tx: tx.attempts.begun("w", [one, other, third])) == {
        one: 2,
        other: 1,
        third: 1,
    }
    write(lambda tx: tx.attempts.take_back("w", [one, other, ("start", "1")]))
    write(lambda tx: tx.attempts.forget("w", [third]))
    assert write(lambda tx: tx.attempts.begun("w", [one, third, other])) == {one: 1, other: 0}
    assert write(lambda tx: tx.attempts.begun("v", [one, other])) == {one: 1}


def test_signs_of_life(kind: Kind) -> None:
    """They change what would be looked at soon, and claims not heard of for long."""
    second = dt.timedelta(seconds=1)
    far = NOW + 60 * second
    claimed = {"started_by": "one", "started_at": NOW}
    long_ago = {"started_by": "one", "started_at": NOW - 60 * second}
    found = [
        _action("soon", next_look_at=NOW + second),
        _action("far", next_look_at=far),
        _action("begun", next_look_at=far, **claimed),
        _action("begun-soon", next_look_at=NOW + second, **claimed),
        _action("begun-long-ago", next_look_at=far, **long_ago),
        _action("safe", next_look_at=far, safe_rerun=True, **long_ago),
        _action("named", next_look_at=far, last_heartbeat=NOW, **long_ago),
        _action("no-more", next_look_at=None, **long_ago),
        _action("told", next_look_at=NOW, signalled_at=NOW),
        _action("ended", next_look_at=NOW, result_at=NOW),
    ]
    ids = [action_ex.id for action_ex in found]
    kind.write(lambda s: s.insert(found))
    sign = SignOfLife(NOW, refresh=20 * second, waiting_look=6 * second, claimed_look=300 * second)
    kind.storage.write(lambda tx: tx.actions.heard_of([*ids, "unknown"], sign))
    rows = kind.storage.write(lambda tx: tx.actions.by_ids(ids))
    looks = {r.id: r.next_look_at for r in rows if r.last_heartbeat == NOW}
    assert looks == {
        "soon": NOW + 6 * second,
        "begun-soon": NOW + 300 * second,
        "begun-long-ago": NOW + 300 * second,
        "safe": NOW + 6 * second,
        "named": far,
    }


class _Other:
    """Another transaction in a thread, stopped at a point in its middle."""

    def __init__(self, kind: Kind, work: Callable[[Any], Any]) -> None:
        self._reached, self._go_on = threading.Event(), threading.Event()
        self.tries = 0

        def held(tx: Any) -> None:
            self.tries += 1
            work(tx)
            self._reached.set()
            self._go_on.wait(WAIT)

        self._thread = threading.Thread(target=lambda: kind.storage.write(held))

    def __enter__(self) -> _Other:
        self._thread.start()
        assert self._reached.wait(WAIT)
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def finish(self) -> None:
        """Let it commit."""
        self._go_on.set()
        self._thread.join(WAIT)


def test_others_see_only_what_is_committed(kind: Kind) -> None:
    kind.write(lambda s: s.insert([_execution("w")]))

    def change(s: Any) -> None:
        wf_ex = s.lock_execution("w")
        wf_ex.state = states.RUNNING
        s.update([wf_ex])
        s.insert([_task("t")])
        assert s.execution("w").state == states.RUNNING

    with _Other(kind, lambda tx: change(tx.store)) as other:
        read = kind.read(lambda s: s.execution("w").state)
        assert read == states.IDLE
        assert kind.read(lambda s: s.tasks(["t"])) == []
        other.finish()
        assert kind.read(lambda s: s.execution("w").state) == states.RUNNING


def test_who_waits_for_a_row_sees_its_newest_state(kind: Kind) -> None:
    if not kind.has_row_locks:
        pytest.skip("SQLite has one writer at a time")
    kind.write(lambda s: s.insert([_execution("w")]))
    seen: list[int] = []

    def change(s: Any) -> None:
        wf_ex = s.lock_execution("w")
        wf_ex.version += 1
        s.update([wf_ex])

    def wait(s: Any) -> None:
        seen.append(s.lock_execution("w").version)

    with _Other(kind, lambda tx: change(tx.store)) as other:
        waiter = threading.Thread(target=lambda: kind.write(wait))
        waiter.start()
        waiter.join(0.2)
        assert seen == []
        other.finish()
        waiter.join(WAIT)
    assert seen == [1]


def test_what_others_look_at_is_skipped(kind: Kind) -> None:
    if not kind.has_row_locks:
        pytest.skip("SQLite has one writer at a time")
    kind.write(lambda s: s.insert([_action(ids.new_id(), next_look_at=NOW) for _ in range(3)]))

    def look(tx: Any) -> int:
        return len(tx.due.rows_of(ActionExecution, NOW, 2))

    with _Other(kind, look):
        assert kind.storage.write(look) == 1


def test_a_circle_of_waiters_is_broken(kind: Kind) -> None:
    if not kind.has_row_locks:
        pytest.skip("SQLite has one writer at a time")
    kind.write(lambda s: s.insert([_action("a"), _action("b")]))
    first = threading.Barrier(2, timeout=WAIT)
    tries = []

    def cross(one: str, two: str) -> None:
        met = False

        def work(s: Any) -> None:
            nonlocal met
            tries.append(one)
            s.lock_actions([one])
            if not met:
                met = True
                first.wait()
            s.lock_actions([two])

        kind.write(work)

    threads = [threading.Thread(target=cross, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert len(tries) == 3


def test_an_insert_waits_for_another_of_the_same_key(kind: Kind) -> None:
    if not kind.has_row_locks:
        pytest.skip("SQLite has one writer at a time")
    errors: list[BaseException] = []

    def again() -> None:
        try:
            kind.write(lambda s: s.insert([_execution("w")]))
        except sa.exc.IntegrityError as error:
            errors.append(error)

    with _Other(kind, lambda tx: tx.store.insert([_execution("w")])) as other:
        waiter = threading.Thread(target=again)
        waiter.start()
        waiter.join(0.2)
        assert errors == []
        other.finish()
        waiter.join(WAIT)
    assert len(errors) == 1
