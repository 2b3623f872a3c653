"""What expressions may ask, answered from the rows of a transaction (:class:`Facts`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from mistral.engine.tasks import result_of
from mistral.engine.unit_of_work.other_executions import OtherExecutions
from mistral.lang import WorkflowSpec
from mistral.utils import clock
from mistral.workflow.entities import (
    ActionExecution,
    TaskExecution,
    WorkflowExecution,
)
from mistral.workflow.values import Bag, Values


class Source(Protocol):
    """Where answers come from: the unit of work of one transaction."""

    wf_ex: WorkflowExecution
    values: Values

    @property
    def spec(self) -> WorkflowSpec:
        """The specification of the execution."""

    def env(self) -> Mapping[str, Any]:
        """The environment of the root execution."""

    @property
    def other_executions(self) -> OtherExecutions:
        """Other executions."""

    def latest_task(self, name: str) -> TaskExecution | None:
        """The newest task execution of a name."""

    def accepted_actions(self, task_ex: TaskExecution) -> list[ActionExecution]:
        """Accepted actions of a task in order of index."""

    def children(self, task_ex: TaskExecution) -> list[WorkflowExecution]:
        """Sub-executions of a task that count, in order of index."""

    def find_tasks(
        self, execution_id: str | None, recursive: bool, state: str | None
    ) -> list[TaskExecution]:
        """Tasks of an execution (and of those below it), or all of the project."""

    def find_executions(self, **filters: Any) -> list[WorkflowExecution]:
        """Executions of the project."""


class Record(Mapping[str, Any]):
    """A record whose expensive entries are made when they are read."""

    __slots__ = ("_entries", "_lazy")

    def __init__(self, entries: dict[str, Any], lazy: Mapping[str, Callable[[], Any]]) -> None:
        self._entries = entries
        self._lazy = lazy

    def __getitem__(self, key: str) -> Any:
        if key not in self._entries:
            self._entries[key] = self._lazy[key]()
        return self._entries[key]

    def __contains__(self, key: object) -> bool:
        return key in self._entries or key in self._lazy

    def __iter__(self) -> Iterator[str]:
        yield from self._entries
        yield from (key for key in self._lazy if key not in self._entries)

    def __len__(self) -> int:
        return len(set(self._entries) | set(self._lazy))


class TransactionFacts:
    """Answers about the execution that a transaction handles, and about others as committed.

    :param task_ex: the current task as the decision under way would leave it.
    :param wf_ex: the execution likewise: with the variables that are just being published.
    """

    def __init__(
        self,
        source: Source,
        task_ex: TaskExecution | None = None,
        wf_ex: WorkflowExecution | None = None,
    ) -> None:
        self._source = source
        self._task_ex = task_ex
        self._wf_ex = wf_ex or source.wf_ex

    def task(self, name: str | None) -> Mapping[str, Any] | None:
        """Record of a task; None asks for the current one."""
        if name is None or (self._task_ex is not None and name == self._task_ex.name):
            return self._record(self._task_ex) if self._task_ex is not None else None
        found = self._source.latest_task(name)
        return self._record(found) if found is not None else None

    def tasks(
        self,
        workflow_execution_id: str | None = None,
        recursive: bool = False,
        state: str | None = None,
        flat: bool = False,
    ) -> Sequence[Mapping[str, Any]]:
        """Records of tasks."""
        found = self._with_draft(
            self._source.find_tasks(workflow_execution_id, recursive, None), state
        )
        if flat:
            found = [t for t in found if not self._is_mirror(t)]
        return [self._record(t) for t in found]

    def _with_draft(self, found: Sequence[TaskExecution], state: str | None) -> list[TaskExecution]:
        """The tasks with the current one as the decision under way would leave it."""
        draft = self._task_ex
        drafted = [draft if draft is not None and t.id == draft.id else t for t in found]
        return [t for t in drafted if state in (None, t.state)]

    def _is_mirror(self, task_ex: TaskExecution) -> bool:
        """Whether a task only repeats the state of its sub-execution."""
        if task_ex.type != "WORKFLOW":
            return False
        children = self._source.find_executions(task_execution_id=task_ex.id)
        return any(child.state == task_ex.state for child in children)

    def execution(self) -> Mapping[str, Any]:
        """Record of the current execution."""
        return self._execution_record(self._wf_ex)

    def executions(
        self,
        id: str | None = None,
        root_execution_id: str | None = None,
        state: str | None = None,
        from_time: str | None = None,
        to_time: str | None = None,
    ) -> Sequence[Mapping[str, Any]]:
        """Records of executions of the project."""
        found = self._source.find_executions(
            id=id,
            root_execution_id=root_execution_id,
            state=state,
            from_time=from_time,
            to_time=to_time,
        )
        return [self._execution_record(e) for e in found]

    def env(self) -> Mapping[str, Any]:
        """The environment of the root execution."""
        return self._source.env()

    def global_(self, name: str) -> Any:
        """A variable of the workflow context, or null."""
        context = self._wf_ex.context
        return self._source.values.get(context, name) if name in context else None

    def _record(self, task_ex: TaskExecution) -> Mapping[str, Any]:
        source = self._source
        own = task_ex.workflow_execution_id == source.wf_ex.id
        others = source.other_executions
        spec = source.spec if own else others.spec_of(task_ex.workflow_execution_id)
        result = self._result if own else others.task_result
        task_spec = spec.tasks.get(task_ex.name) if spec else None
        return Record(
            {
                "id": task_ex.id,
                "name": task_ex.name,
                "spec": dict(task_spec.raw) if task_spec else {},
                "state": task_ex.state,
                "state_info": task_ex.state_info,
                "type": task_ex.type,
                "workflow_execution_id": task_ex.workflow_execution_id,
                "created_at": clock.render(task_ex.created_at),
                "updated_at": clock.render(task_ex.updated_at),
            },
            {
                "result": lambda: result(task_ex),
                "published": lambda: self._unpack(task_ex.workflow_execution_id, task_ex.published),
            },
        )

    def _result(self, task_ex: TaskExecution) -> Any:
        """The result of a task of this execution (doc:language/publishing#results)."""
        source, values = self._source, self._source.values
        task_spec = source.spec.tasks[task_ex.name]
        if task_ex.type == "WORKFLOW":
            children = source.children(task_ex)
            values.prefetch([child.output for child in children if child.output])
            return result_of(task_spec, [values.unpack(child.output) for child in children])
        accepted = source.accepted_actions(task_ex)
        if task_ex.runtime.is_result_erased:
            return result_of(task_spec, [None for _ in accepted])
        outputs = [a.output for a in accepted if a.output]
        if len(outputs) > 1:
            values.prefetch(outputs)
        return result_of(
            task_spec,
            [
                values.get(a.output, "result") if a.output and "result" in a.output else None
                for a in accepted
            ],
        )

    def _execution_record(self, wf_ex: WorkflowExecution) -> Mapping[str, Any]:
        source = self._source
        own = wf_ex.id == source.wf_ex.id
        spec = source.spec if own else source.other_executions.spec_of(wf_ex.id)
        return Record(
            {
                "id": wf_ex.id,
                "name": wf_ex.workflow_name,
                "spec": dict(spec.raw) if spec else {},
                "state": wf_ex.state,
                "root_execution_id": wf_ex.root_execution_id,
                "created_at": clock.render(wf_ex.created_at),
                "updated_at": clock.render(wf_ex.updated_at),
            },
            {
                "input": lambda: self._unpack(wf_ex.id, wf_ex.input),
                "params": lambda: self._unpack(wf_ex.id, wf_ex.params),
            },
        )

    def _unpack(self, execution_id: str, bag: Bag | None) -> dict[str, Any]:
        if execution_id != self._source.wf_ex.id:
            return self._source.other_executions.unpack(execution_id, bag)
        return self._source.values.unpack(bag) if bag else {}
