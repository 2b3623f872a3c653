"""Environments: named sets of variables for starting workflows (doc:rest/environments)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mistral import exceptions as exc
from mistral.context import RequestContext
from mistral.db import definitions as store
from mistral.db.core.database import Connection
from mistral.db.core.named_objects import Row
from mistral.definitions.common import (
    DefinitionService,
    check_may_change,
    check_scope,
    check_text,
    new_row,
)

_ATTRIBUTES = frozenset({"name", "description", "variables", "scope"})


class EnvironmentDefinitions(DefinitionService):
    """Create, change, find and delete environments."""

    def create_environment(self, values: Mapping[str, Any], ctx: RequestContext) -> Row:
        """Store an environment.

        :raises DBDuplicateEntryError: its name is taken.
        """
        given = _checked(values)
        row = new_row(given["name"], ctx, given.get("scope", "private"), self._now()) | {
            "description": given.get("description"),
            "variables": given.get("variables", {}),
        }
        self._create(store.environments, [row])
        return row

    def update_environment(self, values: Mapping[str, Any], ctx: RequestContext) -> Row:
        """Change what is given of the environment that the values name.

        Given variables replace all that were there.
        """
        given = _checked(values)
        now = self._now()

        def work(conn: Connection) -> Row:
            row = store.environments.get(conn, given["name"], ctx, by_id=False, lock=True)
            check_may_change("environment", row, ctx)
            return store.environments.update(conn, row, given, now)

        return self._write(work)

    def find_environment(self, name: str, ctx: RequestContext) -> Row:
        """One environment, by name."""
        return self._database.read(
            lambda conn: store.environments.get(conn, name, ctx, by_id=False)
        )

    def delete_environment(self, name: str, ctx: RequestContext) -> None:
        """Delete one environment; running executions have copies."""

        def find(conn: Connection) -> Row:
            row = store.environments.get(conn, name, ctx, by_id=False, lock=True)
            check_may_change("environment", row, ctx)
            return row

        self._delete(store.environments, find)


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(values) - _ATTRIBUTES)
    if unknown:
        raise exc.InvalidModelException(
            f"An environment has no such attributes: {', '.join(unknown)}"
        )
    # an explicit null is "not given" (doc:rest/conventions#rest-bodies), except as a description
    given = {key: v for key, v in values.items() if v is not None or key == "description"}
    name = given.get("name")
    if not isinstance(name, str) or not name:
        raise exc.InvalidModelException("An environment needs a name")
    check_text("Name of an environment", name)
    if not isinstance(given.get("variables", {}), dict):
        raise exc.InvalidModelException("Variables of an environment must be a JSON object")
    description = given.get("description")
    if description is not None:
        if not isinstance(description, str):
            raise exc.InvalidModelException("Description of an environment must be text")
        check_text("Description of an environment", description, limit=None)
    if "scope" in given:
        check_scope(given["scope"])
    return given
