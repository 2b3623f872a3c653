"""Transactions: one writer at a time on SQLite, READ COMMITTED on servers, retries as a whole.

A unit of work is a function of a connection. It may run more than once: a deadlock, a
serialization failure or a lost connection rolls everything back and starts it again
(law 2). A server that stays away is :class:`~mistral.exceptions.UnavailableException`.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import itertools
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, pool

from mistral import exceptions as exc
from mistral.db.core import errors, sessions
from mistral.db.core.errors import Failure

LOG = logging.getLogger(__name__)

T = TypeVar("T")

Connection: TypeAlias = sa.Connection
RowMapping: TypeAlias = sa.RowMapping
"""What others call the library's types: they import nothing of it themselves."""

_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg2": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
SNAPSHOT = "snapshot"
"""The execution option of connections on which nothing can be written."""

PATIENCE = 5.0
"""Seconds for which a transaction is tried again while the server is away."""

_AWAY = "The database is not available now, try again."
_DOUBTFUL = (
    "The database is not available now. It is not known whether the change is stored: look, then "
    "try again."
)
_FULL = "The database has no room left. Nothing was stored; try again when there is room."
_MIN_TRIES = 5
_LONGEST_PAUSE = 0.5


class FairLock:
    """A lock that serves its waiters in the order in which they came; the urgent ones in between.

    Every second turn is theirs: they wait for one other at most, and keep nobody out.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._was_urgent = False
        self._usual: collections.deque[threading.Event] = collections.deque()
        self._urgent: collections.deque[threading.Event] = collections.deque()

    @contextlib.contextmanager
    def turn(self, urgent: bool = False) -> Iterator[None]:
        """Hold the lock."""
        self._acquire(urgent)
        try:
            yield
        finally:
            self._release()

    def _acquire(self, urgent: bool) -> None:
        with self._guard:
            if not self._held:
                self._held = True
                self._was_urgent = urgent
                return
            turn = threading.Event()
            (self._urgent if urgent else self._usual).append(turn)
        turn.wait()

    def _release(self) -> None:
        with self._guard:
            if self._urgent and not (self._was_urgent and self._usual):
                self._was_urgent = True
                self._urgent.popleft().set()
            elif self._usual:
                self._was_urgent = False
                self._usual.popleft().set()
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
        idle_limit: float = sessions.IDLE_LIMIT,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sleep = sleep
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
                    # error texts and logged statements show no values
                    hide_parameters=True,
                    connect_args=sessions.connect_args(self.url, idle_limit),
                )
                event.listen(self._writer, "handle_error", _leave_useless)
                if self.dialect_name != "postgresql":
                    prepare = functools.partial(sessions.prepare_mysql, idle_limit)
                    event.listen(self._writer, "connect", prepare)
        except (sa.exc.ArgumentError, ImportError) as error:
            raise exc.ConfigurationError(f"[database] connection can't be used: {error}") from error
        self._turns = FairLock() if self.is_sqlite else None

    def write(self, work: Callable[[sa.Connection], T], urgent: bool = False) -> T:
        """Run a function in one transaction and commit it; on transient failures run it again.

        When the connection broke during COMMIT, nobody knows whether the transaction is there. The
        function then runs on what it finds, which is right for what may be repeated; what may not
        is wrapped by :func:`mistral.db.execution.idempotency_keys.once`.

        :param urgent: short work that somebody outside waits for: where there is but one writer,
            it goes before what only takes longer.
        :raises InputException: a value is not one that the database can keep.
        :raises UnavailableException: the server is away, or has no room left.
        """
        retry = _Retry()
        while True:
            try:
                with self._turn(urgent), self._writer.begin() as conn:
                    return retry.run(conn, work)
            except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
                retry.wait_after(error)

    def _turn(self, urgent: bool) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self._turns is None else self._turns.turn(urgent)

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run a function that only reads; on transient failures run it again.

        :raises UnavailableException: the server is away.
        """
        retry = _Retry()
        while True:
            try:
                with self._reader.connect() as conn:
                    return work(conn)
            except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
                retry.wait_after(error)

    def pause(self, seconds: float) -> None:
        """Let others go on for a while, outside of any transaction."""
        self._sleep(seconds)

    def ping(self) -> None:
        """Ask the server once.

        :raises UnavailableException: it does not answer.
        """
        try:
            self._ask()
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            raise exc.UnavailableException(_AWAY) from error

    def _ask(self) -> None:
        question = "SELECT 1"
        try:
            with self._reader.connect() as conn:
                conn.exec_driver_sql(question).scalar()
        except sa.exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
            # that was an old connection; whether there is a new one is what counts
            with self._reader.connect() as conn:
                conn.exec_driver_sql(question).scalar()

    def wait_for_server(self, retries: int, interval: float) -> None:
        """Wait at the start of a process until the server answers.

        :param retries: how often to ask again; -1 is for ever.
        :param interval: seconds between two questions.
        :raises ConfigurationError: it still doesn't, or it refuses the address or the user.
        """
        for left in itertools.count(retries, -1):
            try:
                self.ping()
            except exc.UnavailableException as unavailable:
                error = unavailable.__cause__
                cause = f"Can't reach the database: {errors.brief(error or unavailable)}"
                refused = isinstance(error, sa.exc.DBAPIError) and errors.is_refusal(error)
                if refused or left == 0:
                    raise exc.ConfigurationError(cause) from error
                LOG.warning("%s; the next try is in %s s", cause, interval)
                time.sleep(interval)
            else:
                return

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
            raise exc.ConfigurationError(
                f"Can't reach the database: {errors.brief(error)}"
            ) from error
        if str(level).upper().replace("-", " ") != "READ COMMITTED":
            raise exc.ConfigurationError(
                f"Transactions run as {level}, not READ COMMITTED: check the database's settings."
            )

    def close(self) -> None:
        """Close all connections."""
        self._writer.dispose()
        self._reader.dispose()


