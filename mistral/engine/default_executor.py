"""Runs actions and keeps their results until an engine has stored them.

What arrives goes one way: accepted (a repeated order is dropped) → given room for its input, if
that is large → claimed, where running twice would matter and as soon as it can be run → run, as
soon as results of others do not take too much memory → reported until an engine answered.
Everything on that way is listed in the heartbeats, so an engine knows what still has an owner.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mistral import exceptions as exc
from mistral.actions.services import ActionServices
from mistral.engine.base import Executor
from mistral.engine.executor import action_runner
from mistral.engine.executor.action_runner import ActionCall, ActionRunner, Prepared, Report
from mistral.engine.executor.byte_window import COUNTED_FROM, ByteWindow
from mistral.engine.executor.claim_window import CONFIRMED_FOR, ClaimWindow
from mistral.engine.executor.run import NOT_BEGUN, Run, Stage
from mistral.rpc.base import RPCClient
from mistral.rpc.batch_sender import BatchSender, CallTimeout
from mistral.utils import clock, hosts, ids
from mistral.utils.worker_pool import DeadlineWatch, WorkerPool
from mistral.workflow.bounds import MEBIBYTE

LOG = logging.getLogger(__name__)

_STOPPING = "The executor is stopping, try again."


@dataclasses.dataclass(frozen=True)
class ExecutorOptions:
    """How an executor works; ``host`` is the name that tasks target. Times are in seconds."""

    host: str = "0.0.0.0"
    thread_pool_size: int = 64
    heartbeat_interval: float = 2.0
    grace_period: float = 30.0
    flush_period: float = 10.0
    #: Of the first try; engines that don't answer are given more and more time.
    call_timeout: float = 3.0
    longest_call_timeout: float = 20.0
    max_batch: int = 100
    gather: float = 0.004
    senders: int = 2
    first_pause: float = 0.1
    longest_pause: float = 5.0
    remembered_runs: int = 10_000
    #: Orders that one process keeps; what is beyond is left to the engines, who ask again.
    accepted_runs: int = 10_000
    #: MiB of large inputs, and as much of results that no engine has stored; negative: no limit.
    values_mb: int = 64
    #: Questions for inputs at a time, and how often one is repeated that an engine refuses.
    loads: int = 4
    load_tries: int = 5
    #: Runs that somebody waits for.
    direct_runs: int = 24
    claims_per_thread: int = 2
    claim_confirmed_for: float = CONFIRMED_FOR


def _owner(run: Run) -> str:
    """On whose account a run is: of a wide execution many wait, and others shall have a turn."""
    return run.call.root_ex_id or run.call.wf_ex_id or run.call.id


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
        self.executor_id = f"{hosts.shown(self.options.host)}/{ids.new_id()}"
        self._engine = engine_client
        self._alive = alive_client or engine_client
        self._runner = runner or ActionRunner(services)
        self._changed = threading.Condition()
        self._runs: dict[tuple[str, int], Run] = {}
        self._window = ClaimWindow[Run](
            self.options.claims_per_thread * self.options.thread_pool_size, _owner
        )
        self._bytes = ByteWindow[Run](
            self.options.values_mb * MEBIBYTE, _owner, lambda run: run.call.input_size
        )
        self._loads = threading.Semaphore(self.options.loads)
        self._begun: collections.OrderedDict[tuple[str, int], None] = collections.OrderedDict()
        self._accepting = False
        self._stopped = threading.Event()
        self._pool = WorkerPool[Run]("action", self.options.thread_pool_size, self._execute, _owner)
        self._deadlines = DeadlineWatch("action-deadlines")
        sender = functools.partial(
            BatchSender,
            threads=self.options.senders,
            max_batch=self.options.max_batch,
            gather=self.options.gather,
            first_pause=self.options.first_pause,
            longest_pause=self.options.longest_pause,
        )
        self._patience = CallTimeout(self.options.call_timeout, self.options.longest_call_timeout)
        self._results = sender(
            "results", self._send_results, size=lambda run: run.result_size, owner=_owner
        )
        self._claims = sender("claims", self._send_claims)
        self._heart = threading.Thread(target=self._beat, name="executor-heart", daemon=True)

    # life -------------------------------------------------------------------

    def start(self) -> None:
        """Begin to accept actions."""
        self._results.start()
        self._claims.start()
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
            self._window.clear()
            self._bytes.clear()
        self._claims.stop(flush)
        self._pool.drain()
        self._give_back()
        with self._changed:
            self._changed.wait_for(lambda: not self._has(Stage.RUNNING), grace)
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
        calls = [ActionCall.from_dict(action) for action in actions]
        runs = self._accept([call for call in calls if not call.is_masked])
        with self._changed:
            admitted = self._bytes.add(runs)
            self._claim(self._window.add(run for run in admitted if run.call.needs_claim))
        self._begin([run for run in admitted if not run.call.needs_claim])

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
        expires_at = None if patience is None else clock.steady() + patience
        run = Run(call, is_direct=True, expires_at=expires_at)
        with self._changed:
            if not self._accepting:
                raise exc.UnavailableException(_STOPPING)
            if sum(r.is_direct for r in self._runs.values()) >= self.options.direct_runs:
                raise exc.UnavailableException("The executor runs enough for others, try again.")
            self._runs[run.key] = run
        # behind all that waits its caller would be gone
        self._pool.submit(run, first=True)
        if not run.answered.wait(patience):
            # a run that has begun goes on, one that has not never will
            return action_runner.failed(call, "The action did not end while its caller waited")
        if run.answer is None:
            raise exc.UnavailableException(_STOPPING)
        return run.answer

    def _accept(self, calls: Sequence[ActionCall]) -> list[Run]:
        """Take note of new orders.

        A claim is granted again to the executor that holds it (its answer may have been lost), so
        a repeated order must be recognised here, also after its action has begun or ended.
        """
        accepted = []
        with self._changed:
            if not self._accepting:
                return []
            room = self.options.accepted_runs - len(self._runs)
            for call in calls:
                if call.key not in self._runs and call.key not in self._begun:
                    self._runs[call.key] = run = Run(call)
                    accepted.append(run)
            for run in accepted[max(room, 0) :]:
                del self._runs[run.key]
        if len(accepted) > room:
            LOG.warning("%s orders are too many now, they come again", len(accepted) - room)
        return accepted[: max(room, 0)]

    # running ----------------------------------------------------------------

    def _begin(self, runs: Sequence[Run]) -> None:
        """Run at once what takes no time, and queue the rest."""
        ended: list[tuple[Run, Report]] = []
        for run in runs:
            prepared = None
            if not run.call.input_size and self._runner.is_instant(run.call):
                prepared = self._runner.prepare(run.call)
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
        call = self._with_input(run)
        if call is None or not self._may_begin(run):
            return
        prepared = self._runner.prepare(call)
        seconds = run.call.timeout
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
        """Whether a run may begin although there are results of others; else it waits."""
        if run.is_direct:
            return True
        with self._changed:
            return self._bytes.begin(run)

    def _with_input(self, run: Run) -> ActionCall | None:
        """The order with its input, which may have to be asked for; None: it is not to be run."""
        if not run.call.input_size:
            return run.call
        wanted = [{"id": run.call.id, "attempt": run.call.attempt}]
        pause, tries = self.options.first_pause, 0
        while self._is_kept(run):
            try:
                with self._loads:
                    found = self._ask("action_inputs", wanted=wanted)
            except exc.MistralError as error:
                tries += not isinstance(error, exc.UnavailableException)
                if tries >= self.options.load_tries:
                    told = f"Its input can't be read: {error}"
                    self._settle([(run, action_runner.failed(run.call, told))])
                    return None
                LOG.warning("An input is asked for again: %s", error)
            else:
                if found:
                    return dataclasses.replace(run.call, input=found[0]["input"])
                self._forget([run])
                return None
            self._stopped.wait(pause)
            pause = min(self.options.longest_pause, 2 * pause)
        return None

    def _is_kept(self, run: Run) -> bool:
        with self._changed:
            return self._accepting and run.key in self._runs

    def _may_begin(self, run: Run) -> bool:
        """Whether a run is still this executor's to begin; if so, it has begun.

        A process that slept may have lost its claims meanwhile: one that was not confirmed within
        the last seconds is asked for again. What lies between the answer and the first line of
        the action is as if the process had slept within the action.
        """
        if run.expires_at is not None and clock.steady() > run.expires_at:
            self._settle([(run, action_runner.failed(run.call, "The caller is gone"))])
            return False
        if run.call.needs_claim and not self._is_confirmed(run) and not self._confirm(run):
            return False
        with self._changed:
            if run.key not in self._runs or run.stage is not Stage.QUEUED:
                # given back, because the executor stops
                return False
            run.stage = Stage.RUNNING
            run.thread = threading.current_thread()
            if run.call.needs_claim:
                self._begun[run.key] = None
                if len(self._begun) > self.options.remembered_runs:
                    self._begun.popitem(last=False)
            return True

    def _confirm(self, run: Run) -> bool:
        with self._changed:
            run.stage = Stage.CLAIMING
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

    def _is_confirmed(self, run: Run) -> bool:
        return clock.steady() - run.claimed_at <= self.options.claim_confirmed_for

    def _time_out(self, run: Run, seconds: float) -> None:
        """Give up on an action: its thread can't be killed, its late result is dropped."""
        if self._settle([(run, action_runner.timed_out(run.call, seconds))]) and run.thread:
            self._pool.abandon(run.thread)

    def _settle(self, ended: Sequence[tuple[Run, Report]]) -> int:
        """Record how runs ended, unless that is known already; how many were new."""
        new = []
        with self._changed:
            for run, report in ended:
                if run.answer is None:
                    run.answer = report
                    run.stage = Stage.ENDED
                    new.append(run)
                    if run.is_direct:
                        # unless it was given back, because the executor stops
                        self._runs.pop(run.key, None)
                        run.answered.set()
            # in one step with the stage: whoever sees nothing running may rely on the queue
            own = [run for run in new if not run.is_direct]
            for run in own:
                self._bytes.ended(run, run.result_size)
            self._results.put(own)
            self._claim(self._window.let_go(new))
            self._go_on()
            if new:
                self._changed.notify_all()
        return len(new)

    # talking to engines -------------------------------------------------------

    def _claim(self, runs: Sequence[Run]) -> None:
        """Ask for claims soon; the caller holds the lock."""
        for run in runs:
            run.stage = Stage.CLAIMING
        self._claims.put(runs)

    def _send_claims(self, runs: list[Run]) -> None:
        self._begin(self._ask_for(runs))

    def _ask_for(self, runs: Sequence[Run]) -> list[Run]:
        """Claim actions, or confirm claims; those that are this executor's to run."""
        # counted from the question: the answer may have been on its way for long
        asked_at = clock.steady()
        granted = self._ask(
            "claim_actions",
            claims=[{"id": run.call.id, "attempt": run.call.attempt} for run in runs],
        )
        allowed = set(granted)
        with self._changed:
            # one that was given back while its claim was on the way is not ours any more
            kept = {r for r in runs if r.call.id in allowed and r.key in self._runs}
            # and one that has begun was claimed in a batch that is only repeated for others
            mine = [r for r in runs if r in kept and r.stage in NOT_BEGUN]
            for run in mine:
                run.stage, run.claimed_at = Stage.QUEUED, asked_at
        self._forget([run for run in runs if run.call.id not in allowed])
        self._release([r for r in runs if r.call.id in allowed and r not in kept])
        return mine

    def _send_results(self, runs: list[Run]) -> None:
        self._ask("on_actions_complete", results=[run.to_send() for run in runs])
        self._forget(runs)

    def _ask(self, method: str, **args: Any) -> Any:
        """Ask an engine; UnavailableException when none answers in time."""
        timeout = self._patience.seconds
        try:
            answer = self._engine.call(
                method, None, timeout=timeout, executor_id=self.executor_id, **args
            )
        except exc.UnavailableException:
            self._patience.stretch()
            raise
        self._patience.reward()
        return answer

    def _give_back(self) -> None:
        """Let go of what has not begun: others may run it at once."""
        with self._changed:
            left = [run for run in self._runs.values() if run.stage in NOT_BEGUN]
            self._forget(left)
        for run in left:
            # a caller that waits for one has no answer: it asks another executor
            run.answered.set()
        self._release([run for run in left if not run.is_direct])

    def _release(self, runs: Sequence[Run]) -> None:
        if not runs:
            return
        try:
            self._engine.call(
                "release_actions",
                None,
                timeout=self.options.flush_period,
                executor_id=self.executor_id,
                claims=[{"id": run.call.id, "attempt": run.call.attempt} for run in runs],
            )
        except exc.MistralError as error:
            LOG.warning("Actions could not be given back: %s", error)

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

    def _forget(self, runs: Sequence[Run]) -> None:
        with self._changed:
            for run in runs:
                self._runs.pop(run.key, None)
            self._bytes.let_go(runs)
            self._claim(self._window.let_go(runs))
            self._go_on()

    def _go_on(self) -> None:
        """Let those run for which there is room now; the caller holds the lock."""
        admitted = self._bytes.admitted()
        self._claim(self._window.add(run for run in admitted if run.call.needs_claim))
        released = self._bytes.released(self.options.thread_pool_size)
        for run in [*released, *(r for r in admitted if not r.call.needs_claim)]:
            self._pool.submit(run)

    def _has(self, stage: Stage) -> bool:
        return any(run.stage is stage for run in self._runs.values())
