"""Joins: when one may run, and when it can't any more (contract language §9, §31.5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from mistral.lang import TaskSpec, WorkflowSpec
from mistral.workflow.entities import TaskExecution

READY = "ready"
FAILED = "failed"
WAITING = "waiting"

_RUNS_ANYWAY = "runs_anyway"


def counts(task_ex: TaskExecution) -> tuple[int, int]:
    """How many inbound tasks of a join are ready and how many have failed."""
    found = task_ex.runtime_context.get("join") or {}
    return found.get(READY, 0), found.get(FAILED, 0)


def recounted(task_ex: TaskExecution, old: str | None, new: str) -> dict[str, Any]:
    """The runtime context of a join after one inbound task changed from one state to another."""
    found = dict(task_ex.runtime_context.get("join") or {})
    if old is not None:
        found[old] = found.get(old, 0) - 1
    found[new] = found.get(new, 0) + 1
    return {**task_ex.runtime_context, "join": found}


def verdict(task_spec: TaskSpec, total: int, ready: int, failed: int) -> str:
    """Whether a join is ready to run, failed, or has to wait.

    :param total: the number of its inbound tasks.
    """
    needed = total if task_spec.join == "all" else int(task_spec.join or 0)
    if ready >= needed:
        return READY
    return FAILED if failed > total - needed else WAITING


def runs_anyway(task_ex: TaskExecution) -> bool:
    """Whether an operator has run a join although its inbound tasks had failed it."""
    return bool(task_ex.runtime_context.get(_RUNS_ANYWAY))


def run_anyway(task_ex: TaskExecution) -> dict[str, Any]:
    """The change of a join that an operator runs although its inbound tasks have failed it."""
    return {"runtime_context": {**task_ex.runtime_context, _RUNS_ANYWAY: True}}


def origins(spec: WorkflowSpec, join_name: str, name: str) -> set[str]:
    """Tasks from which some way leads to an inbound task of a join, itself among them.

    A way through the join itself does not count: it would wait for itself.
    """
    found = {name} - {join_name}
    todo = list(found)
    while todo:
        for before in spec.inbound(todo.pop()):
            if before != join_name and before not in found:
                found.add(before)
                todo.append(before)
    return found


def dead_inbound(
    spec: WorkflowSpec, join_name: str, undecided: Iterable[str], active: Collection[str]
) -> set[str]:
    """Inbound tasks of a join that can't come any more.

    :param active: names of unfinished tasks that do not just wait for others: what they lead to
        may still happen. A way through the join itself does not count: it would wait for itself.
    """
    reached = set(active) - {join_name}
    todo = list(reached)
    while todo:
        for name in spec.outbound(todo.pop()):
            if name != join_name and name not in reached:
                reached.add(name)
                todo.append(name)
    return {name for name in undecided if name not in reached}
