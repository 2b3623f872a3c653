"""The kinds of tasks: how each does its work and when that is done. Decides only (law 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mistral import exceptions as exc
from mistral.engine.actions import (
    Action,
    AdHocAction,
    PythonAction,
    SubWorkflowError,
    WorkflowAction,
)
from mistral.engine.base import Scope
from mistral.engine.task_lifecycle import Task
from mistral.expressions import DataContext
from mistral.lang import TaskSpec, WorkflowSpec
from mistral.workflow import states
from mistral.workflow.commands import (
    Command,
    DiscardResults,
    GoOnLater,
    UpdateAction,
    UpdateTask,
)
from mistral.workflow.entities import TaskExecution, WorkflowExecution
from mistral.workflow.items import Items
from mistral.workflow.limits import ROWS_OF_CHILD
from mistral.workflow.ports import DecisionPorts
from mistral.workflow.results import Outcome
from mistral.workflow.state_machines import TaskEvent
from mistral.workflow.values import Bag, Values

MAX_TARGET = 255

SLICE = 1000
"""So many items are noted together: who needs one reads no more than these."""

_ALL = "items"


def is_plain(text: str) -> bool:
    """Whether every database can keep a text as it is."""
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


class RegularTask(Task):
    """A task with one action or one sub-workflow."""

    def run(self) -> list[Command]:
        """Start the task."""
        return super().run()

    def schedule_actions(self) -> list[Command]:
        """Create the action or the sub-workflow."""
        return self._schedule(self._context(), 0)

    def _schedule(self, context: DataContext, index: int) -> list[Command]:
        spec = self.task_spec
        action = self._build_action(context)
        input_dict = self._input(context)
        target = self._target(context)
        safe = bool(spec.safe_rerun and self._evaluate(spec.safe_rerun, context, "safe-rerun"))
        timeout = self.draft.runtime.timeout
        return action.schedule(
            input_dict, target, index, spec.description or "", safe_rerun=safe, timeout=timeout
        )

    def _target(self, context: DataContext) -> str | None:
        given = self.task_spec.target
        target = self._evaluate(given, context, "target") if given else None
        if target is None:
            return None
        if not isinstance(target, str) or len(target) > MAX_TARGET or not is_plain(target):
            raise exc.InputException(
                f"'target' must be the name of an executor, a text of at most {MAX_TARGET} "
                f"characters, not {str(target)[:80]!r}"
            )
        return target

    def _build_action(self, context: DataContext) -> Action:
        spec = self.task_spec
        scope = self._scope(context)
        if spec.workflow:
            name = self._evaluate(spec.workflow, context, "workflow")
            if name:
                return self._sub_workflow(str(name), scope)
        name = self._evaluate(spec.action, context, "action") if spec.action else None
        definition = self.ports.find_action(str(name) if name else "std.noop")
        kind = AdHocAction if definition.adhoc else PythonAction
        return kind(definition, task_ex=self.draft, scope=scope)

    def _sub_workflow(self, name: str, scope: Scope) -> WorkflowAction:
        workflow = self.ports.find_workflow(name)
        if workflow is None:
            raise SubWorkflowError(f"Failed to find workflow [name={name}]")
        return WorkflowAction(workflow, task_ex=self.draft, scope=scope)

    def _input(self, context: DataContext) -> dict[str, Any]:
        raw = self.task_spec.input
        value = self._evaluate(raw if isinstance(raw, str) else dict(raw or {}), context, "input")
        if not isinstance(value, Mapping):
            raise exc.InputException(
                f"Wrong dynamic input for task: {self.task_spec.name}. Field 'input' must evaluate "
                f"to a mapping, not {type(value).__name__}"
            )
        return {**value, **self._evaluate(dict(self.task_spec.params or {}), context, "input")}

    def on_action_complete(self, action_ex: Any) -> list[Command]:
        """The task ends as its action did."""
        return self.complete(action_ex.state, self._error_text(action_ex))

    def _error_text(self, action_ex: Any) -> str | None:
        if action_ex.state != states.ERROR:
            return None
        if isinstance(action_ex, WorkflowExecution):
            default = f"Failed subworkflow [execution_id={action_ex.id}]"
            return action_ex.state_info or default
        output = action_ex.output
        value = self.ports.values.get(output, "result") if output and "result" in output else None
        return None if value is None else str(value)


class WithItemsTask(RegularTask):
    """A task that runs once per item (doc:language/with_items)."""

    def is_with_items_completed(self) -> bool:
        """Whether nothing of the items is left to wait for."""
        counts = self.draft.runtime.items
        return counts is not None and counts.is_complete

    @property
    def _counts(self) -> Items:
        """The counters of a task whose items are known."""
        found = self.draft.runtime.items
        if found is None:
            raise exc.MistralException(f"The items of '{self.task_spec.name}' are not known yet.")
        return found

    def schedule_actions(self) -> list[Command]:
        """Create as many items as may run at a time."""
        items = self._items()
        counts, count, redo = self.draft.runtime.items, len(items), None
        if counts is not None and counts.redo is not None:
            # the lists may have become shorter or longer since
            redo = (*(i for i in counts.redo if i < count), *range(counts.count, count))
        left = count if redo is None else len(redo)
        room = self.draft.runtime.concurrency or left
        fresh = Items(count, room, done=count - left, redo=redo)
        commands = self._dropped(count) + self._set_counts(fresh)
        if not left:
            return commands + self.complete(states.SUCCESS)
        return commands + self._schedule_next(items)

    def _at_once(self, capacity: int) -> int:
        """How many of the items that may start do so in this transaction."""
        room = min(self.ports.room(), self.ports.limits.items_at_once)
        weight = ROWS_OF_CHILD if self.task_spec.workflow else 1
        return min(capacity, max(1, room // weight)) if room else 0

    def _dropped(self, count: int) -> list[Command]:
        """Results of items that the lists have no longer do not count."""
        counts = self.draft.runtime.items
        keeps = counts is not None and counts.keeps_successes
        accepted = self.ports.accepted_actions(self.draft) if keeps else []
        return [UpdateAction(a.id, {"accepted": False}) for a in accepted if a.idx >= count]

    def _items(self) -> list[dict[str, Any]]:
        context = self._context()
        columns: dict[str, list[Any]] = {}
        for name, source in self.task_spec.with_items:
            value = self._evaluate(source, context, f"with-items.{name}")
            if not isinstance(value, Iterable):
                raise exc.InputException(
                    f"Wrong input format for with-items: '{name}' must be iterable, "
                    f"not {type(value).__name__}"
                )
            columns[name] = self.ports.limits.bounds.items_of(value)
        if len({len(column) for column in columns.values()}) > 1:
            raise exc.InputException(
                "Wrong input format for with-items: all lists must have the same length"
            )
        names = list(columns)
        return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _known_items(self) -> Sequence[dict[str, Any]]:
        """The items as they were when the task began, as far as that was noted."""
        counts = self.draft.runtime.items
        if counts is None or counts.noted is None:
            return self._items()
        bag = Bag.decode(counts.noted)
        if _ALL in bag:
            found: list[dict[str, Any]] = self.ports.values.get(bag, _ALL)
            return found
        return _NotedItems(self.ports.values, bag, counts.count)

    def item(self, index: int) -> dict[str, Any]:
        """The item variables of one position."""
        items = self._known_items()
        if index >= len(items):
            raise exc.WorkflowException(
                f"There is no item {index} any more [task={self.task_spec.name}]"
            )
        return items[index]

    def _schedule_next(self, items: Sequence[dict[str, Any]]) -> list[Command]:
        counts = self._counts
        indexes = range(counts.count) if counts.redo is None else counts.redo
        first, room = counts.next, counts.capacity
        chosen = indexes[first : first + self._at_once(room)]
        commands: list[Command] = []
        started = 0
        for index in chosen:
            if started and not self.ports.room():
                # many small items or a few large ones
                break
            commands += self._schedule(self._context(item=items[index]), index)
            started += 1
        counts = counts.started(started)
        if counts.next < len(indexes) and counts.noted is None:
            # what starts later belongs to the same lists, whatever has become of their variables
            counts = counts.with_noted(self.ports.values.pack(_sliced(items)).encode())
        if started < min(room, len(indexes) - first):
            counts = counts.with_more()
            commands.append(GoOnLater(self.draft.id))
        return self._set_counts(counts) + commands

    def _set_counts(self, counts: Items) -> list[Command]:
        return self._do(UpdateTask(self.draft.id, self.draft.runtime.with_items(counts).change))

    def on_action_complete(self, action_ex: Any) -> list[Command]:
        """Count an item; start the next one, or end when all have ended."""
        counts = self._counts.item_ended(action_ex.state)
        commands = self._set_counts(counts)
        if self.is_completed() or self.draft.state == states.DELAYED:
            return commands
        if counts.cancelled:
            info = "One or more actions was cancelled."
            return commands + self.complete(states.CANCELLED, info)
        if self.is_with_items_completed():
            if counts.failed:
                info = "One or more actions had failed."
                return commands + self.complete(states.ERROR, info)
            return commands + self.complete(states.SUCCESS)
        # while the workflow is paused nothing new starts; a resume looks again
        if self.wf_ex.state == states.RUNNING and not counts.has_more:
            commands += self.start_missing()
        return commands

    def start_missing(self) -> list[Command]:
        """Start the items that may start and that nobody has started yet."""
        counts = self.draft.runtime.items
        if counts is None:
            return []
        if counts.may_start:
            return self._schedule_next(self._known_items())
        # one that runs again has taken the place
        return self._set_counts(counts.without_more()) if counts.has_more else []

    def renew(self, reset: bool = True) -> list[Command]:
        """Let all items run again, or without ``reset`` those that did not succeed."""
        counts = self.draft.runtime.items
        if reset or counts is None:
            return super().renew(reset)
        done = self._successful_indexes()
        redo = tuple(i for i in range(counts.count) if i not in done)
        kept = self.draft.runtime.renewed(counts.redoing(redo))
        commands: list[Command] = [DiscardResults(self.draft.id, failed_only=True)]
        return commands + self._do(
            UpdateTask(
                self.draft.id,
                self._rerun_changes(self.draft.attempt + 1, kept),
                TaskEvent.RERUN,
            )
        )

    def _successful_indexes(self) -> set[int]:
        # results of a join's earlier rounds count, but do not spare an item its own round
        first = self.draft.runtime.round_attempt
        done = states.SUCCESS
        if self.task_spec.workflow:
            children = self.ports.children(self.draft)
            return {c.idx for c in children if c.state == done and c.task_attempt >= first}
        accepted = self.ports.accepted_actions(self.draft)
        return {a.idx for a in accepted if a.state == done and a.attempt >= first}


def _sliced(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if len(items) <= SLICE:
        return {_ALL: items}
    return {str(i): items[i * SLICE : (i + 1) * SLICE] for i in range(-(-len(items) // SLICE))}


class _NotedItems(Sequence[dict[str, Any]]):
    """Items of which only those that are asked for are read."""

    def __init__(self, values: Values, bag: Bag, count: int) -> None:
        self._values = values
        self._bag = bag
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        number, place = divmod(index, SLICE)
        return self._values.get(self._bag, str(number))[place]


def build_task(
    wf_ex: WorkflowExecution,
    wf_spec: WorkflowSpec,
    name: str,
    ctx: Bag,
    ports: DecisionPorts,
    task_ex: TaskExecution | None = None,
    unique_key: str | None = None,
    waiting: bool = False,
    triggered_by: Sequence[tuple[str, str]] = (),
) -> RegularTask:
    """The task object of the right kind."""
    task_spec = wf_spec.tasks[name]
    kind = WithItemsTask if task_spec.with_items else RegularTask
    return kind(wf_ex, wf_spec, task_spec, ctx, task_ex, unique_key, waiting, ports, triggered_by)


def result_of(
    task_spec: TaskSpec, outcomes: Sequence[Outcome | Any], in_items: bool | None = None
) -> Any:
    """The result of a task, from what is accepted (doc:language/publishing#results)."""
    found = list(outcomes)
    if in_items if in_items is not None else bool(task_spec.with_items):
        return found
    if not found:
        return []
    return found[0] if len(found) == 1 else found
