"""A task's effective specification: its own body over defaults (doc:language/task_defaults)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from mistral.lang import inline
from mistral.lang.specs import (
    DIRECT,
    Clause,
    PoliciesSpec,
    PublishSpec,
    RetrySpec,
    Target,
    TaskSpec,
)
from mistral.lang.task_schema import is_advanced, split_items

_POLICIES = {
    "wait-before": "wait_before",
    "wait-after": "wait_after",
    "timeout": "timeout",
    "pause-before": "pause_before",
    "concurrency": "concurrency",
    "fail-on": "fail_on",
}
CLAUSES = {
    "on-success": "on_success",
    "on-error": "on_error",
    "on-complete": "on_complete",
    "on-skip": "on_skip",
}


@dataclasses.dataclass(frozen=True)
class Defaults:
    """The task-defaults of a workflow, read once for all its tasks."""

    policies: PoliciesSpec = PoliciesSpec()
    safe_rerun: bool | str = False
    requires: tuple[str, ...] = ()
    #: clauses by attribute, with the names of their targets
    clauses: Mapping[str, tuple[Clause, frozenset[str]]] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Defaults:
        """From the section's body."""
        clauses = {}
        for key, attribute in CLAUSES.items():
            if key in body:
                # of an advanced default clause only "next" is used
                targets = _clause(body[key]).targets
                names = frozenset(target.name for target in targets)
                clauses[attribute] = (Clause(targets), names)
        return cls(
            policies=_policies(body, PoliciesSpec()),
            safe_rerun=body.get("safe-rerun", False),
            requires=_names(body.get("requires")),
            clauses=clauses,
        )

    def clause(self, attribute: str, task_name: str) -> Clause | None:
        """The clause for a task: it never leads to the task itself."""
        clause, names = self.clauses.get(attribute, (None, frozenset()))
        if clause is None or task_name not in names:
            return clause
        targets = tuple(target for target in clause.targets if target.name != task_name)
        return Clause(targets) if targets else None


def task(name: str, body: dict[str, Any], type_: str, defaults: Defaults) -> TaskSpec:
    """The effective specification of one task."""
    action, params = _call(body.get("action"))
    workflow, workflow_params = _call(body.get("workflow"))
    rollback, rollback_params = _call(body.get("rollback"))
    links: dict[str, Any] = (
        _transitions(name, body, defaults)
        if type_ == DIRECT
        else {"requires": _requires(name, body, defaults)}
    )
    return TaskSpec(
        name=name,
        type=type_,
        description=body.get("description"),
        tags=tuple(body.get("tags") or ()),
        action=action,
        workflow=workflow,
        params=params or workflow_params,
        input=body.get("input"),
        with_items=_with_items(body.get("with-items")),
        publish=body.get("publish") or {},
        publish_on_error=body.get("publish-on-error") or {},
        publish_on_skip=body.get("publish-on-skip") or {},
        policies=_policies(body, defaults.policies),
        target=body.get("target"),
        keep_result=body.get("keep-result", True),
        safe_rerun=body.get("safe-rerun", defaults.safe_rerun),
        rollback=rollback,
        rollback_params=rollback_params,
        raw={**body, "name": name, "type": type_},
        **links,
    )


def _call(text: str | None) -> tuple[str | None, dict[str, Any]]:
    return (None, {}) if text is None else inline.parse(text) or (text, {})


def _transitions(name: str, body: dict[str, Any], defaults: Defaults) -> dict[str, Any]:
    found: dict[str, Any] = {
        attribute: _clause(body[key]) if key in body else defaults.clause(attribute, name)
        for key, attribute in CLAUSES.items()
    }
    join = body.get("join")
    found["join"] = 1 if join == "one" else join or None
    return found


def _requires(name: str, body: dict[str, Any], defaults: Defaults) -> tuple[str, ...]:
    added = (other for other in defaults.requires if other != name)
    return tuple(dict.fromkeys((*_names(body.get("requires")), *added)))


def _names(value: str | list[str] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _clause(value: Any) -> Clause:
    if isinstance(value, dict) and is_advanced(value):
        publish = value.get("publish")
        return Clause(
            targets=_targets(value.get("next")),
            publish=publish
            and PublishSpec(
                branch=publish.get("branch") or {},
                global_=publish.get("global") or {},
                atomic=publish.get("atomic") or {},
            ),
        )
    return Clause(_targets(value))


def _targets(value: Any) -> tuple[Target, ...]:
    if value is None:
        return ()
    found = []
    for item in value if isinstance(value, list) else [value]:
        text, condition = next(iter(item.items())) if isinstance(item, dict) else (item, None)
        name, params = inline.parse_target(text) or (text, {})
        found.append(Target(name, condition, params))
    return tuple(found)


def _policies(body: Mapping[str, Any], defaults: PoliciesSpec) -> PoliciesSpec:
    own: dict[str, Any] = {
        attribute: body[key] for key, attribute in _POLICIES.items() if body.get(key)
    }
    if body.get("retry"):
        own["retry"] = _retry(body["retry"])
    return dataclasses.replace(defaults, **own) if own else defaults


def _retry(value: Any) -> RetrySpec:
    given = inline.parse_params(value) if isinstance(value, str) else value
    return RetrySpec(
        given["count"], given["delay"], given.get("break-on"), given.get("continue-on")
    )


def _with_items(value: str | list[str] | None) -> tuple[tuple[str, str | list[Any]], ...]:
    found: list[tuple[str, str | list[Any]]] = []
    for text in _names(value):
        variable, source = split_items(text) or ("", text)
        found.append((variable, json.loads(source) if source.startswith("[") else source))
    return tuple(found)
