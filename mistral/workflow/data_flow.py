"""Contexts: which data each place of a workflow sees (doc:language/publishing)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mistral import exceptions as exc
from mistral.expressions import DataContext, LayeredData
from mistral.lang import InputParam
from mistral.workflow.entities import TaskExecution, WorkflowExecution
from mistral.workflow.limits import Limits
from mistral.workflow.ports import DecisionPorts
from mistral.workflow.values import EMPTY, Bag, Ref, Values, same
from mistral.workflow.versions import OFF, Held, Versioning


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
    ports: DecisionPorts,
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
    values = ports.values
    fixed: dict[str, Any] = {"__execution": {"id": wf_ex.id}}
    if task_ex is not None:
        fixed["__task_execution"] = {"id": task_ex.id, "name": task_ex.name}
    variables = _Variables(fixed, ports)
    layers: list[Mapping[str, Any]] = [variables]
    if branch:
        layers.append(BagView(branch, values))
    if item:
        layers.append(item)
    if wf_ex.context:
        layers.append(BagView(wf_ex.context, values))
    if with_input and wf_ex.input:
        layers.append(BagView(wf_ex.input, values))
    facts = ports.facts(task_ex, wf_ex)
    return DataContext(
        data=LayeredData(*layers, merge=ports.limits.merge_strategy == "merge"),
        facts=facts,
        variables=variables,
    )


class _Variables(Mapping[str, Any]):
    """Variables of an expression; the environment is only read when asked for."""

    __slots__ = ("_fixed", "_ports")

    def __init__(self, fixed: Mapping[str, Any], ports: DecisionPorts) -> None:
        self._fixed = fixed
        self._ports = ports

    def __getitem__(self, name: str) -> Any:
        return self._ports.env() if name == "__env" else self._fixed[name]

    def __contains__(self, name: object) -> bool:
        return name == "__env" or name in self._fixed

    def __iter__(self) -> Iterator[str]:
        yield "__env"
        yield from self._fixed

    def __len__(self) -> int:
        return len(self._fixed) + 1


def outbound(task_ex: TaskExecution, versioning: Versioning = OFF) -> Bag:
    """What a finished task hands to its followers (doc:language/publishing)."""
    found = task_ex.in_context.updated(task_ex.published)
    # counts that nobody keeps up would be wrong later
    return versioning.outbound(task_ex, found) if versioning.enabled else found.versioned()


def merge(tasks: Iterable[TaskExecution], values: Values, versioning: Versioning = OFF) -> Bag:
    """The contexts of several finished tasks as one (doc:language/publishing#where-branches-meet).

    Mappings merge deeply; a variable that a task published beats one that was merely inherited.
    Where publications are counted, one that was published more often beats both, and what one
    branch has replaced does not come back from another.
    """
    found = list(tasks)
    if not found:
        return EMPTY
    contexts = [outbound(task_ex, versioning) for task_ex in found]
    if len(found) == 1:
        return contexts[0]
    held: dict[str, list[Held]] = {}
    for task_ex, context in zip(found, contexts, strict=True):
        for name in context:
            held.setdefault(name, []).append(Held(context, name in task_ex.published))
    if not versioning.enabled:
        return _folded({name: _in_order(known) for name, known in held.items()}, values)
    meetings = {name: versioning.meeting(name, known) for name, known in held.items()}
    result = _folded({name: meeting.order for name, meeting in meetings.items()}, values)
    return result.versioned(
        {versioning.key(name): meeting.count for name, meeting in meetings.items()},
        {
            versioning.key(name): meeting.line.encode(versioning.known)
            for name, meeting in meetings.items()
        },
    )


def _in_order(held: Sequence[Held]) -> list[Bag]:
    """First what the branches hold, then on top of it what their last tasks published."""
    return [each.context for each in held] + [each.context for each in held if each.is_own]


def _folded(orders: Mapping[str, Sequence[Bag]], values: Values) -> Bag:
    """One bag of variables, each from the values that some bags have for it, one over the other."""
    differing = {name: order for name, order in orders.items() if _differ(order, name)}
    apart = ((bag, name) for name, order in differing.items() for bag in order)
    values.prefetch(bag.only(name) for bag, name in apart if name in bag.refs)
    merged: dict[str, Any] = {}
    inline: dict[str, Any] = {}
    refs: dict[str, Ref] = {}
    for name, order in orders.items():
        last = order[-1]
        mappings = _last_mappings(order, name, values) if name in differing else ()
        if len(mappings) > 1:
            merged[name] = merge_mappings(*mappings)
        elif name in last.refs:
            refs[name] = last.refs[name]
        else:
            inline[name] = last.inline[name]
    return Bag(inline, refs).updated(values.pack(merged))


def _differ(order: Sequence[Bag], name: str) -> bool:
    return any(not _same(order[0], bag, name) for bag in order[1:])


def _last_mappings(order: Sequence[Bag], name: str, values: Values) -> list[Mapping[str, Any]]:
    """The mappings that no other value lies upon."""
    found: list[Mapping[str, Any]] = []
    for bag in reversed(order):
        value = values.get(bag, name)
        if not isinstance(value, Mapping):
            break
        found.append(value)
    return found[::-1]


def merged_over(older: Bag, published: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """Published mappings merged deeply over older ones of the same names."""
    result = {}
    for name, value in published.items():
        old = values.get(older, name) if name in older and isinstance(value, Mapping) else None
        result[name] = merge_mappings(old, value) if isinstance(old, Mapping) else value
    return result


def _same(left: Bag, right: Bag, name: str) -> bool:
    if name in left.refs:
        return left.refs[name] == right.refs.get(name)
    return name in right.inline and same(left.inline[name], right.inline[name])


def merge_mappings(*mappings: Mapping[str, Any]) -> dict[str, Any]:
    """A deep merge; at equal keys the later one wins unless both hold mappings."""
    result: dict[str, Any] = {}
    for mapping in mappings:
        _merge_into(result, mapping)
    return result


def _merge_into(target: dict[str, Any], mapping: Mapping[str, Any]) -> None:
    for key, value in mapping.items():
        if not isinstance(value, Mapping):
            target[key] = value
            continue
        if not isinstance(target.get(key), dict):
            target[key] = {}
        _merge_into(target[key], value)


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
