"""Repositories of definitions: who sees what, which of several rows is meant, what is written."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.context import RequestContext
from mistral.db import definitions as store
from mistral.db.core.database import Database
from mistral.db.core.named_objects import Row
from mistral.utils import ids

NOW = dt.datetime(2024, 5, 6, 7, 8, 9, 123456)
LATER = NOW + dt.timedelta(hours=1)

ME = RequestContext(project_id="mine")
OTHER = RequestContext(project_id="other")
ADMIN = RequestContext(project_id="admins", is_admin=True)


def workflow(name: str = "wf", project: str = "mine", **values: Any) -> Row:
    return {
        "id": ids.new_id(),
        "name": name,
        "scope": "private",
        "project_id": project,
        "created_at": NOW,
        "namespace": "",
        "definition": "text",
        "spec_hash": "0" * 64,
        "input": "",
        **values,
    }


def insert(database: Database, *rows: Row) -> None:
    for row in rows:
        database.write(lambda conn, row=row: store.workflows.insert(conn, [row]))


def found_id(database: Database, identifier: str, ctx: RequestContext, namespace: str = "") -> Any:
    row = database.read(lambda conn: store.workflows.find(conn, identifier, ctx, namespace))
    return row and row["id"]


def test_what_is_stored_comes_back(database: Database) -> None:
    row = workflow(tags=["a"], interface={"input": ["a", {"b": 1}], "output": []})
    insert(database, row)
    found = database.read(lambda conn: store.workflows.get(conn, "wf", ME))
    assert found | row == found
    assert found["updated_at"] is None
    assert found["is_system"] is False


def test_private_rows_are_seen_by_their_project_and_admins(database: Database) -> None:
    row = workflow()
    insert(database, row)
    assert found_id(database, "wf", ME) == row["id"]
    assert found_id(database, row["id"], ME) == row["id"]
    assert found_id(database, "wf", OTHER) is None
    assert found_id(database, row["id"], OTHER) is None
    assert found_id(database, "wf", ADMIN) == row["id"]


def test_public_rows_are_seen_by_all(database: Database) -> None:
    row = workflow(scope="public")
    insert(database, row)
    assert found_id(database, "wf", OTHER) == row["id"]


def test_the_nearest_of_equal_names_is_meant(database: Database) -> None:
    foreign = workflow(project="x", created_at=NOW - dt.timedelta(days=1))
    older = workflow(project="y", scope="public")
    public = workflow(project="z", scope="public", created_at=LATER)
    insert(database, public, foreign, older)
    assert found_id(database, "wf", ME) == older["id"]
    assert found_id(database, "wf", ADMIN) == older["id"]
    own = workflow(created_at=LATER)
    insert(database, own)
    assert found_id(database, "wf", ME) == own["id"]


def test_names_belong_to_a_namespace_identifiers_do_not(database: Database) -> None:
    row = workflow(namespace="ns")
    insert(database, row)
    assert found_id(database, "wf", ME) is None
    assert found_id(database, "wf", ME, "ns") == row["id"]
    assert found_id(database, row["id"], ME, "elsewhere") == row["id"]


def test_a_missing_row_is_named(database: Database) -> None:
    with pytest.raises(exc.DBEntityNotFoundError, match=r"identifier=nope, namespace=ns"):
        database.read(lambda conn: store.workflows.get(conn, "nope", ME, "ns"))


def test_names_are_unique_per_namespace_and_project(database: Database) -> None:
    insert(database, workflow(), workflow(namespace="ns"), workflow(project="other"))
    with pytest.raises(exc.DBDuplicateEntryError, match="Workflow 'wf' already exists"):
        insert(database, workflow())


def test_a_duplicate_takes_its_whole_transaction_back(database: Database) -> None:
    insert(database, workflow("b"))
    with pytest.raises(exc.DBDuplicateEntryError, match=r"one of \[a, b\]"):
        database.write(lambda c: store.workflows.insert(c, [workflow("a"), workflow("b")]))
    assert found_id(database, "a", ME) is None


def test_update_writes_what_differs(database: Database) -> None:
    insert(database, workflow())

    def update(**values: Any) -> Row:
        return database.write(
            lambda conn: store.workflows.update(
                conn, store.workflows.get(conn, "wf", ME, lock=True), values, LATER
            )
        )

    assert update(definition="text", scope="private")["updated_at"] is None
    changed = update(definition="new")
    assert (changed["definition"], changed["updated_at"]) == ("new", LATER)
    assert database.read(lambda conn: store.workflows.get(conn, "wf", ME)) == changed


def test_renaming_to_a_name_that_is_taken(database: Database) -> None:
    insert(database, workflow("a"), workflow("b"))
    with pytest.raises(exc.DBDuplicateEntryError, match="'a' already exists"):
        database.write(
            lambda conn: store.workflows.update(
                conn, store.workflows.get(conn, "b", ME), {"name": "a"}, LATER
            )
        )


def test_specs_are_stored_once_with_their_order(database: Database) -> None:
    spec = store.StoredSpec.of("wf", {"tasks": {"z": {"action": "a"}, "a": {"action": "b"}}})
    other_order = store.StoredSpec.of("wf", {"tasks": {"a": {"action": "b"}, "z": {"action": "a"}}})
    assert spec.hash != other_order.hash
    assert spec.hash != store.StoredSpec.of("other", {"tasks": {}}).hash
    for _ in range(2):
        database.write(lambda conn: store.store_specs(conn, [spec, other_order, spec]))
    raw = database.read(lambda conn: store.load_spec(conn, spec.hash))
    assert raw["name"] == "wf"
    assert list(raw["tasks"]) == ["z", "a"]


def test_an_unknown_spec(database: Database) -> None:
    with pytest.raises(exc.DBEntityNotFoundError, match="hash=abc"):
        database.read(lambda conn: store.load_spec(conn, "abc"))


@pytest.mark.parametrize(
    ("names", "namespaces", "expected"),
    [
        (["wb.wf", "wf"], ["ns", ""], "local default"),
        (["wf"], ["ns", ""], "global ns"),
        (["wf"], [""], "public default"),
        (["wf"], ["elsewhere"], None),
        (["hidden"], [""], None),
    ],
)
def test_how_the_engine_finds_workflows(
    database: Database, names: list[str], namespaces: list[str], expected: str | None
) -> None:
    rows = {
        "local default": workflow("wb.wf", workbook_name="wb"),
        "global ns": workflow("wf", namespace="ns"),
        "public default": workflow("wf", project="other", scope="public"),
        "hidden": workflow("hidden", project="other"),
    }
    insert(database, *rows.values())
    found = database.read(lambda c: store.find_workflow_spec(c, names, namespaces, "mine"))
    assert (found and found.id) == (rows[expected]["id"] if expected else None)


def test_own_workflows_win_over_public_ones(database: Database) -> None:
    own = workflow(created_at=LATER, spec_hash="1" * 64)
    insert(database, workflow(project="other", scope="public"), own)
    found = database.read(lambda c: store.find_workflow_spec(c, ["wf"], [""], "mine"))
    assert found == store.FoundWorkflow(own["id"], "wf", "", "mine", "1" * 64, None)


def action(name: str, namespace: str = "", **values: Any) -> Row:
    row = workflow(name, namespace=namespace, **values)
    del row["spec_hash"]
    return row | {"spec": {"base": "std.echo", "name": name}}


def test_how_the_engine_finds_actions(database: Database) -> None:
    rows = [action("a"), action("a", "ns"), action("b", project="other", scope="public")]
    database.write(lambda conn: store.actions.insert(conn, rows))

    def find(name: str, *namespaces: str) -> store.FoundAction | None:
        return database.read(
            lambda conn: store.find_action_definition(conn, [name], namespaces, "mine")
        )

    found = find("a", "ns", "")
    assert found is not None
    assert (found.id, found.spec) == (rows[1]["id"], {"base": "std.echo", "name": "a"})
    default = find("a", "x", "")
    assert default is not None and default.id == rows[0]["id"]
    assert find("c", "") is None

    def names(namespace: str | None) -> list[str]:
        return database.read(
            lambda conn: [a.id for a in store.list_action_definitions(conn, namespace, "mine")]
        )

    assert names("") == [rows[0]["id"], rows[2]["id"]]
    assert len(names(None)) == 3


def test_how_the_engine_finds_environments(database: Database) -> None:
    def env(project: str, scope: str, value: int) -> Row:
        return {
            "id": ids.new_id(),
            "name": "env",
            "project_id": project,
            "scope": scope,
            "created_at": NOW,
            "variables": {"a": value},
        }

    def find(project: str) -> dict[str, Any] | None:
        return database.read(lambda conn: store.find_environment(conn, "env", project))

    database.write(lambda conn: store.environments.insert(conn, [env("other", "private", 1)]))
    assert find("mine") is None
    database.write(lambda conn: store.environments.insert(conn, [env("third", "public", 2)]))
    assert find("mine") == {"a": 2}
    database.write(lambda conn: store.environments.insert(conn, [env("mine", "private", 3)]))
    assert find("mine") == {"a": 3}
