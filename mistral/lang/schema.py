"""What the bodies of workflows, ad-hoc actions and workbooks may look like (doc:language/index)."""

from __future__ import annotations

import re
import uuid
from typing import Any

from mistral.lang import checks, task_schema
from mistral.lang.checks import MAX_NAME, Check, Rules
from mistral.lang.specs import DIRECT, REVERSE
from mistral.lang.violations import Violation

VERSION = "2.0"
_ENTRY = re.compile(r"[\w-]+")


def version(document: dict[Any, Any]) -> None:
    """Every document says ``version: '2.0'``; the number is fine, too."""
    if "version" not in document:
        raise Violation("'version' is required")
    value = document["version"]
    if isinstance(value, bool) or value not in (VERSION, 2):
        raise Violation(f"must be '{VERSION}', not {value!r}", "version")


def workflow_name(name: Any) -> None:
    """A workflow can't be called like an identifier: requests name it by either."""
    checks.definition_name(name)
    try:
        uuid.UUID(name)
    except ValueError:
        return
    raise Violation(f"the name '{name}' of a workflow must not look like a UUID")


def workflow(body: Any, rules: Rules) -> None:
    """Check a workflow's body; unknown keys are tolerated."""
    if not isinstance(body, dict):
        raise Violation("must be a mapping")
    type_ = body.get("type", DIRECT)
    if type_ not in (DIRECT, REVERSE):
        raise Violation(f"must be '{DIRECT}' or '{REVERSE}', not {type_!r}", "type")
    for key, check in _WORKFLOW.items():
        if key in body:
            try:
                check(body[key], rules)
            except Violation as fault:
                raise fault.under(key) from None
    if "tasks" not in body:
        raise Violation("'tasks' is required")
    try:
        checks.mapping(body["tasks"])
        for name, task in body["tasks"].items():
            task_schema.task(name, task, type_, rules)
    except Violation as fault:
        raise fault.under("tasks") from None


def action(body: Any, rules: Rules) -> None:
    """Check an ad-hoc action's body."""
    checks.mapping(body)
    checks.attributes(body, _ACTION, rules, "an ad-hoc action")
    if "base" not in body:
        raise Violation("'base' is required")


def workbook(document: Any, rules: Rules) -> None:
    """Check a workbook and its members' bodies."""
    checks.attributes(document, _WORKBOOK, rules, "a workbook")
    if "name" not in document:
        raise Violation("'name' is required")
    for section, check in (("workflows", workflow), ("actions", action)):
        for name, body in members(document, section).items():
            try:
                full_name = f"{document['name']}.{name}"
                if len(full_name) > MAX_NAME:
                    raise Violation(f"'{full_name}' is longer than {MAX_NAME} characters")
                if section == "workflows":
                    workflow_name(name)
                check(body, rules)
            except Violation as fault:
                raise fault.under(section, name) from None


def members(document: dict[str, Any], section: str) -> dict[str, Any]:
    """The entries of a workbook's section; a ``version`` among them is none."""
    return {k: body for k, body in document.get(section, {}).items() if k != "version"}


def _entries(value: Any, rules: Rules) -> None:
    checks.named_entries(value)
    for name in value:
        if not _ENTRY.fullmatch(name):
            raise Violation("a name consists of letters, digits, '_' and '-'", name)


def _name(value: Any, rules: Rules) -> None:
    checks.definition_name(value)


def _output(value: Any, rules: Rules) -> None:
    rules.syntax(value)


_WORKFLOW: dict[str, Check] = {
    "description": checks.free_text,
    "tags": checks.unique_texts,
    "input": checks.parameters,
    "output": checks.variables,
    "output-on-error": checks.variables,
    "vars": checks.variables,
    "task-defaults": task_schema.defaults,
}
WORKFLOW_KEYS = (*_WORKFLOW, "type", "tasks", "name", "version")
_ACTION: dict[str, Check] = {
    "name": checks.anything,
    "version": checks.anything,
    "description": checks.text,
    "tags": checks.unique_texts,
    "base": checks.call,
    "base-input": checks.variables,
    "input": checks.parameters,
    "output": _output,
}
_WORKBOOK: dict[str, Check] = {
    "version": checks.anything,
    "name": _name,
    "description": checks.text,
    "tags": checks.unique_texts,
    "workflows": _entries,
    "actions": _entries,
}
