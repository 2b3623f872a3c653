"""Checked bodies to specifications. Nothing is validated here."""

from __future__ import annotations

import json
from typing import Any

from mistral.lang import inline, task_builder
from mistral.lang.schema import VERSION
from mistral.lang.specs import DIRECT, AdHocActionSpec, InputParam, WorkflowSpec
from mistral.lang.task_builder import Defaults


def workflow(name: str, body: dict[str, Any], text: str = "") -> WorkflowSpec:
    """A workflow from its body."""
    type_ = body.get("type", DIRECT)
    defaults = Defaults.of(body.get("task-defaults") or {})
    tasks = {
        task_name: task_builder.task(task_name, task_body, type_, defaults)
        for task_name, task_body in body["tasks"].items()
    }
    raw = {
        **body,
        "name": name,
        "version": VERSION,
        "type": type_,
        "tasks": {task_name: task.raw for task_name, task in tasks.items()},
    }
    return WorkflowSpec(
        name=name,
        type=type_,
        tasks=tasks,
        description=body.get("description"),
        tags=tuple(body.get("tags") or ()),
        input=_parameters(body),
        output=body.get("output") or {},
        output_on_error=body.get("output-on-error") or {},
        vars=body.get("vars") or {},
        raw=raw,
        text=text,
    )


def action(name: str, body: dict[str, Any], text: str = "") -> AdHocActionSpec:
    """An ad-hoc action from its body."""
    base, params = inline.parse(body["base"]) or (body["base"], {})
    return AdHocActionSpec(
        name=name,
        base=base,
        base_params=params,
        base_input=body.get("base-input") or {},
        input=_parameters(body),
        output=body.get("output"),
        description=body.get("description"),
        tags=tuple(body.get("tags") or ()),
        raw={**body, "name": name, "version": VERSION},
        text=text,
    )


def _parameters(body: dict[str, Any]) -> tuple[InputParam, ...]:
    found = []
    for item in body.get("input") or ():
        if isinstance(item, str):
            found.append(InputParam(item))
        else:
            found.extend(InputParam(name, True, default) for name, default in item.items())
    return tuple(found)


def plain(value: Any) -> Any:
    """The same data with texts as keys, as JSON would write them; copies only what changes."""
    if isinstance(value, dict):
        items = {_key(key): plain(item) for key, item in value.items()}
        same = all(
            new is old and new_key is old_key
            for (new_key, new), (old_key, old) in zip(items.items(), value.items(), strict=False)
        )
        return value if same and len(items) == len(value) else items
    if isinstance(value, list):
        elements = [plain(item) for item in value]
        same = all(new is old for new, old in zip(elements, value, strict=True))
        return value if same else elements
    return value


def _key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(key)
