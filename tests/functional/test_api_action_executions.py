"""Action executions: delivering results, steering, ad-hoc runs (doc:rest/action_executions)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.db.core import entity_rows
from mistral.db.core.database import Database
from mistral.db.execution import large_values
from mistral.db.execution.action_executions import ActionExecutions
from mistral.utils import json
from mistral.workflow import results
from mistral.workflow.values import Bag

UNKNOWN = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def action(stored: Any) -> Any:
    """An asynchronous action of a task."""
    return stored.action(stored.task(stored.execution(workflow_name="wf"), name="t1"))


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        "/v2/action-executions/{id}",
        "/v2/action_executions/{id}",
        "/v2/action_executions/{id}/",
        "/proxy/v2/action_executions/{id}/v2/action-executions/{id}",
    ],
)
def test_a_result_is_delivered(api: Any, engine: Any, action: Any, method: str, path: str) -> None:
    body = {"state": "SUCCESS", "output": 3}
    response = api(method, path.format(id=action.id), body)
    assert response.status_int == 200
    shown = response.json
    assert (shown["id"], shown["state"], shown["output"]) == (action.id, "SUCCESS", '{"result": 3}')
    assert (shown["workflow_name"], shown["task_name"]) == ("wf", "t1")
    assert engine.rung() == [{"id": action.id, "wf_ex_id": action.workflow_execution_id}]
    assert api.get(f"/v2/action_executions/{action.id}")["output"] == '{"result": 3}'


@pytest.mark.parametrize(
    ("sent", "result"),
    [
        ({"output": 3}, 3),
        ({"output": "3"}, 3),
        ({"output": "abc"}, "abc"),
        ({"output": '"abc"'}, "abc"),
        ({"output": [1, {"a": None}]}, [1, {"a": None}]),
        ({"output": {"result": 1}}, {"result": 1}),
        ({"output": '{"a": 1}'}, {"a": 1}),
        ({"output": False}, False),
        ({"output": None}, None),
        ({}, None),
        ({"output": 1, "state_info": "ignored", "created_at": "ignored"}, 1),
    ],
)
def test_any_value_is_a_result(api: Any, action: Any, sent: Any, result: Any) -> None:
    response = api("PUT", f"/v2/action_executions/{action.id}", {"state": "SUCCESS", **sent})
    assert response.status_int == 200
    assert json.loads(response.json["output"]) == {"result": result}


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ({"state": "ERROR"}, "Unknown error"),
        ({"state": "ERROR", "output": {}}, "Unknown error"),
        ({"state": "ERROR", "output": "broken"}, "broken"),
        ({"state": "CANCELLED", "output": 1}, None),
    ],
)
def test_failures_are_delivered_too(api: Any, action: Any, body: Any, result: Any) -> None:
    shown = api("PUT", f"/v2/action_executions/{action.id}", body).json
    assert shown["state"] == body["state"]
    assert json.loads(shown["output"]) == {"result": result}


def test_a_large_result_is_kept_apart(api: Any, stored: Any, action: Any) -> None:
    big = {"text": "y" * 3000}
    body = {"state": "SUCCESS", "output": big}
    shown = api("PUT", f"/v2/action_executions/{action.id}", body).json
    assert json.loads(shown["output"]) == {"result": big}
    hashes = stored.database.read(
        lambda conn: list(
            large_values.fetch(
                conn,
                action.root_execution_id,
                [r[0] for r in conn.exec_driver_sql("SELECT hash FROM execution_values")],
            )
        )
    )
    assert len(hashes) == 1


def test_a_result_has_a_limit(make_api: Callable[..., Any], action: Any) -> None:
    api = make_api(execution_field_size_limit_kb=1)
    body = {"state": "SUCCESS", "output": "z" * 3000}
    response = api("PUT", f"/v2/action_executions/{action.id}", body)
    assert response.status_int == 400
    assert "size=2KB" in response.json["faultstring"]
    assert api.get(f"/v2/action_executions/{action.id}")["state"] == "RUNNING"


def test_repeating_is_no_error_and_changing_is_one(api: Any, engine: Any, action: Any) -> None:
    path = f"/v2/action-executions/{action.id}"
    first = api("POST", path, {"state": "SUCCESS", "output": {"a": 1, "b": 2}})
    again = api("PUT", path, {"state": "SUCCESS", "output": '{"b": 2, "a": 1}'})
    assert (again.status_int, again.json) == (200, first.json)
    for body in (
        {"state": "SUCCESS", "output": 4},
        {"state": "ERROR", "output": {"a": 1, "b": 2}},
        {"state": "CANCELLED"},
    ):
        assert api("PUT", path, body).status_int == 409
    for state in ("PAUSED", "RUNNING"):
        assert api("PUT", path, {"state": state}).status_int == 400
    assert api.get(path) == first.json
    assert len(engine.rung()) == 1


def test_no_engine_is_needed(api: Any, engine: Any, action: Any) -> None:
    engine.silent = True
    path = f"/v2/action-executions/{action.id}"
    assert api("POST", path, {"state": "SUCCESS"}).status_int == 200
    assert api.get(path)["state"] == "SUCCESS"


def test_no_engine_is_needed_for_an_adhoc_action_but_to_end_it(
    api: Any, engine: Any, stored: Any
) -> None:
    """Nobody sees SUCCESS before the definition is applied to the result."""
    row = stored.action(
        stored.task(stored.execution()), name="mine", base_name="std.async_noop", state="PAUSED"
    )
    path, body = f"/v2/action_executions/{row.id}", {"state": "SUCCESS", "output": 3}
    engine.silent = True
    first = api("PUT", path, body)
    assert first.status_int == 200
    shown = first.json
    assert (shown["state"], shown["output"], shown["accepted"]) == ("RUNNING", None, False)
    assert api("PUT", path, body).json == shown == api.get(path)
    assert api("PUT", path, {"state": "SUCCESS", "output": 4}).status_int == 409
    assert api("PUT", path, {"state": "ERROR", "output": 3}).status_int == 409
    lists = "/v2/action_executions?include_output=1&state="
    assert api.get(f"{lists}SUCCESS")["action_executions"] == []
    (listed,) = api.get(f"{lists}RUNNING&accepted=false")["action_executions"]
    assert listed["output"] is None
    report = api.get(f"/v2/executions/{row.workflow_execution_id}/report")
    (task,) = report["root_workflow_execution"]["task_executions"]
    assert task["action_executions"][0]["state"] == "RUNNING"


@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_an_adhoc_action_ends_when_its_definition_was_applied(
    api: Any, engine: Any, stored: Any, database: Database
) -> None:
    row = stored.action(name="mine", base_name="std.async_noop")
    path, body = f"/v2/action_executions/{row.id}", {"state": "SUCCESS", "output": 3}

    def transform(action_ex_id: str, result: Any) -> None:
        assert (action_ex_id, result) == (row.id, {"state": "SUCCESS", "result": 3})

        def work(conn: sa.Connection) -> None:
            (action_ex,) = ActionExecutions(conn).locked([row.id])
            action_ex.output = Bag({"result": [3]})
            results.finish_alone(action_ex)
            entity_rows.update(conn, [action_ex])

        database.write(work)

    engine.answers["on_action_complete"] = transform
    first = api("PUT", path, body)
    assert (first.json["state"], first.json["output"]) == ("SUCCESS", '{"result": [3]}')
    assert first.json["accepted"] is True
    assert api("PUT", path, body).json == first.json == api.get(path)
    assert api("PUT", path, {"state": "SUCCESS", "output": [3]}).status_int == 409
    assert engine.methods() == ["on_action_complete"]


def test_the_failure_of_an_adhoc_action_is_final_at_once(
    api: Any, engine: Any, stored: Any
) -> None:
    row = stored.action(name="mine", base_name="std.async_noop")
    body = {"state": "ERROR", "output": "bad"}
    shown = api("PUT", f"/v2/action_executions/{row.id}", body).json
    assert (shown["state"], shown["output"]) == ("ERROR", '{"result": "bad"}')
    assert engine.rung()


@pytest.mark.parametrize("answer", [exc.MistralException("It failed."), exc.UnavailableException()])
def test_a_committed_result_is_taken_whatever_an_engine_says(
    api: Any, engine: Any, stored: Any, answer: Exception
) -> None:
    row = stored.action(name="mine", base_name="std.async_noop")
    engine.answers["on_action_complete"] = answer
    body = {"state": "SUCCESS", "output": 1}
    response = api("PUT", f"/v2/action_executions/{row.id}", body)
    assert (response.status_int, response.json["state"]) == (200, "RUNNING")


@pytest.mark.parametrize(
    "body", [{}, {"output": 3}, {"state": "DONE"}, {"state": "IDLE"}, {"stat": "SUCCESS"}, "{"]
)
def test_an_unknown_id_comes_before_a_bad_body(api: Any, action: Any, body: Any) -> None:
    assert api("PUT", f"/v2/action_executions/{action.id}", body).status_int == 400
    missing = api("PUT", f"/v2/action_executions/{UNKNOWN}", body)
    assert missing.status_int == 404
    assert UNKNOWN in missing.json["faultstring"]


def test_the_states_are_listed(api: Any, action: Any) -> None:
    text = api("PUT", f"/v2/action_executions/{action.id}", {"state": "X"}).json["faultstring"]
    assert all(s in text for s in ("PAUSED", "RUNNING", "SUCCESS", "ERROR", "CANCELLED"))


def test_pausing_is_the_engines_work(api: Any, engine: Any, stored: Any, action: Any) -> None:
    path = f"/v2/action_executions/{action.id}"
    assert api("PUT", path, {"state": "PAUSED"}).json["id"] == action.id
    assert engine.sent == [("set_action_state", {"action_ex_id": action.id, "state": "PAUSED"})]
    engine.silent = True
    assert api("PUT", path, {"state": "RUNNING"}).status_int == 503
    synchronous = stored.action(is_sync=True)
    path = f"/v2/action_executions/{synchronous.id}"
    assert api("PUT", path, {"state": "PAUSED"}).status_int == 400


def test_a_tasks_actions(api: Any, stored: Any, action: Any) -> None:
    other = stored.action()
    path = f"/v2/tasks/{action.task_execution_id}/action-executions"
    assert [a["id"] for a in api.get(path)["action_executions"]] == [action.id]
    assert api.get(f"{path}/{action.id}")["input"] == '{"a": 1}'
    api.get(f"{path}/{other.id}", status=404)
    assert api.get(f"/v2/tasks/{UNKNOWN}/action_executions") == {"action_executions": []}
    api.get("/v2/tasks/x/action_executions", status=400)
    api.get(f"{path}?task_execution_id={UNKNOWN}", status=400)


def test_deletion(make_api: Callable[..., Any], stored: Any, action: Any) -> None:
    alone, finished = stored.action(), stored.action(state="SUCCESS")
    api = make_api()
    for each in (UNKNOWN, finished.id):
        assert api("DELETE", f"/v2/action_executions/{each}").status_int == 403
    api = make_api(allow_action_execution_deletion=True)
    statuses = {
        UNKNOWN: 404,
        action.id: 403,
        alone.id: 403,
        finished.id: 204,
    }
    for each, status in statuses.items():
        assert api("DELETE", f"/v2/action_executions/{each}").status_int == status
    api.get(f"/v2/action_executions/{finished.id}", status=404)


# ad-hoc runs


def _described(row: Any, *, saved: bool, runs: bool) -> Any:
    call = {
        "id": row["id"],
        "name": row["name"],
        "action_class": "a.B",
        "attributes": {},
        "input": {"output": 1},
        "safe_rerun": False,
        "timeout": None,
        "context": {},
    }
    return {"action": row, "saved": saved, "call": call if runs else None}


ROW = {
    "id": "x",
    "name": "std.echo",
    "state": "RUNNING",
    "workflow_namespace": "",
    "input": {"output": 1},
    "project_id": "<default-project>",
    "created_at": "2026-01-01 00:00:00",
}


@pytest.mark.parametrize(
    ("report", "state", "result"),
    [
        ({"kind": "result", "state": "SUCCESS", "result": {"a": 1}}, "SUCCESS", {"a": 1}),
        ({"kind": "result", "state": "ERROR", "result": "bad"}, "ERROR", "bad"),
    ],
)
def test_an_unsaved_run(
    api: Any, engine: Any, executor: Any, report: Any, state: str, result: Any
) -> None:
    engine.answers["start_action"] = _described(ROW, saved=False, runs=True)
    executor.answers["run_action"] = {"id": "x", **report}
    body = {"name": "std.echo", "input": '{"output": 1}', "workflow_namespace": "n"}
    response = api("POST", "/v2/action-executions", body)
    assert response.status_int == 201
    shown = response.json
    assert shown["id"] is shown["created_at"] is shown["project_id"] is None
    assert (shown["state"], json.loads(shown["output"])) == (state, {"result": result})
    ((_, sent),) = engine.sent
    assert sent["action_input"] == {"output": 1}
    assert sent["params"] == {"namespace": "n"}


def test_a_saved_run_that_the_caller_waits_for(
    api: Any, engine: Any, executor: Any, stored: Any
) -> None:
    row = stored.action(is_sync=True, name="std.echo")
    engine.answers["start_action"] = _described({**ROW, "id": row.id}, saved=True, runs=True)
    executor.answers["run_action"] = {"id": "x", "kind": "result", "state": "SUCCESS", "result": 5}
    params = '{"save_result": true, "run_sync": true}'
    shown = api("POST", "/v2/action_executions", {"name": "std.echo", "params": params}).json
    assert (shown["id"], shown["state"], shown["output"]) == (row.id, "SUCCESS", '{"result": 5}')
    assert api.get(f"/v2/action_executions/{row.id}") == shown


def test_a_scheduled_run(api: Any, engine: Any, executor: Any, stored: Any) -> None:
    row = stored.action(is_sync=True, name="std.echo")
    engine.answers["start_action"] = _described({**ROW, "id": row.id}, saved=True, runs=False)
    shown = api("POST", "/v2/action_executions", {"name": "std.echo"}).json
    assert (shown["id"], shown["state"], shown["output"]) == (row.id, "RUNNING", None)
    assert executor.sent == []


def test_runs_that_nobody_answers(api: Any, engine: Any, executor: Any) -> None:
    described = _described(ROW, saved=False, runs=True)
    engine.answers["start_action"] = described
    executor.silent = True
    assert api("POST", "/v2/action_executions", {"name": "std.echo"}).status_int == 503
    described["call"]["timeout"] = 2
    shown = api("POST", "/v2/action_executions", {"name": "std.echo"}).json
    assert shown["state"] == "ERROR"
    assert "2 seconds" in shown["output"]
    for body in ({"input": {}}, {"name": "std.echo", "params": {"timeout": "x"}}):
        assert api("POST", "/v2/action_executions", body).status_int == 400


def test_an_engine_transforms_results_of_adhoc_actions(
    api: Any, engine: Any, executor: Any, stored: Any
) -> None:
    row = stored.action(is_sync=True, name="mine", base_name="std.echo")
    described = {**ROW, "id": row.id, "base_name": "std.echo", "target": "h"}
    engine.answers["start_action"] = _described(described, saved=True, runs=True)
    executor.answers["run_action"] = {"id": "x", "kind": "result", "state": "SUCCESS", "result": 5}
    assert api("POST", "/v2/action_executions", {"name": "mine"}).status_int == 201
    assert engine.sent[1] == (
        "on_action_complete",
        {"action_ex_id": row.id, "result": {"state": "SUCCESS", "result": 5}},
    )


def test_parameters_of_a_single_run_are_read_as_others_are(
    api: Any, engine: Any, executor: Any
) -> None:
    engine.answers["start_action"] = _described(ROW, saved=False, runs=True)
    executor.answers["run_action"] = {"id": "x", "kind": "result", "state": "SUCCESS", "result": 1}
    params = {
        "save_result": "no",
        "run_sync": "True",
        "timeout": None,
        "target": "",
        "namespace": "ns",
        "unknown": [1],
    }
    body = {"name": "std.echo", "params": params}
    assert api("POST", "/v2/action_executions", body).status_int == 201
    ((_, sent),) = engine.sent
    assert sent["params"] == {"save_result": False, "run_sync": True, "namespace": "ns"}


@pytest.mark.parametrize("sent", [{"output": 1}, '{"output": 1}', r'"{\"output\": 1}"'])
def test_the_input_may_be_encoded_once_more(
    api: Any, engine: Any, executor: Any, sent: Any
) -> None:
    engine.answers["start_action"] = _described(ROW, saved=False, runs=True)
    executor.answers["run_action"] = {"id": "x", "kind": "result", "state": "SUCCESS", "result": 1}
    body = {"name": "std.echo", "input": sent}
    assert api("POST", "/v2/action_executions", body).status_int == 201
    ((_, asked),) = engine.sent
    assert asked["action_input"] == {"output": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": '"x"'},
        {"input": '"[1]"'},
        {"params": {"save_result": "perhaps"}},
        {"params": {"run_sync": [1]}},
        {"params": {"target": 5}},
        {"params": {"namespace": 5}},
        {"params": {"target": "t" * 256}},
        {"params": {"target": "a\0b"}},
        {"workflow_namespace": "n" * 256},
    ],
)
def test_wrong_parameters_of_a_single_run(api: Any, engine: Any, wrong: Any) -> None:
    response = api("POST", "/v2/action_executions", {"name": "std.echo", **wrong})
    assert response.status_int == 400
    assert engine.sent == []
