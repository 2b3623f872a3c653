"""Environments (doc:rest/environments)."""

from __future__ import annotations

from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.context import RequestContext
from mistral.definitions import Definitions

ME = RequestContext(project_id="mine")
OTHER = RequestContext(project_id="other")

FULL = {
    "name": "env",
    "description": "text",
    "variables": {"a": 1, "b": {"c": "<% $.x %>"}},
    "scope": "public",
}


def test_create(definitions: Definitions) -> None:
    row = definitions.create_environment(FULL, ME)
    assert row | FULL == row
    assert row["updated_at"] is None
    assert definitions.find_environment("env", ME) == row
    with pytest.raises(exc.DBEntityNotFoundError, match=row["id"]):
        definitions.find_environment(row["id"], ME)


def test_defaults(definitions: Definitions) -> None:
    row = definitions.create_environment({"name": "env", "variables": None, "scope": None}, ME)
    assert (row["variables"], row["scope"], row["description"]) == ({}, "private", None)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": ""},
        {"name": None},
        {"name": 1},
        {"name": "n" * 256},
        {"name": "a\0b"},
        {"name": "env", "variables": [1]},
        {"name": "env", "variables": "text"},
        {"name": "env", "scope": "secret"},
        {"name": "env", "description": 1},
        {"name": "env", "description": "\0"},
        {"name": "env", "id": "x"},
    ],
)
def test_bad_values(definitions: Definitions, values: dict[str, Any]) -> None:
    with pytest.raises(exc.InvalidModelException):
        definitions.create_environment(values, ME)
    with pytest.raises(exc.InvalidModelException):
        definitions.update_environment(values, ME)


def test_names_are_unique_per_project(definitions: Definitions) -> None:
    definitions.create_environment(FULL, ME)
    with pytest.raises(exc.DBDuplicateEntryError, match="Environment 'env' already exists"):
        definitions.create_environment(FULL, ME)
    definitions.create_environment(FULL, OTHER)


def test_update_changes_what_is_given(definitions: Definitions) -> None:
    with pytest.raises(exc.DBEntityNotFoundError, match="env"):
        definitions.update_environment(FULL, ME)
    created = definitions.create_environment(FULL, ME)
    assert definitions.update_environment({"name": "env", "scope": None}, ME) == created
    changed = definitions.update_environment({"name": "env", "variables": {"z": 1}}, ME)
    assert changed["variables"] == {"z": 1}
    assert changed["scope"] == "public"
    assert changed["description"] == "text"
    assert changed["updated_at"] is not None
    cleared = definitions.update_environment({"name": "env", "description": None}, ME)
    assert cleared["description"] is None


def test_foreign_environments(definitions: Definitions) -> None:
    definitions.create_environment(FULL, OTHER)
    assert definitions.find_environment("env", ME)["project_id"] == "other"
    with pytest.raises(exc.NotAllowedException):
        definitions.update_environment(FULL, ME)
    with pytest.raises(exc.NotAllowedException):
        definitions.delete_environment("env", ME)


def test_delete(definitions: Definitions) -> None:
    definitions.create_environment(FULL, ME)
    definitions.delete_environment("env", ME)
    with pytest.raises(exc.DBEntityNotFoundError, match="env"):
        definitions.delete_environment("env", ME)
