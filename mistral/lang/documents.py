"""Texts to specifications: the entrance of the language."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mistral import exceptions as exc
from mistral.lang import advice, builder, checks, schema, semantics, slices, yaml_loader
from mistral.lang.checks import ExpressionSyntax, Rules
from mistral.lang.limits import USUAL_LIMITS, DocumentLimits
from mistral.lang.specs import AdHocActionSpec, WorkbookSpec, WorkflowSpec
from mistral.lang.violations import Violation, describe

T = TypeVar("T")


def parse_workflow_list(
    text: str,
    expressions: ExpressionSyntax,
    validate: bool = True,
    limits: DocumentLimits = USUAL_LIMITS,
) -> list[WorkflowSpec]:
    """The workflows of a document.

    :param validate: without it only the shapes are checked, neither the expressions' syntax nor
        whether the tasks fit together.
    :raises InvalidModelException: says what is wrong and where.
    """
    return _parsed(
        text, "workflow", limits, lambda data: _workflows(data, text, expressions, validate)
    )


def parse_action_list(
    text: str,
    expressions: ExpressionSyntax,
    validate: bool = True,
    limits: DocumentLimits = USUAL_LIMITS,
) -> list[AdHocActionSpec]:
    """The ad-hoc actions of a document; each carries the whole text (doc:rest/actions)."""
    return _parsed(text, "action", limits, lambda data: _actions(data, text, expressions, validate))


def parse_workbook(
    text: str,
    expressions: ExpressionSyntax,
    validate: bool = True,
    limits: DocumentLimits = USUAL_LIMITS,
) -> WorkbookSpec:
    """A workbook with its members."""
    return _parsed(
        text, "workbook", limits, lambda data: _workbook(data, text, expressions, validate)
    )


def spec_from_raw(
    name: str, raw: dict[str, Any], expressions: ExpressionSyntax | None = None
) -> WorkflowSpec:
    """A workflow from the ``raw`` of its specification; trusts it, so it is fast."""
    return builder.workflow(name, raw)


def action_spec_from_raw(name: str, raw: dict[str, Any]) -> AdHocActionSpec:
    """An ad-hoc action from the ``raw`` of its specification; trusts it."""
    return builder.action(name, raw)


def advise(
    kind: str,
    text: str,
    expressions: ExpressionSyntax,
    look_up: advice.LookUp,
    limits: DocumentLimits = USUAL_LIMITS,
) -> list[str]:
    """What is doubtful in a document that may be stored, each with its place.

    :param kind: ``workflow``, ``action`` or ``workbook``: what the document holds.
    :raises InvalidModelException: it may not be stored.
    """
    book = ""
    workflows: Sequence[WorkflowSpec] = ()
    actions: Sequence[AdHocActionSpec] = ()
    if kind == "workflow":
        workflows = parse_workflow_list(text, expressions, False, limits)
    elif kind == "action":
        actions = parse_action_list(text, expressions, False, limits)
    else:
        whole = parse_workbook(text, expressions, False, limits)
        book, workflows, actions = whole.name, whole.workflows, whole.actions
    found = advice.of_all(workflows, actions, book, look_up, limits.max_suggestions)
    lines = yaml_loader.lines_of(text, [each.path for each in found]) if found else []
    ordered = sorted(zip(lines, found, strict=True), key=lambda pair: pair[0] or 0)
    return [
        f"{describe(each.path, kind)}: {each.problem}" + (f" (line {line})" if line else "")
        for line, each in ordered
    ]


def _parsed(
    text: str, kind: str, limits: DocumentLimits, build: Callable[[dict[Any, Any]], T]
) -> T:
    data = yaml_loader.load(text, limits.yaml)
    try:
        if data is None or data == {}:
            raise Violation("the document is empty")
        if not isinstance(data, dict):
            raise Violation("the document must be a mapping")
        schema.version(data)
        return build(data)
    except Violation as fault:
        raise _error(fault, text, kind) from None


def _error(fault: Violation, text: str, kind: str) -> exc.InvalidModelException:
    line = yaml_loader.line_of(text, fault.path) if fault.path else None
    where = describe(fault.path, kind)
    suffix = f" (line {line})" if line else ""
    return fault.error(f"Invalid DSL: {where}: {fault.problem}{suffix}")


def _members(data: dict[Any, Any], name_check: Callable[[Any], None]) -> dict[Any, Any]:
    members = {name: body for name, body in data.items() if name != "version"}
    if not members:
        raise Violation("At least one item besides 'version' is required")
    for name in members:
        try:
            name_check(name)
        except Violation as fault:
            raise fault.under(str(name)) from None
    return members


def _workflows(
    data: dict[Any, Any], text: str, expressions: ExpressionSyntax, validate: bool
) -> list[WorkflowSpec]:
    members = _members(data, schema.workflow_name)
    rules = Rules(expressions, syntax=validate)
    found = []
    for name, body in members.items():
        own_text = text if len(members) == 1 else slices.of_list(data, name)
        found.append(_workflow(name, body, own_text, rules, (name,), validate))
    return found


def _workflow(
    name: str, body: Any, text: str, rules: Rules, path: tuple[str, ...], validate: bool
) -> WorkflowSpec:
    try:
        schema.workflow(body, rules)
        spec = builder.workflow(name, builder.plain(body), text)
        if validate:
            semantics.workflow(spec)
    except Violation as fault:
        raise fault.under(*path) from None
    return spec


def _actions(
    data: dict[Any, Any], text: str, expressions: ExpressionSyntax, validate: bool
) -> list[AdHocActionSpec]:
    members = _members(data, checks.definition_name)
    rules = Rules(expressions, syntax=validate)
    found = []
    for name, body in members.items():
        try:
            schema.action(body, rules)
        except Violation as fault:
            raise fault.under(name) from None
        found.append(builder.action(name, builder.plain(body), text))
    return found


def _workbook(
    data: dict[Any, Any], text: str, expressions: ExpressionSyntax, validate: bool
) -> WorkbookSpec:
    rules = Rules(expressions, syntax=validate)
    schema.workbook(data, rules)
    cuts = slices.WorkbookSlices(text, data)
    book = data["name"]
    workflows = []
    for name, body in schema.members(data, "workflows").items():
        path = ("workflows", name)
        own_text = cuts.of(*path)
        workflows.append(_workflow(f"{book}.{name}", body, own_text, rules, path, validate))
    actions = [
        builder.action(f"{book}.{name}", builder.plain(body), cuts.of("actions", name))
        for name, body in schema.members(data, "actions").items()
    ]
    return WorkbookSpec(
        name=book,
        description=data.get("description"),
        tags=tuple(data.get("tags") or ()),
        workflows=tuple(workflows),
        actions=tuple(actions),
        raw=builder.plain(data),
        text=text,
    )
