"""Joins: when one may run, and when it can't any more (doc:language/joins#waiting)."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from mistral.lang import TaskSpec, WorkflowSpec
from mistral.workflow import states
from mistral.workflow.entities import TaskExecution

READY = "ready"
FAILED = "failed"
WAITING = "waiting"

_NONE: Final[Mapping[str, EndedJoin]] = MappingProxyType({})
_ENDED = {
    states.SUCCESS: "succeeded",
    states.ERROR: "failed",
    states.CANCELLED: "was cancelled",
    states.SKIPPED: "was skipped",
}


def counts(task_ex: TaskExecution) -> tuple[int, int]:
    """How many inbound tasks of a join are ready and how many have failed."""
    found = task_ex.runtime.inbound
    return found.get(READY, 0), found.get(FAILED, 0)


def cause(inbound: TaskSpec, join: str, state: str | None) -> str:
    """Why an inbound task does not lead to a join any more, in a few words.

    :param state: of its last run; None when it never ran.
    """
    if state is None:
        return f"{inbound.name} never ran"
    decisive = {
        states.SUCCESS: (inbound.on_success, inbound.on_complete),
        states.ERROR: (inbound.on_error, inbound.on_complete),
        states.SKIPPED: (inbound.on_skip,),
    }.get(state, ())
    ways = [t for clause in decisive if clause for t in clause.targets if t.name == join]
    ended = f"{inbound.name} {_ENDED.get(state, f'is {state}')}"
    if any(target.condition is not None for target in ways):
        return f"{ended}, but the condition of its transition was false"
    if ways:
        return f"{ended}, but went elsewhere"
    if state == states.SUCCESS:
        return f"{ended}, but leads here in other cases only"
    return ended


def verdict(task_spec: TaskSpec, total: int, ready: int, failed: int) -> str:
    """Whether a join is ready to run, failed, or has to wait.

    :param total: the number of its inbound tasks.
    """
    spare = tolerated(task_spec, total)
    if ready >= total - spare:
        return READY
    return FAILED if failed > spare else WAITING


def tolerated(task_spec: TaskSpec, total: int) -> int:
    """How many inbound tasks of a join may fail."""
    return 0 if task_spec.join == "all" else total - int(task_spec.join or 0)


def is_settled(task_ex: TaskExecution) -> bool:
    """Whether an operator has skipped or run a join without those who had failed it."""
    ran = task_ex.state == states.SUCCESS and task_ex.runtime.runs_anyway
    return ran or task_ex.state == states.SKIPPED


@dataclasses.dataclass(frozen=True)
class EndedJoin:
    """A join that has ended: whether it runs again when something leads to it.

    ``decided`` are its inbound tasks, ``tolerated`` says how many of them may fail.
    """

    decided: Mapping[str, str]
    tolerated: int
    is_settled: bool

    def may_run_again(self, coming: Collection[str]) -> bool:
        """Whether it may, given all tasks that may still come."""
        lost = sum(state == FAILED and name not in coming for name, state in self.decided.items())
        if lost > self.tolerated:
            return False
        # what had not come before is no matter of a join that an operator has settled
        known = (name for name, state in self.decided.items() if state == READY)
        return not self.is_settled or any(name in coming for name in known)


def origins(spec: WorkflowSpec, join_name: str, names: Iterable[str]) -> set[str]:
    """Tasks from which some way leads to inbound tasks of a join, these among them.

    A way through the join itself does not count: it would wait for itself.
    """
    found = set(names) - {join_name}
    todo = list(found)
    while todo:
        for before in spec.inbound(todo.pop()):
            if before != join_name and before not in found:
                found.add(before)
                todo.append(before)
    return found


def dead_inbound(
    spec: WorkflowSpec,
    join_name: str,
    undecided: Iterable[str],
    active: Collection[str],
    ended: Mapping[str, EndedJoin] = _NONE,
) -> set[str]:
    """Inbound tasks of a join that can't come any more.

    :param active: names of unfinished tasks that do not just wait for others: what they lead to
        may still happen. A way through the join itself does not count: it would wait for itself.
    :param ended: joins that have ended: a way through one counts only if it may run again.
    """
    reached = set(active) - {join_name}
    todo, held = list(reached), set[str]()
    while todo:
        for name in spec.outbound(todo.pop()):
            if name == join_name or name in reached:
                continue
            if name in ended:
                held.add(name)
            else:
                reached.add(name)
                todo.append(name)
        if not todo:
            todo = [name for name in sorted(held) if ended[name].may_run_again(reached)]
            held.difference_update(todo)
            reached.update(todo)
    return {name for name in undecided if name not in reached}
