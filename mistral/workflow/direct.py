"""Direct workflows: which targets a finished task chooses (doc:language/transitions)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mistral.lang import Clause, Target, TaskSpec, WorkflowSpec
from mistral.workflow import states

ON_SUCCESS = "on-success"
ON_ERROR = "on-error"
ON_COMPLETE = "on-complete"
ON_SKIP = "on-skip"

ENDS = ("fail", "succeed")


@dataclasses.dataclass(frozen=True)
class Chosen:
    """A target that a task chose, by which clause, with a command's parameters."""

    name: str
    event: str
    params: Mapping[str, Any]


Condition = Callable[[Target], bool]


def choose(task_spec: TaskSpec, state: str, holds: Condition) -> list[Chosen]:
    """The targets of all clauses that apply to a state, in their order.

    :param holds: tells whether a target's condition is true.
    """
    if state == states.SKIPPED:
        skipped = list(_chosen(task_spec.on_skip, ON_SKIP, holds))
        return skipped or list(_chosen(task_spec.on_success, ON_SUCCESS, holds))
    found: list[Chosen] = []
    if state == states.ERROR:
        found.extend(_chosen(task_spec.on_error, ON_ERROR, holds))
    elif state == states.SUCCESS:
        found.extend(_chosen(task_spec.on_success, ON_SUCCESS, holds))
    else:
        return found
    found.extend(_chosen(task_spec.on_complete, ON_COMPLETE, holds))
    return found


def _chosen(clause: Clause | None, event: str, holds: Condition) -> Iterator[Chosen]:
    for target in clause.targets if clause else ():
        if target.condition is None or holds(target):
            yield Chosen(target.name, event, target.params)


def up_to_end(chosen: Sequence[Chosen]) -> Sequence[Chosen]:
    """What is done of the chosen targets: nothing after the end (doc:language/transitions)."""
    place = next((i for i, item in enumerate(chosen, 1) if item.name in ENDS), len(chosen))
    return chosen[:place]


def publish_clauses(task_spec: TaskSpec, state: str) -> list[Clause]:
    """The clauses whose ``publish`` applies, the weaker one first (doc:language/publishing)."""
    by_state = {
        states.SUCCESS: (task_spec.on_success, task_spec.on_complete),
        states.ERROR: (task_spec.on_error, task_spec.on_complete),
        states.SKIPPED: (task_spec.on_skip,),
    }
    return [c for c in by_state.get(state, ()) if c is not None and c.publish is not None]


def plain_publish(task_spec: TaskSpec, state: str) -> Mapping[str, Any]:
    """The task-level publish section of a state."""
    by_state = {
        states.SUCCESS: task_spec.publish,
        states.ERROR: task_spec.publish_on_error,
        states.SKIPPED: task_spec.publish_on_skip,
    }
    return by_state.get(state) or {}


def start_tasks(spec: WorkflowSpec) -> tuple[str, ...]:
    """Tasks that nothing leads to."""
    return spec.start_tasks
