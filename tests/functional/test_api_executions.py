"""Executions and tasks (doc:rest/executions, doc:rest/tasks)."""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import threading
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.api.controllers.v2.executions import ExecutionsController
from mistral.db import definitions
from mistral.db.core import tables
from mistral.db.core.database import Database
from mistral.db.execution import deletion
from mistral.utils import clock, ids, json
from mistral.workflow.values import Bag

UNKNOWN = "11111111-1111-1111-1111-111111111111"

STARTED = {
    "id": "i",
    "workflow_id": "w",
    "workflow_name": "wf",
    "workflow_namespace": "",
    "description": "",
    "tags": ["a"],
    "state": "RUNNING",
    "state_info": None,
    "input": {"a": 1},
    "params": {"env": {}, "namespace": ""},
    "output": {},
    "root_execution_id": None,
    "task_execution_id": None,
    "project_id": "<default-project>",
    "created_at": "2026-01-02 03:04:05",
    "updated_at": None,
    "spec_hash": "not shown",
}


def test_starting(api: Any, engine: Any) -> None:
    engine.answers["start_workflow"] = STARTED
    body = {
        "workflow_name": "wf",
        "input": '{"a": 1}',
        "params": {"env": {"x": 1}},
        "description": "d",
        "state": "ignored",
        "tags": ["ignored"],
        "source_execution_id": "",
    }
    response = api("POST", "/v2/executions", body)
    assert response.status_int == 201
    shown = response.json
    assert shown["input"] == '{"a": 1}'
    assert shown["output"] == "{}"
    assert (shown["tags"], shown["created_at"], shown["updated_at"]) == (
        ["a"],
        "2026-01-02 03:04:05",
        None,
    )
    assert "spec_hash" not in shown
    ((method, sent),) = engine.sent
    assert method == "start_workflow"
    assert ids.looks_like_uuid(sent.pop("wf_ex_id"))
    assert sent == {
        "workflow_identifier": "wf",
        "workflow_namespace": "",
        "workflow_input": {"a": 1},
        "description": "d",
        "params": {"env": {"x": 1}},
    }


def test_an_id_starts_only_once(api: Any, engine: Any, stored: Any) -> None:
    existing = stored.execution(id="my own")
    response = api("POST", "/v2/executions", {"id": "my own", "workflow_name": "wf"})
    assert (response.status_int, response.json["id"]) == (201, existing.id)
    assert engine.sent == []
    engine.answers["start_workflow"] = STARTED
    api("POST", "/v2/executions", {"id": "another", "workflow_name": "wf"})
    assert engine.sent[0][1]["wf_ex_id"] == "another"


@pytest.mark.parametrize("chosen", ["a/b", "x" * 256])
def test_an_id_must_be_one_that_can_be_asked_for(api: Any, engine: Any, chosen: str) -> None:
    response = api("POST", "/v2/executions", {"id": chosen, "workflow_name": "wf"})
    assert response.status_int == 400
    assert engine.sent == []


def test_starting_needs_a_workflow(api: Any, engine: Any) -> None:
    assert api("POST", "/v2/executions", {"input": {}}).status_int == 400
    long = {"workflow_name": "wf", "description": "x" * 256}
    assert api("POST", "/v2/executions", long).status_int == 400
    assert engine.sent == []


def test_starting_like_another_execution(api: Any, engine: Any, stored: Any) -> None:
    source = stored.execution(
        workflow_namespace="n",
        input=Bag({"a": 1, "d": {"x": 1, "y": 2}}),
        params=Bag({"env": {"e": 1}, "namespace": "n", "index": 3}),
    )
    engine.answers["start_workflow"] = STARTED
    body = {"source_execution_id": source.id, "input": {"d": {"y": 3}}}
    assert api("POST", "/v2/executions", body).status_int == 201
    ((_, sent),) = engine.sent
    assert sent["workflow_identifier"] == source.workflow_id
    assert sent["workflow_namespace"] == "n"
    assert sent["workflow_input"] == {"a": 1, "d": {"x": 1, "y": 3}}
    assert sent["params"] == {"env": {"e": 1}}
    assert source.id in sent["description"]
    missing = api("POST", "/v2/executions", {"source_execution_id": UNKNOWN})
    assert missing.status_int == 404


