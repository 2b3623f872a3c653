"""What listeners do around a commit: once for what is stored, never for what is not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import sqlalchemy as sa

from mistral.db.core import tables
from mistral.db.storage import Storage
from mistral.engine import workflow_handler
from mistral.engine.commit_hooks import CommitHooks
from mistral.engine.transactions import Transactions
from mistral.engine.unit_of_work.unit import Bell, UnitOfWork
from mistral.utils import ids
from mistral.workflow.limits import Limits

TEXT = """
main:
  tasks:
    a: {action: std.async_noop}
"""


@dataclasses.dataclass
class Noting:
    """A listener that notes what it is told, and the state that others see then."""

    name: str
    site: Any
    execution_id: str
    notes: list[tuple[str, str, str]]

    def __call__(self, unit: UnitOfWork, bell: Bell) -> CommitHooks:
        self._note("decided")
        return CommitHooks(lambda: self._note("before"), lambda: self._note("after"))

    def _note(self, moment: str) -> None:
        self.notes.append((self.name, moment, self.site.execution(self.execution_id).state))


@pytest.fixture
def execution_id(site: Any) -> str:
    return str(site.start(site.engine(), TEXT))


def _pause(site: Any, execution_id: str, *listeners: Any) -> None:
    transactions = Transactions(Storage(site.database), site.catalog, Limits(), listeners)
    transactions.command(execution_id, workflow_handler.pause, ids.new_id())


def test_listeners_are_called_in_their_order(site: Any, execution_id: str) -> None:
    notes: list[tuple[str, str, str]] = []
    _pause(site, execution_id, *(Noting(n, site, execution_id, notes) for n in ("x", "y")))
    assert notes == [
        ("x", "decided", "RUNNING"),
        ("y", "decided", "RUNNING"),
        ("x", "before", "RUNNING"),
        ("y", "before", "RUNNING"),
        ("x", "after", "PAUSED"),
        ("y", "after", "PAUSED"),
    ]


def test_who_refuses_before_the_commit_leaves_nothing(site: Any, execution_id: str) -> None:
    notes: list[tuple[str, str, str]] = []

    def refuse() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError):
        _pause(
            site,
            execution_id,
            Noting("x", site, execution_id, notes),
            lambda unit, bell: CommitHooks(before_commit=refuse),
        )
    assert [moment for _, moment, _ in notes] == ["decided", "before"]
    assert site.execution(execution_id).state == "RUNNING"


def test_of_a_lost_decision_nothing_is_told(site: Any, execution_id: str) -> None:
    """Somebody else was faster: it is decided again."""
    notes: list[tuple[str, str, str]] = []
    table = tables.workflow_executions
    faster = sa.update(table).values(version=table.c.version + 1)

    def interfere(unit: UnitOfWork, bell: Bell) -> CommitHooks:
        if len(notes) == 1:
            site.database.write(lambda conn: conn.execute(faster).close())
        return CommitHooks()

    _pause(site, execution_id, Noting("x", site, execution_id, notes), interfere)
    assert [moment for _, moment, _ in notes] == ["decided", "decided", "before", "after"]
