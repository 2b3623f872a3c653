"""Workflow definitions (doc:rest/workflows, doc:language/documents)."""

from __future__ import annotations

import hashlib

import pytest

from mistral import exceptions as exc
from mistral.context import RequestContext
from mistral.db import definitions as store
from mistral.db.core import tables
from mistral.db.core.database import Database
from mistral.definitions import Definitions
from mistral.definitions.specs import SpecCache

ME = RequestContext(project_id="mine")
OTHER = RequestContext(project_id="other")
ADMIN = RequestContext(project_id="admins", is_admin=True)

ONE = """---
version: '2.0'
# comments are kept
wf:
  tags: [a, b]
  input:
    - x
    - y: 3
  output:
    result: <% $.x %>
  tasks:
    z_first:
      action: std.noop
    a_second:
      action: std.noop
"""
TWO = """
version: '2.0'
wf1:
  tasks: {t: {action: std.noop}}
wf2:
  tasks: {t: {action: std.noop}}
"""
BAD = "version: '2.0'\nwf:\n  tasks:\n    t: {action: std.noop, on-success: [nowhere]}\n"


def names_stored(database: Database) -> list[str]:
    statement = tables.workflow_definitions.select()
    return sorted(row.name for row in database.read(lambda c: c.execute(statement).all()))


def test_create(definitions: Definitions) -> None:
    (row,) = definitions.create_workflows(ONE, ME, "private", "ns")
    assert row["name"] == "wf"
    assert row["namespace"] == "ns"
    assert row["project_id"] == "mine"
    assert row["scope"] == "private"
    assert row["definition"] == ONE
    assert row["checksum"] == hashlib.md5(ONE.encode()).hexdigest()
    assert row["input"] == 'x, y="3"'
    assert row["interface"] == {"input": ["x", {"y": 3}], "output": ["result"]}
    assert row["tags"] == ["a", "b"]
    assert row["updated_at"] is None
    assert definitions.find_workflow("wf", "ns", ME) == row
    assert definitions.find_workflow(row["id"], "", ME) == row


def test_each_workflow_of_a_document_has_its_own_text(definitions: Definitions) -> None:
    rows = definitions.create_workflows(TWO, ME)
    assert [row["name"] for row in rows] == ["wf1", "wf2"]
    assert "wf2" not in rows[0]["definition"]
    assert rows[0]["tags"] == []
    assert rows[0]["input"] == ""
    assert rows[0]["interface"] == {"input": [], "output": []}


def test_executions_get_the_specification_as_written(
    definitions: Definitions, database: Database
) -> None:
    (row,) = definitions.create_workflows(ONE, ME)
    cache = SpecCache(10)
    spec = database.read(
        lambda conn: cache.get(row["spec_hash"], lambda h: store.load_spec(conn, h))
    )
    assert spec.name == "wf"
    assert list(spec.tasks) == ["z_first", "a_second"]
    assert [param.name for param in spec.input] == ["x", "y"]


def test_nothing_is_stored_when_one_name_is_taken(
    definitions: Definitions, database: Database
) -> None:
    definitions.create_workflows(TWO.replace("wf1", "wf0"), ME)
    with pytest.raises(exc.DBDuplicateEntryError):
        definitions.create_workflows(TWO, ME)
    assert names_stored(database) == ["wf0", "wf2"]
    definitions.create_workflows(TWO, OTHER)
    definitions.create_workflows(TWO, ME, namespace="ns")


@pytest.mark.parametrize(
    ("text", "scope", "namespace"),
    [
        (BAD, "private", ""),
        ("", "private", ""),
        ("version: '2.0'", "private", ""),
        ("version: '2.0'\na b:\n  tasks: {t: {action: x}}", "private", ""),
        ('version: "2.0"\n"a\\0b":\n  tasks: {t: {action: x}}', "private", ""),
        (ONE, "secret", ""),
        (ONE, "private", "n" * 256),
        (ONE, "private", "\0"),
    ],
)
def test_bad_requests_store_nothing(
    definitions: Definitions, database: Database, text: str, scope: str, namespace: str
) -> None:
    with pytest.raises(exc.InvalidModelException):
        definitions.create_workflows(text, ME, scope, namespace)
    assert names_stored(database) == []


def test_validation_can_be_skipped(definitions: Definitions) -> None:
    assert definitions.create_workflows(BAD, ME, validate=False)


def test_validate(definitions: Definitions) -> None:
    assert definitions.validate_workflows(ONE) == (True, None)
    valid, error = definitions.validate_workflows(BAD)
    assert not valid
    assert error is not None and "nowhere" in error


