"""What all repositories of named, owned objects have in common: definitions and environments.

Callers find only what they may see (:mod:`mistral.db.core.visibility`).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.context import RequestContext
from mistral.db.core import visibility
from mistral.db.core.errors import is_duplicate
from mistral.utils import ids

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Repository:
    """The rows of one table, as callers see them; ``title`` names one of them in errors."""

    table: sa.Table
    title: str

    @property
    def _has_namespaces(self) -> bool:
        return "namespace" in self.table.c

    def find(
        self,
        conn: sa.Connection,
        identifier: str,
        ctx: RequestContext,
        namespace: str = "",
        *,
        by_id: bool = True,
        lock: bool = False,
    ) -> Row | None:
        """One visible row: by id, whatever its namespace, or by name in exactly that namespace."""
        if "\0" in identifier or "\0" in namespace:
            return None  # PostgreSQL has no such texts and refuses even to look for them
        if by_id and ids.looks_like_uuid(identifier):
            found = self._first(conn, self.table.c.id == identifier, ctx, lock)
            if found is not None:
                return found
        named = self.table.c.name == identifier
        if self._has_namespaces:
            named = sa.and_(named, self.table.c.namespace == namespace)
        return self._first(conn, named, ctx, lock)

    def get(
        self,
        conn: sa.Connection,
        identifier: str,
        ctx: RequestContext,
        namespace: str = "",
        *,
        by_id: bool = True,
        lock: bool = False,
    ) -> Row:
        """As :meth:`find`.

        :raises DBEntityNotFoundError: there is no such row, or it is invisible.
        """
        found = self.find(conn, identifier, ctx, namespace, by_id=by_id, lock=lock)
        if found is None:
            raise self.not_found(identifier, namespace)
        return found

    def _first(
        self, conn: sa.Connection, where: sa.ColumnElement[bool], ctx: RequestContext, lock: bool
    ) -> Row | None:
        statement = (
            sa.select(self.table)
            .where(where, visibility.to_caller(self.table, ctx))
            .order_by(*visibility.nearest_first(self.table, ctx.project_id))
            .limit(1)
        )
        if lock:
            statement = statement.with_for_update(key_share=True)
        row = conn.execute(statement).mappings().first()
        return None if row is None else dict(row)

    def owned(
        self, conn: sa.Connection, names: Sequence[str], namespace: str, project_id: str
    ) -> dict[str, Row]:
        """A project's own rows of some names, locked in one order."""
        statement = (
            sa.select(self.table)
            .where(
                self.table.c.name.in_(names),
                self.table.c.namespace == namespace,
                self.table.c.project_id == project_id,
            )
            .order_by(self.table.c.id)
            .with_for_update(key_share=True)
        )
        return {row["name"]: dict(row) for row in conn.execute(statement).mappings()}

    def insert(self, conn: sa.Connection, rows: Sequence[Row]) -> None:
        """Insert rows.

        :raises DBDuplicateEntryError: one of the names is taken.
        """
        if rows:
            self._write(conn, sa.insert(self.table), rows)

    def update(
        self, conn: sa.Connection, row: Row, values: Mapping[str, Any], now: dt.datetime
    ) -> Row:
        """Write what differs from the row as it was read; without a difference write nothing.

        :returns: the row as it is now stored.
        :raises DBDuplicateEntryError: the new name is taken.
        """
        changes = {name: value for name, value in values.items() if row[name] != value}
        if not changes:
            return row
        changes["updated_at"] = now
        after = row | changes
        statement = sa.update(self.table).where(self.table.c.id == row["id"]).values(changes)
        self._write(conn, statement, [after])
        return after

    def delete(self, conn: sa.Connection, row: Row) -> None:
        """Delete a row.

        :raises DBEntityNotFoundError: somebody else has deleted it meanwhile.
        """
        deleted = conn.execute(sa.delete(self.table).where(self.table.c.id == row["id"]))
        if deleted.rowcount == 0:
            raise self.not_found(row["name"], row.get("namespace", ""))

    def _write(self, conn: sa.Connection, statement: Any, rows: Sequence[Row]) -> None:
        try:
            if statement.is_insert:
                conn.execute(statement, list(rows))
            else:
                conn.execute(statement)
        except sa.exc.IntegrityError as error:
            if not is_duplicate(error):
                raise
            raise self._duplicate(rows) from None

    def _duplicate(self, rows: Sequence[Row]) -> exc.DBDuplicateEntryError:
        names = ", ".join(str(row["name"]) for row in rows)
        which = f"one of [{names}]" if len(rows) > 1 else f"'{names}'"
        place = f" in namespace '{rows[0]['namespace']}'" if self._has_namespaces else ""
        return exc.DBDuplicateEntryError(f"{self.title} {which} already exists{place}")

    def not_found(self, identifier: str, namespace: str = "") -> exc.DBEntityNotFoundError:
        """The error for an identifier that names nothing visible."""
        facts = f"identifier={identifier}"
        if self._has_namespaces:
            facts += f", namespace={namespace}"
        return exc.DBEntityNotFoundError(f"{self.title} not found [{facts}]")
