"""The use cases of an engine: who asks, what is decided, and what the caller is told.

Results, timers and events go through the mailbox of their execution; operators' commands too, each
in a transaction of its own. ``inbox`` empties the mailboxes, ``starts`` begins what is new,
``transactions`` does the work.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from mistral import exceptions as exc
from mistral.context import RequestContext, system_context
from mistral.db.storage import Storage
from mistral.definitions.catalog import Catalog
from mistral.engine import (
    action_handler,
    commit_hooks,
    standalone_actions,
    state_log,
    utils,
    workflow_handler,
)
from mistral.engine.action_queue import ActionQueue
from mistral.engine.background.relay import Relay
from mistral.engine.base import Engine, Start
from mistral.engine.inbox.in_flight import InFlight
from mistral.engine.inbox.processor import InboxProcessor
from mistral.engine.inbox.suspects import Suspects
from mistral.engine.mail.actions import ActionResult, DeliveredResult, Reports
from mistral.engine.mail.base import Mail, OperatorCommand
from mistral.engine.mail.executions import ChildFinished
from mistral.engine.mail.timers import TimerDue
from mistral.engine.mailbox import Mailboxes
from mistral.engine.rollback import handler as rollback_handler
from mistral.engine.signs_of_life import note_executor
from mistral.engine.starts import Starts
from mistral.engine.transactions import Decide, Transactions
from mistral.rpc.messages import ActionInput, Heartbeat, Report, RunKey, StartedAction
from mistral.scheduler.timer_queue import TimerQueue
from mistral.utils import ids
from mistral.utils.clock import utc_now
from mistral.utils.faults import Faults
from mistral.utils.gate import Gate
from mistral.workflow.entities import Timer
from mistral.workflow.limits import Limits
from mistral.workflow.look_times import PROCESS_SILENCE
from mistral.workflow.results import Outcome

BUSY_WITH, FULL_WITH = 2_000, 20_000
"""Mail that waits in this process: above the first the relay finds no more than it has to, above
the second doorbells are not heard. What they were rung for is in the database and found later."""

WAIT_SECONDS = 120
"""How long a caller may wait for the handling of its mail."""

JsonDict = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class EngineOptions:
    """Settings of an engine; times in seconds."""

    threads: int = 4
    waiting_starts: int = 32
    start_patience: float = 10.0
    relay_interval: float = 2.0
    trace_log_name: str = "workflow_trace"
    trace_style: str = state_log.SHORT
    limits: Limits = Limits()


@dataclasses.dataclass(frozen=True)
class Runtime:
    """Time, ids, and what waits in threads: a simulator has its own of all of them."""

    now: Callable[[], dt.datetime] = utc_now
    new_id: Callable[[], str] = ids.new_id
    future: Callable[[], Future[Any]] = Future
    mailboxes: Callable[[Callable[[str, Sequence[Mail]], None], int], Mailboxes[Mail]] = Mailboxes
    timer_queue: Callable[[Callable[[Timer], None], Callable[[], dt.datetime]], TimerQueue] = (
        TimerQueue
    )


class DefaultEngine(Engine):
    """An engine; any number of them work on one database."""

    def __init__(
        self,
        storage: Storage,
        catalog: Catalog,
        queue: ActionQueue,
        options: EngineOptions | None = None,
        faults: Faults | None = None,
        in_flight: InFlight | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self._storage = storage
        self._catalog = catalog
        self._queue = queue
        self._options = options or EngineOptions()
        self._runtime = runtime = runtime or Runtime()
        faults, in_flight = faults or Faults(), in_flight or InFlight()
        self._suspects = Suspects(storage, in_flight, self._options.relay_interval)
        self._mailboxes: Mailboxes[Mail] = runtime.mailboxes(self._handle, self._options.threads)
        post = self._mailboxes.post
        self._timers = runtime.timer_queue(self._fire, runtime.now)
        limits = self._options.limits
        log = state_log.StateLog(self._options.trace_log_name, self._options.trace_style)
        self._transactions = Transactions(
            storage,
            catalog,
            limits,
            [
                commit_hooks.fault_points(faults),
                commit_hooks.state_log(log),
                commit_hooks.orders(queue),
                commit_hooks.timers(self._timers.add),
                commit_hooks.doorbells(post),
            ],
            runtime.now,
            runtime.new_id,
        )
        gate = Gate(
            self._options.threads,
            self._options.waiting_starts,
            self._options.start_patience,
            refusal="The engine has enough to start, try again.",
        )
        self._starts = Starts(
            storage,
            catalog,
            queue,
            limits,
            self._transactions,
            gate,
            faults,
            self._suspects,
            runtime.now,
        )
        self._inbox = InboxProcessor(
            storage,
            catalog,
            limits,
            self._transactions,
            post,
            self._suspects,
            in_flight,
            runtime.now,
        )
        self._relay = Relay(
            storage,
            queue,
            post,
            self._timers.add,
            self._options.relay_interval,
            lambda: self._mailboxes.size >= BUSY_WITH,
            self._suspects.read,
            runtime.now,
        )

    def start(self) -> None:
        """Begin to work."""
        self._suspects.start()
        self._queue.start()
        self._mailboxes.start()
        self._timers.start()
        self._relay.start()

    def stop(self) -> None:
        """Finish what has arrived and end; what is not finished is found by another engine."""
        self._relay.stop()
        self._timers.stop()
        self._mailboxes.stop()
        self._suspects.stop()
        self._queue.stop()

    # starts

    def start_workflow(
        self,
        wf_identifier: str,
        wf_input: Mapping[str, Any],
        description: str = "",
        start: Start | None = None,
        **params: Any,
    ) -> JsonDict:
        """Start a workflow by id or by name and namespace, and return its execution.

        The id of the execution may be chosen by the caller: a repeated start with it starts
        nothing and returns what exists.

        :raises NotFoundException: unknown workflow.
        :raises InputException: missing or unexpected input.
        :raises UnavailableException: more starts than this process can do are waiting.
        """
        request = start or Start()
        return self._starts.workflow(
            wf_identifier, wf_input, description, request, {**params, **request.params}
        )

    def start_action(
        self,
        action_name: str,
        action_input: Mapping[str, Any],
        description: str | None = None,
        ctx: RequestContext | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        call_id: str | None = None,
        **params: Any,
    ) -> StartedAction:
        """Check and describe an action that belongs to no workflow; schedule it if it is to be.

        :param call_id: names the request, which may come again, and becomes the action's id.
        :raises InvalidActionException: unknown action.
        :raises InputException: wrong parameters.
        """
        request = standalone_actions.Request(
            action_name,
            action_input,
            description,
            ctx or system_context(),
            {**params, **(options or {})},
            call_id or self._runtime.new_id(),
        )
        return self._starts.action(request)

    def transform_result(
        self, action_name: str, outcome: Outcome, namespace: str, ctx: RequestContext
    ) -> Outcome:
        """What an ad-hoc action's definition makes of a result that nobody stores."""
        request = standalone_actions.Request(action_name, {}, None, ctx, {"namespace": namespace})
        transform = functools.partial(
            standalone_actions.transform,
            self._catalog,
            self._options.limits,
            self._runtime.now,
            request,
            outcome,
        )
        return self._storage.read(transform)

    # results

    def on_action_complete(
        self, action_ex_id: str, result: Any, wf_action: bool = False, async_: bool = False
    ) -> JsonDict:
        """Accept the result of an action, or the end of a sub-workflow, and go on.

        :param result: an :class:`Outcome`; not needed for a sub-workflow, whose row tells it.
        :param async_: do not wait for the handling.
        """
        execution_id = self._storage.read(lambda tx: utils.owner(tx, action_ex_id, wf_action))
        done: Future[Any] = self._runtime.future()
        self._mailboxes.post(
            execution_id,
            [
                ChildFinished(action_ex_id, done=done)
                if wf_action
                else ActionResult(action_ex_id, result, done=done)
            ],
        )
        if not async_:
            done.result(WAIT_SECONDS)
        return self._storage.read(lambda tx: utils.shown(tx, action_ex_id, wf_action))

    def on_actions_complete(
        self, executor_id: str, reports: Sequence[Report], wait: float = WAIT_SECONDS
    ) -> int:
        """Store a batch of an executor's reports; those of one execution in one transaction.

        :param wait: seconds after which the executor asks again: nobody hears a later answer.
        :returns: how many reports are stored now; a repeat changes nothing.
        :raises UnavailableException: not all are stored yet.
        """
        give_up_at = time.monotonic() + wait
        by_execution: dict[str, list[Report]] = defaultdict(list)
        alone = []
        for report in reports:
            if report.wf_ex_id:
                by_execution[report.wf_ex_id].append(report)
            else:
                alone.append(report)
        waiting = []
        for execution_id, group in by_execution.items():
            done: Future[Any] = self._runtime.future()
            sent = max(report.sent for report in group)
            mail = Reports(executor_id, group, done=done, looks=sent - 1)
            self._mailboxes.post(execution_id, [mail])
            waiting.append(done)
        if alone:
            limit_kb = self._options.limits.field_size_kb
            self._storage.write(
                lambda tx: standalone_actions.store_reports(
                    tx, alone, self._runtime.now(), limit_kb
                )
            )
            for report in alone:
                self.action_delivered(report.id, None)
        try:
            for done in waiting:
                done.result(max(0.0, give_up_at - time.monotonic()))
        except TimeoutError as error:
            raise exc.UnavailableException("The engine is busy, the reports wait.") from error
        return len(reports)

    def action_delivered(self, action_ex_id: str, wf_ex_id: str | None) -> None:
        """A result was committed: handle it now instead of at the relay's next look."""
        if self._mailboxes.size >= FULL_WITH:
            return
        self._mailboxes.post(wf_ex_id or action_ex_id, [DeliveredResult(action_ex_id)])

    # executors

    def claim_actions(self, executor_id: str, claims: Sequence[RunKey]) -> list[str]:
        """The actions that this executor, and nobody else, is to run."""
        now = self._runtime.now()
        look_at = now + self._queue.options.heartbeat.claimed_look
        return self._storage.write(
            lambda tx: tx.actions.claim(
                executor_id, claims, now, look_at, min(look_at, now + PROCESS_SILENCE)
            )
        )

    def action_inputs(self, executor_id: str, wanted: Sequence[RunKey]) -> list[ActionInput]:
        """Inputs of actions that this executor is to run.

        What has ended meanwhile, or is somebody else's, is left out.
        """
        return self._storage.read(
            functools.partial(self._queue.inputs, executor_id=executor_id, wanted=wanted)
        )

    def release_actions(self, executor_id: str, claims: Sequence[RunKey]) -> None:
        """An executor that stops has not begun these: another one may run them."""
        now = self._runtime.now()
        self._storage.write(lambda tx: tx.actions.release(executor_id, claims, now))

    def executor_alive(self, heartbeat: Heartbeat) -> None:
        """A sign of life with what is being run."""
        now, options = self._runtime.now(), self._queue.options.heartbeat
        self._storage.write(lambda tx: note_executor(tx, heartbeat, now, options))

    # operators: ``call_id`` names the request, which may come again
    # (``mistral.db.execution.idempotency_keys``)

    def pause_workflow(self, wf_ex_id: str, *, call_id: str | None = None) -> JsonDict:
        """Start nothing new in an execution."""
        return self._command(wf_ex_id, workflow_handler.pause, call_id)

    def resume_workflow(
        self, wf_ex_id: str, env: Mapping[str, Any] | None = None, *, call_id: str | None = None
    ) -> JsonDict:
        """Go on with a paused execution."""
        return self._command(wf_ex_id, lambda unit: workflow_handler.resume(unit, env), call_id)

    def stop_workflow(
        self, wf_ex_id: str, state: str, message: str | None = None, *, call_id: str | None = None
    ) -> JsonDict:
        """Put an execution into SUCCESS, ERROR or CANCELLED."""
        return self._command(
            wf_ex_id, lambda unit: workflow_handler.stop(unit, state, message), call_id
        )

    def update_env(
        self, wf_ex_id: str, env: Mapping[str, Any], *, call_id: str | None = None
    ) -> JsonDict:
        """Change the environment of an execution that does not run."""
        return self._command(wf_ex_id, lambda unit: workflow_handler.update_env(unit, env), call_id)

    def rerun_workflow(
        self,
        task_ex_id: str,
        reset: bool = True,
        env: Mapping[str, Any] | None = None,
        skip: bool = False,
        *,
        call_id: str | None = None,
    ) -> JsonDict:
        """Run a failed task again, or skip it, and go on from there."""
        execution_id = self._storage.read(lambda tx: utils.execution_of_task(tx, task_ex_id))
        return self._command(
            execution_id,
            lambda unit: workflow_handler.rerun(unit, task_ex_id, reset, env, skip),
            call_id,
        )

    def rollback_workflow(self, wf_ex_id: str, *, call_id: str | None = None) -> JsonDict:
        """Compensate what an execution has done.

        :raises WorkflowException: no successful task declares a compensation.
        """
        return self._command(wf_ex_id, rollback_handler.begin, call_id)

    def set_action_state(
        self, action_ex_id: str, state: str, *, call_id: str | None = None
    ) -> JsonDict:
        """PAUSED or RUNNING for one asynchronous action."""
        execution_id = self._storage.read(lambda tx: utils.owner(tx, action_ex_id, False))
        if execution_id == action_ex_id:
            key = call_id or self._runtime.new_id()
            self._storage.write(
                lambda tx: tx.receipts.once_for(
                    key,
                    lambda: standalone_actions.set_state(
                        tx, action_ex_id, state, self._runtime.now()
                    ),
                )
            )
        else:
            self._command(
                execution_id,
                lambda unit: action_handler.set_state(unit, action_ex_id, state),
                call_id,
            )
        return self._storage.read(lambda tx: utils.shown(tx, action_ex_id, False))

    def _command(self, execution_id: str, decide: Decide, call_id: str | None) -> JsonDict:
        done: Future[Any] = self._runtime.future()
        key = call_id or self._runtime.new_id()
        self._mailboxes.post(execution_id, [OperatorCommand(key, decide, done=done)])
        snapshot: JsonDict = done.result(WAIT_SECONDS)
        return snapshot

    # arrivals

    def _handle(self, execution_id: str, batch: Sequence[Mail]) -> None:
        self._inbox.handle(execution_id, batch)

    def _fire(self, timer: Timer) -> None:
        self._mailboxes.post(timer.execution_id, [TimerDue(timer.id, looks=timer.tries)])
