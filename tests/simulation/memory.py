"""A database in memory with row locks, READ COMMITTED visibility and unique constraints.

It behaves as a server does under the engine's statements: what others wrote is invisible until
they commit, each statement sees the newest committed rows and the transaction's own, a writer
waits for the holder of a row's lock, and a circle of waiters ends with an error for the one who
closed it. Rows are kept in their stored form, so nobody shares an object with anybody.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from mistral.db.core import column_types, entity_rows
from mistral.workflow.entities import Entity

T = TypeVar("T")
E = TypeVar("E", bound=Entity)
Row = dict[str, Any]
Key = Hashable
MAX_TRIES = 10


class Failure(Exception):
    """What a driver would raise; ``sqlstate`` tells what happened."""

    def __init__(self, sqlstate: str, text: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


def deadlock() -> sa.exc.OperationalError:
    """The error of the transaction that closed a circle of waiters."""
    return sa.exc.OperationalError("", {}, Failure("40P01", "deadlock detected"))


def not_serializable() -> sa.exc.OperationalError:
    """The error of a commit that a cluster refused."""
    return sa.exc.OperationalError("", {}, Failure("40001", "could not serialize"))


def duplicate(what: str) -> sa.exc.IntegrityError:
    """The error of a violated unique constraint."""
    return sa.exc.IntegrityError("", {}, Failure("23505", f"duplicate key: {what}"))


class Turns(Protocol):
    """Who decides when other transactions run."""

    def pause(self, point: str) -> None:
        """A point at which others may run."""

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Let others run until something holds."""

    def changed(self) -> None:
        """Something changed that others may wait for."""


class ThreadTurns:
    """Real threads: for tests of the database itself."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def pause(self, point: str) -> None:
        """Threads run when they like."""

    def wait_until(self, holds: Callable[[], bool]) -> None:
        with self._condition:
            self._condition.wait_for(holds, timeout=20)

    def changed(self) -> None:
        with self._condition:
            self._condition.notify_all()


@dataclasses.dataclass(frozen=True)
class Change:
    """One committed change of a row; null stands for a row that was or is not there."""

    kind: type[Entity]
    key: Key
    old: Row | None
    new: Row | None


class Codec:
    """Entities to stored rows and back, by the column types of the real tables."""

    def __init__(self, kind: type[Entity]) -> None:
        table = entity_rows.TABLES[kind]
        self.kind = kind
        self.names = tuple(table.c.keys())
        self.keys = tuple(column.name for column in table.primary_key)
        self._special: dict[str, Any] = {
            column.name: column.type
            for column in table.c
            if isinstance(column.type, column_types.Json | column_types.BagText)
        }
        self._needed = [c.name for c in table.c if not c.nullable]
        self.unique = [
            tuple(column.name for column in constraint.columns)
            for constraint in table.constraints
            if isinstance(constraint, sa.UniqueConstraint)
        ]

    def encode(self, name: str, value: Any) -> Any:
        """The stored form of a column's value."""
        special = self._special.get(name)
        return value if special is None else special.process_bind_param(value, None)

    def row(self, entity: Entity) -> Row:
        """The stored form of an entity."""
        values = entity.__dict__
        row = {name: self.encode(name, values[name]) for name in self.names}
        for name in self._needed:
            if row[name] is None:
                raise sa.exc.IntegrityError("", {}, Failure("23502", f"{name} is null"))
        return row

    def key(self, row: Mapping[str, Any]) -> Key:
        """The primary key of a row."""
        if len(self.keys) == 1:
            return row[self.keys[0]]
        return tuple(row[name] for name in self.keys)

    def entity(self, row: Row) -> Any:
        """A new entity of a stored row."""
        values = dict(row)
        for name, special in self._special.items():
            values[name] = special.process_result_value(values[name], None)
        return self.kind.from_row(values)

    def unique_keys(self, row: Row) -> Iterator[tuple[Any, ...]]:
        """The values of the unique constraints that apply (null is equal to nothing)."""
        for names in self.unique:
            values = tuple(row[name] for name in names)
            if None not in values:
                yield (names, *values)


