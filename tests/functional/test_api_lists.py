"""Lists: paging, sorting, filters, fields (doc:rest/lists)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from mistral.context import RequestContext
from mistral.db.execution import large_values
from mistral.utils import json
from mistral.workflow.values import Bag


def _ids(document: dict[str, Any], collection: str = "executions") -> list[str]:
    return [item["id"] for item in document[collection]]


def _walk(api: Any, path: str, collection: str) -> list[str]:
    """The ids of all pages."""
    seen = []
    while path:
        document = api.get(path)
        seen += _ids(document, collection)
        path = document.get("next", "").replace("http://api.example:8989", "")
    return seen


def test_pages_are_linked_until_the_last(api: Any, stored: Any) -> None:
    made = [stored.execution().id for _ in range(5)]
    seen, path = [], "/v2/executions?limit=2"
    while path:
        document = api.get(path)
        seen += _ids(document)
        path = document.get("next", "").replace("http://api.example:8989", "")
    assert seen == made


def test_the_next_link_repeats_everything(api: Any, stored: Any) -> None:
    for name in ("b", "a", "b"):
        stored.execution(workflow_name=name)
    document = api.get(
        "/v2/executions?workflow_name=b&state=in:RUNNING,PAUSED&nulls=root_execution_id"
        "&sort_keys=workflow_name&sort_dirs=DESC&limit=1&fields=workflow_name"
    )
    link = urlsplit(document["next"])
    assert link.path == "/v2/executions"
    assert "sort_keys=workflow_name,id&sort_dirs=desc,asc" in link.query
    assert {k: v[0] for k, v in parse_qs(link.query).items()} == {
        "sort_keys": "workflow_name,id",
        "sort_dirs": "desc,asc",
        "workflow_name": "eq:b",
        "state": "in:RUNNING,PAUSED",
        "nulls": "root_execution_id",
        "limit": "1",
        "marker": document["executions"][0]["id"],
        "fields": "id,workflow_name",
    }
    last = api.get(f"{link.path}?{link.query}")
    assert _ids(last) != _ids(document)
    assert "next" in last
    assert "next" not in api.get("/v2/executions?limit=4")


@pytest.mark.parametrize("execution_id", [None, "my own"])
def test_the_next_page_of_a_list_below_an_object_is_below_it_too(
    api: Any, stored: Any, execution_id: str | None
) -> None:
    mine = stored.execution(**({"id": execution_id} if execution_id else {}))
    other = stored.execution()
    tasks, actions, children = [], [], []
    for _ in range(3):
        tasks.append(stored.task(mine).id)
        first = stored.task(other)
    task, *_ = tasks
    for _ in range(3):
        actions.append(stored.action(stored.task(other), task_execution_id=task).id)
        stored.action(first)
        children.append(stored.execution(task_execution_id=task).id)
        stored.execution(task_execution_id=first.id)
    below = quote(f"/v2/executions/{mine.id}/tasks")
    assert _walk(api, f"{below}?limit=1", "tasks") == tasks
    path = f"/v2/tasks/{task}/action_executions?limit=1&name=std.async_noop"
    assert _walk(api, path, "action_executions") == actions
    assert _walk(api, f"/v2/tasks/{task}/workflow_executions?limit=2", "executions") == children
    if execution_id is None:
        link = api.get(f"{below}?limit=1")["next"]
        assert urlsplit(link).path == "/v2/tasks"
        assert f"workflow_execution_id=eq:{mine.id}&" in link


def test_ids_that_clients_chose_are_markers(api: Any, stored: Any) -> None:
    made = [stored.execution(id=each).id for each in ("my own", "ä&b=c", "x")]
    assert _walk(api, "/v2/executions?limit=1", "executions") == made
    for below in ("tasks", "executions", "report"):
        api.get(f"/v2/executions/my%20own/{below}")
        api.get(f"/v2/executions/not%20mine/{below}", status=400)


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_paging_over_nulls_and_ties_loses_nothing(api: Any, stored: Any, direction: str) -> None:
    made = {stored.execution(state_info=info).id for info in ("x", None, "x", None, "y")}
    seen, path = [], f"/v2/executions?limit=1&sort_keys=state_info&sort_dirs={direction}"
    while path:
        document = api.get(path)
        seen += _ids(document)
        path = document.get("next", "").replace("http://api.example:8989", "")
    assert sorted(seen) == sorted(made)
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("limit=0", "Limit must be positive"),
        ("limit=-1", "Limit must be positive"),
        ("limit=many", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=1_0", "limit"),
        ("limit=%D9%A3", "limit"),
        ("marker=7", "UUID"),
        ("sort_dirs=up", "Unknown sort direction"),
        (
            "sort_keys=id,id&sort_dirs=asc,asc",
            "Length of sort_keys must be equal or greater than sort_dirs",
        ),
        ("sort_keys=nothing", "nothing"),
        ("sort_keys=input", "input"),
        ("fields=id,nothing", "nothing"),
        ("nothing=1", "nothing"),
        ("state%3CERROR", "state<ERROR"),
        ("workflow_id=7", "UUID"),
        ("input=7", "input"),
        ("output=has:x", "output"),
        ("nulls=state", "state"),
        ("created_at=gt:yesterday", "date"),
        ("created_at=2026-00-01", "date"),
        ("include_output=perhaps", "include_output"),
    ],
)
def test_what_makes_no_sense_is_refused(api: Any, query: str, text: str) -> None:
    fault = api.get(f"/v2/executions?{query}", status=400)
    assert text in fault["faultstring"]
    assert fault["faultcode"] == "Client"
    assert fault["debuginfo"] is None


def test_an_unknown_marker_is_not_found(api: Any) -> None:
    marker = "11111111-1111-1111-1111-111111111111"
    fault = api.get(f"/v2/executions?marker={marker}", status=404)
    assert marker in fault["faultstring"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("workflow_name=wf", "abc"),
        ("workflow_name=bogus:wf", ""),
        ("state=ERROR", "b"),
        ("state=neq:ERROR", "ac"),
        ("state=in:ERROR,PAUSED", "bc"),
        ("state=nin:ERROR,PAUSED", "a"),
        ("state=NOTHING", ""),
        ("state_info=has:oo", "b"),
        ("state_info=has:OO", ""),
        ("state=ERROR&state=RUNNING", "a"),
        ("created_at=2026-01-02%2003:04:07", "b"),
        ("created_at=gt:2026-01-02%2003:04:07", "c"),
        ("created_at=gte:2026-01-02%2003:04:07", "bc"),
        ("created_at=lt:2026-01-02%2003:04:07", "a"),
        ("created_at=lte:2026-01-02%2003:04:07", "ab"),
        ("created_at=neq:2026-01-02%2003:04:07", "ac"),
        ("created_at=gt:2026-01-02", "abc"),
        ("created_at=lt:2026-01-03", "abc"),
        ("created_at=has:04:08", "c"),
        ("created_at=lte:9999-12-31%2023:59:59", "abc"),
        ("created_at=gt:9999-12-31%2023:59:59", ""),
        ("created_at=in:9999-12-31%2023:59:59,2026-01-02%2003:04:07", "b"),
        ("tags=red", "ab"),
        ("tags=RED,%20green", "a"),
        ("tags=re", ""),
        ("tags=has:green", "a"),
        ("input=%7B%22b%22:2,%22a%22:1%7D", "a"),
        ("input=%7B%7D", "bc"),
        ("workflow_id=11111111-1111-1111-1111-111111111111", "a"),
        ("workflow_id=neq:11111111-1111-1111-1111-111111111111", "bc"),
        ("nulls=state_info", "ac"),
        ("nulls=root_execution_id", "abc"),
    ],
)
def test_filters(api: Any, stored: Any, query: str, expected: str) -> None:
    one = "11111111-1111-1111-1111-111111111111"
    made = {
        stored.execution(
            tags=["Red", "green"], workflow_id=one, input=Bag({"a": 1, "b": 2})
        ).id: "a",
        stored.execution(state="ERROR", state_info="foo", tags=["red"]).id: "b",
        stored.execution(state="PAUSED", tags=["reddish"]).id: "c",
    }
    assert "".join(made[i] for i in _ids(api.get(f"/v2/executions?{query}"))) == expected


def test_fields_decide_what_is_shown(api: Any, stored: Any) -> None:
    stored.execution(input=Bag({"a": 1}), output=Bag({"b": 2}))
    assert "output" not in api.get("/v2/executions")["executions"][0]
    assert api.get("/v2/executions?include_output=true")["executions"][0]["output"] == '{"b": 2}'
    stored.execution()
    link = api.get("/v2/executions?include_output=1&limit=1")["next"]
    link = link.replace("http://api.example:8989", "")
    assert api.get(link)["executions"][0]["output"] == "{}"
    shown = api.get("/v2/executions?fields=Output,state")["executions"][0]
    assert list(shown) == ["id", "output", "state"]
    assert shown["output"] == '{"b": 2}'


def test_tasks_and_actions_are_filtered_by_their_workflow(api: Any, stored: Any) -> None:
    mine, other = stored.execution(workflow_name="mine"), stored.execution(workflow_name="other")
    task = stored.task(mine, name="t1")
    action = stored.action(task)
    stored.action(stored.task(other))
    found = api.get("/v2/tasks?workflow_name=mine&fields=id,name,state")["tasks"]
    assert found == [{"id": task.id, "name": "t1", "state": "RUNNING"}]
    (shown,) = api.get("/v2/action_executions?workflow_name=mine&task_name=t1&accepted=false")[
        "action_executions"
    ]
    assert (shown["id"], shown["workflow_name"], shown["task_name"]) == (action.id, "mine", "t1")
    assert api.get("/v2/action_executions?accepted=true")["action_executions"] == []
    api.get("/v2/action_executions?params=%7B%7D", status=400)
    api.get("/v2/tasks?result=1", status=400)


def test_large_values_are_shown_whole(api: Any, stored: Any) -> None:
    execution = stored.execution()
    big = {"text": "x" * 5000, "list": [1, 2]}

    def store(conn: Any) -> Bag:
        values = large_values.loader(conn, execution.id)
        bag = values.pack({"big": big, "small": 1})
        large_values.store(conn, execution.id, values.new)
        return bag

    bag = stored.database.write(store)
    assert bag.refs
    task = stored.task(execution, published=bag)
    stored.action(task, input=bag, output=bag)
    whole = {"big": big, "small": 1}
    (shown,) = api.get("/v2/tasks")["tasks"]
    assert json.loads(shown["published"]) == whole
    (action,) = api.get("/v2/action_executions?include_output=1")["action_executions"]
    assert json.loads(action["input"]) == json.loads(action["output"]) == whole


def test_others_rows_are_invisible(make_api: Callable[..., Any], stored: Any) -> None:
    mine, other = stored.execution(project_id="p1"), stored.execution(project_id="p2")
    api = make_api(RequestContext(project_id="p1"))
    assert _ids(api.get("/v2/executions")) == [mine.id]
    api.get(f"/v2/executions/{mine.id}")
    api.get(f"/v2/executions/{other.id}", status=404)
    api.get(f"/v2/executions?marker={other.id}", status=404)
    api.get("/v2/executions?all_projects=true", status=403)
    api.get("/v2/executions?project_id=p2", status=403)
    assert _ids(api.get("/v2/executions?all_projects=false")) == [mine.id]
    admin = make_api(RequestContext(project_id="p1", is_admin=True))
    assert _ids(admin.get("/v2/executions?all_projects=True")) == [mine.id, other.id]
    assert _ids(admin.get("/v2/executions?project_id=p2")) == [other.id]