def test_one_execution(api: Any, stored: Any) -> None:
    def store(conn: Any) -> None:
        spec = {"vars": {"v": 1}, "tasks": {}}
        definitions.store_specs(conn, [definitions.StoredSpec("h" * 64, json.dumps(spec))])

    stored.database.write(store)
    execution = stored.execution(
        spec_hash="h" * 64,
        output=Bag({"r": "ä"}),
        context=Bag({"v": 1, "g": 2, "__execution": {}}),
    )
    shown = api.get(f"/v2/executions/{execution.id}/")
    assert shown["output"] == '{"r": "ä"}'
    assert shown["published_global"] == '{"g": 2}'
    assert shown["created_at"] == "2026-01-02 03:04:06"
    assert shown["root_execution_id"] is None
    assert "source_execution_id" not in shown
    fields = api.get(f"/v2/executions/{execution.id}?fields=state")
    assert fields == {"id": execution.id, "state": "RUNNING"}
    assert "nope" in api.get("/v2/executions/nope", status=404)["faultstring"]
    api.get(f"/v2/executions/{execution.id}?fields=nope", status=400)


@pytest.mark.parametrize(
    ("current", "body", "status", "sent"),
    [
        ("RUNNING", {}, 400, []),
        ("RUNNING", {"state": ""}, 400, []),
        ("RUNNING", {"state": "PAUSED", "description": "d"}, 400, []),
        ("RUNNING", {"state": "PAUSED", "params": {"env": {"a": 1}}}, 400, []),
        ("RUNNING", {"params": {"env": {"a": 1}}}, 403, []),
        ("SUCCESS", {"params": {"env": {"a": 1}}}, 403, []),
        ("PAUSED", {"params": {"env": {"a": 1}}}, 200, ["update_env"]),
        ("ERROR", {"params": '{"env": {"a": 1}}'}, 200, ["update_env"]),
        ("PAUSED", {"params": {"env": "name"}}, 400, []),
        ("PAUSED", {"params": {"a": 1}}, 400, []),
        ("PAUSED", {"params": {"a": 1, "env": {}}}, 400, []),
        ("PAUSED", {"params": {"a": 1}, "state_info": "x"}, 400, []),
        ("RUNNING", {"state": "IDLE"}, 400, []),
        ("IDLE", {"state": "RUNNING"}, 200, ["resume_workflow"]),
        ("RUNNING", {"state": "RUNNING"}, 200, []),
        ("PAUSED", {"state": "RUNNING"}, 200, ["resume_workflow"]),
        ("SUCCESS", {"state": "RUNNING"}, 200, []),
        ("ERROR", {"state": "RUNNING", "params": {"env": {"a": 1}}}, 200, []),
        ("IDLE", {"state": "PAUSED"}, 400, []),
        ("RUNNING", {"state": "PAUSED"}, 200, ["pause_workflow"]),
        ("PAUSED", {"state": "PAUSED"}, 200, []),
        ("CANCELLED", {"state": "PAUSED"}, 400, []),
        ("IDLE", {"state": "SUCCESS"}, 400, []),
        ("RUNNING", {"state": "SUCCESS"}, 200, ["stop_workflow"]),
        ("PAUSED", {"state": "SUCCESS"}, 400, []),
        ("SUCCESS", {"state": "SUCCESS"}, 200, ["stop_workflow"]),
        ("ERROR", {"state": "SUCCESS"}, 400, []),
        ("IDLE", {"state": "ERROR"}, 200, ["stop_workflow"]),
        ("PAUSED", {"state": "ERROR", "state_info": "m"}, 200, ["stop_workflow"]),
        ("SUCCESS", {"state": "ERROR"}, 200, []),
        ("PAUSED", {"state": "CANCELLED"}, 200, ["stop_workflow"]),
        ("ERROR", {"state": "CANCELLED"}, 200, []),
    ],
)
def test_steering(
    api: Any, engine: Any, stored: Any, current: str, body: Any, status: int, sent: list[str]
) -> None:
    execution = stored.execution(state=current)
    response = api("PUT", f"/v2/executions/{execution.id}", {"id": "ignored", **body})
    assert response.status_int == status, response.text
    assert engine.methods() == sent
    if status == 200:
        assert response.json["id"] == execution.id
        assert {"input", "output", "params"} <= response.json.keys()
    assert api("PUT", f"/v2/executions/{UNKNOWN}", body).status_int == 404


