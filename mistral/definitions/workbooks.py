"""Workbooks: a document that defines workflows and actions together (doc:rest/workbooks)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from mistral.context import RequestContext
from mistral.db import definitions as store
from mistral.db.core.database import Connection
from mistral.db.core.named_objects import Repository, Row
from mistral.definitions import actions, workflows
from mistral.definitions.common import (
    DefinitionService,
    check_may_change,
    check_rows,
    check_target,
    is_valid,
    new_row,
    without,
)
from mistral.lang import WorkbookSpec, parse_workbook


class WorkbookDefinitions(DefinitionService):
    """Create, change, find and delete workbooks; their members stay when a workbook goes."""

    def create_workbook(
        self,
        text: str,
        ctx: RequestContext,
        scope: str = "private",
        namespace: str = "",
        validate: bool = True,
    ) -> Row:
        """Store a workbook and, as ``<workbook>.<name>``, what it contains.

        :raises DBDuplicateEntryError: its name is taken; then nothing is stored.
        """
        check_target(scope, namespace)
        book = self._parse_workbook(text, validate)
        actions.refuse_taken(self._action_registry, _action_names(book))
        now = self._now()
        row = new_row(book.name, ctx, scope, now) | {"namespace": namespace} | _content(book, text)
        check_rows([row])

        self._create(store.workbooks, [row], lambda conn: _store_members(conn, book, row, ctx, now))
        return row

    def update_workbook(
        self,
        text: str,
        ctx: RequestContext,
        scope: str = "private",
        namespace: str = "",
        validate: bool = True,
    ) -> Row:
        """Replace a workbook, found by the name in its text, and what it contains."""
        check_target(scope, namespace)
        book = self._parse_workbook(text, validate)
        actions.refuse_system(self._action_registry, _action_names(book))
        now = self._now()

        def work(conn: Connection) -> Row:
            row = store.workbooks.get(conn, book.name, ctx, namespace, by_id=False, lock=True)
            check_may_change("workbook", row, ctx)
            values = _content(book, text) | {"scope": scope}
            row = store.workbooks.update(conn, row, values, now)
            _store_members(conn, book, row, ctx, now)
            return row

        return self._write(work)

    def validate_workbook(self, text: str) -> tuple[bool, str | None]:
        """Whether a document could be stored, and what is wrong with it."""
        return is_valid(lambda document: self._parse_workbook(document, True), text)

    def find_workbook(self, name: str, namespace: str, ctx: RequestContext) -> Row:
        """One workbook, by name in exactly this namespace."""
        return self._database.read(
            lambda conn: store.workbooks.get(conn, name, ctx, namespace, by_id=False)
        )

    def delete_workbook(self, name: str, namespace: str, ctx: RequestContext) -> None:
        """Delete a workbook but nothing of what it defined."""

        def find(conn: Connection) -> Row:
            row = store.workbooks.get(conn, name, ctx, namespace, by_id=False, lock=True)
            check_may_change("workbook", row, ctx)
            return row

        self._delete(store.workbooks, find)

    def _parse_workbook(self, text: str, validate: bool) -> WorkbookSpec:
        return parse_workbook(text, self._expressions, validate, self._limits)


def _action_names(book: WorkbookSpec) -> list[str]:
    return [spec.name for spec in book.actions]


def _content(book: WorkbookSpec, text: str) -> Row:
    return {"definition": text, "tags": list(book.tags)}


def _store_members(
    conn: Connection, book: WorkbookSpec, owner: Row, ctx: RequestContext, now: dt.datetime
) -> None:
    """Create or overwrite the members, which belong to the project that owns the workbook."""
    common = {key: owner[key] for key in ("namespace", "project_id")}
    common["workbook_name"] = book.name
    store.store_specs(conn, [workflows.stored(spec) for spec in book.workflows])
    _overwrite(
        conn,
        store.workflows,
        "workflow",
        [
            new_row(spec.name, ctx, owner["scope"], now)
            | common
            | workflows.content(spec)
            | {"checksum": None, "is_system": False}
            for spec in book.workflows
        ],
        ctx,
        now,
    )
    _overwrite(
        conn,
        store.actions,
        "action",
        [
            new_row(spec.name, ctx, owner["scope"], now) | common | actions.content(spec, spec.text)
            for spec in book.actions
        ],
        ctx,
        now,
    )


def _overwrite(
    conn: Connection,
    repository: Repository,
    kind: str,
    rows: Sequence[Row],
    ctx: RequestContext,
    now: dt.datetime,
) -> None:
    if not rows:
        return
    check_rows(rows)
    names = [row["name"] for row in rows]
    existing = repository.owned(conn, names, rows[0]["namespace"], rows[0]["project_id"])
    for row in rows:
        old = existing.get(row["name"])
        if old is not None:
            check_may_change(kind, old, ctx)
            values = without(row, "id", "created_at", "updated_at", "is_system")
            repository.update(conn, old, values, now)
    repository.insert(conn, [row for row in rows if row["name"] not in existing])
