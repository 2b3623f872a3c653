"""Which tasks of an execution may still come: what joins ask before they give one up (§9, §31.5).

A task may be on its way without a row: chosen by another one in this very transaction, or held
back by a pause. Only ``join_handler`` asks.
"""

from __future__ import annotations

from collections.abc import Collection

from mistral.engine.unit import Unit
from mistral.workflow import states
from mistral.workflow.commands import RunTask

_NAMES_PER_LOOK = 200
"""More names than these are not worth a condition of their own."""


def active(unit: Unit) -> set[str]:
    """Names of the tasks that do not just wait for others."""
    return unfinished(unit)[0] | about_to_come(unit)


def about_to_come(unit: Unit) -> set[str]:
    """Names of the tasks that need no other task any more to be started or to choose others."""
    return _about_to_start(unit) | _undecided(unit)


def chosen_by(unit: Unit, name: str) -> set[str | None]:
    """Names of the tasks that have chosen a task which has not been told yet."""
    told = {c.source_name for c in unit.pending if isinstance(c, RunTask) and c.name == name}
    held = unit.wf_ex.backlog or ()
    return told | {stored["source"] for stored in held if stored.get("run") == name}


def waiting(unit: Unit) -> set[str]:
    """Names of the tasks that wait for others."""
    return {t.name for t in unit.tasks_in(states.WAITING)}


def unfinished(unit: Unit, names: Collection[str] | None = None) -> tuple[set[str], set[str]]:
    """Names of the unfinished tasks: of those that go on by themselves, of those that wait.

    :param names: look for these only.
    """
    asked = names if names is None or len(names) <= _NAMES_PER_LOOK else None
    stored = unit.store.unfinished(unit.wf_ex.id, asked)
    touched = {t.id for t in unit.touched_tasks()}
    sure = {n for i, n, state in stored if state != states.WAITING and i not in touched}
    # what waits for a retry comes by itself: that stands in the whole row
    unit.tasks([i for i, _, state in stored if state == states.WAITING])
    waits: set[str] = set()
    for task_ex in (t for t in unit.touched_tasks() if not t.is_compensation):
        if task_ex.state == states.WAITING:
            is_sure = bool(task_ex.runtime_context.get("waits_for_retry"))
            (sure if is_sure else waits).add(task_ex.name)
        elif task_ex.state in states.UNFINISHED:
            sure.add(task_ex.name)
    return (sure, waits) if names is None else (sure & set(names), waits & set(names))


def _about_to_start(unit: Unit) -> set[str]:
    """Names of tasks that were chosen and have no row yet: in this transaction or a pause."""
    chosen = {command.name for command in unit.pending if isinstance(command, RunTask)}
    return chosen | {stored["run"] for stored in unit.wf_ex.backlog or () if "run" in stored}


def _undecided(unit: Unit) -> set[str]:
    """Names of finished tasks that have not chosen their followers yet.

    A pause leaves them so; an execution that runs has them in hand.
    """
    if unit.wf_ex.state != states.RUNNING:
        return {t.name for t in unit.unprocessed_tasks()}
    return {
        t.name for t in unit.touched_tasks() if states.is_completed(t.state) and not t.processed
    }