def test_commands_carry_what_was_said(api: Any, engine: Any, stored: Any) -> None:
    path = f"/v2/executions/{stored.execution(state='PAUSED').id}"
    api("PUT", path, {"state": "RUNNING", "params": {"env": {"a": 1}}})
    api("PUT", path, {"state": "ERROR", "state_info": "by hand"})
    (_, resumed), (_, stopped) = engine.sent
    assert resumed["env"] == {"a": 1}
    assert (stopped["state"], stopped["message"]) == ("ERROR", "by hand")


def test_describing(api: Any, engine: Any, stored: Any) -> None:
    path = f"/v2/executions/{stored.execution(state='PAUSED').id}"
    shown = api("PUT", path, {"description": "new"}).json
    assert shown["description"] == "new"
    assert shown["updated_at"] is not None
    api("PUT", path, {"description": "newer", "params": {"env": {"a": 1}}})
    assert engine.methods() == ["update_env"]
    assert api.get(path)["description"] == "newer"


def test_deleting_takes_everything_along(api: Any, stored: Any) -> None:
    top = stored.execution(state="RUNNING")
    task = stored.task(top)
    child = stored.execution(
        parent_execution_id=top.id, root_execution_id=top.id, task_execution_id=task.id
    )
    stored.action(stored.task(child))
    path = f"/v2/executions/{top.id}"
    for query in ("", "?force=false", "?force="):
        refused = api("DELETE", path + query)
        assert refused.status_int == 403
        assert "force" in refused.json["faultstring"]
        assert "RUNNING" in refused.json["faultstring"]
    response = api("DELETE", path + "?force=True")
    assert (response.status_int, response.body) == (204, b"")
    assert "Content-Type" not in response.headers
    for table in (
        tables.workflow_executions,
        tables.task_executions,
        tables.action_executions,
    ):
        assert stored.database.read(lambda conn, t=table: conn.execute(t.select()).all()) == []
    assert api("DELETE", path).status_int == 404


@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"], indirect=True)
@pytest.mark.parametrize("in_parts", [False, True])
def test_of_parallel_deletions_one_succeeds(
    api: Any, stored: Any, monkeypatch: pytest.MonkeyPatch, in_parts: bool
) -> None:
    top = stored.execution(state="ERROR")
    if in_parts:
        stored.execution(parent_execution_id=top.id, root_execution_id=top.id)
    everybody = threading.Barrier(6)
    show = ExecutionsController._show

    def show_to_all(*arguments: Any) -> Any:
        try:
            return show(*arguments)
        finally:
            everybody.wait(10)

    monkeypatch.setattr(ExecutionsController, "_show", show_to_all)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        found = pool.map(lambda _: api("DELETE", f"/v2/executions/{top.id}"), range(6))
        assert sorted(response.status_int for response in found) == [204] + [404] * 5


