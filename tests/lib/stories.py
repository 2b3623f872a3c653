"""One execution from its start to its end: events in, rows out, without a database or a clock.

A :class:`Story` decides with the real handlers over the simulator's rows in memory. Actions end
when the test says so.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from typing import Any

from mistral.engine import action_handler, workflow_handler
from mistral.engine.dispatcher import dispatch
from mistral.engine.inbox import decisions
from mistral.engine.mail.timers import TimerDue
from mistral.engine.rollback import handler as rollback_handler
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.workflow import results, states
from mistral.workflow.commands import Command
from mistral.workflow.entities import (
    ActionExecution,
    ExecutionEvent,
    TaskExecution,
    Timer,
    WorkflowExecution,
)
from mistral.workflow.limits import Limits
from mistral.workflow.results import Outcome
from mistral.workflow.values import Values
from tests.lib.decisions import NOW, spec
from tests.simulation.catalog import SimCatalog
from tests.simulation.memory import MemoryDatabase
from tests.simulation.memory_store import MemoryTransaction


class Story:
    """An execution under way.

    :param text: the workflow's sections in YAML; actions are ``std.noop`` and those of the
        simulator.
    """

    def __init__(self, text: str, *, limits: Limits | None = None, **params: Any) -> None:
        self.database = MemoryDatabase()
        self.now = NOW
        self.limits = limits or Limits()
        self._catalog = SimCatalog({"w": spec(text)})
        self._ids = itertools.count(1)
        values = Values(lambda hashes: {})
        conn = self.database.begin()
        execution = WorkflowExecution(
            id="wf",
            workflow_name="w",
            spec_hash="w",
            params=values.pack(params),
            created_at=NOW,
            updated_at=NOW,
        )
        MemoryTransaction(conn).store.insert([execution])
        conn.commit()
        self.decide(workflow_handler.begin)

    def _new_id(self) -> str:
        return f"{next(self._ids):06d}"

    def decide(self, decision: Callable[[UnitOfWork], list[Command]]) -> None:
        """One transaction, and those for which it has told the execution to go on."""
        conn = self.database.begin()
        try:
            tx = MemoryTransaction(conn)
            wf_ex = tx.store.lock_execution("wf")
            assert wf_ex is not None
            unit = UnitOfWork(tx, self._catalog, self.limits, self.now, wf_ex, new_id=self._new_id)
            dispatch(unit, decision(unit))
            bell = unit.close()
            unit.write(tx.store)
            conn.commit()
        finally:
            conn.rollback()
        for event in bell.events:
            if event.execution_id == "wf":
                self._hear(event)

    def _hear(self, event: ExecutionEvent) -> None:
        def decision(unit: UnitOfWork) -> list[Command]:
            unit.notices.done_events.append(event.id)
            return workflow_handler.on_event(unit, event)

        self.decide(decision)

    # what happens

    def done(self, name: str, value: Any = None, state: str = states.SUCCESS, idx: int = 0) -> None:
        """The action of a task ends."""
        (own,) = [a for a in self.running(name) if a.idx == idx]
        self.deliver(own.id, value, state)

    def failed(self, name: str, value: Any = "no", idx: int = 0) -> None:
        """The action of a task fails."""
        self.done(name, value, states.ERROR, idx)

    def deliver(self, action_id: str, value: Any = None, state: str = states.SUCCESS) -> None:
        """A result, even one for which nobody waits any more."""

        def decision(unit: UnitOfWork) -> list[Command]:
            (own,) = unit.load_actions([action_id])
            results.accept(own, Outcome(state, value), unit.values, unit.now)
            return action_handler.take_result(unit, own)

        self.decide(decision)

    def wait(self, seconds: int) -> None:
        """Time passes; timers that are due fire in their order."""
        self.now += dt.timedelta(seconds=seconds)
        for timer in sorted(self.database.all(Timer), key=lambda t: (t.due_at, t.id)):
            if timer.due_at <= self.now:
                self.decide(lambda unit, timer=timer: _fire(unit, timer))

    def pause(self) -> None:
        self.decide(workflow_handler.pause)

    def resume(self, **env: Any) -> None:
        self.decide(lambda unit: workflow_handler.resume(unit, env or None))

    def stop(self, state: str, message: str | None = None) -> None:
        self.decide(lambda unit: workflow_handler.stop(unit, state, message))

    def rerun(self, name: str, *, reset: bool = True, skip: bool = False) -> None:
        """Run a failed task again, or skip it."""
        own = self.task(name)
        self.decide(lambda unit: workflow_handler.rerun(unit, own.id, reset, None, skip))

    def skip(self, name: str) -> None:
        self.rerun(name, skip=True)

    def roll_back(self) -> None:
        self.decide(rollback_handler.begin)

    # what there is

    @property
    def execution(self) -> WorkflowExecution:
        """The execution's row."""
        (found,) = self.database.all(WorkflowExecution)
        return found

    @property
    def output(self) -> dict[str, Any]:
        return dict(self.execution.output.inline)

    def tasks(self, name: str) -> list[TaskExecution]:
        """The rows of a task, without those that undo it, the oldest first."""
        rows = [t for t in self.database.all(TaskExecution) if t.name == name]
        return sorted((t for t in rows if not t.is_compensation), key=lambda t: t.id)

    def task(self, name: str) -> TaskExecution:
        """The newest row of a task."""
        return self.tasks(name)[-1]

    def states(self) -> dict[str, str]:
        """The states of the newest rows of all tasks."""
        names = sorted({t.name for t in self.database.all(TaskExecution) if not t.is_compensation})
        return {name: self.task(name).state for name in names}

    def running(self, name: str) -> list[ActionExecution]:
        """The actions of a task, or of what undoes it, that have no result, by position."""
        ids = {t.id for t in self.database.all(TaskExecution) if t.name == name}
        found = [
            a
            for a in self.database.all(ActionExecution)
            if a.task_execution_id in ids and results.is_live(a)
        ]
        return sorted(found, key=lambda a: (a.idx, a.id))

    def asked(self) -> list[str]:
        """The names of the tasks whose actions have no result, in order."""
        by_id = {t.id: t.name for t in self.database.all(TaskExecution)}
        live = [a for a in self.database.all(ActionExecution) if results.is_live(a)]
        return [by_id[a.task_execution_id or ""] for a in sorted(live, key=lambda a: a.id)]


def _fire(unit: UnitOfWork, timer: Timer) -> list[Command]:
    return decisions.decide(unit, [TimerDue(timer.id)])
