"""The outbox: what goes to executors after a commit.

The mark of a row that waits to be sent or handled is the time of its next look; nothing is
written after a send. Who looks moves the mark on, which keeps others away.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from mistral import exceptions as exc
from mistral.db.storage import Transaction
from mistral.definitions.catalog import Catalog
from mistral.engine.liveness import HeartbeatOptions
from mistral.rpc.batch_sender import BatchSender
from mistral.rpc.clients import ExecutorClient
from mistral.rpc.messages import ActionInput, ActionOrder, RunKey
from mistral.workflow import results
from mistral.workflow.entities import (
    ActionExecution,
    WorkflowExecution,
)
from mistral.workflow.values import Bag, Values

LOG = logging.getLogger(__name__)

MESSAGE_SIZE = 100
"""How many actions travel in one message."""

LARGE_INPUT = 64 * 1024
"""From so many bytes on an input stays in the database until the action is about to run."""

Addressed = tuple[str | None, ActionOrder]
"""An order and the name of the executor that is to run it, if that matters."""


@dataclasses.dataclass(frozen=True)
class SendOptions:
    """What every message to an executor carries, and when an executor counts as gone."""

    callback_url: str = ""
    heartbeat: HeartbeatOptions = HeartbeatOptions()


class ActionQueue:
    """Sends actions to executors."""

    def __init__(self, executors: ExecutorClient, catalog: Catalog, options: SendOptions) -> None:
        self._executors = executors
        self._catalog = catalog
        self.options = options
        self._sender = BatchSender(
            "actions", self._deliver, threads=1, max_batch=MESSAGE_SIZE, gather=0.003
        )

    def start(self) -> None:
        """Begin to send."""
        self._sender.start()

    def stop(self) -> None:
        """Send what waits and end; what could not be sent is found by the relay."""
        self._sender.wait_empty(5.0)
        self._sender.stop()

    def order(
        self,
        action_ex: ActionExecution,
        values: Values,
        wf_ex: WorkflowExecution | None,
        is_whole: bool = False,
    ) -> ActionOrder:
        """The order to run one action.

        A large input is only named by its size, unless the message has to be whole: otherwise all
        that waits for executors would be held in memory, here, there or by a broker.
        """
        name = action_ex.base_name or action_ex.name
        descriptor = self._catalog.plugin(name)
        if descriptor is None or descriptor.action_class_name is None:
            raise exc.InvalidActionException(f"Failed to find action [action_name={name}]")
        size = 0 if is_whole else _large_size(_own_input(action_ex))
        dry_run = wf_ex is not None and "dry_run" in wf_ex.params
        # whoever may kill executors one after the other is claimed, so that this is seen
        is_first = not action_ex.tries
        return ActionOrder(
            id=action_ex.id,
            action_class=descriptor.action_class_name,
            name=action_ex.name,
            input={} if size else self._input(action_ex, values),
            attributes=dict(descriptor.action_class_attributes or {}),
            attempt=action_ex.attempt,
            wf_ex_id=action_ex.workflow_execution_id,
            root_ex_id=action_ex.root_execution_id,
            task_ex_id=action_ex.task_execution_id,
            safe_rerun=action_ex.safe_rerun,
            needs_claim=not (descriptor.is_safe or (action_ex.safe_rerun and is_first)),
            timeout=action_ex.runtime.timeout,
            dry_run=bool(dry_run and wf_ex and values.get(wf_ex.params, "dry_run")),
            is_whole=True,
            input_size=size,
            context=self._context(action_ex, wf_ex),
        )

    def _input(self, action_ex: ActionExecution, values: Values) -> dict[str, Any]:
        given = values.unpack(_own_input(action_ex))
        if action_ex.secrets is not None:
            given |= self._catalog.vault.open(action_ex.secrets)
        return given

    def inputs(
        self, tx: Transaction, executor_id: str, wanted: Sequence[RunKey]
    ) -> list[ActionInput]:
        """Inputs of actions that were sent without them, of those the executor is to run."""
        attempts = dict(wanted)
        return [
            ActionInput(
                action_ex.id,
                self._input(
                    action_ex,
                    tx.store.values(action_ex.root_execution_id or action_ex.id),
                ),
            )
            for action_ex in tx.actions.by_ids(attempts)
            if results.is_live(action_ex)
            and action_ex.attempt == attempts[action_ex.id]
            and action_ex.started_by in (None, executor_id)
        ]

    def _context(
        self, action_ex: ActionExecution, wf_ex: WorkflowExecution | None
    ) -> dict[str, Any]:
        base = self.options.callback_url
        callback = base or f"/v2/action_executions/{action_ex.id}"
        return {
            "workflow_name": wf_ex.workflow_name if wf_ex else None,
            "workflow_execution_id": action_ex.workflow_execution_id,
            "task_execution_id": action_ex.task_execution_id,
            "action_execution_id": action_ex.id,
            "callback_url": callback,
            "with_items_index": action_ex.idx,
            "project_id": action_ex.project_id,
        }

    def send(self, orders: Iterable[Addressed]) -> None:
        """Send soon; what is handed over meanwhile travels in the same message."""
        self._sender.put(orders)

    def _deliver(self, orders: Sequence[Addressed]) -> None:
        """One message per target; a failure is left to the relay."""
        groups: dict[tuple[str | None, bool], list[ActionOrder]] = defaultdict(list)
        for target, order in orders:
            groups[target, bool(order.input_size)].append(order)
        for (target, is_large), group in groups.items():
            send = self._executors.run_large_actions if is_large else self._executors.run_actions
            try:
                send(group, target=target)
            except exc.RPCException as error:
                LOG.warning("Actions could not be sent, the relay will: %s", error)


def _own_input(action_ex: ActionExecution) -> Bag:
    """The input of what is run in the end."""
    return action_ex.input if action_ex.base_input is None else action_ex.base_input


def _large_size(bag: Bag) -> int:
    """Bytes of an input that is large, else 0."""
    size = sum(ref.size for ref in bag.refs.values())
    return size if size >= LARGE_INPUT else 0