def test_deleting_that_was_interrupted(
    api: Any, stored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks meanwhile finds nothing, instead of half an execution."""
    top, other = stored.execution(state="ERROR"), stored.execution(state="SUCCESS")
    task = stored.task(top, state="ERROR")
    action = stored.action(task, state="ERROR")
    stored.execution(
        root_execution_id=top.id, parent_execution_id=top.id, task_execution_id=task.id
    )
    path = f"/v2/executions/{top.id}"

    def interrupted(database: Database, execution_id: str) -> None:
        raise exc.UnavailableException

    with monkeypatch.context() as patch:
        patch.setattr(deletion, "finish", interrupted)
        assert api("DELETE", path).status_int == 503
    for verb, body in (("GET", None), ("PUT", {"description": "d"}), ("DELETE", None)):
        assert api(verb, path, body).status_int == 404
    for name, row in (("tasks", task), ("action_executions", action)):
        assert api("GET", f"/v2/{name}/{row.id}").status_int == 404
        assert api("GET", f"/v2/{name}").json[name] == []
    for below in ("tasks", "report", "executions"):
        assert api("GET", f"{path}/{below}").status_int == 404
    assert top.id not in [each["id"] for each in api.get("/v2/executions")["executions"]]
    assert api("GET", f"/v2/executions/{other.id}").status_int == 200
    deletion.finish(stored.database, top.id)
    assert [each["id"] for each in api.get("/v2/executions")["executions"]] == [other.id]


class _Tree:
    """A top execution; its tasks a (with a sub-execution that has one of its own) and b."""

    def __init__(self, stored: Any) -> None:
        self.top = stored.execution(workflow_name="top", workflow_id=UNKNOWN)
        self.a = stored.task(self.top, name="a", state="SUCCESS", type="WORKFLOW")
        self.b = stored.task(
            self.top,
            name="b",
            state="ERROR",
            type="WORKFLOW",
            runtime_context={"retry_task_policy": {"retry_no": 2}},
        )
        self.under_a = self._child(stored, self.top, self.a)
        self.under_b = self._child(stored, self.top, self.b)
        self.deep_task = stored.task(self.under_a, name="deep", state="SUCCESS")
        self.deepest = self._child(stored, self.under_a, self.deep_task)
        self.action = stored.action(stored.task(self.under_b, name="act", state="ERROR"))

    def _child(self, stored: Any, parent: Any, task: Any) -> Any:
        return stored.execution(
            workflow_name="sub",
            parent_execution_id=parent.id,
            root_execution_id=self.top.id,
            task_execution_id=task.id,
        )


@pytest.fixture
def tree(stored: Any) -> _Tree:
    """Executions of several levels."""
    return _Tree(stored)


def test_sub_executions(api: Any, tree: _Tree) -> None:
    def found(path: str) -> list[str]:
        return [item["id"] for item in api.get(path)["executions"]]

    top, a, b, deepest = (e.id for e in (tree.top, tree.under_a, tree.under_b, tree.deepest))
    path = f"/v2/executions/{top}/executions"
    assert found(f"{path}?max_depth=-1&errors_only=") == [top, a, deepest, b]
    assert found(f"{path}?max_depth=1") == [top, a, b]
    assert found(f"{path}?max_depth=0") == [top]
    assert found(f"{path}?errors_only=True") == [top, b]
    assert found(f"/v2/tasks/{tree.a.id}/executions") == [a, deepest]
    assert found(f"/v2/tasks/{tree.a.id}/executions?errors_only=1") == []
    assert found(f"/v2/tasks/{tree.a.id}/workflow-executions") == [a]
    assert "output" not in api.get(path)["executions"][0]
    assert api.get(f"{path}?include_output=1")["executions"][0]["output"] == "{}"
    for missing in (f"/v2/executions/{UNKNOWN}/executions", f"/v2/tasks/{UNKNOWN}/executions"):
        api.get(missing, status=404)
    api.get("/v2/executions/x/executions", status=400)


def test_reports(api: Any, tree: _Tree) -> None:
    path = f"/v2/executions/{tree.top.id}/report"
    report = api.get(path)
    assert report["statistics"] == {
        "total_tasks_count": 4,
        "running_tasks_count": 0,
        "success_tasks_count": 2,
        "error_tasks_count": 2,
        "idle_tasks_count": 0,
        "paused_tasks_count": 0,
        "estimated_time": -1,
    }
    top = report["root_workflow_execution"]
    assert top["name"] == "top"
    a, b = top["task_executions"]
    assert (a["name"], a["action_executions"]) == ("a", [])
    assert "retry_count" not in a
    assert b["retry_count"] == 2
    (under_b,) = b["workflow_executions"]
    (act,) = under_b["task_executions"]
    assert act["action_executions"][0]["id"] == tree.action.id
    assert act["action_executions"][0]["accepted"] is False
    # there was no sign of life
    assert act["action_executions"][0]["last_heartbeat"] is None

    shallow = api.get(f"{path}?max_depth=0")
    assert shallow["statistics"]["total_tasks_count"] == 2
    (a, _) = shallow["root_workflow_execution"]["task_executions"]
    assert "task_executions" not in a["workflow_executions"][0]
    failed = api.get(f"{path}?errors_only=True&max_depth=-1")
    assert failed["statistics"] == report["statistics"]
    (failed_b,) = failed["root_workflow_execution"]["task_executions"]
    assert failed_b == b
    assert list(api.get(f"{path}?statistics_only=True")) == ["statistics"]
    api.get(f"/v2/executions/{UNKNOWN}/report", status=404)


def test_signs_of_life_in_reports(api: Any, stored: Any) -> None:
    execution = stored.execution()
    task = stored.task(execution)
    claimed, heard = (dt.datetime(2026, 1, 3, hour) for hour in (1, 2))
    stored.action(task, started_at=claimed)
    stored.action(task, started_at=claimed, last_heartbeat=heard)
    report = api.get(f"/v2/executions/{execution.id}/report")
    (shown,) = report["root_workflow_execution"]["task_executions"]
    signs = [row["last_heartbeat"] for row in shown["action_executions"]]
    assert signs == ["2026-01-03 01:00:00", "2026-01-03 02:00:00"]


def test_reports_estimate_the_rest(api: Any, stored: Any) -> None:
    now = clock.utc_now()
    start = now - dt.timedelta(hours=3)
    for hours in (1, 2):
        stored.execution(
            workflow_id=UNKNOWN,
            state="SUCCESS",
            created_at=start,
            finished_at=start + dt.timedelta(hours=hours),
        )
    running = stored.execution(workflow_id=UNKNOWN, created_at=now)
    statistics = api.get(f"/v2/executions/{running.id}/report")["statistics"]
    assert 5300 < statistics["estimated_time"] <= 5400


def test_one_task(api: Any, stored: Any) -> None:
    execution = stored.execution(workflow_name="wf")
    task = stored.task(execution, published_global=Bag({"g": 1}), state="SUCCESS")
    path = f"/v2/tasks/{task.id}"
    shown = api.get(path)
    assert (shown["result"], shown["published_global"]) == ("[]", '{"g": 1}')
    assert (shown["workflow_name"], shown["type"], shown["processed"]) == ("wf", "ACTION", False)
    assert not {"reset", "env"} & shown.keys()
    stored.action(task, accepted=True, output=Bag({"result": {"a": [1]}}))
    assert api.get(path)["result"] == '{"a": [1]}'
    stored.action(task, accepted=False, output=Bag({"result": "old"}))
    assert api.get(f"{path}?fields=result") == {"id": task.id, "result": '{"a": [1]}'}
    stored.action(task, accepted=True, output=Bag({"result": None}))
    assert api.get(path)["result"] == '[{"a": [1]}, null]'
    assert "result" not in api.get("/v2/tasks")["tasks"][0]
    api.get(f"/v2/tasks/{UNKNOWN}", status=404)
    api.get(f"{path}?fields=nope", status=400)


def test_results_of_items_and_workflows(api: Any, stored: Any) -> None:
    execution = stored.execution()
    items = stored.task(execution, runtime_context={"with_items": {"count": 1, "capacity": 1}})
    assert api.get(f"/v2/tasks/{items.id}")["result"] == "[]"
    stored.action(items, accepted=True, output=Bag({"result": 1}))
    assert api.get(f"/v2/tasks/{items.id}")["result"] == "[1]"
    sub = stored.task(execution, type="WORKFLOW")
    stored.execution(task_execution_id=sub.id, state="SUCCESS", output=Bag({"o": 1}))
    assert api.get(f"/v2/tasks/{sub.id}")["result"] == '{"o": 1}'
    erased = stored.task(execution)
    stored.action(erased, accepted=True, output=Bag())
    assert api.get(f"/v2/tasks/{erased.id}")["result"] == "null"
    assert "published_global" not in api.get(f"/v2/tasks/{erased.id}")


def test_tasks_of_an_execution(api: Any, stored: Any) -> None:
    execution = stored.execution()
    task = stored.task(execution)
    stored.task(stored.execution())
    found = api.get(f"/v2/executions/{execution.id}/tasks?limit=100&fields=name,finished_at")
    assert found == {"tasks": [{"id": task.id, "name": "t", "finished_at": None}]}
    api.get(f"/v2/executions/{UNKNOWN}/tasks", status=404)
    api.get("/v2/executions/x/tasks", status=400)


@pytest.mark.parametrize(
    ("task", "workflow_state", "body", "status"),
    [
        ({}, "ERROR", {"state": "RUNNING", "reset": True}, 200),
        ({}, "ERROR", {"state": "RUNNING", "reset": "true", "env": '{"a": 1}'}, 200),
        ({}, "ERROR", {"state": "SKIPPED"}, 200),
        ({}, "RUNNING", {"state": "RUNNING", "reset": True}, 200),
        ({}, "ERROR", {"state": "RUNNING", "reset": True, "name": "t"}, 200),
        ({}, "ERROR", {"state": "RUNNING", "reset": True, "name": "u"}, 400),
        ({}, "ERROR", {"state": "RUNNING", "reset": True, "id": "another"}, 400),
        ({}, "ERROR", {"state": "RUNNING", "reset": True, "workflow_name": "u"}, 400),
        ({}, "ERROR", {"reset": True}, 400),
        ({}, "ERROR", {"state": "PAUSED", "reset": True}, 400),
        ({"state": "SUCCESS"}, "ERROR", {"state": "RUNNING", "reset": True}, 400),
        ({}, "ERROR", {"state": "RUNNING"}, 400),
        ({}, "ERROR", {"state": "RUNNING", "reset": False}, 200),
        ({}, "RUNNING", {"state": "RUNNING", "reset": True, "env": {"a": 1}}, 403),
        ({}, "SUCCESS", {"state": "RUNNING", "reset": True}, 400),
    ],
)
def test_rerunning(
    api: Any, engine: Any, stored: Any, task: Any, workflow_state: str, body: Any, status: int
) -> None:
    found = stored.task(stored.execution(state=workflow_state), **{"state": "ERROR", **task})
    response = api("PUT", f"/v2/tasks/{found.id}", {"id": found.id, **body})
    assert response.status_int == status, response.text
    assert engine.methods() == (["rerun_workflow"] if status == 200 else [])
    if status == 200:
        assert response.json["result"] == "[]"
        assert engine.sent[0][1]["skip"] is (body["state"] == "SKIPPED")
    assert api("PUT", f"/v2/tasks/{UNKNOWN}", body).status_int == 404


def test_a_paused_workflow_reruns_nothing(api: Any, engine: Any, stored: Any) -> None:
    task = stored.task(stored.execution(state="PAUSED"), state="ERROR")
    response = api("PUT", f"/v2/tasks/{task.id}", {"state": "RUNNING", "reset": True})
    assert response.status_int == 200
    assert engine.sent == []
