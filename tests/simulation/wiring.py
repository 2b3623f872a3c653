"""Puts the simulated clock and threads behind the real modules of the engine.

The storage and the ids are handed to the engine (``processes``); what is not is replaced here, and
only here.
"""

from __future__ import annotations

import concurrent
import contextlib
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any
from unittest import mock

from mistral.engine import dispatcher
from mistral.engine.mailbox import Mailboxes
from mistral.scheduler import timer_queue
from mistral.utils import clock
from tests.simulation import processes
from tests.simulation.coverage import Counting, Coverage
from tests.simulation.world import World

ROOMS = ("mistral.engine.", "mistral.scheduler.timer_queue")


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
    real_to_simulated: list[tuple[Any, Any]] = [
        (Mailboxes, boxes),
        (timer_queue.TimerQueue, processes.SimTimers),
        (concurrent, types.SimpleNamespace(futures=types.SimpleNamespace(Future=future))),
        (clock.utc_now, world.utc_now),
    ]
    by_name: list[tuple[Any, dict[str, Any]]] = [
        (dispatcher, {"_ANSWERS": Counting(dispatcher._ANSWERS, coverage.commands)}),
    ]
    replaced = {id(real): simulated for real, simulated in real_to_simulated}
    with contextlib.ExitStack() as stack:
        for module, names in [*_everywhere(replaced), *by_name]:
            stack.enter_context(mock.patch.multiple(module, **names))
        yield
