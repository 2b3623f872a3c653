"""``/maintenance`` and ``/info`` over the WSGI application (doc:rest/service)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import processes
import pytest

from mistral.db.core.database import Database
from mistral.db.operations import maintenance
from mistral.utils import clock, ids
from tests.functional.conftest import Api, FakeRpc, Rows


def _set(database: Database, status: str) -> None:
    now = clock.utc_now()
    wanted = maintenance.RUNNING if status == maintenance.RUNNING else maintenance.PAUSED
    database.write(lambda conn: maintenance.ask(conn, wanted, now))
    if status == maintenance.PAUSED:
        database.write(lambda conn: maintenance.paused(conn, now))


def test_it_runs_unless_somebody_has_said_otherwise(api: Api) -> None:
    assert api.get("/maintenance") == {"status": "RUNNING"}


def test_the_way_there_and_back(api: Api, database: Database) -> None:
    def put(status: str) -> Any:
        answer = api("PUT", "/maintenance", {"status": status})
        assert answer.status_int == 200, answer.text
        return answer.json["status"]

    assert put("RUNNING") == "RUNNING"
    assert put("PAUSED") == "PAUSING"
    assert put("PAUSED") == "PAUSING"
    assert api.get("/maintenance") == {"status": "PAUSING"}
    database.write(lambda conn: maintenance.paused(conn, clock.utc_now()))
    assert put("PAUSED") == "PAUSED"
    assert put("RUNNING") == "RUNNING"
    assert database.read(maintenance.read).resuming


@pytest.mark.parametrize(
    "body", [{"status": "PAUSING"}, {"status": "paused"}, {"status": ["PAUSED"]}, {}, "x"]
)
def test_other_words_are_refused(api: Api, body: Any) -> None:
    answer = api("PUT", "/maintenance", body)
    assert answer.status_int == 400
    assert answer.json["faultstring"]
    assert api.get("/maintenance") == {"status": "RUNNING"}


@pytest.mark.parametrize("status", ["PAUSING", "PAUSED"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/executions"),
        ("POST", "/v2/workflows"),
        ("PUT", "/v2/workflows/"),
        ("POST", "/v2/workflows/validate"),
        ("DELETE", "/v2/executions/{id}"),
        ("PUT", "/v2/tasks/{id}"),
        ("POST", "/v2/action-executions"),
        ("DELETE", "/v2/action_executions/{id}"),
    ],
)
def test_changes_wait(
    api: Api, database: Database, engine: FakeRpc, status: str, method: str, path: str
) -> None:
    _set(database, status)
    answer = api(method, path.format(id=ids.new_id()), {"state": "CANCELLED"})
    assert answer.status_int == 423
    assert status in answer.headers["Server-Error-Message"]
    assert status in answer.json["faultstring"]
    assert engine.sent == []


@pytest.mark.parametrize("status", ["PAUSING", "PAUSED"])
def test_what_is_read_does_not_wait(api: Api, database: Database, status: str) -> None:
    _set(database, status)
    for path in ("/", "/v2/", "/v2/executions", "/maintenance", "/healthcheck"):
        api.get(path)
    assert api("OPTIONS", "/v2/executions").status_int == 200


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("path", ["/v2/action_executions/{}", "/v2/action-executions/{}/"])
def test_results_are_taken_while_it_pauses(
    api: Api, database: Database, stored: Rows, method: str, path: str
) -> None:
    action_ex = stored.action(stored.task(stored.execution()))
    result = {"state": "SUCCESS", "output": 1}
    _set(database, "PAUSING")
    assert api(method, path.format(action_ex.id), result).status_int == 200


def test_results_wait_when_it_is_paused(api: Api, database: Database, stored: Rows) -> None:
    action_ex = stored.action(stored.task(stored.execution()))
    _set(database, "PAUSED")
    answer = api("PUT", f"/v2/action_executions/{action_ex.id}", {"state": "SUCCESS"})
    assert answer.status_int == 423


@pytest.mark.parametrize("status", ["PAUSING", "PAUSED"])
@pytest.mark.parametrize(("state", "expected"), [("CANCELLED", 200), ("ERROR", 423)])
def test_executions_may_be_cancelled(
    api: Api,
    database: Database,
    engine: FakeRpc,
    stored: Rows,
    status: str,
    state: str,
    expected: int,
) -> None:
    execution = stored.execution()
    _set(database, status)
    answer = api("PUT", f"/v2/executions/{execution.id}", {"state": state})
    assert answer.status_int == expected
    assert engine.methods() == (["stop_workflow"] if expected == 200 else [])


def test_what_another_process_has_told_is_true_at_once(make_api: Callable[..., Api]) -> None:
    one, other = make_api(), make_api()
    assert other("POST", "/v2/executions", {}).status_int == 400
    one("PUT", "/maintenance", {"status": "PAUSED"})
    assert other.get("/maintenance") == {"status": "PAUSING"}
    assert other("POST", "/v2/executions", {}).status_int == 423
    other("PUT", "/maintenance", {"status": "RUNNING"})
    assert one("POST", "/v2/executions", {}).status_int == 400


def test_another_process_notices_soon(make_api: Callable[..., Api]) -> None:
    one, other = make_api(), make_api()
    assert other("POST", "/v2/executions", {}).status_int == 400
    one("PUT", "/maintenance", {"status": "PAUSED"})
    processes.wait_until(
        lambda: other("POST", "/v2/executions", {}).status_int == 423, "it is refused"
    )


def test_info_is_off_by_default(api: Api) -> None:
    document = api.get("/info", 400)
    assert set(document) == {"faultstring"}


def test_info_tells_what_the_file_holds(make_api: Callable[..., Api], tmp_path: Path) -> None:
    path = tmp_path / "info.json"
    api = make_api(info_file=str(path))
    assert "can't be read" in api.get("/info", 400)["faultstring"]
    path.write_text('{"name": "ours"}')
    assert api.get("/info") == {"name": "ours"}
    path.write_text("{")
    assert "not valid JSON" in api.get("/info", 400)["faultstring"]
