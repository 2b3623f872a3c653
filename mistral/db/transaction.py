"""Transactions: one writer at a time on SQLite, READ COMMITTED on servers, retries as a whole.

A unit of work is a function of a connection. It may run more than once: a deadlock, a
serialization failure or a lost connection rolls everything back and starts it again
(law 2).
"""

from __future__ import annotations

import collections
import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, pool

from mistral import exceptions as exc

LOG = logging.getLogger(__name__)

T = TypeVar("T")

_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg2": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_RETRIED_SQLSTATES = frozenset({"40001", "40P01", "55P03"})
_RETRIED_MYSQL_CODES = frozenset({1205, 1213, 1020})
_MAX_TRIES = 10


class FairLock:
    """A lock that serves its waiters in the order in which they came."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiters: collections.deque[threading.Event] = collections.deque()

    def __enter__(self) -> None:
        with self._guard:
            if not self._held:
                self._held = True
                return
            turn = threading.Event()
            self._waiters.append(turn)
        turn.wait()

    def __exit__(self, *_: object) -> None:
        with self._guard:
            if self._waiters:
                self._waiters.popleft().set()
            else:
                self._held = False


def _normalized(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise exc.ConfigurationError(f"[database] connection is not a URL: {error}") from error
    if parsed.drivername in _DRIVERS:
        parsed = parsed.set(drivername=_DRIVERS[parsed.drivername])
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise exc.ConfigurationError(
            "[database] connection: SQLite needs a file, for example sqlite:///mistral.sqlite"
        )
    if parsed.get_backend_name() in ("mysql", "mariadb"):
        parsed = parsed.update_query_dict({"charset": "utf8mb4"})
    return parsed


class Database:
    """A database and the ways to work on it.

    :param url: SQLAlchemy URL; a plain ``postgresql://`` or ``mysql://`` gets our driver.
    :param pool_size: with ``max_overflow`` the number of connections that may be open. They are
        opened when needed and kept, the last used one first: under load, opening and closing
        them again and again costs more than the work itself.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 5,
        max_overflow: int = 50,
        pool_timeout: float = 30,
        recycle: int = 3600,
    ) -> None:
        self.url = _normalized(url)
        self.dialect_name = self.url.get_backend_name()
        self.is_sqlite = self.dialect_name == "sqlite"
        try:
            if self.is_sqlite:
                self._writer = _sqlite_engine(self.url, writes=True)
                self._reader = _sqlite_engine(self.url, writes=False)
            else:
                self._writer = self._reader = sa.create_engine(
                    self.url,
                    isolation_level="READ COMMITTED",
                    pool_size=pool_size + max_overflow,
                    max_overflow=0,
                    pool_timeout=pool_timeout,
                    pool_recycle=recycle,
                    pool_use_lifo=True,
                )
        except (sa.exc.ArgumentError, ImportError) as error:
            raise exc.ConfigurationError(f"[database] connection can't be used: {error}") from error
        self._turn: contextlib.AbstractContextManager[None] = (
            FairLock() if self.is_sqlite else contextlib.nullcontext()
        )

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Run a function in one transaction and commit it; on transient failures run it again.

        :raises InputException: a value is not one that the database can keep.
        """
        tries = 0
        while True:
            try:
                with self._turn, self._writer.begin() as conn:
                    return work(conn)
            except sa.exc.DataError as error:
                raise _unsuitable(error) from error
            except sa.exc.DBAPIError as error:
                tries += 1
                if tries >= _MAX_TRIES or not is_transient(error):
                    raise
                pause = min(0.01 * 2**tries, 2.0) * (0.5 + random.random())
                LOG.info("Transaction is repeated in %.0f ms: %s", pause * 1000, _brief(error))
                time.sleep(pause)

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run a function that only reads; a connection lost meanwhile is replaced once."""
        try:
            return self._read(work)
        except sa.exc.DataError as error:
            raise _unsuitable(error) from error
        except sa.exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return self._read(work)

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        with self._reader.connect() as conn:
            return work(conn)

    @contextlib.contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """A connection for administration (migrations, checks)."""
        with self._writer.connect() as conn:
            yield conn

    def check(self) -> None:
        """Refuse to start on a database whose settings would break the promises of the service.

        :raises ConfigurationError: naming the setting.
        """
        try:
            with self._reader.connect() as conn:
                if self.dialect_name == "postgresql":
                    level = conn.exec_driver_sql("SHOW transaction_isolation").scalar()
                elif self.is_sqlite:
                    return
                else:
                    # the variable's name differs between MySQL and MariaDB
                    level = conn.exec_driver_sql(
                        "SHOW VARIABLES WHERE Variable_name IN "
                        "('tx_isolation', 'transaction_isolation')"
                    ).one()[1]
                    binlog, fmt = conn.exec_driver_sql("SELECT @@log_bin, @@binlog_format").one()
                    if binlog and fmt == "STATEMENT":
                        raise exc.ConfigurationError(
                            "The database writes its binary log by statements "
                            "(binlog_format=STATEMENT), which READ COMMITTED does not allow; "
                            "set it to ROW or MIXED."
                        )
        except sa.exc.OperationalError as error:
            raise exc.ConfigurationError(f"Can't reach the database: {_brief(error)}") from error
        if str(level).upper().replace("-", " ") != "READ COMMITTED":
            raise exc.ConfigurationError(
                f"Transactions run as {level}, not READ COMMITTED: check the database's settings."
            )

    def close(self) -> None:
        """Close all connections."""
        self._writer.dispose()
        self._reader.dispose()


def _sqlite_engine(url: sa.URL, *, writes: bool) -> sa.Engine:
    if writes:
        engine = sa.create_engine(
            url, poolclass=pool.QueuePool, pool_size=1, max_overflow=0, pool_timeout=120
        )
    else:
        engine = sa.create_engine(
            url, poolclass=pool.QueuePool, pool_size=8, max_overflow=56, pool_timeout=120
        )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # our own BEGIN below replaces the driver's late one
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "busy_timeout=60000",
            "synchronous=FULL",
            "cache_size=-16000",
            "wal_autocheckpoint=4000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # a deferred transaction that turns into a writer can't wait, it fails
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def is_transient(error: Exception) -> bool:
    """Whether an error is about the moment: the same transaction may succeed a little later."""
    if isinstance(error, sa.exc.TimeoutError):
        return True
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    if isinstance(error, sa.exc.OperationalError) and error.statement is None:
        # connecting or committing failed: the server is away, perhaps it only starts again
        return True
    original = error.orig
    if getattr(original, "sqlstate", None) in _RETRIED_SQLSTATES:
        return True
    if isinstance(error, (sa.exc.OperationalError, sa.exc.InternalError)):
        arguments = getattr(original, "args", ())
        if arguments and arguments[0] in _RETRIED_MYSQL_CODES:
            return True
        text = str(original).lower()
        return "database is locked" in text or "is not currently accepting connections" in text
    return False


def _brief(error: sa.exc.DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0] if error.orig else str(error)


def _unsuitable(error: sa.exc.DataError) -> exc.InputException:
    """A value that no column can hold: too long, too large, or with characters that don't exist."""
    return exc.InputException(f"The database can't keep a value: {_brief(error)}")


def is_duplicate(error: sa.exc.IntegrityError) -> bool:
    """Whether an integrity error is a violated unique constraint."""
    original = error.orig
    if getattr(original, "sqlstate", None) == "23505":
        return True
    arguments: tuple[Any, ...] = getattr(original, "args", ())
    return bool(arguments) and (arguments[0] == 1062 or "UNIQUE" in str(arguments[0]))
