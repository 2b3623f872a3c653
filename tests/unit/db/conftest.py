from __future__ import annotations

from collections.abc import Iterator

import pytest

from mistral.db import tables
from mistral.db.transaction import Database


@pytest.fixture
def database(fresh_sqlite_url: str) -> Iterator[Database]:
    """A database with all tables, empty."""
    database = Database(fresh_sqlite_url)
    database.write(tables.metadata.create_all)
    yield database
    database.close()
