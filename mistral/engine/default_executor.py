"""Runs actions and keeps their results until an engine has stored them.

What arrives goes one way: accepted (a repeated order is dropped) → given room for its input, if
that is large → claimed, where running twice would matter and as soon as it can be run → run, as
soon as results of others do not take too much memory → reported until an engine answered.
Everything on that way is listed in the heartbeats, so an engine knows what still has an owner.

What is next is decided by :class:`~mistral.engine.executor.protocol.ExecutorProtocol`; here are the
threads that do it.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mistral import exceptions as exc
from mistral.actions.services import ActionServices
from mistral.engine.base import Executor
from mistral.engine.executor import action_runner
from mistral.engine.executor.action_runner import ActionRunner, Prepared
from mistral.engine.executor.byte_window import COUNTED_FROM
from mistral.engine.executor.engine_link import EngineLink, Heart
from mistral.engine.executor.inputs import InputLoader, Unreadable
from mistral.engine.executor.options import ExecutorOptions
from mistral.engine.executor.protocol import STOPPING, ExecutorProtocol, Steps
from mistral.engine.executor.run import Run
from mistral.rpc.batch_sender import BatchSender
from mistral.rpc.clients import EngineClient
from mistral.rpc.messages import ActionOrder, Heartbeat, Report
from mistral.utils import clock, hosts, ids
from mistral.utils.worker_pool import DeadlineWatch, WorkerPool

LOG = logging.getLogger(__name__)


class DefaultExecutor(Executor):
    """The executor of every shape of the service; it runs between start and stop."""

    def __init__(
        self,
        engines: EngineClient,
        options: ExecutorOptions | None = None,
        services: ActionServices | None = None,
        runner: ActionRunner | None = None,
        alive_client: EngineClient | None = None,
    ) -> None:
        self.options = options or ExecutorOptions()
        # a process never inherits the claims of the one before it
        self.executor_id = f"{hosts.shown(self.options.host)}/{ids.new_id()}"
        self._engines = EngineLink(self.executor_id, engines, self.options)
        self._runner = runner or ActionRunner(services)
        self._changed = threading.Condition()
        self._protocol = ExecutorProtocol(self.options)
        self._inputs = InputLoader(self._engines, self.options, self._is_kept)
        self._pool = WorkerPool[Run](
            "action", self.options.thread_pool_size, self._execute, lambda run: run.owner
        )
        self._deadlines = DeadlineWatch("action-deadlines")
        sender = functools.partial(
            BatchSender,
            threads=self.options.senders,
            max_batch=self.options.max_batch,
            gather=self.options.gather,
            first_pause=self.options.first_pause,
            longest_pause=self.options.longest_pause,
        )
        self._results = sender(
            "results",
            self._send_results,
            size=lambda run: run.result_size,
            owner=lambda run: run.owner,
        )
        self._claims = sender("claims", self._send_claims)
        self._heart = Heart(
            alive_client or engines, self.options.heartbeat_interval, self._heartbeat
        )

    # life -------------------------------------------------------------------

    def start(self) -> None:
        """Begin to accept actions."""
        self._results.start()
        self._claims.start()
        with self._changed:
            self._protocol.open()
        self._heart.start()

    def stop(self, graceful: bool = False) -> None:
        """End; with ``graceful`` what runs may end and every result is handed over.

        What was claimed but has not begun is given back, so that others run it.
        """
        grace = self.options.grace_period if graceful else 0.0
        flush = self.options.flush_period if graceful else 0.0
        with self._changed:
            if not self._protocol.close():
                return
        self._claims.stop(flush)
        self._pool.drain()
        self._give_back()
        with self._changed:
            self._changed.wait_for(lambda: not self._protocol.is_running, grace)
        if not self._results.wait_empty(flush):
            LOG.error("Ended while no engine answered for results, they are lost")
        self._inputs.stop()
        self._heart.stop()
        self._results.stop(0.0)
        self._deadlines.stop()
        self._pool.stop()
        self._heart.join()

    def running_ids(self) -> list[str]:
        """The actions this executor answers for: accepted, running, or not reported yet."""
        with self._changed:
            return self._protocol.running_ids()

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(self.executor_id, self.options.host, self.running_ids())

    def _give_back(self) -> None:
        with self._changed:
            left, steps = self._protocol.give_back()
            self._take(steps)
        for run in left:
            # a caller that waits for one has no answer: it asks another executor
            run.answered.set()
        self._engines.release([run for run in left if not run.is_direct])

    # orders -----------------------------------------------------------------

    def run_actions(self, orders: Iterable[ActionOrder]) -> None:
        """Accept orders; their results are reported later. Returns without waiting for them."""
        whole = [order for order in orders if not action_runner.is_masked(order)]
        with self._changed:
            steps = self._protocol.accept(whole)
            self._claims.put(steps.claim)
        self._begin(steps.run)

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
        patience: float | None = None,
    ) -> Report:
        """Run an action while the caller waits, and return its report; nothing is claimed.

        :param patience: seconds after which nobody waits any more: it does not begin later.
        :raises UnavailableException: the executor stops, or too many callers wait already.
        """
        order = ActionOrder(
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
                order,
                f"The request to run the action was redelivered, but it is not safe to run it "
                f"again [action={order.title}, action_ex_id={order.id}]",
            )
        expires_at = None if patience is None else clock.steady() + patience
        run = Run(order, is_direct=True, expires_at=expires_at)
        with self._changed:
            self._protocol.accept_direct(run)
        # behind all that waits its caller would be gone
        self._pool.submit(run, first=True)
        if not run.answered.wait(patience):
            # a run that has begun goes on, one that has not never will
            return action_runner.failed(order, "The action did not end while its caller waited")
        if run.answer is None:
            raise exc.UnavailableException(STOPPING)
        return run.answer

    # running ----------------------------------------------------------------

    def _begin(self, runs: Sequence[Run]) -> None:
        """Run at once what takes no time, and queue the rest."""
        ended: list[tuple[Run, Report]] = []
        for run in runs:
            prepared = None
            if not run.order.input_size and self._runner.is_instant(run.order):
                prepared = self._runner.prepare(run.order)
            if prepared is None or not prepared.is_instant():
                self._pool.submit(run)
                continue
            if not self._has_room(run) or not self._may_begin(run):
                continue
            ended.append((run, self._run(prepared, run)))
            if len(ended) == self.options.max_batch or run.result_size >= COUNTED_FROM:
                self._settle(ended)
                ended = []
        self._settle(ended)

    def _execute(self, run: Run) -> None:
        """Run one action on a thread of the pool."""
        if not self._has_room(run):
            return
        order = self._with_input(run)
        if order is None or not self._may_begin(run):
            return
        prepared = self._runner.prepare(order)
        seconds = run.order.timeout
        watch = None
        if seconds and prepared.is_sync:
            watch = self._deadlines.add(seconds, lambda: self._time_out(run, seconds))
        report = self._run(prepared, run)
        if watch is not None:
            self._deadlines.forget(watch)
        self._settle([(run, report)])

    def _run(self, prepared: Prepared, run: Run) -> Report:
        report = self._runner.run(prepared)
        run.result_size = 0 if run.is_direct else action_runner.size_of(report)
        return report

    def _has_room(self, run: Run) -> bool:
        with self._changed:
            return self._protocol.has_room(run)

    def _is_kept(self, run: Run) -> bool:
        with self._changed:
            return self._protocol.is_kept(run)

    def _with_input(self, run: Run) -> ActionOrder | None:
        """The order with its input, which may have to be asked for; None: it is not to be run."""
        try:
            order = self._inputs.order_of(run)
        except Unreadable as error:
            self._settle([(run, action_runner.failed(run.order, str(error)))])
            return None
        if order is None:
            with self._changed:
                # what is not kept is given back
                if self._protocol.is_kept(run):
                    self._take(self._protocol.forget([run]))
        return order

    def _may_begin(self, run: Run) -> bool:
        """Whether a run is still this executor's to begin; if so, it has begun.

        What lies between the answer and the first line of the action is as if the process had
        slept within the action.
        """
        if run.expires_at is not None and clock.steady() > run.expires_at:
            self._settle([(run, action_runner.failed(run.order, "The caller is gone"))])
            return False
        if not self._is_confirmed(run) and not self._confirm(run):
            return False
        with self._changed:
            has_begun = self._protocol.begin(run)
            if has_begun:
                run.thread = threading.current_thread()
            return has_begun

    def _is_confirmed(self, run: Run) -> bool:
        return self._protocol.is_confirmed(run, clock.steady())

    def _confirm(self, run: Run) -> bool:
        with self._changed:
            self._protocol.claiming(run)
        try:
            is_mine = bool(self._ask_for([run]))
        except exc.MistralError as error:
            LOG.warning("A claim could not be confirmed, it is asked for again: %s", error)
        else:
            if not is_mine or self._is_confirmed(run):
                return is_mine
        # the answer did not come, or too late
        self._claims.put([run])
        return False

    def _time_out(self, run: Run, seconds: float) -> None:
        """Give up on an action: its thread can't be killed, its late result is dropped."""
        if self._settle([(run, action_runner.timed_out(run.order, seconds))]) and run.thread:
            self._pool.abandon(run.thread)

    def _settle(self, ended: Sequence[tuple[Run, Report]]) -> int:
        """Record how runs ended, unless that is known already; how many were new."""
        with self._changed:
            steps = self._protocol.end(ended)
            self._take(steps)
            number = len(steps.answer) + len(steps.report)
            if number:
                self._changed.notify_all()
        return number

    def _take(self, steps: Steps) -> None:
        """Do what is next; the caller holds the lock.

        In one step with the stages: whoever sees nothing running may rely on the queues.
        """
        for run in steps.answer:
            run.answered.set()
        self._results.put(steps.report)
        self._claims.put(steps.claim)
        for run in steps.run:
            self._pool.submit(run)

    # talking to engines -------------------------------------------------------

    def _send_claims(self, runs: list[Run]) -> None:
        self._begin(self._ask_for(runs))

    def _ask_for(self, runs: Sequence[Run]) -> Sequence[Run]:
        """Claim actions, or confirm claims; those that are this executor's to run."""
        asked_at = clock.steady()
        ids_granted = self._engines.claim(runs)
        with self._changed:
            granted = self._protocol.granted(runs, ids_granted, asked_at)
            self._take(granted.steps)
        self._engines.release(granted.unwanted)
        return granted.mine

    def _send_results(self, runs: list[Run]) -> None:
        self._engines.report(runs)
        with self._changed:
            self._take(self._protocol.forget(runs))
