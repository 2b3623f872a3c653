"""A request whose message arrives again, at another engine: it is answered as the first time."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest
import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.context import system_context
from mistral.db.core import tables
from mistral.engine.engine_server import EngineServer
from mistral.utils import ids

FAILS = """
main:
  tasks:
    t: {action: std.async_noop}
"""


@pytest.fixture
def servers(site: Any) -> list[EngineServer]:
    """Two engines: the first has died when the second gets its message."""
    return [EngineServer(site.engine(), transport=MagicMock()) for _ in range(2)]


@pytest.fixture
def ctx() -> dict[str, Any]:
    """What a message brings, however often it comes."""
    return {**system_context().to_dict(), "call_id": ids.new_id()}


@pytest.fixture
def failed(site: Any, servers: list[EngineServer]) -> str:
    """An execution in ERROR."""
    execution_id: str = site.start(servers[0].engine, FAILS)
    site.deliver(execution_id, state="ERROR")
    site.look(servers[0].engine)
    site.wait(execution_id, "ERROR")
    return execution_id


def test_a_rerun(site: Any, servers: list[EngineServer], ctx: Any, failed: str) -> None:
    task_id = site.action(failed).task_execution_id
    first, second = [server.rerun_workflow(ctx, task_id) for server in servers]
    assert first == second
    assert first["state"] == "RUNNING"
    with pytest.raises(exc.MistralException):
        servers[0].rerun_workflow({**ctx, "call_id": ids.new_id()}, task_id)


def test_a_message_without_an_id(servers: list[EngineServer], failed: str) -> None:
    """As version 0.1.0 sends it."""
    assert servers[0].stop_workflow({}, failed, "CANCELLED")["state"]


@pytest.mark.parametrize("command", ["pause_workflow", "stop_workflow"])
def test_what_others_changed_meanwhile_stays(
    site: Any, servers: list[EngineServer], ctx: Any, command: str
) -> None:
    execution_id = site.start(servers[0].engine, FAILS)
    more = ("CANCELLED",) if command == "stop_workflow" else ()
    first = getattr(servers[0], command)(ctx, execution_id, *more)
    if command == "pause_workflow":
        servers[0].resume_workflow({}, execution_id)
        now = "RUNNING"
    else:
        now = "CANCELLED"
    assert getattr(servers[1], command)(ctx, execution_id, *more) == first
    assert site.execution(execution_id).state == now


def test_an_update_of_the_environment(
    site: Any, servers: list[EngineServer], ctx: Any, failed: str
) -> None:
    first = servers[0].update_env(ctx, failed, {"x": 1})
    servers[0].update_env({}, failed, {"x": 2})
    assert servers[1].update_env(ctx, failed, {"x": 1}) == first
    params = site.execution(failed).params
    assert site.read(lambda store: store.values(failed).get(params, "env")) == {"x": 2}


def test_a_single_action_is_saved_once(site: Any, servers: list[EngineServer], ctx: Any) -> None:
    answers = [
        server.start_action(ctx, "std.echo", {"output": 1}, params={"save_result": True})
        for server in servers
    ]
    assert answers[0]["action"]["id"] == answers[1]["action"]["id"]
    count = sa.select(sa.func.count()).select_from(tables.action_executions)
    assert site.database.read(lambda conn: conn.scalar(count)) == 1


def test_a_start_whose_definition_is_gone(site: Any, servers: list[EngineServer], ctx: Any) -> None:
    site.start(servers[0].engine, FAILS)
    execution_id = ids.new_id()
    first = servers[0].start_workflow(ctx, "main", {}, wf_ex_id=execution_id)
    site.definitions.delete_workflow("main", "", system_context())
    again = servers[1].start_workflow(ctx, "main", {}, wf_ex_id=execution_id)
    assert (first["id"], again["id"]) == (execution_id, execution_id)
    with pytest.raises(exc.NotFoundException):
        servers[1].start_workflow(ctx, "main", {}, wf_ex_id=ids.new_id())


def test_the_state_of_an_action(site: Any, servers: list[EngineServer], ctx: Any) -> None:
    execution_id = site.start(servers[0].engine, FAILS)
    action_id = site.action(execution_id).id
    servers[0].set_action_state(ctx, action_id, "PAUSED")
    servers[0].set_action_state({}, action_id, "RUNNING")
    servers[1].set_action_state(ctx, action_id, "PAUSED")
    assert site.action(execution_id).state == "RUNNING"
