"""The workflow trace: one line for each start and each change of a state (contract config §5).

Lines are made when a transaction is written and logged when it is committed. They name things and
never quote data: of an input only the names appear (law 9).
"""

from __future__ import annotations

from mistral.engine.unit import Unit
from mistral.workflow import states
from mistral.workflow.entities import ActionExecution, Entity, TaskExecution

SHORT = 80


def lines(unit: Unit) -> list[str]:
    """What the transaction changed, the workflow first."""
    wf_ex = unit.wf_ex
    where = f"(execution_id={wf_ex.id})"
    found = []
    if unit.is_new:
        names = ", ".join(sorted(wf_ex.input))
        found.append(f"Starting workflow '{wf_ex.workflow_name}' [input={names}] {where}")
    change = _change(wf_ex, unit.is_new)
    if change:
        message = _short(wf_ex.state_info)
        found.append(f"Workflow '{wf_ex.workflow_name}' [{change}, msg={message}] {where}")
    found += [line for task_ex in unit.touched_tasks() if (line := _task(unit, task_ex))]
    found += [line for action_ex in unit.touched_actions() if (line := _action(unit, action_ex))]
    return found


def _task(unit: Unit, task_ex: TaskExecution) -> str | None:
    change = _change(task_ex, task_ex.id in unit.new_tasks)
    if not change:
        return None
    where = f"(execution_id={unit.wf_ex.id} task_execution_id={task_ex.id})"
    return f"Task '{task_ex.name}' [{change}, msg={_short(task_ex.state_info)}] {where}"


def _action(unit: Unit, action_ex: ActionExecution) -> str | None:
    change = _change(action_ex, action_ex.id in unit.new_actions)
    if not change:
        return None
    where = f"(execution_id={unit.wf_ex.id} task_execution_id={action_ex.task_execution_id})"
    return f"Action '{action_ex.name}' (id={action_ex.id}) [{change}] {where}"


def _change(entity: Entity, is_new: bool) -> str | None:
    values = entity.__dict__
    old = states.IDLE if is_new else values.get("old_state")
    if old is None or old == values["state"]:
        return None
    return f"{old} -> {values['state']}"


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= SHORT else text[: SHORT - 3] + "..."
