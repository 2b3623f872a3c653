"""Action executions outside an engine's transaction: deliveries, claims, due rows."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from mistral.db.core import entity_rows, tables
from mistral.db.execution import large_values
from mistral.workflow import results
from mistral.workflow.bounds import COUNTED_BYTES
from mistral.workflow.entities import ActionExecution
from mistral.workflow.values import Values

_A = tables.action_executions

BY_IDS = sa.select(_A).where(_A.c.id.in_(sa.bindparam("ids", expanding=True)))
BY_IDS_LOCKED = BY_IDS.order_by(_A.c.id).with_for_update(key_share=True)


@dataclasses.dataclass(frozen=True)
class Delivery:
    """What became of a result that came from outside; ``row`` is null for an unknown action."""

    row: ActionExecution | None
    accepted: bool = False
    repeated: bool = False


_IDS_PER_STATEMENT = 1000

_HEARD_OF = (
    sa.select(
        _A.c.id, sa.or_(_A.c.started_by.is_(None), _A.c.safe_rerun == sa.true()).label("is_free")
    )
    .where(
        _A.c.id.in_(sa.bindparam("ids", expanding=True)),
        _A.c.result_at.is_(None),
        # the executor may mention an action whose third party was told a moment ago
        _A.c.signalled_at.is_(None),
        # at what nobody looks any more nobody needs to look because of this
        _A.c.next_look_at.is_not(None),
        sa.or_(
            _A.c.next_look_at < sa.bindparam("soon"),
            sa.and_(
                _A.c.started_by.is_not(None),
                sa.func.coalesce(_A.c.last_heartbeat, _A.c.started_at) < sa.bindparam("stale"),
            ),
        ),
    )
    # what an engine has locked is being looked at: waiting for it could end in a deadlock
    .with_for_update(key_share=True, skip_locked=True)
)
_ALIVE = (
    sa.update(_A)
    .where(_A.c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(last_heartbeat=sa.bindparam("now"), next_look_at=sa.bindparam("look_at"))
)


@dataclasses.dataclass(frozen=True)
class SignOfLife:
    """When an executor was heard of, and what that means for the rows of its actions.

    Not every sign rewrites every row: only those that would be looked at soon, and claimed ones
    whose last sign is older than ``refresh``. ``waiting_look`` is for what may be dispatched again
    without harm, ``claimed_look`` for what was claimed.
    """

    now: dt.datetime
    refresh: dt.timedelta
    waiting_look: dt.timedelta
    claimed_look: dt.timedelta


class ActionExecutions:
    """Actions by their ids, in one transaction, without the lock of their execution."""

    def __init__(self, conn: sa.Connection) -> None:
        self.conn = conn

    def locked(self, ids: Iterable[str]) -> list[ActionExecution]:
        """Actions by their ids, locked until the transaction ends, in order of id."""
        return entity_rows.load(self.conn, ActionExecution, BY_IDS_LOCKED, {"ids": list(ids)})

    def by_ids(self, ids: Iterable[str]) -> list[ActionExecution]:
        """Actions by their ids, only to read."""
        return entity_rows.load(self.conn, ActionExecution, BY_IDS, {"ids": list(ids)})

    def deliver(self, action_id: str, outcome: results.Outcome, now: dt.datetime) -> Delivery:
        """Store a result that came from outside, unless the action has one (law 5)."""
        found = self.locked([action_id])
        if not found:
            return Delivery(None)
        action_ex = found[0]
        root_id = action_ex.root_execution_id or action_ex.id
        values = self.values(root_id)
        verdict = results.accept(action_ex, outcome, values, now)
        if verdict is results.Verdict.ACCEPTED:
            if action_ex.workflow_execution_id is None and action_ex.base_name is None:
                results.finish_alone(action_ex)
            self._note_stored(action_ex, root_id, values.new)
            self.update([action_ex])
            self.save_values(root_id, values.new)
        return Delivery(
            action_ex,
            accepted=verdict is results.Verdict.ACCEPTED,
            repeated=verdict is results.Verdict.REPEATED,
        )

    def _note_stored(self, action_ex: ActionExecution, root_id: str, new: dict[str, bytes]) -> None:
        """Let the engine that takes a large result count what is stored for the root execution."""
        large = {key: len(text) for key, text in new.items() if len(text) >= COUNTED_BYTES}
        if not large or action_ex.workflow_execution_id is None:
            return
        for key in self.known_values(root_id, large):
            del new[key], large[key]
        if large:
            action_ex.apply(action_ex.runtime.with_stored_bytes(sum(large.values())).change)

    def claim(
        self,
        executor_id: str,
        claims: Sequence[tuple[str, int]],
        now: dt.datetime,
        look_at: dt.datetime,
        safe_look_at: dt.datetime | None = None,
    ) -> list[str]:
        """Hand actions to an executor: those not started yet, of the attempt it was told.

        A claim that the executor holds already is confirmed: nobody can find it silent a moment
        later.

        :param look_at: when it is to be looked at unless the executor is heard of.
        :param safe_look_at: the same for what is safe to repeat, if that is sooner.
        :returns: the ids that this executor may run; a repeated question gets the same answer.
        """
        attempts = dict(claims)
        granted = []
        changed = []
        for action_ex in self.locked(attempts):
            if not results.is_live(action_ex) or action_ex.attempt != attempts[action_ex.id]:
                continue
            if action_ex.started_by is None:
                action_ex.started_by = executor_id
                action_ex.started_at = now
                is_safe = action_ex.safe_rerun and safe_look_at is not None
                action_ex.next_look_at = safe_look_at if is_safe else look_at
                changed.append(action_ex)
            elif action_ex.started_by == executor_id:
                action_ex.last_heartbeat = now
                changed.append(action_ex)
            if action_ex.started_by == executor_id:
                granted.append(action_ex.id)
        self.update(changed)
        return granted

    def release(
        self, executor_id: str, claims: Sequence[tuple[str, int]], now: dt.datetime
    ) -> None:
        """Take actions back that an executor had and has not begun; they are due at once."""
        attempts = dict(claims)
        changed = []
        for action_ex in self.locked(attempts):
            if not results.is_live(action_ex) or action_ex.attempt != attempts[action_ex.id]:
                continue
            is_waiting = action_ex.started_by is None and action_ex.next_look_at is not None
            if is_waiting or action_ex.started_by == executor_id:
                action_ex.started_by = action_ex.started_at = None
                action_ex.next_look_at = now
                changed.append(action_ex)
        self.update(changed)

    def heard_of(self, ids: Sequence[str], sign: SignOfLife) -> None:
        """An executor answers for these actions: look at them later."""
        terms = {
            "soon": sign.now + min(sign.waiting_look, sign.claimed_look) / 2,
            "stale": sign.now - sign.refresh,
        }
        for start in range(0, len(ids), _IDS_PER_STATEMENT):
            part = list(ids[start : start + _IDS_PER_STATEMENT])
            found = self.conn.execute(_HEARD_OF, {"ids": part, **terms}).all()
            for is_free, look in ((True, sign.waiting_look), (False, sign.claimed_look)):
                named = [row.id for row in found if bool(row.is_free) is is_free]
                if named:
                    values = {"ids": named, "now": sign.now, "look_at": sign.now + look}
                    self.conn.execute(_ALIVE, values)

    def delete(self, action_id: str) -> bool:
        """Delete an action that belongs to no task, and what was kept for it alone.

        :returns: whether it was there.
        """
        values, handlings = tables.execution_values, tables.handlings
        self.conn.execute(sa.delete(handlings).where(handlings.c.execution_id == action_id))
        deleted = self.conn.execute(sa.delete(_A).where(_A.c.id == action_id))
        self.conn.execute(sa.delete(values).where(values.c.root_execution_id == action_id))
        return deleted.rowcount > 0

    # what the others are made of

    def update(self, rows: Sequence[ActionExecution]) -> None:
        """Write what changed."""
        entity_rows.update(self.conn, rows)

    def values(self, root_id: str) -> Values:
        """The large values of a root execution."""
        return large_values.loader(self.conn, root_id)

    def known_values(self, root_id: str, hashes: Iterable[str]) -> set[str]:
        """Which large values are stored already."""
        return large_values.known(self.conn, root_id, hashes)

    def save_values(self, root_id: str, new: Mapping[str, bytes]) -> None:
        """Store new large values."""
        large_values.store(self.conn, root_id, new)
