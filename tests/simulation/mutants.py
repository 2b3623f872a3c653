"""Planted bugs: each takes one promise away, and the simulator has to notice.

A mutant is a context in which the engine has the bug; it is never on outside of the tests.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

from mistral.db.execution.action_executions import ActionExecutions
from mistral.engine import action_handler, dispatcher, execution_events, task_handler
from mistral.engine.actions import AdHocAction
from mistral.engine.background.relay import Relay
from mistral.engine.executor.protocol import ExecutorProtocol
from mistral.engine.rollback import handler as rollback_handler
from mistral.engine.tasks import Task
from mistral.engine.unit_of_work.outgoing import Outgoing
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.lang import TaskSpec
from mistral.workflow import joins, results, states
from mistral.workflow.commands import ActionCompleted, Command, NextCompensation
from mistral.workflow.entities import ActionExecution, ExecutionEvent, TaskExecution
from tests.simulation import memory_store
from tests.simulation.memory_store import MemoryStore

Mutant = Callable[[], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def dropped_outbox_row() -> Iterator[None]:
    """News for another execution is stored without the time of the next look."""
    real = Outgoing.add_event

    def add_event(outgoing: Outgoing, event: ExecutionEvent) -> None:
        real(outgoing, event)
        event.next_look_at = None

    with mock.patch.object(Outgoing, "add_event", add_event):
        yield


@contextlib.contextmanager
def action_left_open() -> Iterator[None]:
    """What a task has been running does not end with it."""
    with mock.patch.object(UnitOfWork, "call_off_actions", lambda *_: None):
        yield


@contextlib.contextmanager
def action_without_next_look() -> Iterator[None]:
    """The relay does not move the mark of an action on, it removes it."""
    real = Relay._look_at

    def look_at(relay: Any, conn: Any, action_ex: ActionExecution, *rest: Any) -> Any:
        answer = real(relay, conn, action_ex, *rest)
        action_ex.next_look_at = None
        return answer

    with mock.patch.object(Relay, "_look_at", look_at):
        yield


@contextlib.contextmanager
def stale_attempt() -> Iterator[None]:
    """A result of an earlier attempt is taken for one of the present attempt.

    It was delivered just before the timeout, which does not look for it.
    """

    def take_result(unit: UnitOfWork, action_ex: ActionExecution) -> list[Command]:
        if action_ex.result_at is None or action_ex.processed:
            return []
        found = unit.tasks([action_ex.task_execution_id] if action_ex.task_execution_id else [])
        if not found:
            return []
        return [
            *action_handler._completed(unit, action_ex),
            ActionCompleted(found[0].id, action_ex),
        ]

    late = mock.patch.object(MemoryStore, "delivered_actions", lambda *_: [])
    with late, mock.patch.object(action_handler, "take_result", take_result):
        yield


@contextlib.contextmanager
def double_claim() -> Iterator[None]:
    """Everybody who asks may run an action."""

    def claim(
        self: Any,
        executor_id: str,
        claims: Sequence[tuple[str, int]],
        now: dt.datetime,
        look_at: dt.datetime,
        safe_look_at: dt.datetime,
    ) -> list[str]:
        found = self.locked([action_id for action_id, _ in claims])
        for action_ex in found:
            action_ex.started_by, action_ex.started_at = executor_id, now
        self.update(found)
        return [action_ex.id for action_ex in found]

    with mock.patch.object(ActionExecutions, "claim", claim):
        yield


@contextlib.contextmanager
def lost_claim_confirmed() -> Iterator[None]:
    """An executor that slept gets its claims again, although they were taken back."""
    real = ActionExecutions.claim

    def claim(self: Any, executor_id: str, claims: Any, *times: Any) -> list[str]:
        asked = [action_id for action_id, _ in claims]
        mine = [
            action_ex.id
            for action_ex in self.locked(asked)
            if (action_ex.started_by or "").endswith(executor_id)
        ]
        return mine + real(self, executor_id, claims, *times)

    with mock.patch.object(ActionExecutions, "claim", claim):
        yield


@contextlib.contextmanager
def old_claim_believed() -> Iterator[None]:
    """An executor that slept begins what it had claimed before, without asking again."""
    with mock.patch.object(ExecutorProtocol, "is_confirmed", lambda *_: True):
        yield


@contextlib.contextmanager
def early_join() -> Iterator[None]:
    """A join does not wait for the last one."""
    real = joins.verdict

    def verdict(task_spec: TaskSpec, total: int, ready: int, failed: int) -> str:
        return joins.READY if ready >= max(total - 1, 1) else real(task_spec, total, ready, failed)

    with mock.patch.object(joins, "verdict", verdict):
        yield


@contextlib.contextmanager
def lost_child_report() -> Iterator[None]:
    """A sub-workflow does not tell its end."""
    real = execution_events.to_parent

    def to_parent(ports: Any, own: Any, kind: str, number: int = 0) -> list[Command]:
        return [] if kind == execution_events.CHILD_FINISHED else real(ports, own, kind, number)

    with mock.patch.object(execution_events, "to_parent", to_parent):
        yield


@contextlib.contextmanager
def timer_never_again() -> Iterator[None]:
    """A timer whose engine has died is not found by the others."""
    with mock.patch.object(Relay, "_timers", lambda relay, now: 0):
        yield


@contextlib.contextmanager
def counter_not_decremented() -> Iterator[None]:
    """A task that leaves a delay is still counted."""
    real = UnitOfWork._count

    def count(unit: UnitOfWork, task_ex: TaskExecution, sign: int) -> None:
        if not (sign < 0 and task_ex.state == states.DELAYED):
            real(unit, task_ex, sign)

    with mock.patch.object(UnitOfWork, "_count", count):
        yield


@contextlib.contextmanager
def terminal_state_left() -> Iterator[None]:
    """A late result changes a task that has ended."""
    real = task_handler.on_action_complete

    def on_action_complete(unit: UnitOfWork, task_id: str, action: Any) -> list[Command]:
        task_ex = unit.task(task_id)
        if states.is_completed(task_ex.state):
            # past the table, which would refuse it
            task_ex.state = action.state
            return []
        return real(unit, task_id, action)

    with mock.patch.object(task_handler, "on_action_complete", on_action_complete):
        yield


@contextlib.contextmanager
def result_applied_twice() -> Iterator[None]:
    """A repeated result is handed to the task again."""

    def take_result(unit: UnitOfWork, action_ex: ActionExecution) -> list[Command]:
        found = unit.tasks([action_ex.task_execution_id] if action_ex.task_execution_id else [])
        if action_ex.result_at is None or not found or found[0].attempt != action_ex.attempt:
            return []
        return [
            *action_handler._completed(unit, action_ex),
            ActionCompleted(found[0].id, action_ex),
        ]

    with mock.patch.object(action_handler, "take_result", take_result):
        yield


@contextlib.contextmanager
def another_result_wins() -> Iterator[None]:
    """The last result that is delivered replaces the first one."""
    real = results.accept

    def accept(action_ex: ActionExecution, *rest: Any) -> results.Verdict:
        action_ex.result_at = None
        # else the table of states would refuse it
        action_ex.state = states.RUNNING
        return real(action_ex, *rest)

    with mock.patch.object(results, "accept", accept):
        yield


@contextlib.contextmanager
def pause_not_held() -> Iterator[None]:
    """A pause holds nothing back."""
    real = Task.follow_up

    def follow_up(task: Task, resumed: bool = False) -> list[Command]:
        if task.wf_ex.state == states.PAUSED:
            task.wf_ex = task.wf_ex.draft()
            task.wf_ex.state = states.RUNNING
        return real(task, resumed)

    with (
        mock.patch.object(dispatcher, "_is_paused", lambda unit: False),
        mock.patch.object(Task, "follow_up", follow_up),
    ):
        yield


@contextlib.contextmanager
def rollback_forgotten() -> Iterator[None]:
    """The end of a compensation does not lead to the next one."""
    real = rollback_handler._done

    def done(unit: UnitOfWork, compensation: TaskExecution) -> list[Command]:
        return real(unit, compensation)[:1]

    with mock.patch.object(rollback_handler, "_done", done):
        yield


@contextlib.contextmanager
def compensations_together() -> Iterator[None]:
    """A compensation begins before the one before it has ended."""
    real = rollback_handler.proceed

    def proceed(unit: UnitOfWork) -> list[Command]:
        commands = real(unit)
        return [*commands, NextCompensation()] if unit.compensations(states.IDLE) else commands

    def waiting(unit: UnitOfWork) -> list[TaskExecution]:
        return unit.compensations(states.IDLE)

    with (
        mock.patch.object(rollback_handler, "_waiting", waiting),
        mock.patch.object(rollback_handler, "proceed", proceed),
    ):
        yield


@contextlib.contextmanager
def adhoc_output_lost() -> Iterator[None]:
    """An ad-hoc action does not transform its result when it comes late."""
    real = AdHocAction.transformed

    def transformed(action: AdHocAction, result: results.Outcome) -> results.Outcome:
        is_late = action.action_ex is not None and action.action_ex.tries > 0
        return result if is_late else real(action, result)

    with mock.patch.object(AdHocAction, "transformed", transformed):
        yield


@contextlib.contextmanager
def old_snapshot() -> Iterator[None]:
    """What was decided on a snapshot is written, whatever has changed since."""
    with mock.patch.object(memory_store.MemoryPremises, "hold", lambda *_: True):
        yield


@dataclasses.dataclass(frozen=True)
class Planted:
    """A planted bug and how the simulator may notice it.

    ``first`` is the seed to begin with: few show some of them, and those before take minutes.
    """

    mutant: Mutant
    noticed_as: frozenset[str]
    one_writer: bool = False
    first: int = 0


def _planted(mutant: Mutant, *noticed_as: str, one_writer: bool = False, first: int = 0) -> Planted:
    return Planted(mutant, frozenset(noticed_as), one_writer, first)


MUTANTS: Mapping[str, Planted] = {
    "old snapshot": _planted(old_snapshot, "counter-differs", one_writer=True),
    "dropped outbox row": _planted(dropped_outbox_row, "event-set-aside"),
    "action without next look": _planted(action_without_next_look, "task-without-reason"),
    "stale attempt": _planted(stale_attempt, "stale-accepted", first=1600),
    "double claim": _planted(double_claim, "effect-repeated"),
    "lost claim confirmed": _planted(lost_claim_confirmed, "effect-after-loss"),
    "old claim believed": _planted(old_claim_believed, "effect-after-loss"),
    "early join": _planted(early_join, "join-too-early"),
    "lost child report": _planted(
        lost_child_report, "task-without-reason", "execution-without-reason", "no-end"
    ),
    "timer never again": _planted(timer_never_again, "no-end"),
    "counter not decremented": _planted(counter_not_decremented, "counter-differs"),
    "terminal state left": _planted(terminal_state_left, "terminal-left", first=500),
    "result applied twice": _planted(result_applied_twice, "counter-differs", "another-end"),
    "another result wins": _planted(another_result_wins, "terminal-left", "accepted-twice"),
    "pause not held": _planted(pause_not_held, "pause-not-held"),
    "rollback forgotten": _planted(rollback_forgotten, "rollback-without-reason"),
    "compensations together": _planted(
        compensations_together, "rollback-without-reason", "rollback-ended-early"
    ),
    "ad-hoc output lost": _planted(adhoc_output_lost, "another-end", first=170),
    "action left open": _planted(action_left_open, "action-left-open"),
}
