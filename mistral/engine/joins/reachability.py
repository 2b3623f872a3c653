"""Which tasks may still come: what joins ask before they give one up (doc:language/joins#waiting).

A task may be on its way without a row: chosen by another one in this very transaction, or held
back by a pause. Only ``join_handler`` asks.
"""

from __future__ import annotations

from collections.abc import Collection

from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.workflow import joins, states
from mistral.workflow.commands import RunTask
from mistral.workflow.joins import EndedJoin

_NAMES_PER_LOOK = 200
"""More names than these are not worth a condition of their own."""


def active(unit: UnitOfWork) -> set[str]:
    """Names of the tasks that do not just wait for others."""
    return unfinished(unit)[0] | about_to_come(unit)


def lost(
    unit: UnitOfWork, join_name: str, names: Collection[str], alive: Collection[str]
) -> set[str]:
    """Which inbound tasks of a join, out of some, can't come any more.

    :param alive: names of the tasks that may still choose others.
    """
    spec = unit.spec
    dead = joins.dead_inbound(spec, join_name, names, alive)
    ended = _ended_joins(unit, join_name, set(names) - dead)
    if not ended:
        return dead
    # to be chosen once more sets no join going that stays as it is
    alive = {n for n in alive if n not in ended or _may_run_again(unit, n, ended[n], alive)}
    return joins.dead_inbound(spec, join_name, names, alive, ended)


def _may_run_again(unit: UnitOfWork, name: str, join: EndedJoin, alive: Collection[str]) -> bool:
    """Whether a join that somebody has chosen may run again."""
    gone = joins.dead_inbound(unit.spec, name, join.decided, alive)
    return join.may_run_again((join.decided.keys() - gone) | chosen_by(unit, name))


def _ended_joins(unit: UnitOfWork, join_name: str, names: Collection[str]) -> dict[str, EndedJoin]:
    """The joins before some inbound tasks, or among them, that may have ended for good."""
    spec = unit.spec
    before = joins.origins(spec, join_name, names)
    found = [name for name in sorted(before) if spec.tasks[name].join is not None]
    ended: dict[str, EndedJoin] = {}
    for task_ex in unit.tasks_named(found) if found else ():
        spare = joins.tolerated(spec.tasks[task_ex.name], len(spec.inbound(task_ex.name)))
        is_settled = joins.is_settled(task_ex)
        if not states.is_completed(task_ex.state) or not task_ex.processed:
            continue
        if is_settled or joins.counts(task_ex)[1] > spare:
            decided = {n: row.state for n, row in unit.inbounds.of(task_ex.id).items()}
            ended[task_ex.name] = EndedJoin(decided, spare, is_settled)
    return ended


def about_to_come(unit: UnitOfWork) -> set[str]:
    """Names of the tasks that need no other task any more to be started or to choose others."""
    return _about_to_start(unit) | _undecided(unit)


def chosen_by(unit: UnitOfWork, name: str) -> set[str]:
    """Names of the tasks that have chosen a task which has not been told yet."""
    told = {c.source_name for c in unit.pending if isinstance(c, RunTask) and c.name == name}
    held = unit.wf_ex.backlog or ()
    found = told | {stored["source"] for stored in held if stored.get("run") == name}
    return {source for source in found if source is not None}


def waiting(unit: UnitOfWork) -> set[str]:
    """Names of the tasks that wait for others."""
    return {t.name for t in unit.tasks_in(states.WAITING)}


def unfinished(unit: UnitOfWork, names: Collection[str] | None = None) -> tuple[set[str], set[str]]:
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
            is_sure = task_ex.runtime.waits_for_retry
            (sure if is_sure else waits).add(task_ex.name)
        elif task_ex.state in states.UNFINISHED:
            sure.add(task_ex.name)
    return (sure, waits) if names is None else (sure & set(names), waits & set(names))


def _about_to_start(unit: UnitOfWork) -> set[str]:
    """Names of tasks that were chosen and have no row yet: in this transaction or a pause."""
    chosen = {command.name for command in unit.pending if isinstance(command, RunTask)}
    return chosen | {stored["run"] for stored in unit.wf_ex.backlog or () if "run" in stored}


def _undecided(unit: UnitOfWork) -> set[str]:
    """Names of finished tasks that have not chosen their followers yet.

    A pause leaves them so; an execution that runs has them in hand.
    """
    if unit.wf_ex.state != states.RUNNING:
        return {t.name for t in unit.unprocessed_tasks()}
    return {
        t.name for t in unit.touched_tasks() if states.is_completed(t.state) and not t.processed
    }