class MemoryDatabase:
    """Committed rows, locks, and the transactions under way."""

    dialect_name = "memory"

    def __init__(self, turns: Turns | None = None, is_sqlite: bool = False) -> None:
        self.turns: Turns = turns or ThreadTurns()
        self.is_sqlite = is_sqlite
        """Whether engines decide on snapshots and write one after the other."""
        self.codecs = {kind: Codec(kind) for kind in entity_rows.TABLES}
        self.tables: dict[type[Entity], dict[Key, Row]] = {kind: {} for kind in entity_rows.TABLES}
        self.unique: dict[tuple[Any, ...], Key] = {}
        self.values: dict[tuple[str, str], str] = {}
        self.members: dict[Key, Any] = {}
        self.locks: dict[Hashable, MemoryConnection] = {}
        self.queues: dict[Hashable, list[MemoryConnection]] = {}
        """Who waits for a lock, in order: a repeated transaction does not overtake them."""
        self.numbers = itertools.count(1)
        self.on_commit: Callable[[list[Change]], None] = lambda changes: None

    def begin(self) -> MemoryConnection:
        """A new transaction."""
        return MemoryConnection(self)

    def write(self, work: Callable[[Any], T]) -> T:
        """Run a function in one transaction; on transient failures run it again."""
        for left in range(MAX_TRIES - 1, -1, -1):
            conn = self.begin()
            try:
                result = work(conn)
                conn.commit()
                return result
            except sa.exc.OperationalError:
                if not left:
                    raise
            finally:
                conn.rollback()
        raise AssertionError("unreachable")

    def read(self, work: Callable[[Any], T]) -> T:
        """Run a function that only reads."""
        conn = self.begin()
        try:
            return work(conn)
        finally:
            conn.rollback()

    def snapshot(self, work: Callable[[Any], T]) -> T:
        """Run a function that sees only what is committed now, and can neither lock nor write."""
        frozen = copy.copy(self)
        frozen.tables = {kind: dict(table) for kind, table in self.tables.items()}
        frozen.values, frozen.members = dict(self.values), dict(self.members)
        return work(Snapshot(frozen))

    def close(self) -> None:
        """Nothing to close."""

    def all(self, kind: type[E]) -> list[E]:
        """All committed rows of a kind, to look at."""
        codec = self.codecs[kind]
        return [codec.entity(row) for row in self.tables[kind].values()]


