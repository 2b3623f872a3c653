"""What arrives for an execution, each kind with its way into decisions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mistral.db.execution.store import NEVER, Store
from mistral.engine import (
    action_handler,
    dispatcher,
    execution_events,
    policies,
    task_handler,
    workflow_handler,
)
from mistral.engine import workflows as wf
from mistral.engine.joins import handler as join_handler
from mistral.engine.mailbox import Mail
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.utils.clock import utc_now
from mistral.utils.ids import new_id
from mistral.workflow import results, states
from mistral.workflow.commands import Command, SetWorkflowState, UpdateTask
from mistral.workflow.entities import ExecutionEvent, Timer

LOG = logging.getLogger(__name__)


def handle(unit: UnitOfWork, mails: Sequence[Mail]) -> list[Command]:
    """Handle a batch in order of arrival; what the last one leads to is returned."""
    _preload(unit, mails)
    for mail in mails:
        dispatcher.dispatch(unit, _KINDS[mail.kind](unit, mail))
    return []


def _preload(unit: UnitOfWork, mails: Sequence[Mail]) -> None:
    """Read all rows that the batch is about with one look."""
    wanted: list[str] = []
    for mail in mails:
        if mail.kind == "reports":
            wanted += [report["id"] for report in mail.content]
        elif mail.kind in ("delivered", "result", "lost"):
            wanted.append(mail.id)
    if wanted:
        unit.load_actions(sorted(set(wanted)))


def reports_of(mail: Mail) -> Sequence[Mapping[str, Any]]:
    """The reports in a mail whose content no row holds yet."""
    if mail.kind == "reports":
        reports: Sequence[Mapping[str, Any]] = mail.content
        return reports
    if mail.kind == "lost":
        state, value = mail.content.state, mail.content.value
        return [{"id": mail.id, "kind": "lost", "state": state, "result": value}]
    return []


def _reports(unit: UnitOfWork, mail: Mail) -> list[Command]:
    for report in mail.content:
        action_ex = unit.action(report["id"])
        if action_ex is None or action_ex.attempt != report.get("attempt", action_ex.attempt):
            continue
        if report["kind"] == "signalled":
            action_handler.signalled(unit, action_ex)
            continue
        outcome = results.Outcome(report["state"], report.get("result"))
        verdict = results.accept(action_ex, outcome, unit.values, unit.now)
        if verdict is results.Verdict.CONFLICT:
            # that of an action that was called off is no surprise
            LOG.log(
                logging.INFO if action_ex.state_info else logging.WARNING,
                "A late result is ignored [action_ex_id=%s, executor=%s, state=%s]",
                action_ex.id,
                mail.id,
                outcome.state,
            )
        dispatcher.dispatch(unit, action_handler.take_result(unit, action_ex))
    return []


def _result(unit: UnitOfWork, mail: Mail) -> list[Command]:
    action_ex = unit.action(mail.id)
    if action_ex is None:
        return []
    results.accept(action_ex, mail.content, unit.values, unit.now)
    return action_handler.take_result(unit, action_ex)


def _lost(unit: UnitOfWork, mail: Mail) -> list[Command]:
    action_ex = unit.action(mail.id)
    if action_ex is not None and action_ex.signalled_at is not None:
        # its executor was heard of after all: the third party knows
        return []
    return _result(unit, mail)


def _delivered(unit: UnitOfWork, mail: Mail) -> list[Command]:
    action_ex = unit.action(mail.id)
    return action_handler.take_result(unit, action_ex) if action_ex is not None else []


def _child(unit: UnitOfWork, mail: Mail) -> list[Command]:
    child = unit.store.execution(mail.id)
    if child is None or child.task_execution_id is None:
        return []
    found = unit.tasks([child.task_execution_id])
    return workflow_handler.take_child(unit, found[0], child) if found else []


def _start(unit: UnitOfWork, mail: Mail) -> list[Command]:
    return workflow_handler.begin(unit)


def _event(unit: UnitOfWork, mail: Mail) -> list[Command]:
    found: list[ExecutionEvent] = unit.store.events([mail.id])
    if not found or mail.id in unit.notices.done_events:
        return []
    for event in workflow_handler.told_before(unit, found[0]):
        unit.notices.done_events.append(event.id)
        dispatcher.dispatch(unit, workflow_handler.on_event(unit, event))
    unit.notices.done_events.append(mail.id)
    return workflow_handler.on_event(unit, found[0])


def _timer(unit: UnitOfWork, mail: Mail) -> list[Command]:
    found: list[Timer] = unit.store.timers([mail.id])
    if not found:
        return []
    unit.notices.done_timers.append(mail.id)
    timer = found[0]
    tasks = unit.tasks([timer.task_id])
    return _DUE[timer.kind](unit, timer) if tasks else []


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

_KINDS: Mapping[str, Callable[[UnitOfWork, Mail], list[Command]]] = {
    "reports": _reports,
    "result": _result,
    "lost": _lost,
    "delivered": _delivered,
    "child": _child,
    "start": _start,
    "event": _event,
    "timer": _timer,
}


def set_action_state(unit: UnitOfWork, action_ex_id: str, state: str) -> list[Command]:
    """An operator's PAUSED or RUNNING for one action."""
    found = unit.load_actions([action_ex_id])
    return action_handler.set_state(unit, found[0], state) if found else []


