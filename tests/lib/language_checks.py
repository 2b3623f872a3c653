"""What a case of the language expects, held against what a service shows."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.lib.flows import Execution, decoded

_ATTRIBUTES = {
    "state",
    *("state_info", "output", "input", "tags", "description", "type"),
    *("published", "published_global", "result"),
    *(
        "state_info_contains",
        "state_info_lacks",
        "output_contains",
        "params_contains",
        "result_contains",
    ),
    *("output_text", "result_text", "shows"),
}
_OF_EXECUTIONS = {"output_lacks", "min_seconds", "workflow", "workflow_index", "subs"}
_OF_TASKS = {"count", "states", "actions", "action_states", "accepted", "last_action"}
_OF_CHILDREN = {"count", "states", "root"}


def unknown_keys(wanted: Mapping[str, Any]) -> set[str]:
    """What an expectation asks for and nothing here would look at."""
    found = set(wanted) - _ATTRIBUTES - _OF_EXECUTIONS - _ABOUT_TASKS
    for part, own in (("tasks", _OF_TASKS), ("subs", _OF_CHILDREN)):
        for facts in wanted.get(part, {}).values():
            if isinstance(facts, Mapping):
                found |= set(facts) - _ATTRIBUTES - own
    return found


def as_list(value: Any) -> list[Any]:
    """A value that may be several."""
    return list(value) if isinstance(value, list) else [value]


def execution(wanted: Mapping[str, Any], found: Execution) -> None:
    """Raise AssertionError at the first difference."""
    row = found.row
    _attributes(wanted, row, "the execution")
    for key in wanted.get("output_lacks", ()):
        assert key not in row["output"], row["output"]
    if "min_seconds" in wanted:
        lasted = _moment(row["updated_at"]) - _moment(row["created_at"])
        assert lasted.total_seconds() >= wanted["min_seconds"], str(lasted)
    if not wanted.keys().isdisjoint(_ABOUT_TASKS):
        _tasks(wanted, found)
    if "subs" in wanted:
        _children(wanted["subs"], found)


def action(wanted: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """A single run of an action."""
    _attributes(wanted, decoded(dict(row)), "the action")


def definition(wanted: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """A stored definition: what it shows, and parts of its text."""
    _contains(wanted.get("shows", {}), row, "the definition")
    for fragment in wanted.get("text_contains", ()):
        assert fragment in row["definition"], row["definition"]


def _attributes(wanted: Mapping[str, Any], row: Mapping[str, Any], what: str) -> None:
    """``NAME`` is equal, ``NAME_contains`` a part of it, ``NAME_text`` within its JSON text."""
    if "state" in wanted:
        states = as_list(wanted["state"])
        assert row["state"] in states, f"{what} is {row['state']}: {row.get('state_info')}"
    for name in ("state_info", "output", "input", "tags", "description", "type"):
        if name in wanted:
            _same(wanted[name], row.get(name), f"{name} of {what}")
    for name in ("published", "published_global", "result"):
        if name in wanted:
            _same(wanted[name], row.get(name), f"{name} of {what}")
    for fragment in as_list(wanted.get("state_info_contains", [])):
        text = str(row.get("state_info") or "")
        assert fragment.lower() in text.lower(), f"state_info of {what} lacks {fragment!r}: {text}"
    for fragment in wanted.get("state_info_lacks", ()):
        assert fragment not in str(row["state_info"]), f"state_info of {what}: {row['state_info']}"
    for name in ("output", "params", "result"):
        if f"{name}_contains" in wanted:
            _contains(wanted[f"{name}_contains"], row.get(name), f"{name} of {what}")
        for fragment in as_list(wanted.get(f"{name}_text", [])):
            text = json.dumps(row.get(name), ensure_ascii=False)
            assert fragment in text, f"{name} of {what} lacks {fragment!r}: {text[:500]}"
    _contains(wanted.get("shows", {}), row, what)


_ABOUT_TASKS = frozenset(("tasks", "no_tasks", "only_tasks", "action_count", "order"))


def _tasks(wanted: Mapping[str, Any], found: Execution) -> None:
    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(found.tasks(), key=lambda row: (row["created_at"], row["id"])):
        by_name.setdefault(row["name"], []).append(row)
    if "only_tasks" in wanted:
        assert sorted(by_name) == sorted(wanted["only_tasks"])
    for name in wanted.get("no_tasks", ()):
        assert name not in by_name, f"there is a task {name}: {by_name[name]}"
    for name, facts in wanted.get("tasks", {}).items():
        _task(name, facts if isinstance(facts, Mapping) else {"state": facts}, by_name, found)
    if "action_count" in wanted:
        assert sum(len(found.actions(name)) for name in by_name) == wanted["action_count"]
    for names in wanted.get("order", ()):
        times = [by_name[name][0]["created_at"] for name in names]
        assert times == sorted(times), f"not made in the order {names}: {times}"


def _task(
    name: str,
    wanted: Mapping[str, Any],
    by_name: Mapping[str, list[dict[str, Any]]],
    found: Execution,
) -> None:
    rows = by_name.get(name, [])
    _count(wanted, rows, f"task {name}")
    if not rows:
        return
    row = rows[-1]
    if not wanted.keys().isdisjoint(_WHOLE):
        row = decoded(found.flows.ok("GET", f"/tasks/{row['id']}"))
    _attributes(wanted, row, f"task {name}")
    if wanted.keys().isdisjoint(_OF_ACTIONS):
        return
    actions = found.actions(name)
    assert len(actions) == wanted.get("actions", len(actions)), actions
    if "action_states" in wanted:
        _same(sorted(wanted["action_states"]), sorted(a["state"] for a in actions), name)
    if "accepted" in wanted:
        assert sum(bool(a["accepted"]) for a in actions) == wanted["accepted"], actions
    if "last_action" in wanted:
        newest = max(actions, key=lambda row: (row["created_at"], row["id"]))
        _attributes(wanted["last_action"], newest, f"the last action of {name}")


#: What only the resource itself shows, not a list.
_WHOLE = frozenset(("result", "result_contains", "result_text", "published_global", "shows"))
_OF_ACTIONS = frozenset(("actions", "action_states", "accepted", "last_action"))


def _children(wanted: Mapping[str, Any], found: Execution) -> None:
    rows: list[dict[str, Any]] = []
    _collect(found, rows.append)
    for name, facts in wanted.items():
        facts = facts if isinstance(facts, Mapping) else {"state": facts}
        children = [row for row in rows if row["workflow_name"] == name]
        _count(facts, children, f"sub-workflow {name}")
        if children:
            row = Execution(found.flows, children[-1]["id"]).row
            _attributes(facts, row, f"sub-workflow {name}")
            if facts.get("root"):
                assert row["root_execution_id"] == found.id


def _collect(found: Execution, take: Callable[[dict[str, Any]], None]) -> None:
    for task in found.tasks():
        answer = found.flows.ok("GET", f"/tasks/{task['id']}/workflow_executions")
        for row in answer["executions"]:
            take(row)
            _collect(Execution(found.flows, row["id"]), take)


def _count(wanted: Mapping[str, Any], rows: list[dict[str, Any]], what: str) -> None:
    states = [row["state"] for row in rows]
    if "count" in wanted:
        assert len(rows) == wanted["count"], f"{what}: {states}"
    else:
        assert rows, f"{what} does not exist"
    if "states" in wanted:
        _same(sorted(wanted["states"]), sorted(states), what)


def _same(wanted: Any, found: Any, what: str) -> None:
    assert found == wanted, f"{what} is {found!r}, not {wanted!r}"


def _contains(wanted: Any, found: Any, what: str) -> None:
    """Mappings by key, anything else by equality."""
    if not isinstance(wanted, Mapping):
        _same(wanted, found, what)
        return
    assert isinstance(found, Mapping), f"{what} is {found!r}, no mapping"
    for key, value in wanted.items():
        assert key in found, f"{what} lacks {key!r}: {found!r}"
        _contains(value, found[key], f"{what}.{key}")


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
