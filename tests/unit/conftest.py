"""What unit tests of several rooms work with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mistral.db.core import tables
from mistral.db.core.database import Database
from mistral.expressions import (
    BUILTIN,
    ExpressionOptions,
    Expressions,
    JinjaEvaluator,
    YaqlEvaluator,
)


@pytest.fixture
def database(fresh_sqlite_url: str) -> Iterator[Database]:
    """A database with all tables, empty."""
    database = Database(fresh_sqlite_url)
    database.write(tables.metadata.create_all)
    yield database
    database.close()


@pytest.fixture(scope="session")
def expressions() -> Expressions:
    """Both languages with the built-in functions."""
    options = ExpressionOptions()
    return Expressions([YaqlEvaluator(options, BUILTIN), JinjaEvaluator(options, BUILTIN)], options)
