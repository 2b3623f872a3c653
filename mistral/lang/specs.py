"""Specifications: what a definition says, as frozen values.

They are what every other room knows of the language. A task's specification is the effective
one: the workflow's task-defaults are already in it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from mistral.lang.graph import Graph

ENGINE_COMMANDS = ("noop", "fail", "succeed", "pause")
DIRECT = "direct"
LONGEST_SECONDS = 10 * 365 * 24 * 60 * 60
"""What a wait, a delay or a timeout may be at most; every clock and database can add it."""
REVERSE = "reverse"


@dataclasses.dataclass(frozen=True, slots=True)
class InputParam:
    """A declared input of a workflow or an ad-hoc action."""

    name: str
    has_default: bool = False
    default: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Where a transition leads to: a task or an engine command with its parameters."""

    name: str
    condition: str | None = None
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class PublishSpec:
    """The variables that a clause publishes, by scope."""

    branch: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    global_: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    atomic: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Clause:
    """One of ``on-success``, ``on-error``, ``on-complete``, ``on-skip``."""

    targets: tuple[Target, ...] = ()
    publish: PublishSpec | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class RetrySpec:
    """The retry policy; numbers may be expressions."""

    count: int | str
    delay: int | str
    break_on: str | None = None
    continue_on: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class PoliciesSpec:
    """Policies of a task; None is "not set", and so is a zero (doc:language/task_defaults)."""

    retry: RetrySpec | None = None
    wait_before: int | str | None = None
    wait_after: int | str | None = None
    timeout: int | str | None = None
    pause_before: bool | str | None = None
    concurrency: int | str | None = None
    fail_on: bool | str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class TaskSpec:
    """What one task does and what follows it."""

    name: str
    type: str = DIRECT
    description: str | None = None
    tags: tuple[str, ...] = ()
    action: str | None = None
    workflow: str | None = None
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    input: dict[str, Any] | str | None = None
    with_items: tuple[tuple[str, str | list[Any]], ...] = ()
    publish: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    publish_on_error: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    publish_on_skip: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    policies: PoliciesSpec = PoliciesSpec()
    target: str | None = None
    keep_result: bool | str = True
    safe_rerun: bool | str = False
    join: str | int | None = None
    on_success: Clause | None = None
    on_error: Clause | None = None
    on_complete: Clause | None = None
    on_skip: Clause | None = None
    requires: tuple[str, ...] = ()
    rollback: str | None = None
    rollback_params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    raw: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """The clauses that exist."""
        every = (self.on_success, self.on_error, self.on_complete, self.on_skip)
        return tuple(clause for clause in every if clause is not None)


@dataclasses.dataclass(frozen=True)
class WorkflowSpec:
    """A workflow. ``raw`` is plain JSON data, enough to build this again; ``text`` its excerpt."""

    name: str
    type: str
    tasks: dict[str, TaskSpec]
    description: str | None = None
    tags: tuple[str, ...] = ()
    input: tuple[InputParam, ...] = ()
    output: dict[str, Any] = dataclasses.field(default_factory=dict)
    output_on_error: dict[str, Any] = dataclasses.field(default_factory=dict)
    vars: dict[str, Any] = dataclasses.field(default_factory=dict)
    raw: dict[str, Any] = dataclasses.field(default_factory=dict)
    text: str = ""

    @functools.cached_property
    def _graph(self) -> Graph:
        if self.type == REVERSE:
            return Graph.of_inbound({name: task.requires for name, task in self.tasks.items()})
        return Graph.of_outbound(
            {
                name: [target.name for clause in task.clauses for target in clause.targets]
                for name, task in self.tasks.items()
            },
            joins=[name for name, task in self.tasks.items() if task.join],
        )

    @property
    def start_tasks(self) -> tuple[str, ...]:
        """Tasks that nothing leads to."""
        return self._graph.starts

    def inbound(self, name: str) -> tuple[str, ...]:
        """Tasks that name a task in any clause (or that it requires), each once."""
        return self._graph.inbound.get(name, ())

    def outbound(self, name: str) -> tuple[str, ...]:
        """Tasks that a task names in any clause (or that require it), each once."""
        return self._graph.outbound.get(name, ())

    def joins_reachable_from(self, name: str) -> tuple[str, ...]:
        """Joins that some way of transitions leads to, conditions ignored."""
        return self._graph.joins_reachable_from(name)

    def reachable_from(self, *names: str) -> set[str]:
        """Tasks that some way of transitions leads to from some tasks, conditions ignored."""
        return self._graph.reachable_from(*names)


@dataclasses.dataclass(frozen=True)
class AdHocActionSpec:
    """An action made of another one."""

    name: str
    base: str
    base_params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    base_input: dict[str, Any] = dataclasses.field(default_factory=dict)
    input: tuple[InputParam, ...] = ()
    output: Any = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    raw: dict[str, Any] = dataclasses.field(default_factory=dict)
    text: str = ""


@dataclasses.dataclass(frozen=True)
class WorkbookSpec:
    """A workbook; its members carry their full names, ``<workbook>.<entry>``."""

    name: str
    description: str | None = None
    tags: tuple[str, ...] = ()
    workflows: tuple[WorkflowSpec, ...] = ()
    actions: tuple[AdHocActionSpec, ...] = ()
    raw: dict[str, Any] = dataclasses.field(default_factory=dict)
    text: str = ""
