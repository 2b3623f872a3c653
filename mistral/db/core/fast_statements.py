"""Core statements run without SQLAlchemy's per-execution machinery.

The engine runs a handful of statements very often. They are declared with SQLAlchemy Core and
compiled once per dialect; each run is then one call of the driver's cursor, which costs a third
of ``Connection.execute``. Values are converted by the types of the columns as always, and errors
arrive as SQLAlchemy's own classes, so that retries see no difference.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mistral.db.core import errors

SQL_LOG = "sqlalchemy.engine"
"""Where SQLAlchemy logs statements, too."""

LOG = logging.getLogger(f"{SQL_LOG}.hotpath")

Convert = Callable[[Any], Any]

ROWS_PER_INSERT = 400
"""More rows take another statement: databases limit the number of parameters."""


@dataclasses.dataclass(frozen=True)
class Query:
    """A compiled SELECT: its text, its parameters in order, the conversions of its columns."""

    sql: str
    names: tuple[str, ...]
    is_positional: bool
    binds: Mapping[str, Convert]
    results: tuple[tuple[int, Convert], ...]
    fixed: Mapping[str, Any]


def select(
    conn: sa.Connection, statement: sa.Select[Any], params: Mapping[str, Any]
) -> list[list[Any]]:
    """Run a SELECT; a parameter that is a list stands for the values of an ``IN``."""
    if any(isinstance(value, list) and not value for value in params.values()):
        return []
    params = {k: _padded(v) if isinstance(v, list) else v for k, v in params.items()}
    sizes = tuple((k, len(v)) for k, v in params.items() if isinstance(v, list))
    query = _compiled(conn.dialect, statement, sizes, tuple(params))
    flat = {**query.fixed, **(_flattened(params) if sizes else params)}
    values = {name: flat[name] for name in query.names}
    for name, convert in query.binds.items():
        if values[name] is not None:
            values[name] = convert(values[name])
    arguments: Any = [values[n] for n in query.names] if query.is_positional else values
    rows = [list(row) for row in _run(conn, query.sql, arguments, fetch=True)]
    for position, convert in query.results:
        for row in rows:
            row[position] = convert(row[position])
    return rows


def _padded(values: list[Any]) -> list[Any]:
    """A list of the next power of two, so that few lengths have to be compiled and planned."""
    if not values:
        return values
    missing = (1 << (len(values) - 1).bit_length()) - len(values)
    return values + [values[-1]] * missing


def _flattened(params: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, list):
            flat |= {f"{name}_{number}": item for number, item in enumerate(value, 1)}
        else:
            flat[name] = value
    return flat


@functools.lru_cache(maxsize=2048)
def _compiled(
    dialect: sa.Dialect,
    statement: sa.Select[Any],
    sizes: tuple[tuple[str, int], ...],
    names: tuple[str, ...],
) -> Query:
    samples: dict[str, Any] = dict.fromkeys(names, "")
    samples |= {name: [""] * size for name, size in sizes}
    compiled: Any = statement.compile(dialect=dialect)
    state = compiled.construct_expanded_state(samples)
    ordered = tuple(state.positiontup or state.parameters)
    given = _flattened(samples)
    fixed = {k: v for k, v in state.parameters.items() if k not in given}
    binds = {}
    for name in ordered:
        if name in compiled.binds:
            convert = _bind_processor(compiled.binds[name].type, dialect)
            if convert is not None:
                binds[name] = convert
    results = []
    for position, column in enumerate(statement.selected_columns):
        convert = _result_processor(column.type, dialect)
        if convert is not None:
            results.append((position, convert))
    return Query(state.statement, ordered, bool(state.positiontup), binds, tuple(results), fixed)


def _bind_processor(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> Convert | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _result_processor(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> Convert | None:
    return kind.dialect_impl(dialect).result_processor(dialect, None)


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of a table as one statement writes them."""

    names: tuple[str, ...]
    quoted: tuple[str, ...]
    binds: tuple[Convert | None, ...]
    table: str
    mark: str

    def values(self, row: Mapping[str, Any]) -> list[Any]:
        """A row's values in the driver's form."""
        return [
            convert(row[name]) if convert is not None else row[name]
            for name, convert in zip(self.names, self.binds, strict=True)
        ]


@functools.lru_cache(maxsize=1024)
def _columns(dialect: sa.Dialect, table: sa.Table, names: tuple[str, ...]) -> Columns:
    prepare = dialect.identifier_preparer
    return Columns(
        names,
        tuple(prepare.quote(name) for name in names),
        tuple(_bind_processor(table.c[name].type, dialect) for name in names),
        prepare.format_table(table),
        "?" if dialect.paramstyle == "qmark" else "%s",
    )


def insert(
    conn: sa.Connection, table: sa.Table, names: tuple[str, ...], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows with one statement, or as few as the database's limits allow."""
    columns = _columns(conn.dialect, table, names)
    one = f"({', '.join([columns.mark] * len(names))})"
    head = f"INSERT INTO {columns.table} ({', '.join(columns.quoted)}) VALUES "
    for start in range(0, len(rows), ROWS_PER_INSERT):
        part = rows[start : start + ROWS_PER_INSERT]
        arguments = [value for row in part for value in columns.values(row)]
        _run(conn, head + ", ".join([one] * len(part)), arguments)


def update(
    conn: sa.Connection,
    table: sa.Table,
    names: tuple[str, ...],
    keys: tuple[str, ...],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Update the same columns of several rows, found by their keys."""
    columns = _columns(conn.dialect, table, names + keys)
    pairs = [f"{name} = {columns.mark}" for name in columns.quoted]
    sql = (
        f"UPDATE {columns.table} SET {', '.join(pairs[: len(names)])} "
        f"WHERE {' AND '.join(pairs[len(names) :])}"
    )
    arguments = [columns.values(row) for row in rows]
    if len(arguments) == 1:
        _run(conn, sql, arguments[0])
    else:
        _run(conn, sql, arguments, many=True)


def _run(
    conn: sa.Connection, sql: str, arguments: Any, many: bool = False, fetch: bool = False
) -> Iterable[Sequence[Any]]:
    if not conn.in_transaction():
        conn.begin()
    LOG.info("%s", sql)
    fairy = conn.connection
    cursor: Any = fairy.cursor()
    try:
        if many:
            cursor.executemany(sql, arguments)
        else:
            cursor.execute(sql, arguments)
        return cursor.fetchall() if fetch else ()
    except conn.dialect.loaded_dbapi.Error as error:
        lost = conn.dialect.is_disconnect(error, fairy.dbapi_connection, cursor)
        lost = lost or errors.is_useless(error)
        if lost:
            # the others in the pool are as old: without this each would fail somebody
            conn.engine.dispose(close=False)
            conn.invalidate(error)
        raise sa.exc.DBAPIError.instance(
            sql,
            None,
            error,
            conn.dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=lost,
            dialect=conn.dialect,
        ) from error
    finally:
        cursor.close()
