"""Pausing and resuming everything, over a real database and an engine that only changes states."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from typing import Any, cast

import pytest
import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.db.core import entity_rows, tables
from mistral.db.core.database import Database
from mistral.db.execution.store import Store
from mistral.db.operations import maintenance
from mistral.db.storage import Storage
from mistral.engine.background import maintenance_job
from mistral.engine.background.maintenance_job import MaintenanceJob
from mistral.engine.base import Engine
from mistral.utils import clock, ids
from mistral.workflow import states
from mistral.workflow.entities import TaskExecution, WorkflowExecution

_W = tables.workflow_executions
_T = tables.task_executions


class StateEngine:
    """Changes the state of an execution, as the commands do; refuses what a test names."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.refused: set[str] = set()
        self.away: set[str] = set()
        self.told: list[tuple[str, str]] = []

    def pause_workflow(self, wf_ex_id: str) -> None:
        self._set(wf_ex_id, states.PAUSED)

    def resume_workflow(self, wf_ex_id: str) -> None:
        self._set(wf_ex_id, states.RUNNING)

    def _set(self, execution_id: str, state: str) -> None:
        self.told.append((execution_id, state))
        if execution_id in self.refused:
            raise exc.WorkflowException("It is rolled back.")
        if execution_id in self.away:
            raise exc.UnavailableException

        def work(conn: sa.Connection) -> None:
            number = Store(conn).command_number()
            changes = {"state": state, "command_number": number}
            conn.execute(sa.update(_W).where(_W.c.id == execution_id).values(**changes))

        self.database.write(work)


class Surroundings:
    """A database, an engine and jobs that take turns when a test says so."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.engine = StateEngine(database)

    def job(self) -> MaintenanceJob:
        """The job of one more engine process."""
        return MaintenanceJob(Storage(self.database), cast(Engine, self.engine), 1.0)

    def ask(self, status: str) -> str:
        """An operator's wish."""
        return self.database.write(
            lambda conn: maintenance.ask(conn, status, clock.utc_now())
        ).status

    @property
    def now(self) -> maintenance.Maintenance:
        """The row."""
        return self.database.read(maintenance.read)

    def executions(self, count: int, state: str = states.RUNNING, **values: Any) -> list[str]:
        """Executions in a state."""
        made = [
            WorkflowExecution(
                id=ids.new_id(),
                workflow_name="w",
                spec_hash="0",
                state=state,
                created_at=clock.utc_now(),
                **values,
            )
            for _ in range(count)
        ]
        self.database.write(lambda conn: entity_rows.insert(conn, made))
        return [each.id for each in made]

    def task(self, execution_id: str) -> str:
        """A running task."""
        task_ex = TaskExecution(
            id=ids.new_id(),
            name="t",
            workflow_execution_id=execution_id,
            state=states.RUNNING,
            created_at=clock.utc_now(),
        )
        self.database.write(lambda conn: entity_rows.insert(conn, [task_ex]))
        return task_ex.id

    def end_task(self, task_id: str) -> None:
        """It succeeds."""
        self.database.write(
            lambda conn: conn.execute(
                sa.update(_T).where(_T.c.id == task_id).values(state=states.SUCCESS)
            )
        )

    def states(self) -> list[str]:
        """The states of all executions, by id."""
        return self.database.read(lambda conn: list(conn.scalars(sa.select(_W.c.state))))


@pytest.fixture
def around(fresh_sqlite_url: str) -> Iterator[Surroundings]:
    """An empty database."""
    database = Database(fresh_sqlite_url)
    with database.connect() as conn:
        tables.metadata.create_all(conn)
        conn.commit()
    yield Surroundings(database)
    database.close()


def _finish(*jobs: MaintenanceJob) -> None:
    """Let the jobs take turns until none of them has anything to do."""
    for _ in range(50):
        if not sum(job.take_turn() for job in jobs):
            return
    raise AssertionError("It never ends.")


def test_nothing_is_done_unless_asked(around: Surroundings) -> None:
    around.executions(1)
    _finish(around.job())
    assert around.engine.told == []


def test_more_than_one_turn_and_two_engines(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance_job, "TURN", 3)
    around.executions(10)
    around.executions(3, states.SUCCESS)
    jobs = around.job(), around.job()
    around.ask(maintenance.PAUSED)
    _finish(*jobs)
    assert sorted(around.states()) == ["PAUSED"] * 10 + ["SUCCESS"] * 3
    assert around.now.status == maintenance.PAUSED
    around.ask(maintenance.RUNNING)
    _finish(*jobs)
    assert sorted(around.states()) == ["RUNNING"] * 10 + ["SUCCESS"] * 3
    assert around.now == maintenance.Maintenance(number=around.now.number)
    counts = [len(list(g)) for _, g in itertools.groupby(sorted(around.engine.told))]
    assert counts == [1] * 20


