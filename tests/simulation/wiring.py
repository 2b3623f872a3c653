"""Puts the simulated database, clock and ids behind the real modules of the engine.

The engine gets its stores as modules, not as arguments; this is the only place that replaces them.
"""

from __future__ import annotations

import concurrent
import contextlib
import functools
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any
from unittest import mock

from mistral.db import definitions as real_definitions
from mistral.db.core import entity_rows as real_rows
from mistral.db.execution import action_executions
from mistral.db.execution import delivery_attempts as real_handlings
from mistral.db.execution import due_rows as real_due
from mistral.db.execution import heartbeats as real_members
from mistral.db.execution import idempotency_keys as real_receipts
from mistral.db.execution import large_values as real_values
from mistral.db.execution import store as real_store
from mistral.engine import dispatcher
from mistral.engine.mailbox import Mailboxes
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.scheduler import timer_queue
from mistral.utils import clock
from tests.simulation import memory_store, processes
from tests.simulation.coverage import Counting, Coverage
from tests.simulation.world import World

ROOMS = (
    "mistral.engine.",
    "mistral.db.execution.action_executions",
    "mistral.scheduler.timer_queue",
)


def _engines_modules() -> list[types.ModuleType]:
    return [module for name, module in sorted(sys.modules.items()) if name.startswith(ROOMS)]


def _everywhere(replaced: Mapping[int, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Names in the engine's modules whose objects have a simulated counterpart."""
    for module in _engines_modules():
        found = {n: replaced[id(v)] for n, v in vars(module).items() if id(v) in replaced}
        if found:
            yield module, found


@contextlib.contextmanager
def installed(world: World, coverage: Coverage) -> Iterator[None]:
    """Run the engine's modules over the simulated rows and time of a world."""
    future = type("Future", (processes.SimFuture,), {"world": world})
    boxes = type("Mailboxes", (processes.SimMailboxes,), {"handled": coverage.mails})
    definitions = types.SimpleNamespace(
        find_workflow_to_start=lambda conn, identifier, namespace, project_id: identifier
    )
    real_to_simulated: list[tuple[Any, Any]] = [
        (real_store.Store, memory_store.MemoryStore),
        (real_due, memory_store.DUE),
        (real_rows, memory_store.ROWS),
        (real_values, memory_store.VALUES),
        (real_definitions, definitions),
        (real_handlings, memory_store.HANDLINGS),
        (real_members, memory_store.MEMBERS),
        (real_receipts, memory_store.RECEIPTS),
        (UnitOfWork, functools.partial(UnitOfWork, new_id=world.new_id)),
        (Mailboxes, boxes),
        (timer_queue.TimerQueue, processes.SimTimers),
        (concurrent, types.SimpleNamespace(futures=types.SimpleNamespace(Future=future))),
        (clock.utc_now, world.utc_now),
    ]
    by_name: list[tuple[Any, dict[str, Any]]] = [
        (
            action_executions,
            {
                "locked": memory_store.locked,
                "by_ids": memory_store.by_ids,
                "heard_of": memory_store.heard_of,
            },
        ),
        (dispatcher, {"_ANSWERS": Counting(dispatcher._ANSWERS, coverage.commands)}),
    ]
    replaced = {id(real): simulated for real, simulated in real_to_simulated}
    with contextlib.ExitStack() as stack:
        for module, names in [*_everywhere(replaced), *by_name]:
            stack.enter_context(mock.patch.multiple(module, **names))
        yield
