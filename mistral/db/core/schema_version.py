"""The life of the schema: which migrations a database has, and bringing it to another one.

``mistral-db-manage`` and the embedded service work through this module. Any number of processes
may upgrade at once: the environment of the migrations takes :func:`exclusive` first.
"""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
import time
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from mistral import exceptions as exc
from mistral.db.core import tables
from mistral.db.core.database import Database

MIGRATIONS = pathlib.Path(__file__).parent.parent / "migrations"

_LOCK_NUMBER = 0x6D697374  # any constant that nobody else's advisory lock has
_LOCK_SECONDS = 600
_LOCK_PAUSE = 0.1
_BUSY = "Another process is migrating the database for too long."


def alembic_config(url: str) -> Config:
    """What alembic's own commands (history, stamp, revision ...) need to know."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Bring a database to a revision; nothing happens when it is there already."""
    command.upgrade(alembic_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Take a database back to a revision (``base``: no tables at all). Data is lost."""
    command.downgrade(alembic_config(url), revision)


def head() -> str | None:
    """The newest revision that this version of the service knows."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


def current(url: str) -> str | None:
    """The revision that a database has, None for an empty one."""
    database = Database(url)
    try:
        return database.read(
            lambda conn: MigrationContext.configure(connection=conn).get_current_revision()
        )
    finally:
        database.close()


def is_current(url: str) -> bool:
    """Whether a database has the newest revision."""
    return current(url) == head()


def is_usable(url: str) -> bool:
    """Whether this version of the service can work on a database.

    It has the newest revision, or one of a later version that says so: migrations only expand,
    until no version that is still in use needs what goes (doc: operating, "Upgrading").
    """
    revision = current(url)
    if revision == head():
        return True
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if revision is None or revision in known:
        return False
    return _oldest_supported(url) in known


def _oldest_supported(url: str) -> str | None:
    def ask(conn: sa.Connection) -> str | None:
        if not sa.inspect(conn).has_table(tables.schema_support.name):
            return None
        return conn.scalar(sa.select(tables.schema_support.c.oldest))

    database = Database(url)
    try:
        return database.read(ask)
    finally:
        database.close()


@contextlib.contextmanager
def exclusive(url: str) -> Iterator[sa.Connection]:
    """A connection for migrations, while no other process migrates the same database.

    :raises UnavailableException: another process migrates it for too long.
    """
    database = Database(url)
    try:
        with database.connect() as conn:
            if conn.dialect.name == "postgresql":
                with database.connect() as guard, _advisory_lock(guard):
                    yield conn
            elif conn.dialect.name in ("mysql", "mariadb"):
                with _named_lock(conn):
                    yield conn
            else:
                # the writer's BEGIN IMMEDIATE is the lock
                with conn.begin():
                    yield conn
    finally:
        database.close()


@contextlib.contextmanager
def _advisory_lock(conn: sa.Connection) -> Iterator[None]:
    # a connection that waits inside a statement would hold up the concurrent building of
    # indexes for ever: so this one asks again and again
    conn = conn.execution_options(isolation_level="AUTOCOMMIT")
    give_up_at = time.monotonic() + _LOCK_SECONDS
    while not conn.execute(sa.select(sa.func.pg_try_advisory_lock(_LOCK_NUMBER))).scalar():
        if time.monotonic() > give_up_at:
            raise exc.UnavailableException(_BUSY)
        time.sleep(_LOCK_PAUSE)
    try:
        yield
    finally:
        conn.execute(sa.select(sa.func.pg_advisory_unlock(_LOCK_NUMBER)))


@contextlib.contextmanager
def _named_lock(conn: sa.Connection) -> Iterator[None]:
    # such locks belong to the whole server, have short names and survive the implicit
    # commits of DDL
    schema = conn.execute(sa.select(sa.func.database())).scalar_one()
    name = f"mistral.{hashlib.sha256(schema.encode()).hexdigest()[:32]}"
    if conn.execute(sa.select(sa.func.get_lock(name, _LOCK_SECONDS))).scalar() != 1:
        raise exc.UnavailableException(_BUSY)
    conn.commit()
    try:
        yield
    finally:
        conn.execute(sa.select(sa.func.release_lock(name)))
