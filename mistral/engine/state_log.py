"""The workflow trace: one line for each change of a state (doc:operating#logs).

Lines are made when a transaction is written and logged when it is committed. They name things and
never quote data: of an input only the names appear (law 9).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.utils.texts import cause_of
from mistral.workflow import states
from mistral.workflow.entities import ActionExecution, Entity, TaskExecution

OFF: Final = "off"
SHORT: Final = "short"
FULL: Final = "full"

_LONGEST: Final = 80

Row = TypeVar("Row", TaskExecution, ActionExecution)


class StateLog:
    """The logger of the trace, and how much its lines tell.

    :param style: ``full`` tells the ids of tasks and actions, too, ``off`` nothing at all.
    """

    def __init__(self, log_name: str, style: str) -> None:
        self._log = logging.getLogger(log_name)
        self._style = style

    def lines(self, unit: UnitOfWork) -> list[str]:
        """What a transaction has changed."""
        if self._style == OFF or not self._log.isEnabledFor(logging.INFO):
            return []
        return lines(unit, self._style)

    def write(self, found: Iterable[str]) -> None:
        """Log it, when it is committed."""
        for line in found:
            self._log.info(line)


def lines(unit: UnitOfWork, style: str) -> list[str]:
    """What the transaction changed, in the order in which things happen.

    What ended comes before what was started because of it, an action before its task when it
    ends and behind it when it starts, and the end of the workflow comes last.
    """
    workflow = list(_workflow(unit))
    is_ended = states.is_completed(unit.wf_ex.state)
    found = [] if is_ended else workflow
    tasks, actions = unit.touched_tasks(), unit.touched_actions()
    found += _actions(unit, _ended(actions, True), style)
    found += _tasks(unit, _ended(tasks, True), style)
    found += _tasks(unit, _ended(tasks, False), style)
    found += _actions(unit, _ended(actions, False), style)
    return found + (workflow if is_ended else [])


def _ended(rows: Iterable[Row], wanted: bool) -> list[Row]:
    return [row for row in rows if states.is_completed(row.state) is wanted]


def _workflow(unit: UnitOfWork) -> Iterator[str]:
    wf_ex = unit.wf_ex
    change = _change(wf_ex, unit.is_new)
    if change is None:
        return
    if unit.is_new and wf_ex.input:
        change += f", input={','.join(sorted(wf_ex.input))}"
    yield f"Workflow '{wf_ex.workflow_name}' [{change}{_why(wf_ex.state_info)}] {_where(unit)}"


def _tasks(unit: UnitOfWork, rows: Iterable[TaskExecution], style: str) -> Iterator[str]:
    for task_ex in rows:
        change = _change(task_ex, task_ex.id in unit.new_tasks)
        if change is not None:
            where = _where(unit, f" task_execution_id={task_ex.id}" if style == FULL else "")
            yield f"Task '{task_ex.name}' [{change}{_why(task_ex.state_info)}] {where}"


def _actions(unit: UnitOfWork, rows: Iterable[ActionExecution], style: str) -> Iterator[str]:
    names = {task_ex.id: task_ex.name for task_ex in unit.touched_tasks()}
    for action_ex in rows:
        change = _change(action_ex, action_ex.id in unit.new_actions) or _delivered(action_ex)
        if change is None:
            continue
        task_id = action_ex.task_execution_id
        of = f" of '{names[task_id]}'" if task_id in names else ""
        if style == FULL:
            of = f" (id={action_ex.id}){of}"
        where = _where(unit, f" task_execution_id={task_id}" if style == FULL else "")
        yield f"Action '{action_ex.name}'{of} [{change}] {where}"


def _where(unit: UnitOfWork, more: str = "") -> str:
    return f"(execution_id={unit.wf_ex.id}{more})"


def _change(entity: Entity, is_new: bool) -> str | None:
    values = entity.__dict__
    old = states.IDLE if is_new else values.get("old_state")
    if old is None or old == values["state"]:
        return None
    return f"{old} -> {values['state']}"


def _delivered(action_ex: ActionExecution) -> str | None:
    """The change that the API has stored when somebody outside delivered the result."""
    is_news = action_ex.processed and "processed" in action_ex.__dict__["changed"]
    return f"{states.RUNNING} -> {action_ex.state}" if is_news else None


def _why(text: str | None) -> str:
    cause = cause_of(text or "")
    if len(cause) > _LONGEST:
        cause = f"{cause[: _LONGEST - 3]}..."
    return f", msg={cause}" if cause else ""
