"""What a task's body and the task-defaults may look like (doc:language/tasks)."""

from __future__ import annotations

import json
import re
from typing import Any

from mistral.lang import checks, inline, spelling
from mistral.lang.checks import Check, Rules
from mistral.lang.specs import DIRECT, ENGINE_COMMANDS
from mistral.lang.violations import Violation

MAX_TASK_NAME = 255
MAX_JOIN_NAME = 208

_ITEM = re.compile(r"\s*([\w-]+)\s+in\s+(\S.*)", re.S)


def task(name: Any, body: Any, type_: str, rules: Rules) -> None:
    """Check one entry of ``tasks``."""
    if not isinstance(name, str) or not name:
        raise Violation(f"a task's name must be a text, not {name!r}", str(name))
    if "\0" in name:
        raise Violation(f"a task's name contains the character NUL: {name!r}")
    try:
        if name in ENGINE_COMMANDS:
            raise Violation(f"'{name}' is an engine command and can't be the name of a task")
        if not isinstance(body, dict) or not body:
            raise Violation("must be a mapping with at least one entry")
        table = _DIRECT if type_ == DIRECT else _REVERSE
        checks.attributes(body, table, rules, f"a task of a {type_} workflow")
        if "action" in body and "workflow" in body:
            raise Violation("a task has either 'action' or 'workflow', not both", "workflow")
        limit = MAX_JOIN_NAME if body.get("join") else MAX_TASK_NAME
        if len(name) > limit:
            kind = "a join" if body.get("join") else "a task"
            raise Violation(f"the name of {kind} is longer than {limit} characters")
    except Violation as fault:
        raise fault.under(name) from None


def defaults(value: Any, rules: Rules) -> None:
    """Check ``task-defaults``."""
    checks.mapping(value)
    checks.attributes(value, _DEFAULTS, rules, "'task-defaults'")


def _retry(value: Any, rules: Rules) -> None:
    if isinstance(value, str):
        rules.closed(value)
        value = inline.parse_params(value)
    elif not isinstance(value, dict):
        raise Violation("must be a mapping, or a text such as 'count=3 delay=5'")
    for name in ("count", "delay"):
        if name not in value:
            raise Violation(f"'{name}' is required")
    checks.attributes(value, _RETRY, rules, "'retry'")


def _join(value: Any, rules: Rules) -> None:
    if value in ("all", "one"):
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Violation("join must be 'all', 'one' or a whole number >= 0")


def _requires(value: Any, rules: Rules) -> None:
    if isinstance(value, str) and value:
        return
    checks.unique_texts(value)


def split_items(text: str) -> tuple[str, str] | None:
    """Variable and source of a ``with-items`` text."""
    found = _ITEM.fullmatch(text)
    return (found.group(1), found.group(2).rstrip()) if found else None


def _with_items(value: Any, rules: Rules) -> None:
    if isinstance(value, str):
        _item(value, rules)
        return
    checks.unique_texts(value)
    seen = set()
    for index, item in enumerate(value):
        try:
            variable = _item(item, rules)
            if variable in seen:
                raise Violation(f"uses the variable '{variable}' twice")
            seen.add(variable)
        except Violation as fault:
            raise fault.under(index) from None


def _item(text: str, rules: Rules) -> str:
    parts = split_items(text)
    if parts is None:
        raise Violation("must look like 'variable in <% expression %>'")
    variable, source = parts
    if source.startswith("["):
        try:
            items = json.loads(source)
        except (ValueError, RecursionError):
            raise Violation(f"{source!r} is not a list in JSON") from None
        rules.syntax(items)
    elif rules.is_whole(source):
        rules.syntax(source)
    else:
        raise Violation("after 'in' there must be an expression or a list in JSON")
    return variable


def is_advanced(clause: dict[Any, Any]) -> bool:
    """Whether a mapping is a clause's advanced form, and not one ``target: condition``."""
    return "next" in clause or "publish" in clause


def _clause(value: Any, rules: Rules) -> None:
    if not isinstance(value, dict):
        _targets(value, rules)
    elif is_advanced(value) or len(value) != 1:
        checks.mapping(value)
        checks.attributes(value, _ADVANCED, rules, "a transition with 'next' or 'publish'")
    else:
        _target(value, rules)


def _targets(value: Any, rules: Rules) -> None:
    if not isinstance(value, list):
        _target(value, rules)
        return
    if not value:
        raise Violation("must not be an empty list")
    for index, item in enumerate(value):
        try:
            _target(item, rules)
        except Violation as fault:
            raise fault.under(index) from None
    checks.unique(value)


def _target(value: Any, rules: Rules) -> None:
    name = value
    if isinstance(value, dict) and len(value) == 1:
        name, condition = next(iter(value.items()))
        try:
            checks.condition(condition, rules)
        except Violation as fault:
            fault.problem += spelling.hint(str(name))
            raise fault.under(str(name)) from None
    if not isinstance(name, str) or not name:
        raise Violation("must be the name of a task or one 'name: condition'")
    parsed = inline.parse_target(name)
    if parsed is None:
        raise Violation(f"no name can be recognised in {name!r}")
    rules.syntax(parsed[1])
    rules.closed(name)


def _publish(value: Any, rules: Rules) -> None:
    checks.mapping(value)
    checks.attributes(value, _SCOPES, rules, "'publish' under a transition")


_SCOPES: dict[str, Check] = dict.fromkeys(("branch", "global", "atomic"), checks.variables)
_ADVANCED: dict[str, Check] = {"publish": _publish, "next": _targets}
_RETRY: dict[str, Check] = {
    "count": checks.number,
    "delay": checks.seconds,
    "break-on": checks.condition,
    "continue-on": checks.condition,
}
_POLICIES: dict[str, Check] = {
    "retry": _retry,
    "wait-before": checks.seconds,
    "wait-after": checks.seconds,
    "timeout": checks.seconds,
    "pause-before": checks.boolean,
    "concurrency": checks.number,
    "fail-on": checks.boolean,
}
_CLAUSES: dict[str, Check] = dict.fromkeys(
    ("on-success", "on-error", "on-complete", "on-skip"), _clause
)
_COMMON: dict[str, Check] = {
    # the loader fills these in, whatever is given
    "name": checks.anything,
    "type": checks.anything,
    "description": checks.text,
    "tags": checks.unique_texts,
    "action": checks.call,
    "workflow": checks.call,
    "rollback": checks.call,
    "input": checks.task_input,
    "with-items": _with_items,
    "publish": checks.variables,
    "publish-on-error": checks.variables,
    "publish-on-skip": checks.variables,
    "target": checks.template,
    "keep-result": checks.boolean,
    "safe-rerun": checks.boolean,
    **_POLICIES,
}
_DIRECT: dict[str, Check] = {**_COMMON, **_CLAUSES, "join": _join}
_REVERSE: dict[str, Check] = {**_COMMON, "requires": _requires}
_DEFAULTS: dict[str, Check] = {
    **_POLICIES,
    **_CLAUSES,
    "safe-rerun": checks.boolean,
    "requires": _requires,
}
