"""What the servers' dialects do differently when definitions are stored."""

from __future__ import annotations

import datetime as dt
import threading

import pytest

from mistral import exceptions as exc
from mistral.context import RequestContext
from mistral.db import definitions as store
from mistral.db.core.database import Database
from mistral.db.core.named_objects import Row
from mistral.utils import ids
from tests.lib.databases import EVERY

ME = RequestContext(project_id="mine")
NOW = dt.datetime(2024, 5, 6, 7, 8, 9, 123456)

pytestmark = pytest.mark.parametrize("database", EVERY, indirect=True)


def workflow(name: str) -> Row:
    return {
        "id": ids.new_id(),
        "name": name,
        "scope": "private",
        "project_id": "mine",
        "created_at": NOW,
        "namespace": "",
        "definition": "ü \U0001f600",
        "spec_hash": "0" * 64,
        "input": "",
    }


def test_many_store_the_same_specs(database: Database) -> None:
    specs = [store.StoredSpec.of(f"wf{n}", {"tasks": {}}) for n in range(20)]
    errors: list[BaseException] = []

    def run(batch: list[store.StoredSpec]) -> None:
        try:
            database.write(lambda conn: store.store_specs(conn, batch))
        except BaseException as error:  # noqa: BLE001  (shown by the assertion below)
            errors.append(error)

    threads = [
        threading.Thread(target=run, args=(specs if n % 2 else specs[::-1],)) for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    for spec in specs:
        assert database.read(lambda c, s=spec: store.load_spec(c, s.hash))["tasks"] == {}


def test_one_of_several_creators_wins(database: Database) -> None:
    outcomes: list[str] = []

    def run() -> None:
        try:
            database.write(lambda conn: store.workflows.insert(conn, [workflow("wf")]))
            outcomes.append("created")
        except exc.DBDuplicateEntryError:
            outcomes.append("duplicate")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["created", "duplicate", "duplicate", "duplicate"]


def test_update_and_delete_under_a_lock(database: Database) -> None:
    database.write(lambda conn: store.workflows.insert(conn, [workflow("wf")]))

    def update(conn: object) -> Row:
        row = store.workflows.get(conn, "wf", ME, lock=True)  # type: ignore[arg-type]
        return store.workflows.update(conn, row, {"definition": "new"}, NOW)  # type: ignore[arg-type]

    changed = database.write(update)
    assert database.read(lambda conn: store.workflows.get(conn, "wf", ME)) == changed
    assert changed["created_at"] == changed["updated_at"] == NOW
    database.write(lambda conn: store.workflows.delete(conn, changed))
    assert database.read(lambda conn: store.workflows.find(conn, "wf", ME)) is None
