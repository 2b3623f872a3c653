"""How alembic meets our database: executed by every one of its commands."""

from typing import Any

from alembic import context

from mistral.db.core import schema_version, tables
from mistral.exceptions import ConfigurationError

OPTIONS: dict[str, Any] = {
    "target_metadata": tables.metadata,
    "compare_type": True,
    # PostgreSQL builds an index without locking its table only outside of a transaction
    "transaction_per_migration": True,
}


def print_sql(url: str | None) -> None:
    """``--sql``: write the statements instead of executing them."""
    context.configure(url=url, literal_binds=True, dialect_opts={"paramstyle": "named"}, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()


def migrate(url: str | None) -> None:
    """Execute alone, each migration in a transaction; SQLite: all of them in one."""
    if url is None:
        raise ConfigurationError("There is no database to migrate: 'sqlalchemy.url' is not set.")
    with schema_version.exclusive(url) as conn:
        context.configure(connection=conn, render_as_batch=conn.dialect.name == "sqlite", **OPTIONS)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    print_sql(context.config.get_main_option("sqlalchemy.url"))
else:
    migrate(context.config.get_main_option("sqlalchemy.url"))
