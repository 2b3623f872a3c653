"""Actions that belong to no workflow: described for a caller, or scheduled and saved."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mistral import exceptions as exc
from mistral.context import RequestContext
from mistral.db.storage import Decision, Transaction
from mistral.definitions.catalog import Catalog
from mistral.engine import action_handler, snapshots
from mistral.engine.action_queue import ActionQueue, Addressed
from mistral.engine.actions import AdHocAction, PythonAction
from mistral.engine.base import Scope
from mistral.engine.mail.actions import ActionResult, LostAction
from mistral.engine.mail.base import Mail
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.rpc.messages import LOST, SIGNALLED, Report, StartedAction
from mistral.utils import ids
from mistral.workflow import results, states
from mistral.workflow.commands import CreateAction, UpdateAction
from mistral.workflow.definitions import ActionDefinition
from mistral.workflow.entities import ActionExecution, WorkflowExecution
from mistral.workflow.limits import Limits
from mistral.workflow.look_times import CALLER_MARGIN, DISPATCH_LOOK_AFTER
from mistral.workflow.state_machines import ActionEvent
from mistral.workflow.values import Bag


@dataclasses.dataclass(frozen=True)
class Request:
    """A single run as it was asked for (doc:rest/action_executions#single-runs)."""

    name: str
    input: Mapping[str, Any]
    description: str | None
    ctx: RequestContext
    params: Mapping[str, Any]
    action_id: str = dataclasses.field(default_factory=ids.new_id)

    def flag(self, name: str) -> bool:
        """A yes-or-no parameter."""
        return bool(self.params.get(name))


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A run that was checked: the answer for the caller, and what is to be saved and sent."""

    answer: StartedAction
    send: Addressed | None
    row: ActionExecution | None
    values: Mapping[str, bytes]


def prepare(
    catalog: Catalog,
    queue: ActionQueue,
    limits: Limits,
    now: Callable[[], dt.datetime],
    request: Request,
    tx: Transaction,
) -> Prepared:
    """Check an action and describe its run; only reads."""
    namespace = request.params.get("namespace") or ""
    definition = catalog.find_action(
        tx.definitions, [request.name], namespace, request.ctx.project_id
    )
    unit = _unit(tx, catalog, limits, now(), request.action_id, request.ctx.project_id, namespace)
    action = _domain_object(unit, definition, None)
    action_ex, waits = _described(action, request)
    save = not waits or request.flag("save_result")
    if waits:
        # should the caller's process die, somebody has to end what it has begun
        patience = request.params.get("timeout") or queue.options.heartbeat.caller
        action_ex.next_look_at = unit.now + dt.timedelta(seconds=patience) + CALLER_MARGIN
    else:
        action_ex.next_look_at = unit.now + DISPATCH_LOOK_AFTER
    order = queue.order(action_ex, unit.values, None, is_whole=waits)
    shown = snapshots.action(action_ex, unit.values)
    answer = StartedAction(shown, saved=save, order=order if waits else None)
    send = None if waits else (action_ex.target, order)
    return Prepared(answer, send, action_ex if save else None, unit.values.new)


def save(tx: Transaction, prepared: Prepared) -> Prepared:
    """Store what was prepared, where asked."""
    if prepared.row is not None:
        tx.store.insert([prepared.row])
        tx.store.save_values(prepared.row.id, prepared.values)
    return prepared


def _described(action: PythonAction, request: Request) -> tuple[ActionExecution, bool]:
    """The action's row, and whether the caller waits for its result."""
    params = request.params
    commands = action.run(request.input, params.get("target"), desc=request.description or "")
    command = commands[0]
    if not isinstance(command, CreateAction):
        raise exc.InvalidActionException(f"Not an action: {request.name}")
    action_ex = command.action
    if params.get("timeout") is not None:
        action_ex.apply(action_ex.runtime.with_timeout(params["timeout"]).change)
    if not action_ex.is_sync and request.flag("run_sync"):
        raise exc.InputException(
            f"Action does not support synchronous execution [action_name={request.name}]"
        )
    waits = action_ex.is_sync and (request.flag("run_sync") or not request.flag("save_result"))
    if not waits:
        action_ex.started_by = None
    return action_ex, waits


def _unit(
    tx: Transaction,
    catalog: Catalog,
    limits: Limits,
    now: dt.datetime,
    action_id: str,
    project_id: str | None,
    namespace: str,
) -> UnitOfWork:
    """A unit of work without a workflow: the large values are the action's own."""
    blank = WorkflowExecution(
        id="",
        workflow_name="",
        spec_hash="",
        project_id=project_id,
        workflow_namespace=namespace,
        params=Bag({"namespace": namespace}),
    )
    return UnitOfWork(tx, catalog, limits, now, blank, action_id, new_id=lambda: action_id)


def _domain_object(
    unit: UnitOfWork, definition: ActionDefinition, action_ex: ActionExecution | None
) -> PythonAction:
    kind = AdHocAction if definition.adhoc else PythonAction
    return kind(
        definition, action_ex, scope=Scope(unit, unit.wf_ex, lambda value, _attribute: value)
    )


def store_reports(
    tx: Transaction,
    reports: Sequence[Report],
    now: dt.datetime,
    limit_kb: int = -1,
) -> None:
    """Store what an executor reports of actions, or that it is lost with what it held.

    :param limit_kb: what is larger becomes an error; without it whoever handles it will judge.
    """
    for report in reports:
        if report.kind == SIGNALLED:
            _signalled(tx, report.id, now)
        elif report.kind != LOST or not _is_signalled(tx, report.id):
            tx.actions.deliver(report.id, report.outcome.fitting(limit_kb), now)


def _signalled(tx: Transaction, action_id: str, now: dt.datetime) -> None:
    for action_ex in tx.actions.locked([action_id]):
        if results.is_live(action_ex):
            action_ex.signalled_at = now
            action_ex.next_look_at = action_ex.secrets = None
            tx.store.update([action_ex])


def _is_signalled(tx: Transaction, action_id: str) -> bool:
    """Whether its executor was heard of after all: the third party knows."""
    return any(row.signalled_at is not None for row in tx.actions.locked([action_id]))


def set_state(tx: Transaction, action_id: str, state: str, now: dt.datetime) -> dict[str, Any]:
    """PAUSED or RUNNING by an operator; nothing else follows such an action, or is told."""
    for action_ex in tx.actions.locked([action_id]):
        action_handler.check_change(action_ex, state)
        if action_ex.state != state:
            action_ex.move(action_handler.event_of(state))
            action_ex.updated_at = now
            tx.store.update([action_ex])
    return {}


def finish(
    tx: Transaction,
    catalog: Catalog,
    limits: Limits,
    now: dt.datetime,
    action_id: str,
    mails: Sequence[Mail],
) -> Decision[Transaction, None]:
    """Take the result of such an action, stored or in the mail; an ad-hoc one transforms it."""
    found = tx.store.lock_actions([action_id])
    if not found:
        return Decision(lambda tx: None)
    action_ex = found[0]
    root_id = action_ex.root_execution_id or action_ex.id
    project_id, namespace = action_ex.project_id, action_ex.workflow_namespace
    unit = _unit(tx, catalog, limits, now, root_id, project_id, namespace)
    for mail in mails:
        if isinstance(mail, ActionResult):
            _take(action_ex, mail, limits, unit)
    is_alone = action_ex.workflow_execution_id is None
    if is_alone and action_ex.result_at is not None and not action_ex.processed:
        _transform_stored(tx, unit, action_ex)
        results.finish_alone(action_ex)

    def write(tx: Transaction) -> None:
        tx.store.update([action_ex])
        tx.store.save_values(root_id, unit.values.new)

    return Decision(write, tx.store.premises)


def _take(action_ex: ActionExecution, mail: ActionResult, limits: Limits, unit: UnitOfWork) -> None:
    if isinstance(mail, LostAction) and action_ex.signalled_at is not None:
        # its executor was heard of after all: the third party knows
        return
    outcome = mail.outcome.fitting(limits.field_size_kb)
    results.accept(action_ex, outcome, unit.values, unit.now)


def give_up(tx: Transaction, action_id: str, message: str, now: dt.datetime) -> None:
    """End such an action in ERROR: what arrived for it can't be handled."""
    for action_ex in tx.actions.locked([action_id]):
        if action_ex.workflow_execution_id is not None or action_ex.processed:
            continue
        values = tx.store.values(action_ex.id)
        results.accept(action_ex, results.Outcome(states.ERROR, message), values, now)
        action_ex.move(ActionEvent.SPOIL)
        action_ex.output = values.pack({"result": message})
        results.finish_alone(action_ex)
        tx.store.update([action_ex])
        tx.store.save_values(action_ex.id, values.new)


def transform(
    catalog: Catalog,
    limits: Limits,
    now: Callable[[], dt.datetime],
    request: Request,
    outcome: results.Outcome,
    tx: Transaction,
) -> results.Outcome:
    """What the definition of an ad-hoc action makes of the result of a run that is not saved."""
    namespace = request.params.get("namespace") or ""
    project_id = request.ctx.project_id
    unit = _unit(tx, catalog, limits, now(), ids.new_id(), project_id, namespace)
    try:
        definition = catalog.find_action(tx.definitions, [request.name], namespace, project_id)
        action = _domain_object(unit, definition, None)
        return action.transformed(outcome) if isinstance(action, AdHocAction) else outcome
    except exc.MistralException as error:
        return results.Outcome(states.ERROR, str(error))


def _transform_stored(tx: Transaction, unit: UnitOfWork, action_ex: ActionExecution) -> None:
    """The same for a result that is stored."""
    if action_ex.base_name is None:
        return
    try:
        definition = unit.catalog.find_action(
            tx.definitions,
            [action_ex.name],
            action_ex.workflow_namespace,
            action_ex.project_id,
        )
        outcome = results.outcome_of(action_ex, unit.values)
        for command in _domain_object(unit, definition, action_ex).complete(outcome):
            if isinstance(command, UpdateAction):
                command.apply_to(action_ex)
    except exc.MistralException as error:
        action_ex.move(ActionEvent.SPOIL)
        action_ex.output = unit.values.pack({"result": str(error)})
