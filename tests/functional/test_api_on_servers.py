"""What the API asks of PostgreSQL and MariaDB, where they differ from SQLite."""

from __future__ import annotations

from typing import Any

import pytest

from mistral.db import values as value_store
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
    assert stored.database.read(lambda conn: value_store.fetch(conn, top.id, ["0"])) == {}
