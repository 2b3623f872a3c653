"""Workflow definitions (doc:rest/workflows)."""

from __future__ import annotations

import datetime as dt
import hashlib

from mistral.context import RequestContext
from mistral.db import definitions as store
from mistral.db.core.database import Connection
from mistral.db.core.named_objects import Row
from mistral.definitions.common import (
    DefinitionService,
    check_may_change,
    check_one,
    check_rows,
    check_target,
    is_valid,
    new_row,
)
from mistral.lang import WorkflowSpec, interface, parse_workflow_list, render_input


class WorkflowDefinitions(DefinitionService):
    """Create, change, find and delete workflows."""

    def create_workflows(
        self,
        text: str,
        ctx: RequestContext,
        scope: str = "private",
        namespace: str = "",
        validate: bool = True,
    ) -> list[Row]:
        """Store all workflows of a document.

        :raises DBDuplicateEntryError: one of the names is taken; then nothing is stored.
        """
        check_target(scope, namespace)
        specs = self._parse_workflows(text, validate)
        now = self._now()
        rows = [
            new_row(spec.name, ctx, scope, now)
            | {"namespace": namespace, "workbook_name": None, "is_system": False}
            | content(spec)
            for spec in specs
        ]
        check_rows(rows)

        texts = [stored(spec) for spec in specs]
        self._create(store.workflows, rows, lambda conn: store.store_specs(conn, texts))
        return rows

    def update_workflows(
        self,
        text: str,
        ctx: RequestContext,
        scope: str = "private",
        namespace: str = "",
        identifier: str | None = None,
        validate: bool = True,
    ) -> list[Row]:
        """Replace the workflows of a document; with an identifier the one that it names.

        :raises DBEntityNotFoundError: one of them does not exist; then nothing is changed.
        """
        check_target(scope, namespace)
        specs = self._parse_workflows(text, validate)
        check_one("workflow", specs, identifier)
        now = self._now()

        def work(conn: Connection) -> dict[str, Row]:
            store.store_specs(conn, [stored(spec) for spec in specs])
            return {
                spec.name: _replace(conn, identifier, spec, ctx, scope, namespace, now)
                # two requests lock the same rows in the same order
                for spec in sorted(specs, key=lambda spec: spec.name)
            }

        rows = self._write(work)
        return [rows[spec.name] for spec in specs]

    def validate_workflows(self, text: str) -> tuple[bool, str | None]:
        """Whether a document could be stored, and what is wrong with it."""
        return is_valid(lambda document: self._parse_workflows(document, True), text)

    def find_workflow(self, identifier: str, namespace: str, ctx: RequestContext) -> Row:
        """One workflow, by id or by name in exactly this namespace."""
        return self._database.read(
            lambda conn: store.workflows.get(conn, identifier, ctx, namespace)
        )

    def delete_workflow(self, identifier: str, namespace: str, ctx: RequestContext) -> None:
        """Delete one workflow; what runs goes on with the specification it started with."""

        def find(conn: Connection) -> Row:
            row = store.workflows.get(conn, identifier, ctx, namespace, lock=True)
            check_may_change("workflow", row, ctx)
            return row

        self._delete(store.workflows, find)

    def _parse_workflows(self, text: str, validate: bool) -> list[WorkflowSpec]:
        return parse_workflow_list(text, self._expressions, validate, self._limits)


def _replace(
    conn: Connection,
    identifier: str | None,
    spec: WorkflowSpec,
    ctx: RequestContext,
    scope: str,
    namespace: str,
    now: dt.datetime,
) -> Row:
    row = store.workflows.get(conn, identifier or spec.name, ctx, namespace, lock=True)
    check_may_change("workflow", row, ctx)
    values = content(spec) | {"name": spec.name, "scope": scope}
    if namespace:
        values["namespace"] = namespace
    if spec.name != row["name"]:
        values["workbook_name"] = None
    check_rows([values])
    return store.workflows.update(conn, row, values, now)


def stored(spec: WorkflowSpec) -> store.StoredSpec:
    """The form in which executions refer to a workflow."""
    return store.StoredSpec.of(spec.name, spec.raw)


def content(spec: WorkflowSpec) -> Row:
    """The columns that come from the text."""
    return {
        "definition": spec.text,
        "spec_hash": stored(spec).hash,
        "checksum": hashlib.md5(spec.text.encode(), usedforsecurity=False).hexdigest(),
        "input": render_input(spec),
        "interface": interface(spec),
        "tags": list(spec.tags),
    }
