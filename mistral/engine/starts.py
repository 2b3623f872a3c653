"""Starts of executions and of actions that belong to none: each happens once, few at a time.

For the engine's use cases alone. A request that comes again, by whatever way, is told what it has
started before; more requests than the process can do are refused instead of piling up.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping
from typing import Any

from mistral import exceptions as exc
from mistral.context import RequestContext
from mistral.db.storage import Decision, DuplicateRowError, Storage, Transaction
from mistral.definitions.catalog import Catalog, unknown_workflow
from mistral.engine import snapshots, standalone_actions, utils
from mistral.engine import workflows as wf
from mistral.engine.action_queue import ActionQueue
from mistral.engine.base import Start
from mistral.engine.dispatcher import dispatch
from mistral.engine.inbox.suspects import Suspects
from mistral.engine.mail.executions import StartDue
from mistral.engine.transactions import Ready, Transactions
from mistral.rpc.messages import StartedAction
from mistral.utils import ids
from mistral.utils.clock import utc_now
from mistral.utils.faults import Faults
from mistral.utils.gate import Gate
from mistral.workflow.entities import WorkflowExecution
from mistral.workflow.limits import Limits

JsonDict = dict[str, Any]


class Starts:
    """The starts of one engine; safe to share between its threads."""

    def __init__(
        self,
        storage: Storage,
        catalog: Catalog,
        queue: ActionQueue,
        limits: Limits,
        transactions: Transactions,
        gate: Gate,
        faults: Faults,
        suspects: Suspects,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._storage = storage
        self._catalog = catalog
        self._queue = queue
        self._limits = limits
        self._transactions = transactions
        self._gate = gate
        self._faults = faults
        self._suspects = suspects
        self._now = now

    def workflow(
        self,
        identifier: str,
        wf_input: Mapping[str, Any],
        description: str,
        request: Start,
        params: Mapping[str, Any],
    ) -> JsonDict:
        """Start a workflow; the new execution, or that which this request has started before.

        :raises NotFoundException: unknown workflow.
        :raises InputException: missing or unexpected input.
        :raises DBDuplicateEntryError: the id that was asked for belongs to somebody else.
        :raises UnavailableException: more starts than this process can do are waiting.
        """
        execution_id = request.execution_id or ids.new_id()

        work = functools.partial(
            self._start, identifier, wf_input, description, request, execution_id, params
        )
        before = functools.partial(existing, execution_id=execution_id, ctx=request.ctx)
        try:
            with self._gate, self._suspects.trying(execution_id, StartDue(execution_id).key):
                self._faults.point("engine.start")
                snapshot, ready = self._storage.decide(work)
        except DuplicateRowError:
            return self._storage.read(before)
        except exc.UnavailableException:
            raise
        except exc.MistralException:
            # the definition may have changed since this request has started it
            if self._storage.read(lambda tx: tx.store.execution(execution_id)) is None:
                raise
            return self._storage.read(before)
        self._transactions.ring(ready)
        return snapshot

    def _start(
        self,
        identifier: str,
        wf_input: Mapping[str, Any],
        description: str,
        request: Start,
        execution_id: str,
        params: Mapping[str, Any],
        tx: Transaction,
    ) -> Decision[Transaction, tuple[JsonDict, Ready]]:
        project_id = request.ctx.project_id
        row = tx.definitions.find_workflow_to_start(identifier, request.namespace, project_id)
        if row is None:
            raise unknown_workflow(identifier, request.namespace)
        definition = self._catalog.stored(tx.definitions, row)
        given = dict(params)
        given["env"] = utils.environment(tx, given.get("env"), project_id)
        blank = WorkflowExecution(
            id=execution_id,
            workflow_name=definition.name,
            spec_hash=definition.spec_hash,
            project_id=project_id,
        )
        unit = self._transactions.unit(tx, blank)
        workflow = wf.Workflow(definition, None, unit)
        dispatch(unit, workflow.start(wf_input, description, given, execution_id, project_id))
        decision = self._transactions.decided(unit)
        snapshot = snapshots.execution(unit.wf_ex, unit.values)
        return Decision(lambda tx: (snapshot, decision.write(tx)), decision.premises)

    def action(self, request: standalone_actions.Request) -> StartedAction:
        """Check and describe an action that belongs to no workflow; schedule it if it is to be.

        :raises InvalidActionException: unknown action.
        :raises InputException: wrong parameters.
        :raises UnavailableException: more starts than this process can do are waiting.
        """
        prepare = functools.partial(
            standalone_actions.prepare,
            self._catalog,
            self._queue,
            self._limits,
            self._now,
            request,
        )

        def think(tx: Transaction) -> Decision[Transaction, standalone_actions.Prepared]:
            prepared = prepare(tx)
            return Decision(lambda tx: standalone_actions.save(tx, prepared))

        try:
            action_id = request.action_id
            with self._gate, self._suspects.trying(action_id, (StartDue.kind, action_id)):
                prepared = self._storage.decide(think)
        except DuplicateRowError:
            # this request has saved it before: not a second action
            prepared = self._storage.read(prepare)
        if prepared.send is not None:
            self._queue.send([prepared.send])
        return prepared.answer


def existing(tx: Transaction, execution_id: str, ctx: RequestContext) -> JsonDict:
    """The execution that has this id already.

    :raises DBDuplicateEntryError: it is not the caller's, or is being deleted.
    """
    store = tx.store
    wf_ex = store.execution(execution_id)
    if wf_ex is None or wf_ex.project_id != ctx.project_id or store.is_being_deleted(execution_id):
        raise exc.DBDuplicateEntryError(f"Execution exists [id={execution_id}]")
    return snapshots.execution(wf_ex, store.values(wf_ex.root_id))
