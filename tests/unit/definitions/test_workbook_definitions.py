"""Workbooks and their members (doc:rest/workbooks, doc:language/documents#workbooks)."""

from __future__ import annotations

from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.context import RequestContext
from mistral.definitions import Definitions

ME = RequestContext(project_id="mine")
OTHER = RequestContext(project_id="other")
ADMIN = RequestContext(project_id="admins", is_admin=True)

BOOK = """---
version: '2.0'
name: book
tags: [t]
workflows:
  wf:
    # of this workflow
    tasks:
      t:
        action: act
actions:
  act:
    base: std.echo
    base-input:
      output: <% $.x %>
    input: [x, y: 1]
"""
WITHOUT_ACTIONS = BOOK[: BOOK.index("actions:")]


def member(definitions: Definitions, name: str = "book.wf", namespace: str = "") -> dict[str, Any]:
    return definitions.find_workflow(name, namespace, ME)


def test_create(definitions: Definitions) -> None:
    row = definitions.create_workbook(BOOK, ME, "public", "ns")
    assert (row["name"], row["namespace"], row["scope"]) == ("book", "ns", "public")
    assert (row["definition"], row["tags"]) == (BOOK, ["t"])
    assert definitions.find_workbook("book", "ns", ME) == row
    workflow = member(definitions, namespace="ns")
    assert workflow["workbook_name"] == "book"
    assert workflow["checksum"] is None
    assert workflow["scope"] == "public"
    assert "# of this workflow" in workflow["definition"]
    assert "actions" not in workflow["definition"]
    action = definitions.find_action("book.act", "ns", ME)
    assert action["workbook_name"] == "book"
    assert action["input"] == "x, y=1"
    assert action["definition"].lstrip().startswith("act:")


def test_by_name_only(definitions: Definitions) -> None:
    row = definitions.create_workbook(BOOK, ME)
    with pytest.raises(exc.DBEntityNotFoundError, match=row["id"]):
        definitions.find_workbook(row["id"], "", ME)
    with pytest.raises(exc.DBEntityNotFoundError, match="namespace=ns"):
        definitions.find_workbook("book", "ns", ME)


def test_create_takes_over_what_has_its_members_names(definitions: Definitions) -> None:
    text = "version: '2.0'\nbook.wf:\n  tasks: {t: {action: std.noop}}\n"
    (old,) = definitions.create_workflows(text, ME)
    definitions.create_workbook(BOOK, ME)
    new = member(definitions)
    assert new["id"] == old["id"]
    assert new["workbook_name"] == "book"
    assert new["updated_at"] is not None


def test_a_taken_name(definitions: Definitions) -> None:
    definitions.create_workbook(BOOK, ME)
    with pytest.raises(exc.DBDuplicateEntryError, match="Workbook 'book' already exists"):
        definitions.create_workbook(BOOK, ME)
    definitions.create_workbook(BOOK, OTHER)


def test_update(definitions: Definitions) -> None:
    with pytest.raises(exc.DBEntityNotFoundError, match="book"):
        definitions.update_workbook(BOOK, ME)
    created = definitions.create_workbook(WITHOUT_ACTIONS, ME, "public")
    first = member(definitions)
    assert definitions.update_workbook(WITHOUT_ACTIONS, ME, "public") == created
    assert member(definitions) == first
    changed = definitions.update_workbook(BOOK.replace("wf:", "wf2:"), ME)
    assert changed["scope"] == "private"
    assert changed["updated_at"] is not None
    # members that are no longer in the text stay as they are
    assert member(definitions) == first
    assert member(definitions, "book.wf2")["scope"] == "private"
    assert definitions.find_action("book.act", "", ME)


def test_members_belong_to_the_owner_of_the_workbook(definitions: Definitions) -> None:
    definitions.create_workbook(WITHOUT_ACTIONS, ME)
    definitions.update_workbook(BOOK, ADMIN)
    assert definitions.find_action("book.act", "", ME)["project_id"] == "mine"


def test_an_invalid_member_refuses_the_workbook(definitions: Definitions) -> None:
    bad = BOOK.replace("action: act", "acting: act")
    with pytest.raises(exc.InvalidModelException):
        definitions.create_workbook(bad, ME)
    assert definitions.validate_workbook(bad)[0] is False
    assert definitions.validate_workbook(BOOK) == (True, None)
    with pytest.raises(exc.DBEntityNotFoundError):
        member(definitions)


def test_a_member_can_not_replace_a_plugin(definitions: Definitions) -> None:
    text = BOOK.replace("  act:", "  builtin:")
    with pytest.raises(exc.DBDuplicateEntryError, match=r"book\.builtin"):
        definitions.create_workbook(text, ME)
    definitions.create_workbook(BOOK, ME)
    with pytest.raises(exc.InvalidActionException, match=r"book\.builtin"):
        definitions.update_workbook(text, ME)
    assert definitions.validate_workbook(text) == (True, None)


def test_foreign_workbooks(definitions: Definitions) -> None:
    definitions.create_workbook(BOOK, OTHER, "public")
    assert definitions.find_workbook("book", "", ME)["project_id"] == "other"
    with pytest.raises(exc.NotAllowedException):
        definitions.update_workbook(BOOK, ME)
    with pytest.raises(exc.NotAllowedException):
        definitions.delete_workbook("book", "", ME)


def test_delete_leaves_the_members(definitions: Definitions) -> None:
    definitions.create_workbook(BOOK, ME)
    definitions.delete_workbook("book", "", ME)
    with pytest.raises(exc.DBEntityNotFoundError):
        definitions.find_workbook("book", "", ME)
    assert member(definitions)
    assert definitions.find_action("book.act", "", ME)
