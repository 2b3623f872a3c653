"""Timers: what is done when each is due."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from mistral.engine import action_handler, dispatcher, policies, task_handler
from mistral.engine.joins import handler as join_handler
from mistral.engine.mail.base import Message
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.workflow import states
from mistral.workflow.commands import Command
from mistral.workflow.entities import Timer


@dataclasses.dataclass(frozen=True)
class TimerDue(Message):
    """The time of a timer (``id``) has come."""

    kind = "timer"

    def decide(self, unit: UnitOfWork) -> list[Command]:
        found = unit.store.timers([self.id])
        if not found:
            return []
        unit.outgoing.done_timers.append(self.id)
        timer = found[0]
        tasks = unit.tasks([timer.task_id])
        return _DUE[timer.kind](unit, timer) if tasks else []

    def is_settled(self, unit: UnitOfWork) -> bool:
        return not unit.store.timers([self.id])

    def give_up(self, unit: UnitOfWork) -> str | None:
        unit.outgoing.done_timers.append(self.id)
        return next((timer.task_id for timer in unit.store.timers([self.id])), None)


def _wait_is_over(unit: UnitOfWork, timer: Timer) -> list[Command]:
    task_ex = unit.task(timer.task_id)
    if task_ex.attempt != timer.attempt or task_ex.state != states.DELAYED:
        return []
    if unit.wf_ex.state != states.RUNNING:
        return task_handler.hold(task_ex)
    return task_handler.start_task(unit, task_ex.id)


def _retry(unit: UnitOfWork, timer: Timer) -> list[Command]:
    task_ex = unit.task(timer.task_id)
    if task_ex.attempt != timer.attempt:
        return []
    if task_ex.state == states.WAITING:
        return join_handler.retry(unit, task_ex)
    return task_handler.retry_task(unit, task_ex) if task_ex.state == states.DELAYED else []


def _end_is_over(unit: UnitOfWork, timer: Timer) -> list[Command]:
    task_ex = unit.task(timer.task_id)
    if task_ex.attempt != timer.attempt or task_ex.state != states.DELAYED:
        return []
    state, info = timer.payload["state"], timer.payload["state_info"]
    return task_handler.complete_task(unit, task_ex.id, state, info, published=True)


def _timeout(unit: UnitOfWork, timer: Timer) -> list[Command]:
    task_ex = unit.task(timer.task_id)
    if task_ex.run != timer.attempt or states.is_completed(task_ex.state):
        return []
    if states.is_completed(unit.wf_ex.state):
        return policies.note_timeout(task_ex)
    # what was delivered before is taken: whoever delivered it was told so
    for action_ex in unit.load_actions(unit.store.delivered_actions(task_ex.id)):
        dispatcher.dispatch(unit, action_handler.take_result(unit, action_ex))
    if states.is_completed(task_ex.state):
        return []
    info = f"Task timed out [timeout(s)={timer.payload['seconds']}]."
    return task_handler.complete_task(unit, task_ex.id, states.ERROR, info)


_DUE: Mapping[str, Callable[[UnitOfWork, Timer], list[Command]]] = {
    policies.WAIT_BEFORE: _wait_is_over,
    policies.WAIT_AFTER: _end_is_over,
    policies.RETRY: _retry,
    policies.TIMEOUT: _timeout,
}
