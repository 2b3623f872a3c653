"""Runs actions and keeps their results until an engine has stored them.

What arrives goes one way: accepted (a repeated order is dropped) → claimed, where running twice
would matter → run → reported until an engine answered. Everything on that way is listed in the
heartbeats, so an engine knows what still has an owner.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mistral import exceptions as exc
from mistral.actions.services import ActionServices
from mistral.engine import action_runner
from mistral.engine.action_runner import ActionCall, ActionRunner, Report
from mistral.engine.base import Executor
from mistral.engine.batch_sender import BatchSender
from mistral.rpc.base import RPCClient
from mistral.utils import ids
from mistral.utils.worker_pool import DeadlineWatch, WorkerPool

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ExecutorOptions:
    """How an executor works; ``host`` is the name that tasks target. Times are in seconds."""

    host: str = "0.0.0.0"
    thread_pool_size: int = 64
    heartbeat_interval: float = 2.0
    grace_period: float = 30.0
    flush_period: float = 10.0
    call_timeout: float = 10.0
    max_batch: int = 100
    gather: float = 0.004
    senders: int = 2
    first_pause: float = 0.1
    longest_pause: float = 5.0
    remembered_runs: int = 10_000


class _Stage(enum.Enum):
    CLAIMING = "claiming"
    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"


class _Run:
    """One order on its way; the first report about it wins."""

    def __init__(self, call: ActionCall, is_direct: bool = False) -> None:
        self.call = call
        self.is_direct = is_direct
        self.key = (ids.new_id(), 0) if is_direct else call.key
        self.stage = _Stage.CLAIMING if call.needs_claim else _Stage.QUEUED
        self.thread: threading.Thread | None = None
        self.answer: Report | None = None
        self.answered = threading.Event()


class DefaultExecutor(Executor):
    """The executor of every shape of the service; it runs between start and stop."""

    def __init__(
        self,
        engine_client: RPCClient,
        options: ExecutorOptions | None = None,
        services: ActionServices | None = None,
        runner: ActionRunner | None = None,
        alive_client: RPCClient | None = None,
    ) -> None:
        self.options = options or ExecutorOptions()
        # a process never inherits the claims of the one before it
        self.executor_id = f"{self.options.host}/{ids.new_id()}"
        self._engine = engine_client
        self._alive = alive_client or engine_client
        self._runner = runner or ActionRunner(services)
        self._changed = threading.Condition()
        self._runs: dict[tuple[str, int], _Run] = {}
        self._begun: collections.OrderedDict[tuple[str, int], None] = collections.OrderedDict()
        self._accepting = False
        self._stopped = threading.Event()
        self._pool = WorkerPool[_Run]("action", self.options.thread_pool_size, self._execute)
        self._deadlines = DeadlineWatch("action-deadlines")
        sender = functools.partial(
            BatchSender,
            threads=self.options.senders,
            max_batch=self.options.max_batch,
            gather=self.options.gather,
            first_pause=self.options.first_pause,
            longest_pause=self.options.longest_pause,
        )
        self._results = sender("results", self._send_results)
        self._claims = sender("claims", self._send_claims)
        self._heart = threading.Thread(target=self._beat, name="executor-heart", daemon=True)

    # life -------------------------------------------------------------------

    def start(self) -> None:
        """Begin to accept actions."""
        self._results.start()
        self._claims.start()
        self._deadlines.start()
        with self._changed:
            self._accepting = True
        self._heart.start()

    def stop(self, graceful: bool = False) -> None:
        """End; with ``graceful`` what runs may end and every result is handed over.

        What was claimed but has not begun is given back, so that others run it.
        """
        grace = self.options.grace_period if graceful else 0.0
        flush = self.options.flush_period if graceful else 0.0
        with self._changed:
            if not self._accepting:
                return
            self._accepting = False
        self._forget(self._claims.stop(flush))
        self._give_back(self._pool.drain())
        with self._changed:
            self._changed.wait_for(lambda: not self._has(_Stage.RUNNING), grace)
        if not self._results.wait_empty(flush):
            LOG.error("Ended while no engine answered for results, they are lost")
        self._stopped.set()
        self._results.stop(0.0)
        self._deadlines.stop()
        self._pool.stop()
        self._heart.join(1.0)

    def running_ids(self) -> list[str]:
        """The actions this executor answers for: accepted, running, or not reported yet."""
        with self._changed:
            return [run.call.id for run in self._runs.values() if not run.is_direct]

    # orders -----------------------------------------------------------------

    def run_actions(self, actions: Iterable[Mapping[str, Any]]) -> None:
        """Accept orders; their results are reported later. Returns without waiting for them."""
        runs = self._accept([ActionCall.from_dict(action) for action in actions])
        self._begin([run for run in runs if run.stage is _Stage.QUEUED])
        self._claims.put([run for run in runs if run.stage is _Stage.CLAIMING])

    def run_action(
        self,
        action_ex_id: str | None,
        action_class_str: str,
        attributes: Mapping[str, Any] | None,
        action_params: Mapping[str, Any],
        safe_rerun: bool,
        redelivered: bool = False,
        *,
        name: str = "",
        timeout: float | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Report:
        """Run an action while the caller waits, and return its report; nothing is claimed."""
        call = ActionCall(
            id=action_ex_id or "",
            action_class=action_class_str,
            name=name,
            input=dict(action_params or {}),
            attributes=dict(attributes or {}),
            safe_rerun=safe_rerun,
            timeout=timeout,
            context=dict(context or {}),
        )
        if redelivered and not safe_rerun:
            return action_runner.failed(
                call,
                f"The request to run the action was redelivered, but it is not safe to run it "
                f"again [action={call.title}, action_ex_id={call.id}]",
            )
        run = _Run(call, is_direct=True)
        with self._changed:
            if not self._accepting:
                raise exc.UnavailableException("The executor is stopping, try again.")
            self._runs[run.key] = run
        self._pool.submit(run)
        run.answered.wait()
        return run.answer or action_runner.failed(call, "The executor stopped")

    def _accept(self, calls: Sequence[ActionCall]) -> list[_Run]:
        """Take note of new orders.

        A claim is granted again to the executor that holds it (its answer may have been lost), so
        a repeated order must be recognised here, also after its action has begun or ended.
        """
        accepted = []
        with self._changed:
            if not self._accepting:
                return []
            for call in calls:
                if call.key not in self._runs and call.key not in self._begun:
                    self._runs[call.key] = run = _Run(call)
                    accepted.append(run)
        return accepted

    # running ----------------------------------------------------------------

    def _begin(self, runs: Sequence[_Run]) -> None:
        """Run at once what takes no time, and queue the rest."""
        ended: list[tuple[_Run, Report]] = []
        for run in runs:
            prepared = None
            if self._runner.is_instant(run.call):
                prepared = self._runner.prepare(run.call)
            if prepared is None or not prepared.is_instant():
                self._pool.submit(run)
                continue
            self._note_begun(run)
            ended.append((run, self._runner.run(prepared)))
            if len(ended) == self.options.max_batch:
                self._settle(ended)
                ended = []
        self._settle(ended)

    def _execute(self, run: _Run) -> None:
        """Run one action on a thread of the pool."""
        self._note_begun(run)
        prepared = self._runner.prepare(run.call)
        seconds = run.call.timeout
        watch = None
        if seconds and prepared.is_sync:
            watch = self._deadlines.add(seconds, lambda: self._time_out(run, seconds))
        report = self._runner.run(prepared)
        if watch is not None:
            self._deadlines.forget(watch)
        self._settle([(run, report)])

    def _time_out(self, run: _Run, seconds: float) -> None:
        """Give up on an action: its thread can't be killed, its late result is dropped."""
        if self._settle([(run, action_runner.timed_out(run.call, seconds))]) and run.thread:
            self._pool.abandon(run.thread)

    def _note_begun(self, run: _Run) -> None:
        with self._changed:
            run.stage = _Stage.RUNNING
            run.thread = threading.current_thread()
            if run.call.needs_claim:
                self._begun[run.key] = None
                if len(self._begun) > self.options.remembered_runs:
                    self._begun.popitem(last=False)

    def _settle(self, ended: Sequence[tuple[_Run, Report]]) -> int:
        """Record how runs ended, unless that is known already; how many were new."""
        new = []
        with self._changed:
            for run, report in ended:
                if run.answer is None:
                    run.answer = report
                    run.stage = _Stage.ENDED
                    new.append(run)
                    if run.is_direct:
                        del self._runs[run.key]
                        run.answered.set()
            # in one step with the stage: whoever sees nothing running may rely on the queue
            self._results.put([run for run in new if not run.is_direct])
            if new:
                self._changed.notify_all()
        return len(new)

    # talking to engines -------------------------------------------------------

    def _send_claims(self, runs: list[_Run]) -> None:
        granted = self._engine.call(
            "claim_actions",
            None,
            timeout=self.options.call_timeout,
            executor_id=self.executor_id,
            claims=[{"id": run.call.id, "attempt": run.call.attempt} for run in runs],
        )
        allowed = set(granted)
        with self._changed:
            # one that was given back while its claim was on the way is not ours any more
            mine = [r for r in runs if r.call.id in allowed and r.key in self._runs]
            for run in mine:
                run.stage = _Stage.QUEUED
        self._forget([run for run in runs if run.call.id not in allowed])
        self._begin(mine)

    def _send_results(self, runs: list[_Run]) -> None:
        self._engine.call(
            "on_actions_complete",
            None,
            timeout=self.options.call_timeout,
            executor_id=self.executor_id,
            results=[run.answer for run in runs],
        )
        self._forget(runs)

    def _give_back(self, drained: Sequence[_Run]) -> None:
        """Let go of what has not begun; the row of a claim goes back to "not started"."""
        with self._changed:
            claiming = [run for run in self._runs.values() if run.stage is _Stage.CLAIMING]
        claimed = claiming + [run for run in drained if run.call.needs_claim]
        for run in drained:
            if run.is_direct:
                self._settle([(run, action_runner.failed(run.call, "The executor is stopping"))])
        self._forget([run for run in [*claiming, *drained] if not run.is_direct])
        if not claimed:
            return
        try:
            self._engine.call(
                "release_actions",
                None,
                timeout=self.options.flush_period,
                executor_id=self.executor_id,
                claims=[{"id": run.call.id, "attempt": run.call.attempt} for run in claimed],
            )
        except exc.MistralError as error:
            LOG.warning("Claimed actions could not be given back: %s", error)

    def _beat(self) -> None:
        while True:
            try:
                self._alive.cast(
                    "executor_alive",
                    None,
                    executor_id=self.executor_id,
                    host=self.options.host,
                    running=self.running_ids(),
                )
            # without its heartbeat an executor's claims are taken away, so nothing may end it
            except Exception as error:  # noqa: BLE001
                LOG.warning("A heartbeat could not be sent [cause=%s]", type(error).__name__)
            if self._stopped.wait(self.options.heartbeat_interval):
                return

    # registry -----------------------------------------------------------------

    def _forget(self, runs: Iterable[_Run]) -> None:
        with self._changed:
            for run in runs:
                self._runs.pop(run.key, None)

    def _has(self, stage: _Stage) -> bool:
        return any(run.stage is stage for run in self._runs.values())
