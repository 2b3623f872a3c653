"""What is decided about the inbound tasks of joins: the rows as one transaction knows them.

One belongs to each unit of work; only ``join_handler`` asks it and adds to it.
"""

from __future__ import annotations

from collections.abc import Collection

from mistral.db.storage import Store
from mistral.workflow import joins
from mistral.workflow.entities import JoinInbound


class JoinInbounds:
    """Rows by join and by name of the inbound task.

    :param new_tasks: ids of the tasks that this transaction makes: a new join has no rows yet.
    """

    def __init__(self, store: Store, new_tasks: Collection[str]) -> None:
        self._store = store
        self._new_tasks = new_tasks
        self._known: dict[str, dict[str, JoinInbound]] = {}
        self._new: list[JoinInbound] = []

    def one(self, join_id: str, name: str) -> JoinInbound | None:
        """What is decided about one inbound task of a join."""
        known = self._known.setdefault(join_id, {})
        if name not in known and join_id not in self._new_tasks:
            for row in self._store.inbounds(join_id, [name]):
                known[row.name] = row
        return known.get(name)

    def of(self, join_id: str, names: Collection[str] | None = None) -> dict[str, JoinInbound]:
        """What is decided about inbound tasks of a join, by name: about all, or at least some."""
        known = self._known.setdefault(join_id, {})
        if join_id not in self._new_tasks:
            for row in self._store.inbounds(join_id, names):
                known.setdefault(row.name, row)
        return known

    def ready(self, join_id: str) -> list[JoinInbound]:
        """The inbound tasks that have led to a join so far."""
        return [r for r in self.of(join_id).values() if r.state == joins.READY]

    def put(self, inbound: JoinInbound) -> str | None:
        """Record what is decided; returns what was decided before."""
        old = self.one(inbound.task_execution_id, inbound.name)
        if old is None:
            self._known[inbound.task_execution_id][inbound.name] = inbound
            self._new.append(inbound)
            return None
        before = old.state
        old.apply({k: getattr(inbound, k) for k in ("state", "source_task_id", "event", "attempt")})
        return before

    def write(self, store: Store) -> None:
        """Store what is new or has changed."""
        fresh = {id(row) for row in self._new}
        store.insert(self._new)
        store.update(
            [row for rows in self._known.values() for row in rows.values() if id(row) not in fresh]
        )
