"""What is done around the commit of an engine's transaction.

Transactions are handed a list of listeners. Each is called once everything is decided and nothing
is written, and answers with what it wants to do before and after the commit. A decision may be
made again or be lost (:mod:`mistral.db.core.decisions`): then nothing of this happens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from mistral.engine.action_queue import ActionQueue
from mistral.engine.mail.base import Mail
from mistral.engine.mail.executions import EventDue, StartDue
from mistral.engine.state_log import StateLog
from mistral.engine.unit_of_work.unit import Bell, UnitOfWork
from mistral.utils.faults import Faults
from mistral.workflow.entities import Timer

MOST_BELLS = 1000


def _nothing() -> None:
    return


@dataclasses.dataclass(frozen=True)
class CommitHooks:
    """What one listener does around one commit.

    :param before_commit: when everything is written; it may refuse, and then nothing is stored.
    :param after_commit: must not fail: what has to happen is in rows (law 1).
    """

    before_commit: Callable[[], None] = _nothing
    after_commit: Callable[[], None] = _nothing


Listener = Callable[[UnitOfWork, Bell], CommitHooks]
"""Called in the transaction that decides; it only reads."""

_NOTHING = CommitHooks()


def fault_points(faults: Faults) -> Listener:
    """Tests let the process die here."""
    hooks = CommitHooks(
        before_commit=lambda: faults.point("engine.before_commit"),
        after_commit=lambda: faults.point("engine.after_commit"),
    )
    return lambda unit, bell: hooks


def state_log(log: StateLog) -> Listener:
    """The changes of states are logged when they are committed."""

    def listen(unit: UnitOfWork, bell: Bell) -> CommitHooks:
        found = log.lines(unit)
        return CommitHooks(after_commit=lambda: log.write(found)) if found else _NOTHING

    return listen


def orders(queue: ActionQueue) -> Listener:
    """New actions go to executors."""

    def listen(unit: UnitOfWork, bell: Bell) -> CommitHooks:
        found = [
            (action_ex.target, queue.order(action_ex, unit.values, unit.wf_ex))
            for action_ex in bell.actions
        ]
        return CommitHooks(after_commit=lambda: queue.send(found)) if found else _NOTHING

    return listen


def timers(add: Callable[[Iterable[Timer]], None]) -> Listener:
    """New timers are kept in memory, too."""

    def listen(unit: UnitOfWork, bell: Bell) -> CommitHooks:
        found = bell.timers
        return CommitHooks(after_commit=lambda: add(found)) if found else _NOTHING

    return listen


def doorbells(post: Callable[[str, Sequence[Mail]], None]) -> Listener:
    """Executions for which there is a row now are looked at."""

    def listen(unit: UnitOfWork, bell: Bell) -> CommitHooks:
        if not bell.children and not bell.events:
            return _NOTHING
        return CommitHooks(after_commit=lambda: ring(bell))

    def ring(bell: Bell) -> None:
        for child_id in bell.children:
            post(child_id, [StartDue(child_id, root=bell.root)])
        # of very many the relay finds the rest: mailboxes are no place for them
        for event in bell.events[:MOST_BELLS]:
            post(event.execution_id, [EventDue(event.id, root=bell.root)])

    return listen
