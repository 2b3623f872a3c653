"""Contexts: which data each place of a workflow sees (contract language §14, §16)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mistral import exceptions as exc
from mistral.expressions import DataContext, LayeredData
from mistral.lang import InputParam
from mistral.workflow.entities import TaskExecution, WorkflowExecution
from mistral.workflow.means import Limits, Means
from mistral.workflow.values import EMPTY, Bag, Values, same
from mistral.workflow.versions import OFF, Versioning


class BagView(Mapping[str, Any]):
    """A bag as a mapping that loads large values when they are read."""

    __slots__ = ("_bag", "_values")

    def __init__(self, bag: Bag, values: Values) -> None:
        self._bag = bag
        self._values = values

    def __getitem__(self, name: str) -> Any:
        return self._values.get(self._bag, name)

    def __contains__(self, name: object) -> bool:
        return name in self._bag

    def __iter__(self) -> Iterator[str]:
        return iter(self._bag)

    def __len__(self) -> int:
        return len(self._bag)


def context(
    means: Means,
    wf_ex: WorkflowExecution,
    *,
    task_ex: TaskExecution | None = None,
    branch: Bag = EMPTY,
    item: Mapping[str, Any] | None = None,
    with_input: bool = True,
) -> DataContext:
    """The data of a place: branch variables first, then the item's, globals and vars, input.

    The service's own variables (``__env``, ``__execution``, ``__task_execution``) are in front.
    """
    values = means.values
    fixed: dict[str, Any] = {"__execution": {"id": wf_ex.id}}
    if task_ex is not None:
        fixed["__task_execution"] = {"id": task_ex.id, "name": task_ex.name}
    variables = _Variables(fixed, means)
    layers: list[Mapping[str, Any]] = [variables]
    if branch:
        layers.append(BagView(branch, values))
    if item:
        layers.append(item)
    if wf_ex.context:
        layers.append(BagView(wf_ex.context, values))
    if with_input and wf_ex.input:
        layers.append(BagView(wf_ex.input, values))
    facts = means.facts(task_ex, wf_ex)
    return DataContext(
        data=LayeredData(*layers, merge=means.limits.merge_strategy == "merge"),
        facts=facts,
        variables=variables,
    )


class _Variables(Mapping[str, Any]):
    """Variables of an expression; the environment is only read when asked for."""

    __slots__ = ("_fixed", "_means")

    def __init__(self, fixed: Mapping[str, Any], means: Means) -> None:
        self._fixed = fixed
        self._means = means

    def __getitem__(self, name: str) -> Any:
        return self._means.env() if name == "__env" else self._fixed[name]

    def __contains__(self, name: object) -> bool:
        return name == "__env" or name in self._fixed

    def __iter__(self) -> Iterator[str]:
        yield "__env"
        yield from self._fixed

    def __len__(self) -> int:
        return len(self._fixed) + 1


def outbound(task_ex: TaskExecution, versioning: Versioning = OFF) -> Bag:
    """What a finished task hands to its followers (§16.3)."""
    inherited, published = task_ex.in_context, task_ex.published
    found = inherited.updated(published)
    if not versioning.enabled or not published:
        return found
    return found.versioned(versioning.published(inherited, published))


def merge(tasks: Iterable[TaskExecution], values: Values, versioning: Versioning = OFF) -> Bag:
    """The contexts of several finished tasks as one (§16.6).

    Mappings merge deeply; a variable that a task published beats one that was merely inherited.
    Where publications are counted, one that was published more often beats both.
    """
    found = list(tasks)
    if not found:
        return EMPTY
    if len(found) == 1:
        return outbound(found[0], versioning)
    if versioning.enabled:
        return _merged_by_count(found, values, versioning)
    result = found[0].in_context
    for task_ex in found[1:]:
        result = _merged(result, task_ex.in_context, values)
    for task_ex in found:
        result = _merged(result, task_ex.published, values)
    return result


def _merged_by_count(tasks: list[TaskExecution], values: Values, versioning: Versioning) -> Bag:
    """The same order as without counts, but what was published more often comes later."""
    inherited = [(t.in_context, t.in_context) for t in tasks]
    published = [(t.published, outbound(t, versioning)) for t in tasks]
    result = EMPTY
    counts: dict[str, int] = {}
    steps: list[tuple[int, Bag]] = []
    for bag, counted in (*inherited, *published):
        for name in bag:
            count = versioning.count(counted, name)
            counts[name] = max(count, counts.get(name, 0))
            steps.append((count, bag.only(name)))
    for _, part in sorted(steps, key=lambda step: step[0]):
        result = _merged(result, part, values)
    return result.versioned(versioning.counts(EMPTY, counts))


def merged_over(older: Bag, published: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """Published mappings merged deeply over older ones of the same names."""
    result = {}
    for name, value in published.items():
        old = values.get(older, name) if name in older and isinstance(value, Mapping) else None
        result[name] = merge_mappings(old, value) if isinstance(old, Mapping) else value
    return result


def _merged(left: Bag, right: Bag, values: Values) -> Bag:
    if not left:
        return right
    if left == right:
        return left
    clashes = [name for name in right if name in left and not _same(left, right, name)]
    both: dict[str, Any] = {}
    for name in clashes:
        old, new = values.get(left, name), values.get(right, name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            both[name] = merge_mappings(old, new)
    result = left.updated(right)
    return result.updated(values.pack(both)) if both else result


def _same(left: Bag, right: Bag, name: str) -> bool:
    if name in left.refs:
        return left.refs[name] == right.refs.get(name)
    return name in right.inline and same(left.inline[name], right.inline[name])


def merge_mappings(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """A deep merge; at equal keys the right one wins unless both hold mappings."""
    result = dict(left)
    for key, value in right.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = merge_mappings(old, value)
        else:
            result[key] = value
    return result


def check_input(what: str, declared: Sequence[InputParam], given: Mapping[str, Any]) -> None:
    """Refuse input that is not as it was declared.

    :param what: how the message names what the input was given to.
    :raises InputException: missing or unexpected input.
    """
    names = {p.name for p in declared}
    missing = [p.name for p in declared if not p.has_default and p.name not in given]
    unexpected = [name for name in given if name not in names]
    if missing or unexpected:
        parts = [what]
        if missing:
            parts.append(f"missing={missing}")
        if unexpected:
            parts.append(f"unexpected={unexpected}")
        raise exc.InputException(f"Invalid input [{', '.join(parts)}]")


def check_size(kind: str, field: str, bag: Bag | None, limits: Limits) -> None:
    """Refuse a field above the limit.

    :raises SizeLimitExceededException: with the sizes, never with the data.
    """
    if bag is None or limits.field_size_kb < 0:
        return
    size_kb = bag.size // 1024
    if size_kb > limits.field_size_kb:
        raise exc.SizeLimitExceededException.for_field(kind, field, size_kb, limits.field_size_kb)
