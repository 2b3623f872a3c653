"""Finds the rows whose doorbell nobody answered (law 1)."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mistral import exceptions as exc
from mistral.db.storage import OWNERS, Storage, Transaction
from mistral.engine import liveness
from mistral.engine.action_queue import ActionQueue, Addressed
from mistral.engine.background.fairness import Fairness
from mistral.engine.liveness import Heard
from mistral.engine.mail.actions import DeliveredResult, LostAction
from mistral.engine.mail.base import Mail
from mistral.engine.mail.executions import EventDue, StartDue
from mistral.engine.signs_of_life import note_look
from mistral.service.repetition import Repetition
from mistral.utils.clock import utc_now
from mistral.workflow import results, states
from mistral.workflow.entities import (
    ActionExecution,
    Entity,
    ExecutionEvent,
    Timer,
    WorkflowExecution,
)
from mistral.workflow.look_times import TIMER_CLAIM, TIMER_HORIZON, pause_after

LOG = logging.getLogger(__name__)

SWEEP_SIZE = 200

Post = Callable[[str, Sequence[Mail]], None]


class Relay:
    """Looks for rows whose doorbell nobody answered. Any number of engines may do so at once."""

    def __init__(
        self,
        storage: Storage,
        queue: ActionQueue,
        post: Post,
        add_timers: Callable[[Iterable[Timer]], None],
        interval: float,
        is_busy: Callable[[], bool] = lambda: False,
        learn: Callable[[Transaction], None] = lambda tx: None,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._storage = storage
        self._queue = queue
        self._post = post
        self._add_timers = add_timers
        self._is_busy = is_busy
        self._learn = learn
        self._now = now
        self._repetition = Repetition("relay", interval, self.look)
        self._fairness = {kind: Fairness(SWEEP_SIZE) for kind in OWNERS}

    def start(self) -> None:
        """Begin to look."""
        self._repetition.start()

    def stop(self) -> None:
        """Look no more."""
        self._repetition.stop()

    def look(self) -> None:
        """Look until little is left, but find no more than can be handled."""
        while self.sweep() >= SWEEP_SIZE and not (self._repetition.is_stopping or self._is_busy()):
            continue

    def sweep(self) -> int:
        """Look once; returns how many rows of the fullest kind were found."""
        now, is_due, listening = self._storage.write(self._first_look)
        if not is_due:
            return 0
        counts = [
            self._timers(now),
            self._events(now),
            self._children(now),
            self._actions(now, listening),
        ]
        return max(counts)

    def _first_look(self, tx: Transaction) -> tuple[dt.datetime, bool, dt.datetime]:
        """The time, whether anything is due, and since when engines have looked.

        An idle engine does nothing else, so it does it in one transaction.
        """
        # before anybody is judged by the time
        tx.ask_time()
        self._learn(tx)
        now = self._now()
        is_due = tx.due.anything(now, now + TIMER_HORIZON / 10)
        return now, is_due, note_look(tx, now)

    def _count(self, kind: type[Entity], found: Sequence[Any]) -> int:
        return self._fairness[kind].took([getattr(row, OWNERS[kind]) for row in found])

    def _take(self, kind: type[Entity], now: dt.datetime) -> list[Any]:
        without = self._fairness[kind].without

        def work(tx: Transaction) -> list[Any]:
            found = tx.due.rows_of(kind, now, SWEEP_SIZE, without)
            for row in found:
                row.tries += 1
                row.next_look_at = now + pause_after(row.tries)
            tx.store.update(found)
            return found

        return self._storage.write(work)

    def _timers(self, now: dt.datetime) -> int:
        without = self._fairness[Timer].without

        def work(tx: Transaction) -> list[Timer]:
            found = tx.due.timers(now, now + TIMER_HORIZON / 10, SWEEP_SIZE, without)
            for timer in found:
                timer.tries += timer.due_at < now
                timer.claimed_until = max(timer.due_at, now) + TIMER_CLAIM
            tx.store.update(found)
            return found

        found = self._storage.write(work)
        self._add_timers(found)
        return self._count(Timer, found)

    def _events(self, now: dt.datetime) -> int:
        found: list[ExecutionEvent] = self._take(ExecutionEvent, now)
        for event in found:
            self._post(event.execution_id, [EventDue(event.id, looks=event.tries)])
        return self._count(ExecutionEvent, found)

    def _children(self, now: dt.datetime) -> int:
        found: list[WorkflowExecution] = self._take(WorkflowExecution, now)
        for child in found:
            self._post(child.id, [StartDue(child.id, looks=child.tries, root=child.root_id)])
        return self._count(WorkflowExecution, found)

    def _actions(self, now: dt.datetime, listening: dt.datetime) -> int:
        sends: list[Addressed] = []
        mails: list[tuple[str, Mail]] = []
        without = self._fairness[ActionExecution].without
        batch = self._queue.options.heartbeat.batch

        def work(tx: Transaction) -> list[ActionExecution]:
            sends.clear()
            mails.clear()
            found: list[ActionExecution] = tx.due.rows_of(ActionExecution, now, SWEEP_SIZE, without)
            parents = _executions(tx, found)
            owners = {action_ex.started_by for action_ex in found if action_ex.started_by}
            heard = tx.heartbeats.last_seen(owners) if owners else {}
            for number, action_ex in enumerate(found):
                if batch and sum(isinstance(mail, LostAction) for _, mail in mails) >= batch:
                    # the others stay due
                    found = found[:number]
                    break
                known = Heard(heard.get(action_ex.started_by or ""), listening)
                self._look_at(tx, action_ex, parents, known, now, sends, mails)
            tx.store.update(found)
            return found

        count = self._count(ActionExecution, self._storage.write(work))
        if batch and sum(isinstance(mail, LostAction) for _, mail in mails) >= batch:
            # there may be more
            count = SWEEP_SIZE
        self._queue.send(sends)
        for execution_id, mail in mails:
            self._post(execution_id, [mail])
        return count

    def _look_at(
        self,
        tx: Transaction,
        action_ex: ActionExecution,
        parents: Mapping[str, WorkflowExecution],
        heard: Heard,
        now: dt.datetime,
        sends: list[Addressed],
        mails: list[tuple[str, Mail]],
    ) -> None:
        action_ex.tries += 1
        action_ex.next_look_at = now + pause_after(action_ex.tries)
        box = action_ex.workflow_execution_id or action_ex.id
        wf_ex = parents.get(action_ex.workflow_execution_id or "")
        if action_ex.result_at is not None:
            mails.append((box, DeliveredResult(action_ex.id, looks=action_ex.tries)))
        elif action_ex.workflow_execution_id and (
            wf_ex is None or states.is_completed(wf_ex.state)
        ):
            # nobody waits for it any more; a result from outside is still recorded
            action_ex.next_look_at = None
        elif action_ex.signalled_at is not None:
            # the third party was told: only a result moves it on
            action_ex.next_look_at = None
        else:
            verdict = liveness.judge(action_ex, heard, self._queue.options.heartbeat, now)
            if isinstance(verdict, liveness.Wait):
                action_ex.next_look_at = verdict.until
            elif isinstance(verdict, liveness.Lost):
                liveness.take_back(action_ex)
                mails.append((box, _lost(action_ex, verdict.reason)))
            else:
                liveness.send_again(action_ex)
                try:
                    sends.append(self._message(tx, action_ex, wf_ex))
                # what can't be sent, or not even be read, must not hold up the others
                except exc.MistralException as error:
                    mails.append((box, _lost(action_ex, str(error))))
                except (LookupError, TypeError, ValueError) as error:
                    LOG.exception("Can't be sent [action_ex_id=%s]", action_ex.id)
                    cause = f"The action can't be sent [cause={type(error).__name__}]"
                    mails.append((box, _lost(action_ex, cause)))

    def _message(
        self, tx: Transaction, action_ex: ActionExecution, wf_ex: WorkflowExecution | None
    ) -> Addressed:
        values = tx.store.values(action_ex.root_execution_id or action_ex.id)
        return action_ex.target, self._queue.order(action_ex, values, wf_ex)


def _lost(action_ex: ActionExecution, reason: str) -> LostAction:
    outcome = results.Outcome(states.ERROR, reason)
    return LostAction(action_ex.id, outcome, looks=action_ex.tries)


def _executions(
    tx: Transaction, actions: Sequence[ActionExecution]
) -> dict[str, WorkflowExecution]:
    wanted = {a.workflow_execution_id for a in actions if a.workflow_execution_id}
    found = tx.store.executions(sorted(wanted)) if wanted else []
    return {wf_ex.id: wf_ex for wf_ex in found}
