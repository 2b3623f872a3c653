"""Reading for the API: items and pages of any table, only the columns that are asked for.

A :class:`Listing` declares once which columns a resource has in the database, also those that
come from a joined row. Everything else, from filters to paging, is generic (doc:rest/lists).
Rows come out as tuples of stored texts: JSON is passed on, not parsed and written again.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.context import RequestContext
from mistral.db.core import tables, visibility
from mistral.db.reading.filters import Condition, Kind, raw_text, to_sql
from mistral.utils import json

_RAW_KINDS = frozenset({Kind.BAG, Kind.OBJECT, Kind.TAGS, Kind.TAGS_FOLDED})
_UNSORTABLE = frozenset({Kind.BAG, Kind.OBJECT})


@dataclasses.dataclass(frozen=True, eq=False)
class Column:
    """One column of a listing and the join that it needs, if any."""

    source: sa.ColumnElement[Any]
    kind: Kind = Kind.TEXT
    join: str | None = None
    nullable: bool = True

    @property
    def selected(self) -> sa.ColumnElement[Any]:
        """What a SELECT lists: JSON as its text."""
        return raw_text(self.source) if self.kind in _RAW_KINDS else self.source


@dataclasses.dataclass(frozen=True, eq=False)
class Join:
    """A left outer join."""

    target: sa.FromClause
    on: sa.ColumnElement[bool]


@dataclasses.dataclass(frozen=True, eq=False)
class Listing:
    """The columns of a resource by the names of its attributes.

    ``root`` is the column with the id of the root execution, under which the large values of a
    row lie; ``kept`` holds for the rows that are shown to anybody at all.
    """

    title: str
    table: sa.Table
    columns: Mapping[str, Column]
    joins: Mapping[str, Join] = dataclasses.field(default_factory=dict)
    root: Column | None = None
    kept: sa.ColumnElement[bool] = dataclasses.field(default_factory=sa.true)

    @functools.cached_property
    def id_column(self) -> sa.ColumnElement[str]:
        """The primary key."""
        return self.table.c.id

    def visible(self, ctx: RequestContext) -> sa.ColumnElement[bool]:
        """The rows that a caller is shown."""
        return sa.and_(visibility.to_caller(self.table, ctx), self.kept)

    def select(self, names: Sequence[str], also: Iterable[str | None] = ()) -> sa.Select[Any]:
        """A SELECT of some columns, with the joins that they and some more need."""
        columns = [self.columns[name] for name in names]
        selected = [column.selected for column in columns]
        needed = {column.join for column in columns} | set(also)
        if self.root is not None and any(column.kind is Kind.BAG for column in columns):
            selected.append(self.root.selected)
            needed.add(self.root.join)
        source: sa.FromClause = self.table
        for key, join in self.joins.items():
            if key in needed:
                source = source.outerjoin(join.target, join.on)
        return sa.select(*selected).select_from(source)


@dataclasses.dataclass(frozen=True)
class PageQuery:
    """One page of a list. ``sort`` has (name, descending) pairs and ends with a unique column."""

    names: tuple[str, ...]
    sort: tuple[tuple[str, bool], ...]
    limit: int
    conditions: tuple[Condition, ...] = ()
    nulls: tuple[str, ...] = ()
    marker: str | None = None


class Reader:
    """Reads one listing; keeps the statements that it built."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self._item_statement = functools.lru_cache(maxsize=128)(self._build_item_statement)

    def item(
        self, conn: sa.Connection, identifier: str, names: tuple[str, ...], ctx: RequestContext
    ) -> list[Any]:
        """The values of one row in the order of the names.

        :raises NotFoundException: no such row, or not visible.
        """
        params = {"identifier": identifier}
        if not ctx.is_admin:
            params["project"] = ctx.project_id
        row = conn.execute(self._item_statement(names, ctx.is_admin), params).first()
        if row is None:
            raise not_found(self.listing, identifier)
        return self._filled(conn, names, [row])[0]

    def items(
        self, conn: sa.Connection, ids: Sequence[str], names: tuple[str, ...], ctx: RequestContext
    ) -> list[list[Any]]:
        """The values of the visible ones of several rows, in the order of their ids."""
        statement = self.listing.select(("id", *names))
        statement = statement.where(self.listing.visible(ctx))
        found = {}
        for start in range(0, len(ids), _BATCH):
            some = self.listing.id_column.in_(ids[start : start + _BATCH])
            rows = conn.execute(statement.where(some)).all()
            for row in self._filled(conn, ("id", *names), rows):
                found[row[0]] = row[1:]
        return [found[identifier] for identifier in ids if identifier in found]

    def _build_item_statement(self, names: tuple[str, ...], is_admin: bool) -> sa.Select[Any]:
        table = self.listing.table
        statement = self.listing.select(names).where(
            table.c.id == sa.bindparam("identifier"), self.listing.kept
        )
        if is_admin:
            return statement
        return statement.where(visibility.to_project(table, sa.bindparam("project")))

    def page(
        self,
        conn: sa.Connection,
        query: PageQuery,
        ctx: RequestContext,
        within: tuple[str, str] | None = None,
    ) -> list[list[Any]]:
        """The rows of one page, if ``within`` is given only of those whose column has this value.

        :raises NotFoundException: the marker names no visible row.
        """
        statement = self._page_statement(conn, query, ctx, within)
        return self._filled(conn, query.names, conn.execute(statement).all())

    def _page_statement(
        self,
        conn: sa.Connection,
        query: PageQuery,
        ctx: RequestContext,
        within: tuple[str, str] | None,
    ) -> sa.Select[Any]:
        columns = self.listing.columns
        used = [condition.name for condition in query.conditions] + list(query.nulls)
        sorts = [(columns[name], descending) for name, descending in query.sort]
        also = {columns[name].join for name in used} | {column.join for column, _ in sorts}
        statement = self.listing.select(query.names, also)
        visible = self.listing.visible(ctx)
        statement = statement.where(visible)
        if within is not None:
            name, identifier = within
            statement = statement.where(columns[name].source == identifier)
        for condition in query.conditions:
            statement = statement.where(to_sql(condition, columns[condition.name].source))
        for name in query.nulls:
            statement = statement.where(columns[name].source.is_(None))
        if query.marker is not None:
            last = self._marker_values(conn, query, visible)
            statement = statement.where(_after(sorts, last))
        return statement.order_by(*_ordering(sorts)).limit(query.limit)

    def _marker_values(
        self, conn: sa.Connection, query: PageQuery, visible: sa.ColumnElement[bool]
    ) -> Sequence[Any]:
        statement = self.listing.select(tuple(name for name, _ in query.sort))
        statement = statement.where(self.listing.id_column == query.marker, visible)
        row = conn.execute(statement).first()
        if row is None:
            raise exc.NotFoundException(f"Marker not found: {query.marker}")
        return row

    def _filled(
        self, conn: sa.Connection, names: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> list[list[Any]]:
        bags = [i for i, n in enumerate(names) if self.listing.columns[n].kind is Kind.BAG]
        plain = [list(row[: len(names)]) for row in rows]
        if bags:
            expand_bags(conn, [(row[-1], p, bags) for row, p in zip(rows, plain, strict=True)])
        return plain


def not_found(listing: Listing, identifier: str) -> exc.NotFoundException:
    """The error for an identifier that names nothing visible."""
    return exc.NotFoundException(f"{listing.title} not found [id={identifier}]")


# Sorting and paging -----------------------------------------------------------


def is_sortable(column: Column) -> bool:
    """Whether a list may be ordered by a column."""
    return column.kind not in _UNSORTABLE


def _ordering(sorts: Sequence[tuple[Column, bool]]) -> list[sa.ColumnElement[Any]]:
    ordering: list[sa.ColumnElement[Any]] = []
    for column, descending in sorts:
        for part in _sort_parts(column):
            ordering.append(part.desc() if descending else part.asc())
    return ordering


def _sort_parts(column: Column) -> list[sa.ColumnElement[Any]]:
    # databases disagree on where NULL sorts: here it comes first
    if column.nullable:
        rank = sa.case((column.source.is_(None), 0), else_=1)
        return [rank, column.source]
    return [column.source]


def _after(sorts: Sequence[tuple[Column, bool]], last: Sequence[Any]) -> sa.ColumnElement[bool]:
    alternatives = []
    equal: list[sa.ColumnElement[bool]] = []
    for (column, descending), value in zip(sorts, last, strict=True):
        source = column.source
        beyond: sa.ColumnElement[bool]
        if value is None:
            beyond = sa.false() if descending else source.is_not(None)
        elif descending:
            beyond = source < value
            if column.nullable:
                beyond = sa.or_(beyond, source.is_(None))
        else:
            beyond = source > value
        alternatives.append(sa.and_(*equal, beyond))
        equal.append(source.is_(None) if value is None else source == value)
    return sa.or_(*alternatives)


# Large values -------------------------------------------------------------------

_VALUES = tables.execution_values
_BATCH = 500


def expand_bags(
    conn: sa.Connection, rows: Iterable[tuple[str | None, list[Any], Sequence[int]]]
) -> None:
    """Replace the texts of bags by plain JSON texts, in place.

    Each row is the id of its root execution, its values and the positions of the bags in them.
    """
    found: list[tuple[str | None, list[Any], int, dict[str, Any]]] = []
    for root_id, values, positions in rows:
        for position in positions:
            text = values[position]
            if text and text[0] == "@":
                found.append((root_id, values, position, json.loads(text[1:])))
    if not found:
        return
    wanted = {(root, ref[0]) for root, _, _, bag in found for ref in bag["r"].values()}
    contents = _contents(conn, wanted)
    for root_id, values, position, bag in found:
        values[position] = _joined(
            bag["v"],
            {name: contents.get((root_id, ref[0]), "null") for name, ref in bag["r"].items()},
        )


def _contents(
    conn: sa.Connection, wanted: Iterable[tuple[str | None, str]]
) -> dict[tuple[str | None, str], str]:
    by_root: dict[str | None, list[str]] = {}
    for root_id, digest in sorted(wanted, key=lambda key: (key[0] or "", key[1])):
        by_root.setdefault(root_id, []).append(digest)
    contents = {}
    for root_id, digests in by_root.items():
        for start in range(0, len(digests), _BATCH):
            statement = sa.select(_VALUES.c.hash, _VALUES.c.content).where(
                _VALUES.c.root_execution_id == root_id,
                _VALUES.c.hash.in_(digests[start : start + _BATCH]),
            )
            for digest, content in conn.execute(statement):
                contents[root_id, digest] = content
    return contents


def _joined(inline: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    parts = [f"{json.dumps(name)}:{json.dumps(value)}" for name, value in inline.items()]
    parts += [f"{json.dumps(name)}:{text}" for name, text in texts.items()]
    return "{" + ",".join(parts) + "}"


def bag_value(text: str | None, name: str) -> str | None:
    """The JSON text of one value of an expanded bag; None when the bag lacks it."""
    if not text:
        return None
    prefix = '{"' + name + '":'
    if text.startswith(prefix) and text.count('":', len(prefix)) == 0:
        return text[len(prefix) : -1]
    values = json.loads(text)
    return json.dumps(values[name]) if name in values else None
