"""The outbox: what goes to executors after a commit, and the relay that finds what got lost.

The mark of a row that waits to be sent or handled is the time of its next look; nothing is
written after a send. Who looks moves the mark on, which keeps others away.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.db import actions as action_store
from mistral.db import due, members, rows, server_clock
from mistral.db import values as value_store
from mistral.db.store import Store
from mistral.db.transaction import Database
from mistral.engine import liveness
from mistral.engine.batch_sender import BatchSender
from mistral.engine.liveness import Heard, Patience
from mistral.engine.mailbox import Mail
from mistral.engine.notices import TIMER_CLAIM
from mistral.engine.turns import Turns
from mistral.rpc.clients import ExecutorClient
from mistral.scheduler.timer_queue import HORIZON
from mistral.service.repetition import Repetition
from mistral.services.catalog import Catalog
from mistral.utils.clock import utc_now
from mistral.workflow import results, states
from mistral.workflow.entities import (
    ActionExecution,
    Entity,
    ExecutionEvent,
    Timer,
    WorkflowExecution,
)
from mistral.workflow.values import Bag, Values

LOG = logging.getLogger(__name__)

MESSAGE_SIZE = 100
"""How many actions travel in one message."""

SWEEP_SIZE = 200

LARGE_INPUT = 64 * 1024
"""From so many bytes on an input stays in the database until the action is about to run."""

Post = Callable[[str, Sequence[Mail]], None]


@dataclasses.dataclass(frozen=True)
class SendOptions:
    """What every message to an executor carries, and when an executor counts as gone."""

    callback_url: str = ""
    patience: Patience = Patience()


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

    def call(
        self,
        action_ex: ActionExecution,
        values: Values,
        wf_ex: WorkflowExecution | None,
        is_whole: bool = False,
    ) -> dict[str, Any]:
        """The message for one action: ids and input, never specifications.

        A large input is only named by its size, unless the message has to be whole: otherwise all
        that waits for executors would be held in memory, here, there or by a broker.
        """
        name = action_ex.base_name or action_ex.name
        descriptor = self._catalog.plugin(name)
        if descriptor is None:
            raise exc.InvalidActionException(f"Failed to find action [action_name={name}]")
        size = 0 if is_whole else _large_size(_own_input(action_ex))
        dry_run = wf_ex is not None and "dry_run" in wf_ex.params
        # whoever may kill executors one after the other is claimed, so that this is seen
        is_first = not action_ex.tries
        return {
            "id": action_ex.id,
            "wf_ex_id": action_ex.workflow_execution_id,
            "root_ex_id": action_ex.root_execution_id,
            "task_ex_id": action_ex.task_execution_id,
            "attempt": action_ex.attempt,
            "name": action_ex.name,
            "action_class": descriptor.action_class_name,
            "attributes": dict(descriptor.action_class_attributes or {}),
            "input": {} if size else self._input(action_ex, values),
            "input_size": size,
            "is_whole": True,
            "safe_rerun": action_ex.safe_rerun,
            "needs_claim": not (descriptor.is_safe or (action_ex.safe_rerun and is_first)),
            "timeout": (action_ex.runtime_context or {}).get("timeout"),
            "dry_run": bool(dry_run and wf_ex and values.get(wf_ex.params, "dry_run")),
            "context": self._context(action_ex, wf_ex),
        }

    def _input(self, action_ex: ActionExecution, values: Values) -> dict[str, Any]:
        given = values.unpack(_own_input(action_ex))
        if action_ex.secrets is not None:
            given |= self._catalog.vault.open(action_ex.secrets)
        return given

    def inputs(
        self, conn: sa.Connection, executor_id: str, wanted: Sequence[tuple[str, int]]
    ) -> list[dict[str, Any]]:
        """Inputs of actions that were sent without them, of those the executor is to run."""
        attempts = dict(wanted)
        return [
            {
                "id": action_ex.id,
                "input": self._input(
                    action_ex,
                    value_store.loader(conn, action_ex.root_execution_id or action_ex.id),
                ),
            }
            for action_ex in action_store.by_ids(conn, attempts)
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

    def send(self, calls: Iterable[tuple[str | None, Mapping[str, Any]]]) -> None:
        """Send soon; what is handed over meanwhile travels in the same message."""
        self._sender.put(calls)

    def _deliver(self, calls: Sequence[tuple[str | None, Mapping[str, Any]]]) -> None:
        """One message per target; a failure is left to the relay."""
        groups: dict[tuple[str | None, bool], list[Mapping[str, Any]]] = defaultdict(list)
        for target, call in calls:
            groups[target, bool(call["input_size"])].append(call)
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


class Relay:
    """Looks for rows whose doorbell nobody answered. Any number of engines may do so at once."""

    def __init__(
        self,
        database: Database,
        queue: ActionQueue,
        post: Post,
        add_timers: Callable[[Iterable[Timer]], None],
        interval: float,
        is_busy: Callable[[], bool] = lambda: False,
        learn: Callable[[sa.Connection], None] = lambda conn: None,
    ) -> None:
        self._db = database
        self._queue = queue
        self._post = post
        self._add_timers = add_timers
        self._is_busy = is_busy
        self._learn = learn
        self._repetition = Repetition("relay", interval, self.look)
        self._turns = {kind: Turns(SWEEP_SIZE) for kind in due.OWNERS}

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
        now, is_due, listening = self._db.write(self._first_look)
        if not is_due:
            return 0
        counts = [
            self._timers(now),
            self._events(now),
            self._children(now),
            self._actions(now, listening),
        ]
        return max(counts)

    def _first_look(self, conn: sa.Connection) -> tuple[dt.datetime, bool, dt.datetime]:
        """The time, whether anything is due, and since when engines have looked.

        An idle engine does nothing else, so it does it in one transaction.
        """
        # before anybody is judged by the time
        server_clock.ask(conn, self._db.dialect_name)
        self._learn(conn)
        now = utc_now()
        return now, due.anything(conn, now, now + HORIZON / 10), _note_look(conn, now)

    def _count(self, kind: type[Entity], found: Sequence[Any]) -> int:
        return self._turns[kind].took([getattr(row, due.OWNERS[kind]) for row in found])

    def _take(self, kind: type[Entity], now: dt.datetime) -> list[Any]:
        without = self._turns[kind].without

        def work(conn: sa.Connection) -> list[Any]:
            found = due.rows_of(conn, kind, now, SWEEP_SIZE, without)
            for row in found:
                row.tries += 1
                row.next_look_at = now + liveness.pause_after(row.tries)
            rows.update(conn, found)
            return found

        return self._db.write(work)

    def _timers(self, now: dt.datetime) -> int:
        without = self._turns[Timer].without

        def work(conn: sa.Connection) -> list[Timer]:
            found = due.timers(conn, now, now + HORIZON / 10, SWEEP_SIZE, without)
            for timer in found:
                timer.tries += timer.due_at < now
                timer.claimed_until = max(timer.due_at, now) + TIMER_CLAIM
            rows.update(conn, found)
            return found

        found = self._db.write(work)
        self._add_timers(found)
        return self._count(Timer, found)

    def _events(self, now: dt.datetime) -> int:
        found: list[ExecutionEvent] = self._take(ExecutionEvent, now)
        for event in found:
            self._post(event.execution_id, [Mail("event", event.id, looks=event.tries)])
        return self._count(ExecutionEvent, found)

    def _children(self, now: dt.datetime) -> int:
        found: list[WorkflowExecution] = self._take(WorkflowExecution, now)
        for child in found:
            self._post(child.id, [Mail("start", child.id, looks=child.tries, root=child.root_id)])
        return self._count(WorkflowExecution, found)

    def _actions(self, now: dt.datetime, listening: dt.datetime) -> int:
        sends: list[tuple[str | None, Mapping[str, Any]]] = []
        mails: list[tuple[str, Mail]] = []
        without = self._turns[ActionExecution].without
        batch = self._queue.options.patience.batch

        def work(conn: sa.Connection) -> list[ActionExecution]:
            sends.clear()
            mails.clear()
            found: list[ActionExecution] = due.rows_of(
                conn, ActionExecution, now, SWEEP_SIZE, without
            )
            parents = _executions(conn, found)
            owners = {action_ex.started_by for action_ex in found if action_ex.started_by}
            heard = members.last_seen(conn, owners) if owners else {}
            for number, action_ex in enumerate(found):
                if batch and sum(mail.kind == "lost" for _, mail in mails) >= batch:
                    # the others stay due
                    found = found[:number]
                    break
                known = Heard(heard.get(action_ex.started_by or ""), listening)
                self._look_at(conn, action_ex, parents, known, now, sends, mails)
            rows.update(conn, found)
            return found

        count = self._count(ActionExecution, self._db.write(work))
        if batch and sum(mail.kind == "lost" for _, mail in mails) >= batch:
            # there may be more
            count = SWEEP_SIZE
        self._queue.send(sends)
        for execution_id, mail in mails:
            self._post(execution_id, [mail])
        return count

    def _look_at(
        self,
        conn: sa.Connection,
        action_ex: ActionExecution,
        parents: Mapping[str, WorkflowExecution],
        heard: Heard,
        now: dt.datetime,
        sends: list[tuple[str | None, Mapping[str, Any]]],
        mails: list[tuple[str, Mail]],
    ) -> None:
        action_ex.tries += 1
        action_ex.next_look_at = now + liveness.pause_after(action_ex.tries)
        box = action_ex.workflow_execution_id or action_ex.id
        wf_ex = parents.get(action_ex.workflow_execution_id or "")
        if action_ex.result_at is not None:
            mails.append((box, Mail("delivered", action_ex.id, looks=action_ex.tries)))
        elif action_ex.workflow_execution_id and (
            wf_ex is None or states.is_completed(wf_ex.state)
        ):
            # nobody waits for it any more; a result from outside is still recorded
            action_ex.next_look_at = None
        elif action_ex.signalled_at is not None:
            # the third party was told: only a result moves it on
            action_ex.next_look_at = None
        else:
            verdict = liveness.judge(action_ex, heard, self._queue.options.patience, now)
            if isinstance(verdict, liveness.Wait):
                action_ex.next_look_at = verdict.until
            elif isinstance(verdict, liveness.Lost):
                liveness.take_back(action_ex)
                mails.append((box, _lost(action_ex, verdict.reason)))
            else:
                liveness.send_again(action_ex)
                try:
                    sends.append(self._message(conn, action_ex, wf_ex))
                # what can't be sent, or not even be read, must not hold up the others
                except exc.MistralException as error:
                    mails.append((box, _lost(action_ex, str(error))))
                except (LookupError, TypeError, ValueError) as error:
                    LOG.exception("Can't be sent [action_ex_id=%s]", action_ex.id)
                    cause = f"The action can't be sent [cause={type(error).__name__}]"
                    mails.append((box, _lost(action_ex, cause)))

    def _message(
        self, conn: sa.Connection, action_ex: ActionExecution, wf_ex: WorkflowExecution | None
    ) -> tuple[str | None, Mapping[str, Any]]:
        values = value_store.loader(conn, action_ex.root_execution_id or action_ex.id)
        return action_ex.target, self._queue.call(action_ex, values, wf_ex)


def _lost(action_ex: ActionExecution, reason: str) -> Mail:
    outcome = results.Outcome(states.ERROR, reason)
    return Mail("lost", action_ex.id, outcome, looks=action_ex.tries)


def _note_look(conn: sa.Connection, now: dt.datetime) -> dt.datetime:
    """Note that an engine looks; since when there has always been one."""
    found = members.last_seen(conn, (members.LOOKED, members.LISTENING))
    looked = found.get(members.LOOKED)
    since = liveness.listening_since(looked, found.get(members.LISTENING), now)
    if since == now:
        members.seen(conn, members.LISTENING, members.ENGINES, "", now)
    if looked is None or now - looked > liveness.PROCESS_SILENCE / 6:
        members.seen(conn, members.LOOKED, members.ENGINES, "", now)
    return since


def _executions(
    conn: sa.Connection, actions: Sequence[ActionExecution]
) -> dict[str, WorkflowExecution]:
    wanted = {a.workflow_execution_id for a in actions if a.workflow_execution_id}
    found = Store(conn).executions(sorted(wanted)) if wanted else []
    return {wf_ex.id: wf_ex for wf_ex in found}
