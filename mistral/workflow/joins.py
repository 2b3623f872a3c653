"""Joins: when one may run, and when it can't any more (contract language §9, §31.5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from mistral.lang import TaskSpec, WorkflowSpec

READY = "ready"
FAILED = "failed"
WAITING = "waiting"


def verdict(task_spec: TaskSpec, inbound: Collection[str], decided: Mapping[str, str]) -> str:
    """Whether a join is ready to run, failed, or has to wait.

    :param inbound: names of all its inbound tasks.
    :param decided: inbound name to ``ready`` or ``failed``, as far as known.
    """
    ready = sum(1 for state in decided.values() if state == READY)
    failed = sum(1 for state in decided.values() if state == FAILED)
    needed = len(inbound) if task_spec.join == "all" else int(task_spec.join or 0)
    if ready >= needed:
        return READY
    return FAILED if failed > len(inbound) - needed else WAITING


def failed_names(decided: Mapping[str, str]) -> list[str]:
    """The inbound tasks to blame."""
    return sorted(name for name, state in decided.items() if state == FAILED)


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