def gave_up(mail: Mail, cause: str) -> str:
    """What an operator reads of an event that can't be handled."""
    return f"An event could not be handled [kind={mail.kind}, id={mail.id}, cause={cause}]"


def give_up(unit: UnitOfWork, mail: Mail, cause: str) -> list[Command]:
    """End what an event belongs to in ERROR: it can't be handled (rerunnable)."""
    if _is_settled(unit, mail):
        return []
    message, task_id, commands = _given_up(unit, mail, cause)
    return [*commands, SetWorkflowState(states.ERROR, message, task_id, forced=True)]


def break_off(unit: UnitOfWork, mail: Mail, cause: str) -> list[Command]:
    """The same where not even the end can be decided: the definition is not asked any more."""
    if _is_settled(unit, mail):
        return []
    message, _, commands = _given_up(unit, mail, cause)
    if states.is_completed(unit.wf_ex.state):
        return commands
    return [*commands, *wf.Workflow(None, unit.wf_ex, unit).break_off(message)]


def _is_settled(unit: UnitOfWork, mail: Mail) -> bool:
    """Whether another engine has handled an event meanwhile."""
    if mail.kind == "event":
        return not unit.store.events([mail.id])
    if mail.kind == "timer":
        return not unit.store.timers([mail.id])
    if mail.kind == "start":
        return unit.wf_ex.state != states.IDLE
    return all(action_ex.processed for action_ex in unit.load_actions([mail.id]))


def _given_up(unit: UnitOfWork, mail: Mail, cause: str) -> tuple[str, str | None, list[Command]]:
    message = gave_up(mail, cause)
    task_id = None
    if mail.kind == "event":
        unit.notices.done_events.append(mail.id)
        task_id = next((e.task_id for e in unit.store.events([mail.id])), None)
    elif mail.kind == "timer":
        unit.notices.done_timers.append(mail.id)
        task_id = next((t.task_id for t in unit.store.timers([mail.id])), None)
    elif mail.kind == "start":
        unit.wf_ex.next_look_at = None
    else:
        for action_ex in unit.load_actions([mail.id]):
            action_ex.processed, action_ex.next_look_at = True, None
            task_id = action_ex.task_execution_id
    commands: list[Command] = []
    for task_ex in unit.tasks([task_id] if task_id else []):
        if not states.is_completed(task_ex.state):
            changes = {"state": states.ERROR, "state_info": message, "processed": True}
            commands.append(UpdateTask(task_ex.id, changes))
    return message, task_id, commands


def set_aside(store: Store, mails: Sequence[Mail]) -> int:
    """What belongs to an execution that is gone can't be handled: nobody looks at it again.

    :returns: how many rows there were.
    """
    ids = {kind: [mail.id for mail in mails if mail.kind == kind] for kind in _KINDS}
    events = store.events(ids["event"]) if ids["event"] else []
    for event in events:
        event.next_look_at = None
    now = utc_now()
    asked = [event for event in events if event.kind == execution_events.ROLLBACK]
    store.insert([execution_events.not_rolled_back(event, new_id(), now) for event in asked])
    timers = store.timers(ids["timer"]) if ids["timer"] else []
    for timer in timers:
        timer.claimed_until = NEVER
    of_actions = [*ids["delivered"], *ids["lost"]]
    actions = [
        action_ex
        for action_ex in (store.lock_actions(of_actions) if of_actions else [])
        if action_ex.workflow_execution_id is not None
    ]
    for action_ex in actions:
        action_ex.next_look_at = None
    for rows in (actions, timers, events):
        store.update(rows)
    return len(events) + len(timers) + len(actions)
