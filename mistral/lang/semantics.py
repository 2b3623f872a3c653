"""What no single value shows: whether a workflow's tasks fit together (doc:language/validation)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mistral import exceptions as exc
from mistral.lang import spelling
from mistral.lang.graph import Graph
from mistral.lang.specs import ENGINE_COMMANDS, REVERSE, Clause, TaskSpec, WorkflowSpec
from mistral.lang.task_builder import CLAUSES, Defaults
from mistral.lang.violations import Violation


def workflow(spec: WorkflowSpec) -> None:
    """Check the edges between the tasks of a workflow."""
    defaults = Defaults.of(spec.raw.get("task-defaults") or {})
    if spec.type == REVERSE:
        _required(defaults.requires, spec.tasks, "task-defaults", "requires")
        for task in spec.tasks.values():
            _required(task.requires, spec.tasks, "tasks", task.name, "requires")
        _acyclic(spec)
        return
    for key, attribute in CLAUSES.items():
        clause, _ = defaults.clauses.get(attribute, (None, None))
        _targets(clause, spec.tasks, "task-defaults", key)
    for task in spec.tasks.values():
        for key, attribute in CLAUSES.items():
            _targets(getattr(task, attribute), spec.tasks, "tasks", task.name, key)
    if not spec.start_tasks:
        raise _violation(
            "there is no start task: every task is the target of a transition", "tasks"
        )
    for task in spec.tasks.values():
        if task.join:
            _join(task, len(spec.inbound(task.name)))


def _targets(clause: Clause | None, tasks: Collection[str], *path: str) -> None:
    for target in clause.targets if clause else ():
        name = target.name
        if name not in tasks and name not in ENGINE_COMMANDS:
            meant = spelling.question(name, [*tasks, *ENGINE_COMMANDS])
            raise _violation(
                f"'{name}' is neither a task of this workflow nor an engine command{meant}", *path
            )


def _join(task: TaskSpec, inbound: int) -> None:
    needed = 1 if task.join == "all" else int(task.join or 0)
    if inbound < needed:
        raise _violation(
            f"this join needs at least {needed} task(s) that lead to it, there are {inbound}",
            "tasks",
            task.name,
            "join",
        )


def _required(names: Iterable[str], tasks: Collection[str], *path: str) -> None:
    for name in names:
        if name not in tasks:
            meant = spelling.question(name, tasks)
            raise _violation(f"'{name}' is not a task of this workflow{meant}", *path)


def _acyclic(spec: WorkflowSpec) -> None:
    cycle = Graph.of_inbound({n: task.requires for n, task in spec.tasks.items()}).cycle()
    if cycle:
        raise _violation(
            f"tasks require each other: {' -> '.join(cycle)}", "tasks", cycle[0], "requires"
        )


def _violation(problem: str, *path: str) -> Violation:
    return Violation(problem, *path, error=exc.InvalidModelException)