def test_it_waits_for_running_tasks(around: Surroundings) -> None:
    task_id = around.task(around.executions(1)[0])
    around.task(around.executions(1, states.CANCELLED)[0])
    job = around.job()
    around.ask(maintenance.PAUSED)
    _finish(job)
    assert around.now.status == maintenance.PAUSING
    around.end_task(task_id)
    _finish(job)
    assert around.now.status == maintenance.PAUSED


def test_what_starts_too_late_is_paused_as_well(around: Surroundings) -> None:
    around.ask(maintenance.PAUSED)
    job = around.job()
    _finish(job)
    around.executions(1)
    _finish(job)
    assert around.states() == ["PAUSED"]
    assert around.now.status == maintenance.PAUSED


def test_roots_come_first(around: Surroundings) -> None:
    around.ask(maintenance.PAUSED)
    (child,) = around.executions(1, root_execution_id="r", parent_execution_id="r")
    (root,) = around.executions(1)
    _finish(around.job())
    assert [execution_id for execution_id, _ in around.engine.told] == [root, child]


def test_what_can_not_be_paused_holds_up_nothing_else(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance_job, "TURN", 2)
    ids_ = sorted(around.executions(6))
    around.engine.refused = set(ids_[:2])
    around.ask(maintenance.PAUSED)
    job = around.job()
    _finish(job)
    assert sorted(around.states()) == ["PAUSED"] * 4 + ["RUNNING"] * 2
    assert around.now.status == maintenance.PAUSING
    around.engine.refused = set()
    _finish(job)
    assert around.now.status == maintenance.PAUSED


def test_what_can_not_be_resumed_ends_the_work(around: Surroundings) -> None:
    refused, _ = around.executions(2, states.PAUSED)
    around.engine.refused = {refused}
    around.ask(maintenance.PAUSED)
    around.ask(maintenance.RUNNING)
    _finish(around.job())
    assert sorted(around.states()) == ["PAUSED", "RUNNING"]
    assert not around.now.has_work


def test_what_fails_for_the_moment_is_resumed_later(around: Surroundings) -> None:
    (away,) = around.executions(1, states.PAUSED)
    around.engine.away = {away}
    around.ask(maintenance.PAUSED)
    around.ask(maintenance.RUNNING)
    job = around.job()
    _finish(job)
    assert around.now.has_work
    around.engine.away = set()
    _finish(job)
    assert around.states() == ["RUNNING"]
    assert not around.now.has_work


def test_who_is_paused_after_the_command_stays_so(around: Surroundings) -> None:
    around.ask(maintenance.PAUSED)
    around.ask(maintenance.RUNNING)
    now = clock.utc_now()
    found = around.database.write(lambda conn: maintenance.claim(conn, now, now))
    assert found
    around.executions(1, states.PAUSED, command_number=found.number + 1)
    _finish(around.job())
    assert around.states() == ["PAUSED"]


def test_an_engine_that_dies_in_its_turn(around: Surroundings) -> None:
    """Its lease ends and another one goes on."""
    around.executions(1)
    around.ask(maintenance.PAUSED)
    now = clock.utc_now()
    lease = now + dt.timedelta(hours=1)
    assert around.database.write(lambda conn: maintenance.claim(conn, now, lease))
    job = around.job()
    assert not job.take_turn()
    later = lease + dt.timedelta(seconds=1)
    assert around.database.write(lambda conn: maintenance.claim(conn, later, now))
    _finish(job)
    assert around.now.status == maintenance.PAUSED


def test_a_pause_that_is_revoked_in_its_turn(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was paused by then is resumed by who has paused it."""
    around.executions(1)
    around.ask(maintenance.PAUSED)
    pause = around.engine.pause_workflow

    def pause_late(wf_ex_id: str) -> None:
        around.ask(maintenance.RUNNING)
        pause(wf_ex_id)

    monkeypatch.setattr(around.engine, "pause_workflow", pause_late)
    around.job().take_turn()
    assert around.states() == ["RUNNING"]


def test_operators_who_ask_at_the_same_time(around: Surroundings) -> None:
    assert [around.ask(maintenance.PAUSED) for _ in range(2)] == ["PAUSING"] * 2
    assert [around.ask(maintenance.RUNNING) for _ in range(2)] == ["RUNNING"] * 2