class MemoryConnection:
    """One transaction."""

    def __init__(self, database: MemoryDatabase) -> None:
        self.db = database
        self._own: dict[type[Entity], dict[Key, Row | None]] = {}
        self._values: dict[tuple[str, str], str] = {}
        self._members: dict[Key, Any] = {}
        self._locks: list[Hashable] = []
        self.waits_for: Hashable | None = None

    # reading

    def statement(self, name: str) -> None:
        """The beginning of a statement: others may have committed meanwhile."""
        self.db.turns.pause(name)

    def row(self, kind: type[Entity], key: Key) -> Row | None:
        """A row by its key."""
        own = self._own.get(kind)
        if own is not None and key in own:
            return own[key]
        return self.db.tables[kind].get(key)

    def rows(self, kind: type[Entity]) -> Iterator[Row]:
        """All visible rows of a kind."""
        own = self._own.get(kind)
        committed = self.db.tables[kind]
        if not own:
            yield from committed.values()
            return
        for key, row in committed.items():
            changed = own.get(key, row)
            if changed is not None:
                yield changed
        for key, changed in own.items():
            if changed is not None and key not in committed:
                yield changed

    def select(
        self, kind: type[E], holds: Callable[[Row], bool], order: Callable[[Row], Any] | None = None
    ) -> list[E]:
        """Entities of the visible rows for which something holds."""
        found = [row for row in self.rows(kind) if holds(row)]
        if order is not None:
            found.sort(key=order)
        codec = self.db.codecs[kind]
        return [codec.entity(row) for row in found]

    def by_keys(self, kind: type[E], keys: Iterable[Key]) -> list[E]:
        """Entities by their keys."""
        codec = self.db.codecs[kind]
        found = (self.row(kind, key) for key in dict.fromkeys(keys))
        return [codec.entity(row) for row in found if row is not None]

    # locks

    def lock(self, what: Hashable) -> None:
        """Wait for a lock and keep it until the end of the transaction."""
        if self.db.locks.get(what) is self:
            return
        queue = self.db.queues.setdefault(what, [])
        queue.append(self)
        try:
            while what in self.db.locks or queue[0] is not self:
                self._wait(what, queue)
            self.db.locks[what] = self
        finally:
            queue.remove(self)
            if not queue:
                self.db.queues.pop(what, None)
        self._locks.append(what)

    def try_lock(self, what: Hashable) -> bool:
        """Take a lock unless another transaction has it."""
        if self.db.locks.get(what) is self:
            return True
        if what in self.db.queues or self.db.locks.setdefault(what, self) is not self:
            return False
        self._locks.append(what)
        return True

    def _wait(self, what: Hashable, queue: list[MemoryConnection]) -> None:
        self.waits_for = what
        try:
            seen: Hashable | None = what
            while seen is not None:
                holder = self.db.locks.get(seen)
                if holder is self:
                    raise deadlock()
                seen = holder.waits_for if holder is not None else None
            self.db.turns.wait_until(lambda: what not in self.db.locks and queue[0] is self)
        finally:
            self.waits_for = None

    # writing

    def insert(self, entities: Iterable[Entity]) -> None:
        """Insert entities; who inserted the same key first and has not ended is waited for."""
        for entity in entities:
            kind = type(entity)
            codec = self.db.codecs[kind]
            row = codec.row(entity)
            key = codec.key(row)
            self.lock((kind, key))
            if self.row(kind, key) is not None:
                raise duplicate(f"{kind.__name__} {key}")
            for unique in codec.unique_keys(row):
                self._check_unique(kind, codec, unique)
            self._own.setdefault(kind, {})[key] = row
            entity.__dict__["changed"].clear()

    def _check_unique(self, kind: type[Entity], codec: Codec, unique: tuple[Any, ...]) -> None:
        self.lock((kind, unique))
        taken = self.db.unique.get((kind, *unique))
        own = self._own.get(kind, {})
        if taken is not None and own.get(taken, True) is not None:
            raise duplicate(f"{kind.__name__} {unique}")
        if any(row is not None and unique in codec.unique_keys(row) for row in own.values()):
            raise duplicate(f"{kind.__name__} {unique}")

    def change(self, kind: type[Entity], key: Key, values: Mapping[str, Any]) -> None:
        """Change columns (in their stored form) of a row, if it is still there."""
        self.lock((kind, key))
        row = self.row(kind, key)
        if row is not None:
            self._own.setdefault(kind, {})[key] = {**row, **values}

    def update(self, entities: Iterable[Entity]) -> None:
        """Write what changed in entities."""
        for entity in entities:
            changed = entity.__dict__["changed"]
            if changed:
                codec = self.db.codecs[type(entity)]
                values = {n: codec.encode(n, entity.__dict__[n]) for n in sorted(changed)}
                self.change(type(entity), codec.key(entity.__dict__), values)
                changed.clear()

    def delete(self, kind: type[Entity], keys: Iterable[Key]) -> None:
        """Delete rows."""
        for key in keys:
            self.lock((kind, key))
            if self.row(kind, key) is not None:
                self._own.setdefault(kind, {})[key] = None

    def value(self, root_id: str, digest: str) -> str | None:
        """A stored large value."""
        key = (root_id, digest)
        return self._values.get(key) or self.db.values.get(key)

    def add_value(self, root_id: str, digest: str, text: str) -> None:
        """Store a large value unless it is there."""
        self.lock(("value", root_id, digest))
        if self.value(root_id, digest) is None:
            self._values[(root_id, digest)] = text

    def member(self, member_id: Key) -> Any:
        """When a process was last seen, or another note."""
        return self._members.get(member_id, self.db.members.get(member_id))

    def see_member(self, member_id: Key, moment: Any) -> None:
        """Note that a process was seen, or something else."""
        self.lock(("member", member_id))
        self._members[member_id] = moment

    # the end

    def commit(self) -> None:
        """Make all changes visible at once."""
        changes = []
        for kind, own in self._own.items():
            table, codec = self.db.tables[kind], self.db.codecs[kind]
            for key, new in own.items():
                old = table.get(key)
                changes.append(Change(kind, key, old, new))
                for unique in codec.unique_keys(old) if old else ():
                    self.db.unique.pop((kind, *unique), None)
                if new is None:
                    table.pop(key, None)
                    continue
                table[key] = new
                for unique in codec.unique_keys(new):
                    self.db.unique[(kind, *unique)] = key
        self.db.values.update(self._values)
        self.db.members.update(self._members)
        self.rollback()
        self.db.on_commit(changes)

    def rollback(self) -> None:
        """Forget all changes and let go of the locks."""
        self._own, self._values, self._members = {}, {}, {}
        if self._locks:
            for what in self._locks:
                del self.db.locks[what]
            self._locks = []
            self.db.turns.changed()


class Snapshot(MemoryConnection):
    """A transaction that only reads."""

    def lock(self, what: Hashable) -> None:
        """Nothing is locked."""

    def insert(self, entities: Iterable[Entity]) -> None:
        """Refuse."""
        raise AssertionError("Something is written on a snapshot.")

    def change(self, kind: type[Entity], key: Key, values: Mapping[str, Any]) -> None:
        """Refuse."""
        raise AssertionError("Something is written on a snapshot.")

    def delete(self, kind: type[Entity], keys: Iterable[Key]) -> None:
        """Refuse."""
        raise AssertionError("Something is written on a snapshot.")

    def add_value(self, root_id: str, digest: str, text: str) -> None:
        """Refuse."""
        raise AssertionError("Something is written on a snapshot.")

    def see_member(self, member_id: Key, moment: Any) -> None:
        """Refuse."""
        raise AssertionError("Something is written on a snapshot.")
