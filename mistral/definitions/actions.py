"""Ad-hoc action definitions (doc:rest/actions, doc:language/adhoc_actions)."""

from __future__ import annotations

from collections.abc import Iterable

from mistral import exceptions as exc
from mistral.actions.descriptors import AdHocActionDescriptor
from mistral.context import RequestContext
from mistral.db import definitions as store
from mistral.db.core.database import Connection
from mistral.db.core.named_objects import Row
from mistral.definitions.common import (
    ActionFinder,
    DefinitionService,
    check_may_change,
    check_one,
    check_rows,
    check_target,
    is_valid,
    new_row,
)
from mistral.lang import AdHocActionSpec, parse_action_list, render_input

#: characters that are stored of one document: each of its actions keeps the whole text


class ActionDefinitions(DefinitionService):
    """Create, change, find and delete ad-hoc actions."""

    def create_actions(
        self,
        text: str,
        ctx: RequestContext,
        scope: str = "private",
        namespace: str = "",
        validate: bool = True,
    ) -> list[Row]:
        """Store all actions of a document.

        :raises DBDuplicateEntryError: one of the names is taken; then nothing is stored.
        """
        check_target(scope, namespace)
        specs = self._parse_actions(text, validate)
        refuse_taken(self._action_registry, (spec.name for spec in specs))
        now = self._now()
        rows = [
            new_row(spec.name, ctx, scope, now)
            | {"namespace": namespace, "workbook_name": None}
            | content(spec, text)
            for spec in specs
        ]
        check_rows(rows)
        self._create(store.actions, rows)
        return rows

    def update_actions(
        self,
        text: str,
        ctx: RequestContext,
        scope: str = "private",
        namespace: str = "",
        identifier: str | None = None,
        validate: bool = True,
    ) -> list[Row]:
        """Replace the actions of a document; with an identifier the one that it names.

        :raises DBEntityNotFoundError: one of them does not exist; then nothing is changed.
        """
        check_target(scope, namespace)
        specs = self._parse_actions(text, validate)
        check_one("action", specs, identifier)
        names = [spec.name for spec in specs] + ([identifier] if identifier else [])
        refuse_system(self._action_registry, names)
        now = self._now()

        def replace(conn: Connection, spec: AdHocActionSpec) -> Row:
            row = _find_for_change(conn, identifier or spec.name, namespace, ctx)
            values = content(spec, text) | {"name": spec.name, "scope": scope}
            if spec.name != row["name"]:
                values["workbook_name"] = None
            check_rows([values])
            return store.actions.update(conn, row, values, now)

        def work(conn: Connection) -> dict[str, Row]:
            # two requests lock the same rows in the same order
            ordered = sorted(specs, key=lambda spec: spec.name)
            return {spec.name: replace(conn, spec) for spec in ordered}

        rows = self._write(work)
        return [rows[spec.name] for spec in specs]

    def validate_actions(self, text: str) -> tuple[bool, str | None]:
        """Whether a document could be stored, and what is wrong with it."""
        return is_valid(lambda document: self._parse_actions(document, True), text)

    def find_action(self, identifier: str, namespace: str, ctx: RequestContext) -> Row:
        """One ad-hoc action, by id or name; one that the namespace lacks is the default one's."""
        return self._database.read(lambda conn: _find(conn, identifier, namespace, ctx))

    def delete_action(self, identifier: str, namespace: str, ctx: RequestContext) -> None:
        """Delete one ad-hoc action; a name that the namespace lacks is that of the default one."""
        refuse_system(self._action_registry, [identifier])

        self._delete(store.actions, lambda conn: _find_for_change(conn, identifier, namespace, ctx))

    def _parse_actions(self, text: str, validate: bool) -> list[AdHocActionSpec]:
        specs = parse_action_list(text, self._expressions, validate, self._limits)
        limit = self._limits.max_copied_length
        if 0 <= limit < len(specs) * len(text):
            raise exc.InvalidModelException(
                f"A document of {len(text)} characters with {len(specs)} actions is too large, for "
                f"each of them is stored with the whole: at most [definitions] max_copied_length = "
                f"{limit} characters in all. Divide it into several documents"
            )
        return specs


def is_taken(registry: ActionFinder, name: str) -> bool:
    """Whether a name belongs to an action that is not defined by users."""
    found = registry.find(name)
    return found is not None and not isinstance(found, AdHocActionDescriptor)


def refuse_taken(registry: ActionFinder, names: Iterable[str]) -> None:
    """Refuse to store an action that nobody could call, because another has its name."""
    for name in names:
        if is_taken(registry, name):
            raise exc.DBDuplicateEntryError(f"There is a system action of this name: {name}")


def refuse_system(registry: ActionFinder, names: Iterable[str]) -> None:
    """Refuse to change an action that is not defined by users."""
    for name in names:
        if is_taken(registry, name):
            raise exc.InvalidActionException(f"Attempt to modify or delete a system action: {name}")


def _find(
    conn: Connection, identifier: str, namespace: str, ctx: RequestContext, lock: bool = False
) -> Row:
    row = store.actions.find(conn, identifier, ctx, namespace, lock=lock)
    if row is None and namespace:
        row = store.actions.find(conn, identifier, ctx, lock=lock)
    if row is None:
        raise store.actions.not_found(identifier, namespace)
    return row


def _find_for_change(conn: Connection, identifier: str, namespace: str, ctx: RequestContext) -> Row:
    row = _find(conn, identifier, namespace, ctx, lock=True)
    check_may_change("action", row, ctx)
    return row


def content(spec: AdHocActionSpec, definition: str) -> Row:
    """The columns that come from the text."""
    return {
        "definition": definition,
        "spec": {**spec.raw, "name": spec.name},
        "description": spec.description,
        "input": render_input(spec),
        "tags": list(spec.tags),
    }
