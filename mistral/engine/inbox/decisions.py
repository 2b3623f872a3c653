"""From a batch of messages to decisions; and the end of what can't be decided."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from mistral.db.storage import Store
from mistral.engine import dispatcher, execution_events
from mistral.engine import workflows as wf
from mistral.engine.mail.actions import DeliveredResult, LostAction
from mistral.engine.mail.base import Mail, Message
from mistral.engine.mail.executions import EventDue
from mistral.engine.mail.timers import TimerDue
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.utils.ids import new_id
from mistral.workflow import states
from mistral.workflow.commands import Command, SetWorkflowState, UpdateTask
from mistral.workflow.look_times import NEVER
from mistral.workflow.state_machines import TaskEvent


def decide(unit: UnitOfWork, messages: Sequence[Message]) -> list[Command]:
    """Decide a batch in order of arrival; what the last one leads to is returned."""
    wanted = {action_id for message in messages for action_id in message.action_ids}
    if wanted:
        unit.load_actions(sorted(wanted))
    for message in messages:
        dispatcher.dispatch(unit, message.decide(unit))
    return []


def gave_up(message: Message, cause: str) -> str:
    """What an operator reads of a message that can't be handled."""
    return f"An event could not be handled [kind={message.kind}, id={message.id}, cause={cause}]"


def give_up(unit: UnitOfWork, message: Message, cause: str) -> list[Command]:
    """End what a message belongs to in ERROR: it can't be handled (rerunnable)."""
    if message.is_settled(unit):
        return []
    info = gave_up(message, cause)
    task_id, commands = _given_up(unit, message, info)
    return [*commands, SetWorkflowState(states.ERROR, info, task_id, forced=True)]


def break_off(unit: UnitOfWork, message: Message, cause: str) -> list[Command]:
    """The same where not even the end can be decided: the definition is not asked any more."""
    if message.is_settled(unit):
        return []
    info = gave_up(message, cause)
    _, commands = _given_up(unit, message, info)
    if states.is_completed(unit.wf_ex.state):
        return commands
    return [*commands, *wf.Workflow(None, unit.wf_ex, unit).break_off(info)]


def _given_up(unit: UnitOfWork, message: Message, info: str) -> tuple[str | None, list[Command]]:
    """Its task, and what ends that."""
    task_id = message.give_up(unit)
    commands: list[Command] = []
    for task_ex in unit.tasks([task_id] if task_id else []):
        if not states.is_completed(task_ex.state):
            changes = {"state_info": info, "processed": True}
            commands.append(UpdateTask(task_ex.id, changes, TaskEvent.FAIL))
    return task_id, commands


def set_aside(store: Store, messages: Sequence[Message], now: dt.datetime) -> int:
    """What belongs to an execution that is gone can't be handled: nobody looks at it again.

    :returns: how many rows there were.
    """
    wanted = _ids(messages, EventDue)
    events = store.events(wanted) if wanted else []
    for event in events:
        event.next_look_at = None
    asked = [event for event in events if event.kind == execution_events.ROLLBACK]
    store.insert([execution_events.not_rolled_back(event, new_id(), now) for event in asked])
    wanted = _ids(messages, TimerDue)
    timers = store.timers(wanted) if wanted else []
    for timer in timers:
        timer.claimed_until = NEVER
    wanted = [*_ids(messages, DeliveredResult), *_ids(messages, LostAction)]
    actions = [
        action_ex
        for action_ex in (store.lock_actions(wanted) if wanted else [])
        if action_ex.workflow_execution_id is not None
    ]
    for action_ex in actions:
        action_ex.next_look_at = None
    for rows in (actions, timers, events):
        store.update(rows)
    return len(events) + len(timers) + len(actions)


def _ids(messages: Iterable[Mail], kind: type[Mail]) -> list[str]:
    return [message.id for message in messages if isinstance(message, kind)]
