"""One event, one transaction on one execution: lock, load, decide, write, commit, ring (law 2).

The engine's use cases and its mail handler hand in what is to be decided; nobody else handles an
execution. Nothing is written before everything is decided, which
:mod:`mistral.db.core.decisions` needs where all writers wait for each other. What must
be sent waits for the commit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.db.core.database import Database
from mistral.db.core.decisions import Decision, decide
from mistral.db.execution import idempotency_keys
from mistral.db.execution.store import Store
from mistral.definitions.catalog import Catalog
from mistral.engine import snapshots
from mistral.engine.action_queue import ActionQueue, Addressed
from mistral.engine.dispatcher import dispatch
from mistral.engine.mail.base import Mail
from mistral.engine.mail.executions import EventDue, StartDue
from mistral.engine.state_log import StateLog
from mistral.engine.unit_of_work.unit import Bell, UnitOfWork
from mistral.utils.clock import utc_now
from mistral.utils.faults import Faults
from mistral.workflow.commands import Command
from mistral.workflow.entities import Timer, WorkflowExecution
from mistral.workflow.limits import Limits

Decide = Callable[[UnitOfWork], list[Command]]
Write = Callable[[sa.Connection], None]
JsonDict = dict[str, Any]

MOST_BELLS = 1000


@dataclasses.dataclass(frozen=True)
class Ready:
    """What is sent when the transaction is committed."""

    bell: Bell
    orders: list[Addressed]
    traced: list[str]


class Transactions:
    """The transactions of one engine; safe to share between its threads."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        queue: ActionQueue,
        limits: Limits,
        post: Callable[[str, Sequence[Mail]], None],
        add_timers: Callable[[Iterable[Timer]], None],
        faults: Faults,
        trace: StateLog,
    ) -> None:
        self._db = database
        self._catalog = catalog
        self._queue = queue
        self._limits = limits
        self._post = post
        self._add_timers = add_timers
        self._faults = faults
        self._trace = trace

    def handle(
        self,
        execution_id: str,
        handle: Decide,
        otherwise: Callable[[sa.Connection], Decision[None]],
        settle: Write,
    ) -> None:
        """Handle what has arrived for an execution.

        :param otherwise: what to decide where there is no such execution.
        :param settle: is done in the transaction that writes, whatever was decided.
        """

        def think(conn: sa.Connection) -> Decision[Ready | None]:
            unit = self._locked(conn, execution_id)
            if unit is None:
                return _settling(settle, otherwise(conn))
            dispatch(unit, handle(unit))
            return _settling(settle, self.decided(unit))

        ready = decide(self._db, think)
        if ready is not None:
            self.ring(ready)

    def command(self, execution_id: str, command: Decide, key: str) -> JsonDict:
        """Carry out an operator's command and tell what became of the execution.

        :param key: of the request: what was carried out for it is not decided again.
        :raises NotFoundException: there is no such execution.
        """

        def think(conn: sa.Connection) -> Decision[tuple[JsonDict, Ready | None]]:
            unit = self._locked(conn, execution_id)
            # an earlier try, if any, has let go of the lock: what it has committed is seen
            answer = idempotency_keys.answer(conn, key)
            if answer is not None:
                # and what it has not rung for is found by the relay
                return Decision(lambda conn: (answer, None))
            if unit is None or unit.store.is_being_deleted(execution_id):
                raise exc.NotFoundException(f"Execution not found [id={execution_id}]")
            dispatch(unit, command(unit))
            decision = self.decided(unit)
            shown = snapshots.brief(unit.wf_ex)

            def write(conn: sa.Connection) -> tuple[JsonDict, Ready | None]:
                idempotency_keys.leave(conn, key, shown)
                return shown, decision.write(conn)

            return Decision(write, decision.premises)

        shown, ready = decide(self._db, think)
        if ready is not None:
            self.ring(ready)
        return shown

    def _locked(self, conn: sa.Connection, execution_id: str) -> UnitOfWork | None:
        store = Store(conn)
        wf_ex = store.lock_execution(execution_id)
        return self.unit(store, wf_ex) if wf_ex is not None else None

    def unit(self, store: Store, wf_ex: WorkflowExecution) -> UnitOfWork:
        """The unit of work of a transaction on an execution, or on one that is about to be."""
        return UnitOfWork(store, self._catalog, self._limits, utc_now(), wf_ex)

    def decided(self, unit: UnitOfWork) -> Decision[Ready]:
        """What is to be written, and what is sent after the commit."""
        traced = self._trace.lines(unit)
        bell = unit.close()
        orders = [
            (action_ex.target, self._queue.order(action_ex, unit.values, unit.wf_ex))
            for action_ex in bell.actions
        ]

        def write(conn: sa.Connection) -> Ready:
            unit.write(Store(conn))
            self._faults.point("engine.before_commit")
            return Ready(bell, orders, traced)

        return Decision(write, unit.store.premises)

    def ring(self, ready: Ready) -> None:
        """After the commit: tell everybody for whom there is a row now."""
        self._faults.point("engine.after_commit")
        bell = ready.bell
        self._trace.write(ready.traced)
        self._queue.send(ready.orders)
        self._add_timers(bell.timers)
        for child_id in bell.children:
            self._post(child_id, [StartDue(child_id, root=bell.root)])
        # of very many the relay finds the rest: mailboxes are no place for them
        for event in bell.events[:MOST_BELLS]:
            self._post(event.execution_id, [EventDue(event.id, root=bell.root)])


def _settling(settle: Write, decision: Decision[Any]) -> Decision[Any]:
    def write(conn: sa.Connection) -> Any:
        settle(conn)
        return decision.write(conn)

    return Decision(write, decision.premises)
