"""What may be stored and will hardly do what its author means: told, never refused.

Whether an action exists is known when its task runs (doc:language/documents#names), so the caller
says what exists now.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mistral.lang import schema, spelling
from mistral.lang.specs import DIRECT, AdHocActionSpec, InputParam, TaskSpec, WorkflowSpec
from mistral.lang.violations import Path

DEFAULT_ACTION = "std.noop"
#: pieces of advice that ask what was meant; a document may have very many mistakes


@dataclasses.dataclass(frozen=True)
class Callee:
    """An action or a workflow as its callers see it.

    :param required: parameters without a default.
    :param accepted: all parameters; None when any name may be given.
    """

    required: tuple[str, ...] = ()
    accepted: tuple[str, ...] | None = None


Callees = Mapping[str, Callee]
LookUp = Callable[[set[str], set[str]], tuple[Callees, Callees]]
"""What exists now of some actions and some workflows; more actions may be among the answer."""


@dataclasses.dataclass(frozen=True)
class Advice:
    """A problem at a path of keys."""

    path: Path
    problem: str


@dataclasses.dataclass(frozen=True)
class _Call:
    """One place that names an action or a workflow."""

    kind: str
    names: tuple[str, ...]
    """In the order in which they are looked for; the last one is the one that stands there."""
    given: tuple[str, ...]
    is_whole: bool
    """Whether nothing else is given when it is called."""
    path: Path


def of_parameters(declared: Iterable[InputParam], *, is_open: bool = False) -> Callee:
    """What a definition with an ``input`` section expects."""
    params = list(declared)
    required = tuple(p.name for p in params if not p.has_default)
    return Callee(required, None if is_open else tuple(p.name for p in params))


def of_all(
    workflows: Sequence[WorkflowSpec],
    actions: Sequence[AdHocActionSpec],
    workbook: str,
    look_up: LookUp,
    questions: int,
) -> list[Advice]:
    """What is doubtful in the workflows and actions of a document.

    :param workbook: the name of their workbook, whose members come first; empty without one.
    :param questions: so many ask whether something else was meant; a negative number: all.
    """
    found: list[Advice] = []
    calls: list[_Call] = []
    for workflow in workflows:
        path = _path("workflows", workflow.name, workbook)
        found += [*_of_keys(workflow.raw, path), *_of_ways(workflow, path)]
        for task in workflow.tasks.values():
            found += _of_quotes(task, (*path, "tasks", task.name))
            calls += _calls_of(task, (*path, "tasks", task.name), workbook)
    calls += [_call_of_base(spec, _path("actions", spec.name, workbook)) for spec in actions]
    wanted: dict[str, set[str]] = {"action": set(), "workflow": set()}
    for call in calls:
        wanted[call.kind].update(call.names)
    known_actions, known_workflows = look_up(wanted["action"], wanted["workflow"])
    # what the document itself defines counts first
    known = {
        "action": {**known_actions, **{spec.name: of_parameters(spec.input) for spec in actions}},
        "workflow": {
            **known_workflows,
            **{spec.name: of_parameters(spec.input, is_open=True) for spec in workflows},
        },
    }
    for call in calls:
        found += _of_call(call, known[call.kind], questions < 0 or len(found) < questions)
    return found


def _path(section: str, name: str, workbook: str) -> Path:
    return (section, name.removeprefix(f"{workbook}.")) if workbook else (name,)


def _calls_of(task: TaskSpec, path: Path, workbook: str) -> Iterator[_Call]:
    given = task.input if isinstance(task.input, dict) else {}
    is_whole = not isinstance(task.input, str)
    for kind, name in (("action", task.action), ("workflow", task.workflow)):
        if name is not None:
            params = (*given, *task.params)
            yield _Call(kind, _all_names(name, workbook), params, is_whole, (*path, kind))
    if task.action is None and task.workflow is None and given:
        yield _Call("action", (DEFAULT_ACTION,), tuple(given), is_whole, (*path, "input"))
    if task.rollback is not None:
        names = _all_names(task.rollback, workbook)
        yield _Call("action", names, tuple(task.rollback_params), True, (*path, "rollback"))


def _call_of_base(spec: AdHocActionSpec, path: Path) -> _Call:
    given = (*spec.base_input, *spec.base_params)
    return _Call("action", (spec.base,), given, True, (*path, "base"))


def _all_names(name: str, workbook: str) -> tuple[str, ...]:
    return (f"{workbook}.{name}", name) if workbook else (name,)


def _of_call(call: _Call, known: Callees, asks: bool) -> Iterator[Advice]:
    name = call.names[-1]
    if _is_expression(name):
        return
    callee = next((known[each] for each in call.names if each in known), None)
    if callee is None:
        meant = spelling.question(name, known) if asks else ""
        yield Advice(call.path, f"there is no {call.kind} '{name}' now{meant}")
        return
    if callee.accepted is not None:
        for given in call.given:
            if given not in callee.accepted and not _is_expression(given):
                meant = spelling.question(given, callee.accepted) if asks else ""
                yield Advice(call.path, f"'{name}' has no parameter '{given}'{meant}")
    missing = [each for each in callee.required if each not in call.given]
    if call.is_whole and missing:
        # an environment may give it (``__actions``), but who relies on that knows
        names = ", ".join(map(repr, missing))
        yield Advice(call.path, f"'{name}' needs {names}, not given here")


def _is_expression(text: str) -> bool:
    return "<%" in text or "{{" in text or "{%" in text


def _of_keys(raw: Mapping[str, Any], path: Path) -> Iterator[Advice]:
    for key in raw:
        if key not in schema.WORKFLOW_KEYS:
            meant = spelling.nearest(key, schema.WORKFLOW_KEYS)
            if meant is not None:
                problem = f"a workflow has no attribute '{key}', it is ignored"
                yield Advice((*path, key), f"{problem}; did you mean '{meant}'?")


def _of_quotes(task: TaskSpec, path: Path) -> Iterator[Advice]:
    for key in ("action", "workflow", "rollback"):
        text = task.raw.get(key)
        if isinstance(text, str) and spelling.is_cut(text):
            yield Advice((*path, key), f"a quotation has no end in {text!r}. {spelling.QUOTE}")


def _of_ways(spec: WorkflowSpec, path: Path) -> Iterable[Advice]:
    if spec.type != DIRECT:
        return []
    reached = {*spec.start_tasks, *spec.reachable_from(*spec.start_tasks)}
    return [
        Advice((*path, "tasks", name), "no way leads here from a start task")
        for name in spec.tasks
        if name not in reached
    ]
