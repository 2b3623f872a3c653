"""What the API asks of PostgreSQL and MariaDB, where they differ from SQLite."""

from __future__ import annotations

from typing import Any

import pytest

from mistral.db.execution import large_values
from mistral.exceptions import InputException
from mistral.utils import json
from mistral.workflow.values import Bag

pytestmark = pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)


def _ids(document: dict[str, Any]) -> list[str]:
    return [item["id"] for item in document["executions"]]


def test_filters(api: Any, stored: Any) -> None:
    bag = Bag({"b": 2, "a": 1})
    first = stored.execution(tags=["Red", "green"], input=bag, state_info="foo").id
    second = stored.execution(tags=["reddish"], state="ERROR").id
    for query, expected in {
        "state_info=has:oo": [first],
        "state_info=has:OO": [],
        "state_info=has:%25": [],
        "tags=red": [first],
        "input=%7B%22a%22:1,%22b%22:2%7D": [],
        "input=%7B%22b%22:2,%22a%22:1%7D": [first],
        "created_at=2026-01-02%2003:04:06": [first],
        "created_at=gt:2026-01-02%2003:04:06": [second],
        "created_at=has:04:07": [second],
        "created_at=nin:2026-01-02%2003:04:06": [second],
        "state=nin:ERROR": [first],
        "nulls=state_info": [second],
        "workflow_name=WF": [],
    }.items():
        assert _ids(api.get(f"/v2/executions?{query}")) == expected, query


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages(api: Any, stored: Any, direction: str) -> None:
    made = {stored.execution(state_info=info).id for info in ("x", None, "x", None, "y")}
    seen, path = [], f"/v2/executions?limit=1&sort_keys=state_info&sort_dirs={direction}"
    while path:
        document = api.get(path)
        seen += _ids(document)
        path = document.get("next", "").replace("http://api.example:8989", "")
    assert (len(seen), set(seen)) == (5, made)
    created = _ids(api.get("/v2/executions?sort_dirs=desc"))
    assert created == sorted(made, reverse=True)


def test_results_trees_and_deletion(api: Any, stored: Any) -> None:
    top = stored.execution(workflow_name="top")
    task = stored.task(top, type="WORKFLOW")
    child = stored.execution(
        parent_execution_id=top.id, root_execution_id=top.id, task_execution_id=task.id
    )
    inner = stored.task(child)
    action = stored.action(inner, root_execution_id=top.id)
    path = f"/v2/action_executions/{action.id}"
    big = {"text": "ü" * 3000}
    body = {"state": "SUCCESS", "output": big}
    first = api("PUT", path, body)
    assert first.status_int == 200
    assert json.loads(first.json["output"]) == {"result": big}
    assert api("PUT", path, body).json == first.json
    assert api("PUT", path, {"state": "ERROR"}).status_int == 409

    found = api.get("/v2/action_executions?workflow_name=wf&task_name=t&accepted=true")
    assert [a["id"] for a in found["action_executions"]] == [action.id]
    assert _ids(api.get(f"/v2/executions/{top.id}/executions")) == [top.id, child.id]
    report = api.get(f"/v2/executions/{top.id}/report")
    assert report["statistics"]["running_tasks_count"] == 2
    assert api("PUT", f"/v2/executions/{top.id}", {"description": "d"}).status_int == 200
    assert api("DELETE", f"/v2/executions/{top.id}?force=1").status_int == 204
    assert api.get("/v2/executions") == {"executions": []}
    assert api.get("/v2/tasks") == {"tasks": []}
    values = stored.database.read(
        lambda conn: conn.exec_driver_sql("SELECT count(*) FROM execution_values").scalar()
    )
    assert values == 0
    assert stored.database.read(lambda conn: large_values.fetch(conn, top.id, ["0"])) == {}


def test_texts_that_a_database_cannot_keep(
    api: Any, stored: Any, engine: Any, definitions: Any
) -> None:
    execution = stored.execution()
    for method, path, body in [
        ("GET", "/v2/executions?state_info=a%00", None),
        ("GET", "/v2/executions?workflow_name=in:a,%00", None),
        ("GET", "/v2/executions?tags=%00", None),
        ("GET", "/v2/executions?marker=%00", None),
        ("GET", "/v2/executions?%00=1", None),
        ("GET", "/v2/workflows?namespace=%00", None),
        ("PUT", f"/v2/executions/{execution.id}", {"description": "a\0"}),
        ("POST", "/v2/executions", {"workflow_name": "a\0"}),
        ("POST", "/v2/executions", {"workflow_name": "a", "workflow_namespace": "\0"}),
        ("POST", "/v2/executions", {"workflow_name": "a", "description": "\0"}),
        ("POST", "/v2/action_executions", {"name": "\0"}),
        ("POST", "/v2/environments", {"name": "\0", "variables": {"a": 1}}),
    ]:
        assert api(method, path, body).status_int == 400, (method, path, body)
    for path in ("executions", "tasks", "action_executions"):
        assert api("GET", f"/v2/{path}/a%00").status_int == 404, path
    assert (engine.sent, definitions.mock_calls) == ([], [])


def test_results_may_contain_any_character(api: Any, stored: Any) -> None:
    action = stored.action()
    path = f"/v2/action_executions/{action.id}"
    body = {"state": "ERROR", "output": {"a\0": "b\0"}}
    shown = api("PUT", path, body)
    assert shown.status_int == 200
    assert json.loads(shown.json["output"]) == {"result": body["output"]}


def test_what_the_database_refuses_is_the_callers_error(stored: Any) -> None:
    with pytest.raises(InputException, match="can't keep a value"):
        stored.execution(workflow_name="n" * 300)
    # texts for people are cleaned instead
    assert stored.execution(state_info="a\0b").id
