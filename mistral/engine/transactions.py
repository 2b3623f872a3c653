"""One event, one transaction on one execution: lock, load, decide, write, commit, ring (law 2).

The engine's use cases and its mail handler hand in what is to be decided; nobody else handles an
execution. Nothing is written before everything is decided, which
:mod:`mistral.db.core.decisions` needs where all writers wait for each other. What must
be sent waits for the commit: listeners are told of each decision
(:mod:`mistral.engine.commit_hooks`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from mistral import exceptions as exc
from mistral.db.storage import Decision, Storage, Transaction
from mistral.definitions.catalog import Catalog
from mistral.engine import snapshots
from mistral.engine.commit_hooks import CommitHooks, Listener
from mistral.engine.dispatcher import dispatch
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.utils import ids
from mistral.utils.clock import utc_now
from mistral.workflow.commands import Command
from mistral.workflow.entities import WorkflowExecution
from mistral.workflow.limits import Limits

Decide = Callable[[UnitOfWork], list[Command]]
Write = Callable[[Transaction], None]
Ready = Sequence[CommitHooks]
"""What is done when the transaction is committed."""

JsonDict = dict[str, Any]


class Transactions:
    """The transactions of one engine; safe to share between its threads.

    :param listeners: what is done around each commit, in this order.
    """

    def __init__(
        self,
        storage: Storage,
        catalog: Catalog,
        limits: Limits,
        listeners: Sequence[Listener],
        now: Callable[[], dt.datetime] = utc_now,
        new_id: Callable[[], str] = ids.new_id,
    ) -> None:
        self._storage = storage
        self._catalog = catalog
        self._limits = limits
        self._listeners = tuple(listeners)
        self._now = now
        self._new_id = new_id

    def handle(
        self,
        execution_id: str,
        handle: Decide,
        otherwise: Callable[[Transaction], Decision[Transaction, None]],
        settle: Write,
    ) -> None:
        """Handle what has arrived for an execution.

        :param otherwise: what to decide where there is no such execution.
        :param settle: is done in the transaction that writes, whatever was decided.
        """

        def think(tx: Transaction) -> Decision[Transaction, Ready | None]:
            unit = self._locked(tx, execution_id)
            if unit is None:
                return _settling(settle, otherwise(tx))
            dispatch(unit, handle(unit))
            return _settling(settle, self.decided(unit))

        ready = self._storage.decide(think)
        if ready is not None:
            self.ring(ready)

    def command(self, execution_id: str, command: Decide, key: str) -> JsonDict:
        """Carry out an operator's command and tell what became of the execution.

        :param key: of the request: what was carried out for it is not decided again.
        :raises NotFoundException: there is no such execution.
        """

        def think(tx: Transaction) -> Decision[Transaction, tuple[JsonDict, Ready | None]]:
            unit = self._locked(tx, execution_id)
            # an earlier try, if any, has let go of the lock: what it has committed is seen
            answer = tx.receipts.answer(key)
            if answer is not None:
                # and what it has not rung for is found by the relay
                return Decision(lambda tx: (answer, None))
            if unit is None or unit.store.is_being_deleted(execution_id):
                raise exc.NotFoundException(f"Execution not found [id={execution_id}]")
            dispatch(unit, command(unit))
            decision = self.decided(unit)
            shown = snapshots.brief(unit.wf_ex)

            def write(tx: Transaction) -> tuple[JsonDict, Ready | None]:
                tx.receipts.leave(key, shown)
                return shown, decision.write(tx)

            return Decision(write, decision.premises)

        shown, ready = self._storage.decide(think)
        if ready is not None:
            self.ring(ready)
        return shown

    def _locked(self, tx: Transaction, execution_id: str) -> UnitOfWork | None:
        wf_ex = tx.store.lock_execution(execution_id)
        return self.unit(tx, wf_ex) if wf_ex is not None else None

    def unit(self, tx: Transaction, wf_ex: WorkflowExecution) -> UnitOfWork:
        """The unit of work of a transaction on an execution, or on one that is about to be."""
        return UnitOfWork(tx, self._catalog, self._limits, self._now(), wf_ex, new_id=self._new_id)

    def decided(self, unit: UnitOfWork) -> Decision[Transaction, Ready]:
        """What is to be written, and what is done around the commit."""
        bell = unit.close()
        hooks = [listen(unit, bell) for listen in self._listeners]

        def write(tx: Transaction) -> Ready:
            unit.write(tx.store)
            for hook in hooks:
                hook.before_commit()
            return hooks

        return Decision(write, unit.store.premises)

    def ring(self, ready: Ready) -> None:
        """After the commit: tell everybody for whom there is a row now."""
        for hook in ready:
            hook.after_commit()


def _settling(settle: Write, decision: Decision[Transaction, Any]) -> Decision[Transaction, Any]:
    def write(tx: Transaction) -> Any:
        settle(tx)
        return decision.write(tx)

    return Decision(write, decision.premises)
