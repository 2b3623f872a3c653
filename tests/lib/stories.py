"""Executions from their start to their end: events in, rows out, without a database or a clock.

A :class:`Story` decides with the real handlers over the simulator's rows in memory. Actions end
when the test says so. What a parent and its sub-workflows tell each other arrives at once, or when
the test says so, too.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from mistral.engine import action_handler, workflow_handler
from mistral.engine.dispatcher import dispatch
from mistral.engine.inbox import decisions
from mistral.engine.mail.executions import EventDue, StartDue
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
    """A root execution (``wf``) under way, and its sub-workflows.

    :param text: the workflow's sections in YAML; actions are ``std.noop`` and those of the
        simulator.
    :param subs: sections of the workflows that tasks run, by name. The tasks of all workflows
        need different names.
    """

    def __init__(
        self,
        text: str,
        *,
        limits: Limits | None = None,
        subs: Mapping[str, str] | None = None,
        **params: Any,
    ) -> None:
        self.database = MemoryDatabase()
        self.now = NOW
        self.limits = limits or Limits()
        self.holds_news = False
        """Whether news between executions wait until :meth:`hear`."""
        texts = {"w": text, **(subs or {})}
        self.catalog = SimCatalog({name: spec(text, name) for name, text in texts.items()})
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

    def decide(
        self, decision: Callable[[UnitOfWork], list[Command]], execution_id: str = "wf"
    ) -> None:
        """One transaction, and those for which it has rung."""
        conn = self.database.begin()
        try:
            tx = MemoryTransaction(conn)
            wf_ex = tx.store.lock_execution(execution_id)
            assert wf_ex is not None
            unit = UnitOfWork(tx, self.catalog, self.limits, self.now, wf_ex, new_id=self._new_id)
            dispatch(unit, decision(unit))
            bell = unit.close()
            unit.write(tx.store)
            conn.commit()
        finally:
            conn.rollback()
        for child_id in bell.children:
            self.decide(StartDue(child_id).decide, child_id)
        for event in bell.events:
            if event.execution_id == event.source_id or not self.holds_news:
                self._hear(event)

    def _hear(self, event: ExecutionEvent) -> None:
        self.decide(EventDue(event.id).decide, event.execution_id)

    def news(self) -> list[ExecutionEvent]:
        """What executions have not heard yet, the oldest first."""
        return sorted(self.database.all(ExecutionEvent), key=lambda event: event.id)

    def hear(self, kind: str | None = None) -> None:
        """Let news of a kind arrive that waited, or all of them in order."""
        for event in self.news():
            if kind in (None, event.kind):
                self._hear(event)

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

        (found,) = [a for a in self.database.all(ActionExecution) if a.id == action_id]
        self.decide(decision, found.workflow_execution_id or "")

    def wait(self, seconds: int) -> None:
        """Time passes; timers that are due fire in their order."""
        self.now += dt.timedelta(seconds=seconds)
        for timer in sorted(self.database.all(Timer), key=lambda t: (t.due_at, t.id)):
            if timer.due_at <= self.now:
                self.decide(lambda unit, timer=timer: _fire(unit, timer), timer.execution_id)

    def pause(self, of: str = "wf") -> None:
        self.decide(workflow_handler.pause, of)

    def resume(self, of: str = "wf", **env: Any) -> None:
        self.decide(lambda unit: workflow_handler.resume(unit, env or None), of)

    def stop(self, state: str, message: str | None = None, of: str = "wf") -> None:
        self.decide(lambda unit: workflow_handler.stop(unit, state, message), of)

    def rerun(self, name: str, *, reset: bool = True, skip: bool = False) -> None:
        """Run a failed task again, or skip it."""
        own = self.task(name)
        self.decide(
            lambda unit: workflow_handler.rerun(unit, own.id, reset, None, skip),
            own.workflow_execution_id,
        )

    def skip(self, name: str) -> None:
        self.rerun(name, skip=True)

    def roll_back(self) -> None:
        self.decide(rollback_handler.begin)

    # what there is

    @property
    def execution(self) -> WorkflowExecution:
        """The row of the root execution."""
        return self.execution_of("wf")

    def execution_of(self, execution_id: str) -> WorkflowExecution:
        """The row of an execution."""
        (found,) = [e for e in self.database.all(WorkflowExecution) if e.id == execution_id]
        return found

    def children(self, name: str) -> list[WorkflowExecution]:
        """The sub-workflow executions of all rows of a task, by position and age."""
        ids = {t.id for t in self.tasks(name)}
        found = self.database.all(WorkflowExecution)
        mine = [e for e in found if e.task_execution_id in ids]
        return sorted(mine, key=lambda e: (e.idx, e.id))

    def child(self, name: str) -> WorkflowExecution:
        """The only sub-workflow execution of a task."""
        (found,) = self.children(name)
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

    def compensation(self, name: str) -> TaskExecution:
        """The row that undoes a task."""
        rows = self.database.all(TaskExecution)
        (found,) = [t for t in rows if t.name == name and t.is_compensation]
        return found

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
