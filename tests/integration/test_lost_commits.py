"""The answer to a COMMIT gets lost: nobody knows how it ended, and nothing happens twice."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from unittest.mock import MagicMock

import pytest
import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.context import RequestContext
from mistral.db.core import entity_rows, tables
from mistral.db.core.database import Database
from mistral.db.execution import deletion
from mistral.db.execution.action_executions import ActionExecutions
from mistral.db.execution.store import Store
from mistral.db.operations import maintenance
from mistral.db.storage import Storage
from mistral.definitions import Definitions
from mistral.definitions.catalog import Catalog
from mistral.engine.action_queue import ActionQueue, SendOptions
from mistral.engine.background import housekeeping
from mistral.engine.background.housekeeping import Housekeeping
from mistral.engine.default_engine import DefaultEngine
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.expressions import ExpressionOptions, Expressions
from mistral.utils import clock, ids
from mistral.workflow import results, states
from mistral.workflow.commands import Command
from mistral.workflow.entities import ActionExecution, TaskExecution, WorkflowExecution
from tests.lib import cutting_proxy

CTX = RequestContext(project_id="p")
WORKFLOW = "version: '2.0'\nw:\n  tasks:\n    t:\n      action: std.noop\n"
ACTION = "version: '2.0'\na:\n  base: std.noop\n"
WORKBOOK = "version: '2.0'\nname: b\nactions:\n  c:\n    base: std.noop\n"


@dataclasses.dataclass
class Place:
    """A database behind a proxy."""

    database: Database
    proxy: cutting_proxy.CuttingProxy
    direct: Database
    """The way of others, beside the proxy."""

    @property
    def definitions(self) -> Definitions:
        return _definitions(self.database)

    @property
    def others(self) -> Definitions:
        return _definitions(self.direct)

    def rows(self, table: sa.Table) -> int:
        count = sa.select(sa.func.count()).select_from(table)
        return self.database.read(lambda conn: int(conn.scalar(count) or 0))


def _definitions(database: Database) -> Definitions:
    registry = MagicMock()
    registry.find.return_value = None
    return Definitions(database, Expressions.from_plugins(ExpressionOptions()), registry)


def soon(action: Callable[[], object]) -> Callable[[], None]:
    """What somebody else does as soon as it is possible: the COMMIT may be under way."""

    def work() -> None:
        give_up_at = time.monotonic() + 10
        while True:
            try:
                action()
            except (exc.DBEntityNotFoundError, exc.DBDuplicateEntryError):
                assert time.monotonic() < give_up_at
                time.sleep(0.01)
            else:
                return

    return work


@pytest.fixture(params=["postgresql", "mariadb"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    url = sa.make_url(request.getfixturevalue(f"fresh_{request.param}_url"))
    with cutting_proxy.before(str(url.host), int(url.port or 0)) as proxy:
        database = Database(
            url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        )
        with database.connect() as conn:
            tables.metadata.create_all(conn)
            conn.commit()
        direct = Database(url.render_as_string(hide_password=False))
        yield Place(database, proxy, direct)
        assert proxy.cuts == 1
        database.close()
        direct.close()


@pytest.fixture(params=[True, False], ids=["carried out", "not carried out"])
def carried_out(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_definitions_are_created_once(place: Place, carried_out: bool) -> None:
    definitions = place.definitions
    place.proxy.cut_next_commit(carried_out)
    definitions.create_workflows(WORKFLOW, CTX)
    assert place.rows(tables.workflow_definitions) == 1
    with pytest.raises(exc.DBDuplicateEntryError):
        definitions.create_workflows(WORKFLOW, CTX)


def test_actions_are_created_once(place: Place, carried_out: bool) -> None:
    place.proxy.cut_next_commit(carried_out)
    place.definitions.create_actions(ACTION, CTX)
    assert place.rows(tables.action_definitions) == 1


def test_workbooks_are_created_once(place: Place, carried_out: bool) -> None:
    place.proxy.cut_next_commit(carried_out)
    place.definitions.create_workbook(WORKBOOK, CTX)
    assert place.rows(tables.workbooks) == place.rows(tables.action_definitions) == 1


def test_environments_are_created_and_deleted_once(place: Place, carried_out: bool) -> None:
    definitions = place.definitions
    definitions.create_environment({"name": "e", "variables": {"x": 1}}, CTX)
    place.proxy.cut_next_commit(carried_out)
    definitions.delete_environment("e", CTX)
    assert place.rows(tables.environments) == 0
    with pytest.raises(exc.DBEntityNotFoundError):
        definitions.delete_environment("e", CTX)


def test_somebody_else_took_the_name_meanwhile(place: Place) -> None:
    definitions = place.definitions
    definitions.create_environment({"name": "e"}, CTX)
    place.proxy.cut_next_commit(True)
    definitions.create_environment({"name": "other"}, CTX)
    with pytest.raises(exc.DBDuplicateEntryError):
        definitions.create_environment({"name": "e"}, CTX)


RENAMES: dict[str, tuple[Callable[[Definitions], object], Callable[[Definitions], object]]] = {
    "workflow": (
        lambda found: found.create_workflows(WORKFLOW, CTX),
        lambda found: found.update_workflows(WORKFLOW.replace("w:", "x:"), CTX, identifier="w"),
    ),
    "action": (
        lambda found: found.create_actions(ACTION, CTX),
        lambda found: found.update_actions(ACTION.replace("a:", "x:", 1), CTX, identifier="a"),
    ),
}


@pytest.mark.parametrize("kind", sorted(RENAMES))
def test_definitions_are_renamed_once(place: Place, carried_out: bool, kind: str) -> None:
    create, rename = RENAMES[kind]
    definitions = place.definitions
    create(definitions)
    place.proxy.cut_next_commit(carried_out)
    rename(definitions)
    find = definitions.find_workflow if kind == "workflow" else definitions.find_action
    assert find("x", "", CTX)["updated_at"] is not None
    with pytest.raises(exc.DBEntityNotFoundError):
        rename(definitions)


WRITES: dict[str, tuple[Callable[[Definitions], object], ...]] = {
    "workflows": (
        lambda found: found.create_workflows(WORKFLOW, CTX),
        lambda found: found.update_workflows(WORKFLOW, CTX, scope="public"),
        lambda found: found.delete_workflow("w", "", CTX),
    ),
    "actions": (
        lambda found: found.create_actions(ACTION, CTX),
        lambda found: found.update_actions(ACTION, CTX, scope="public"),
        lambda found: found.delete_action("a", "", CTX),
    ),
    "workbooks": (
        lambda found: found.create_workbook(WORKBOOK, CTX),
        lambda found: found.update_workbook(WORKBOOK, CTX, scope="public"),
        lambda found: found.delete_workbook("b", "", CTX),
    ),
    "environments": (
        lambda found: found.create_environment({"name": "e"}, CTX),
        lambda found: found.update_environment({"name": "e", "scope": "public"}, CTX),
        lambda found: found.delete_environment("e", CTX),
    ),
}


@pytest.mark.parametrize("kind", sorted(WRITES))
def test_what_was_created_and_deleted_by_others_is_not_created_again(
    place: Place, kind: str
) -> None:
    create, _, delete = WRITES[kind]
    place.proxy.cut_next_commit(True, soon(lambda: delete(place.others)))
    create(place.definitions)
    with pytest.raises(exc.DBEntityNotFoundError):
        delete(place.definitions)


@pytest.mark.parametrize("kind", sorted(WRITES))
def test_what_was_changed_and_deleted_by_others_was_changed(place: Place, kind: str) -> None:
    create, change, delete = WRITES[kind]
    create(place.definitions)

    def delete_what_is_changed() -> None:
        change(place.others)
        delete(place.others)

    place.proxy.cut_next_commit(True, delete_what_is_changed)
    change(place.definitions)


@pytest.mark.parametrize("kind", ["environments"])
def test_what_was_deleted_and_created_by_others_stays(place: Place, kind: str) -> None:
    create, change, delete = WRITES[kind]
    create(place.definitions)
    place.proxy.cut_next_commit(True, soon(lambda: create(place.others)))
    delete(place.definitions)
    change(place.definitions)


@pytest.mark.parametrize("kind", ["environments"])
def test_what_others_deleted_while_nothing_was_stored_is_missing(place: Place, kind: str) -> None:
    create, change, delete = WRITES[kind]
    create(place.definitions)
    place.proxy.cut_next_commit(False, soon(lambda: delete(place.others)))
    with pytest.raises(exc.DBEntityNotFoundError):
        change(place.definitions)


def test_what_others_resumed_meanwhile_is_not_paused_again(place: Place) -> None:
    def resume() -> None:
        while maintenance.change(place.direct, "RUNNING", clock.utc_now()).resuming is False:
            time.sleep(0.01)

    place.proxy.cut_next_commit(True, resume)
    asked = maintenance.change(place.database, "PAUSED", clock.utc_now())
    assert asked.status == "PAUSING"
    assert place.direct.read(maintenance.read).status == "RUNNING"


def test_an_execution_is_deleted_whatever_became_of_a_commit(
    place: Place, carried_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "_BATCH", 2)
    now = clock.utc_now()
    common = {"workflow_name": "w", "spec_hash": "none", "state": states.ERROR, "created_at": now}
    executions = [
        WorkflowExecution(id="w", **common),
        WorkflowExecution(id="c", parent_execution_id="w", root_execution_id="w", **common),
    ]
    tasks = [
        TaskExecution(id=str(n), name="t", workflow_execution_id="w", created_at=now)
        for n in range(5)
    ]
    place.database.write(lambda conn: entity_rows.insert(conn, executions))
    place.database.write(lambda conn: entity_rows.insert(conn, tasks))
    place.proxy.cut_next_commit(carried_out)
    assert deletion.begin(place.database, "w")
    Housekeeping(Storage(place.database)).look()
    assert place.rows(tables.deletions) == 1
    monkeypatch.setattr(housekeeping, "utc_now", lambda: now + 2 * deletion.LEASE)
    Housekeeping(Storage(place.database)).look()
    assert place.rows(tables.workflow_executions) == place.rows(tables.task_executions) == 0
    assert place.rows(tables.deletions) == 0


def test_a_delivered_result_is_taken_once(place: Place, carried_out: bool) -> None:
    now = clock.utc_now()
    action_ex = ActionExecution(id=ids.new_id(), name="a", state=states.RUNNING, created_at=now)
    place.database.write(lambda conn: entity_rows.insert(conn, [action_ex]))
    outcome = results.Outcome(states.SUCCESS, "x")
    place.proxy.cut_next_commit(carried_out)
    delivery = place.database.write(
        lambda conn: ActionExecutions(conn).deliver(action_ex.id, outcome, clock.utc_now())
    )
    assert delivery.accepted or delivery.repeated


def test_a_claim_is_granted_whatever_became_of_it(place: Place, carried_out: bool) -> None:
    now = clock.utc_now()
    action_ex = ActionExecution(id=ids.new_id(), name="a", state=states.RUNNING, created_at=now)
    place.database.write(lambda conn: entity_rows.insert(conn, [action_ex]))
    place.proxy.cut_next_commit(carried_out)
    claims = [(action_ex.id, 0)]
    work = lambda conn: ActionExecutions(conn).claim("executor", claims, now, now)  # noqa: E731
    assert place.database.write(work) == [action_ex.id]
    assert (
        place.database.write(lambda conn: ActionExecutions(conn).claim("other", claims, now, now))
        == []
    )


@pytest.fixture
def engine(place: Place) -> Iterator[DefaultEngine]:
    queue = MagicMock(spec=ActionQueue)
    queue.options = SendOptions()
    catalog = Catalog(Expressions.from_plugins(ExpressionOptions()), MagicMock())
    engine = DefaultEngine(Storage(place.database), catalog, queue)
    engine._mailboxes.start()
    yield engine
    engine._mailboxes.stop()


@pytest.fixture
def failed(place: Place) -> str:
    """An execution in ERROR."""
    wf_ex = WorkflowExecution(
        id=ids.new_id(),
        workflow_name="w",
        spec_hash="none",
        state=states.ERROR,
        created_at=clock.utc_now(),
    )
    place.database.write(lambda conn: entity_rows.insert(conn, [wf_ex]))
    return wf_ex.id


def run(unit: UnitOfWork) -> list[Command]:
    """As a rerun: refused when the execution runs."""
    if unit.wf_ex.description:
        raise exc.WorkflowException("It runs already.")
    unit.wf_ex.description = "runs"
    return []


def describe(database: Database, execution_id: str, description: str) -> None:
    """Somebody else changes an execution."""

    def work(conn: sa.Connection) -> None:
        wf_ex = Store(conn).lock_execution(execution_id)
        assert wf_ex is not None
        wf_ex.description, wf_ex.version = description, wf_ex.version + 1
        entity_rows.update(conn, [wf_ex])

    database.write(work)


def test_an_operators_command_is_carried_out_once(
    place: Place, engine: DefaultEngine, failed: str, carried_out: bool
) -> None:
    """A rerun, say, is refused when the task runs: that must not be told of the first one."""
    place.proxy.cut_next_commit(carried_out)
    assert engine._command(failed, run, None)["description"] == "runs"
    with pytest.raises(exc.WorkflowException):
        engine._command(failed, run, None)
    assert engine._command(failed, lambda unit: [], None)["version"] == 2


def test_a_command_that_others_forestalled_is_refused(
    place: Place, engine: DefaultEngine, failed: str
) -> None:
    place.proxy.cut_next_commit(False, lambda: describe(place.direct, failed, "runs, of others"))
    with pytest.raises(exc.WorkflowException):
        engine._command(failed, run, None)


def test_a_command_that_others_undid_is_not_carried_out_again(
    place: Place, engine: DefaultEngine, failed: str
) -> None:
    place.proxy.cut_next_commit(True, lambda: describe(place.direct, failed, ""))
    assert engine._command(failed, run, None)["description"] == "runs"
    found = place.direct.read(lambda conn: Store(conn).execution(failed))
    assert found is not None and not found.description
