"""An execution that is being deleted in parts: for engines' callers it is gone already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.db.execution import deletion
from mistral.engine.base import Start
from mistral.engine.default_engine import DefaultEngine

NESTED = """
main:
  tasks:
    s: {workflow: sub}
sub:
  tasks:
    t: {action: std.async_noop}
"""

COMMANDS: dict[str, Callable[[DefaultEngine, str], object]] = {
    "pause": lambda engine, execution_id: engine.pause_workflow(execution_id),
    "resume": lambda engine, execution_id: engine.resume_workflow(execution_id),
    "stop": lambda engine, execution_id: engine.stop_workflow(execution_id, "ERROR"),
    "env": lambda engine, execution_id: engine.update_env(execution_id, {"x": 1}),
    "rollback": lambda engine, execution_id: engine.rollback_workflow(execution_id),
}


@pytest.fixture
def deleted(site: Any) -> tuple[DefaultEngine, str]:
    """A parent whose deletion has only begun."""
    engine = site.engine()
    execution_id = site.start(engine, NESTED)
    child = site.child(execution_id)
    site.wait(child, "RUNNING")
    assert deletion.begin(site.database, execution_id)
    return engine, execution_id


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_commands_do_not_find_it(deleted: tuple[DefaultEngine, str], command: str) -> None:
    with pytest.raises(exc.NotFoundException):
        COMMANDS[command](*deleted)


def test_a_rerun_does_not_find_it(site: Any, deleted: tuple[DefaultEngine, str]) -> None:
    engine, execution_id = deleted
    with pytest.raises(exc.NotFoundException):
        engine.rerun_workflow(site.task(execution_id, "s").id)


def test_its_id_is_not_free_yet(deleted: tuple[DefaultEngine, str]) -> None:
    engine, execution_id = deleted
    with pytest.raises(exc.DBDuplicateEntryError):
        engine.start_workflow("main", {}, start=Start(execution_id=execution_id))


def test_the_end_of_a_child_changes_nothing(site: Any, deleted: tuple[DefaultEngine, str]) -> None:
    engine, execution_id = deleted
    child = site.child(execution_id)
    site.deliver(child)
    engine.action_delivered(site.action(child).id, child)
    site.wait(child, "SUCCESS")
    site.look(engine)
    assert site.execution(execution_id).state == "CANCELLED"
    deletion.finish(site.database, execution_id)
    assert site.execution(execution_id) is None
    assert site.execution(child) is None
