"""Ad-hoc actions (doc:rest/actions, doc:language/adhoc_actions); how the engine finds them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mistral import exceptions as exc
from mistral.context import RequestContext
from mistral.db import definitions as store
from mistral.db.core.database import Database
from mistral.db.storage import DefinitionRows
from mistral.definitions import Definitions
from mistral.definitions.adhoc import AdHocCache, DefinedActions

ME = RequestContext(project_id="mine")
OTHER = RequestContext(project_id="other")

TEXT = """---
version: '2.0'
act1:
  description: says something
  tags: [a]
  base: std.echo output=<% $.x %>
  input:
    - x
    - y: 5
    - z: abc
act2:
  base: std.noop
"""
ONE = "version: '2.0'\nact1:\n  base: std.noop\n"


def test_create(definitions: Definitions) -> None:
    rows = definitions.create_actions(TEXT, ME, "public", "ns")
    assert [row["name"] for row in rows] == ["act1", "act2"]
    assert [row["definition"] for row in rows] == [TEXT, TEXT]
    assert rows[0]["input"] == 'x, y=5, z="abc"'
    assert rows[0]["description"] == "says something"
    assert rows[0]["tags"] == ["a"]
    assert (rows[0]["scope"], rows[0]["namespace"]) == ("public", "ns")
    assert definitions.find_action("act1", "ns", ME) == rows[0]
    assert definitions.find_action(rows[1]["id"], "", ME) == rows[1]
    with pytest.raises(exc.DBEntityNotFoundError, match="act1"):
        definitions.find_action("act1", "", ME)


def test_what_a_namespace_lacks_is_that_of_the_default_one(definitions: Definitions) -> None:
    definitions.create_actions(ONE, ME)
    assert definitions.find_action("act1", "ns", ME)["namespace"] == ""
    definitions.create_actions(ONE, ME, namespace="ns")
    assert definitions.find_action("act1", "ns", ME)["namespace"] == "ns"


def test_a_row_that_somebody_else_has_deleted_is_not_found(
    definitions: Definitions, database: Database
) -> None:
    (row,) = definitions.create_actions(ONE, ME)
    database.write(lambda conn: store.actions.delete(conn, row))
    with pytest.raises(exc.DBEntityNotFoundError, match="act1"):
        database.write(lambda conn: store.actions.delete(conn, row))


def test_names_that_are_taken(definitions: Definitions) -> None:
    definitions.create_actions(ONE, ME)
    with pytest.raises(exc.DBDuplicateEntryError, match="act1"):
        definitions.create_actions(TEXT, ME)
    with pytest.raises(exc.DBDuplicateEntryError, match=r"std\.echo"):
        definitions.create_actions(ONE.replace("act1", "std.echo"), ME)
    with pytest.raises(exc.DBEntityNotFoundError):
        definitions.find_action("act2", "", ME)


def test_plugins_are_not_changed(definitions: Definitions) -> None:
    (row,) = definitions.create_actions(ONE, ME)
    text = ONE.replace("act1", "std.echo")
    for attempt in (
        lambda: definitions.update_actions(text, ME),
        lambda: definitions.update_actions(text, ME, identifier=row["id"]),
        lambda: definitions.update_actions(ONE, ME, identifier="std.echo"),
        lambda: definitions.delete_action("std.echo", "ns", ME),
    ):
        with pytest.raises(exc.InvalidActionException, match=r"system action: std\.echo"):
            attempt()


def test_update(definitions: Definitions) -> None:
    (row,) = definitions.create_actions(ONE, ME, "public")
    assert definitions.update_actions(ONE, ME, "public") == [row]
    text = ONE.replace("std.noop", "std.fail")
    (changed,) = definitions.update_actions(text, ME, identifier=row["id"])
    assert (changed["id"], changed["definition"]) == (row["id"], text)
    assert changed["scope"] == "private"
    assert changed["updated_at"] is not None
    with pytest.raises(exc.InvalidModelException, match="More than one"):
        definitions.update_actions(TEXT, ME, identifier="act1")
    with pytest.raises(exc.DBEntityNotFoundError, match="act2"):
        definitions.update_actions(TEXT, ME)


def test_changes_fall_back_to_the_default_namespace(definitions: Definitions) -> None:
    definitions.create_actions(ONE, ME)
    (row,) = definitions.update_actions(ONE, ME, "public", "ns")
    assert (row["namespace"], row["scope"]) == ("", "public")
    definitions.delete_action("act1", "ns", ME)
    with pytest.raises(exc.DBEntityNotFoundError, match=r"act1.*ns"):
        definitions.delete_action("act1", "ns", ME)


def test_foreign_actions(definitions: Definitions) -> None:
    definitions.create_actions(ONE, OTHER)
    with pytest.raises(exc.DBEntityNotFoundError):
        definitions.delete_action("act1", "", ME)
    definitions.update_actions(ONE, OTHER, "public")
    with pytest.raises(exc.NotAllowedException):
        definitions.delete_action("act1", "", ME)
    with pytest.raises(exc.NotAllowedException):
        definitions.update_actions(ONE, ME)


def test_validate(definitions: Definitions) -> None:
    assert definitions.validate_actions(TEXT) == (True, None)
    valid, error = definitions.validate_actions("version: '2.0'\na: {}")
    assert (valid, bool(error)) == (False, True)


def test_what_no_database_can_keep(definitions: Definitions) -> None:
    with pytest.raises(exc.InvalidModelException, match="NUL"):
        definitions.create_actions(ONE + '  description: "a\\0"\n', ME)


def test_descriptors_for_the_engine(definitions: Definitions, database: Database) -> None:
    definitions.create_actions(TEXT, ME)
    cache = AdHocCache(10)

    def find(name: str, namespace: str = "", project: str = "mine") -> object | None:
        return database.read(
            lambda conn: DefinedActions(DefinitionRows(conn), project, cache).find(name, namespace)
        )

    descriptor = find("act1")
    assert descriptor is not None
    assert descriptor.name == "act1"
    assert descriptor.spec.base == "std.echo"
    assert descriptor.params_spec.startswith("x, y=5")
    assert find("act1") is descriptor
    assert find("act1", "ns") is None
    assert find("act1", project="other") is None
    definitions.update_actions(ONE, ME)
    changed = find("act1")
    assert changed is not None and changed.spec.base == "std.noop"
    everything = database.read(
        lambda conn: DefinedActions(DefinitionRows(conn), "mine", cache).find_all(None)
    )
    assert [one.name for one in everything] == ["act1", "act2"]


def test_each_action_keeps_the_whole_text(definitions: Definitions) -> None:
    many = "".join(f"act{n}: {{base: std.noop}}\n" for n in range(2000))
    with pytest.raises(exc.InvalidModelException, match="several documents"):
        definitions.create_actions(f"version: '2.0'\n{many}", ME)


def test_limits_of_documents_are_options(make_definitions: Callable[..., Definitions]) -> None:
    for limit, number in (("max_length", 50), ("max_copied_length", 2 * len(TEXT) - 1)):
        definitions = make_definitions(**{limit: number})
        with pytest.raises(exc.InvalidModelException, match=rf"\[definitions\] {limit} = {number}"):
            definitions.create_actions(TEXT, ME)
        definitions.create_actions(ONE, ME)
        definitions.delete_action("act1", "", ME)
    rows = make_definitions(max_copied_length=2 * len(TEXT)).create_actions(TEXT, ME)
    assert len(rows) == 2