def test_update_replaces(definitions: Definitions, database: Database) -> None:
    (before,) = definitions.create_workflows(ONE, ME, "public")
    text = "version: '2.0'\nwf:\n  tasks: {t: {action: std.noop}}\n"
    (after,) = definitions.update_workflows(text, ME)
    assert after["id"] == before["id"]
    assert after["created_at"] == before["created_at"]
    assert after["updated_at"] > before["created_at"]
    assert after["scope"] == "private"
    assert after["definition"] == text
    assert (after["tags"], after["input"]) == ([], "")
    assert after["spec_hash"] != before["spec_hash"]
    assert definitions.find_workflow("wf", "", ME) == after
    # what runs keeps the specification it started with
    raw = database.read(lambda conn: store.load_spec(conn, before["spec_hash"]))
    assert "z_first" in raw["tasks"]


def test_an_update_without_a_difference(definitions: Definitions) -> None:
    created = definitions.create_workflows(TWO, ME, "public", "ns")
    assert definitions.update_workflows(TWO, ME, "public", "ns") == created


def test_update_needs_all_of_them(definitions: Definitions) -> None:
    definitions.create_workflows(TWO, ME)
    text = TWO.replace("wf1", "wf0")
    with pytest.raises(exc.DBEntityNotFoundError, match="wf0"):
        definitions.update_workflows(text, ME, "public")
    assert definitions.find_workflow("wf2", "", ME)["scope"] == "private"
    with pytest.raises(exc.DBEntityNotFoundError, match="namespace=ns"):
        definitions.update_workflows(TWO, ME, namespace="ns")


def test_update_by_identifier_renames_and_keeps_the_namespace(definitions: Definitions) -> None:
    (row,) = definitions.create_workflows(ONE, ME, namespace="ns")
    (renamed,) = definitions.update_workflows(
        ONE.replace("wf:", "other:"), ME, identifier=row["id"]
    )
    assert (renamed["id"], renamed["name"], renamed["namespace"]) == (row["id"], "other", "ns")
    (again,) = definitions.update_workflows(ONE, ME, namespace="ns", identifier="other")
    assert (again["id"], again["name"]) == (row["id"], "wf")


def test_update_by_identifier_takes_one_workflow(definitions: Definitions) -> None:
    rows = definitions.create_workflows(TWO, ME)
    with pytest.raises(exc.InvalidModelException, match="More than one"):
        definitions.update_workflows(TWO, ME, identifier=rows[0]["id"])
    with pytest.raises(exc.DBDuplicateEntryError, match="wf2"):
        definitions.update_workflows(ONE.replace("wf:", "wf2:"), ME, identifier=rows[0]["id"])


def test_foreign_workflows(definitions: Definitions) -> None:
    definitions.create_workflows(ONE, OTHER)
    for attempt in (definitions.find_workflow, definitions.delete_workflow):
        with pytest.raises(exc.DBEntityNotFoundError, match="wf"):
            attempt("wf", "", ME)
    with pytest.raises(exc.DBEntityNotFoundError):
        definitions.update_workflows(ONE, ME)
    definitions.update_workflows(ONE, OTHER, "public")
    assert definitions.find_workflow("wf", "", ME)["project_id"] == "other"
    with pytest.raises(exc.NotAllowedException):
        definitions.update_workflows(ONE, ME)
    with pytest.raises(exc.NotAllowedException):
        definitions.delete_workflow("wf", "", ME)
    definitions.update_workflows(ONE, ADMIN, "public")
    definitions.delete_workflow("wf", "", ADMIN)


def test_system_workflows(definitions: Definitions, database: Database) -> None:
    definitions.create_workflows(ONE, ME)
    database.write(lambda c: c.execute(tables.workflow_definitions.update().values(is_system=True)))
    for attempt in (
        lambda: definitions.update_workflows(ONE, ME),
        lambda: definitions.delete_workflow("wf", "", ME),
    ):
        with pytest.raises(exc.InvalidModelException, match="system workflow"):
            attempt()
    definitions.delete_workflow("wf", "", ADMIN)


def test_delete(definitions: Definitions) -> None:
    (row,) = definitions.create_workflows(ONE, ME)
    definitions.create_workflows(ONE, ME, namespace="ns")
    definitions.delete_workflow("wf", "ns", ME)
    definitions.delete_workflow(row["id"], "ignored", ME)
    with pytest.raises(exc.DBEntityNotFoundError):
        definitions.find_workflow("wf", "", ME)