def _leave_useless(context: sa.engine.ExceptionContext) -> None:
    """Give up the connections to a server that takes no changes: the next try makes a new one."""
    if errors.is_useless(context.original_exception):
        context.is_disconnect = True


_PAGE_LIMIT = "max_page_count"


def _page_limit(url: sa.URL) -> int:
    text = str(url.query.get(_PAGE_LIMIT, "0"))
    if not text.isdecimal():
        raise exc.ConfigurationError(
            f"[database] connection: {_PAGE_LIMIT} must be a number of pages, not {text!r}"
        )
    return int(text)


def _sqlite_engine(url: sa.URL, *, writes: bool) -> sa.Engine:
    page_limit = _page_limit(url)
    url = url.difference_update_query([_PAGE_LIMIT])
    if writes:
        engine = sa.create_engine(
            url,
            poolclass=pool.QueuePool,
            pool_size=1,
            max_overflow=0,
            pool_timeout=120,
            hide_parameters=True,
        )
    else:
        engine = sa.create_engine(
            url,
            poolclass=pool.QueuePool,
            pool_size=8,
            max_overflow=56,
            pool_timeout=120,
            hide_parameters=True,
            execution_options={SNAPSHOT: True},
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
            # 0 asks for the limit and changes nothing
            f"max_page_count={page_limit}",
            # what a decision wrote on its snapshot would be lost
            f"query_only={0 if writes else 1}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # a deferred transaction that turns into a writer can't wait, it fails
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


class _Retry:
    """The tries of one transaction."""

    def __init__(self) -> None:
        self._tries = 0
        self._began = time.monotonic()
        self._is_committing = False
        self._is_doubtful = False

    def run(self, conn: sa.Connection, work: Callable[[sa.Connection], T]) -> T:
        """One try, up to the COMMIT."""
        self._is_committing = False
        result = work(conn)
        self._is_committing = True
        return result

    def wait_after(self, error: sa.exc.SQLAlchemyError) -> None:
        """Return when it is time for the next try; else raise what the caller is told."""
        if isinstance(error, sa.exc.DataError):
            # too long, too large, or with characters that don't exist
            text = f"The database can't keep a value: {errors.brief(error)}"
            raise exc.InputException(text) from error
        kind = errors.classify(error)
        if kind is None:
            raise error
        if kind is Failure.FULL:
            LOG.error("The database has no room left: %s", errors.brief(error))
            raise exc.UnavailableException(_FULL) from error
        self._is_doubtful |= self._is_committing and kind is Failure.LOST
        self._tries += 1
        is_over = time.monotonic() - self._began > PATIENCE
        if is_over and (kind is Failure.LOST or self._tries >= _MIN_TRIES):
            LOG.warning("The database is given up: %s", errors.brief(error))
            raise exc.UnavailableException(_DOUBTFUL if self._is_doubtful else _AWAY) from error
        pause = min(0.01 * 2**self._tries, _LONGEST_PAUSE) * (0.5 + random.random())
        LOG.info("Transaction is repeated in %.0f ms: %s", pause * 1000, errors.brief(error))
        time.sleep(pause)
