"""The protocol of claims and reports: what an executor holds, and what it has to do next.

A machine without threads, messages or a clock of its own. Each method notes what has happened to
runs and answers with :class:`Steps`; whoever calls locks, and takes the steps before it lets go.
"""

from __future__ import annotations

import collections
import dataclasses
import logging
from collections.abc import Collection, Iterable, Sequence

from mistral import exceptions as exc
from mistral.engine.executor.byte_window import ByteWindow
from mistral.engine.executor.claim_window import ClaimWindow
from mistral.engine.executor.options import ExecutorOptions
from mistral.engine.executor.run import NOT_BEGUN, Run, Stage
from mistral.rpc.messages import ActionOrder, Report, RunKey
from mistral.workflow.bounds import MEBIBYTE

LOG = logging.getLogger(__name__)

STOPPING = "The executor is stopping, try again."


@dataclasses.dataclass(frozen=True, slots=True)
class Steps:
    """What is to be done now.

    :param answer: callers wait for these, which have ended.
    :param report: engines are to be told how these have ended.
    :param claim: engines are to be asked for these.
    :param run: these may be run.
    """

    answer: Sequence[Run] = ()
    report: Sequence[Run] = ()
    claim: Sequence[Run] = ()
    run: Sequence[Run] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Granted:
    """What came of claims.

    :param mine: is the executor's to run.
    :param unwanted: was claimed in vain, and is to be released.
    """

    mine: Sequence[Run]
    unwanted: Sequence[Run]
    steps: Steps


class ExecutorProtocol:
    """The runs of one executor, from the arrival of an order to the answer that it is stored.

    A claim is granted again to the executor that holds it (its answer may have been lost), so a
    repeated order must be recognised here, also after its action has begun or ended.
    """

    def __init__(self, options: ExecutorOptions) -> None:
        self._options = options
        self._is_open = False
        self.runs: dict[RunKey, Run] = {}
        self._begun: collections.OrderedDict[RunKey, None] = collections.OrderedDict()
        self._window = ClaimWindow[Run](
            options.claims_per_thread * options.thread_pool_size, lambda run: run.owner
        )
        self.bytes = ByteWindow[Run](
            options.values_mb * MEBIBYTE, lambda run: run.owner, lambda run: run.order.input_size
        )

    # life

    def open(self) -> None:
        """Accept orders from now on."""
        self._is_open = True

    def close(self) -> bool:
        """Accept and claim nothing more; whether that is new."""
        was_open, self._is_open = self._is_open, False
        if was_open:
            self._window.clear()
            self.bytes.clear()
        return was_open

    def give_back(self) -> tuple[Sequence[Run], Steps]:
        """Let go of what has not begun: others may run it at once."""
        left = [run for run in self.runs.values() if run.stage in NOT_BEGUN]
        return left, self.forget(left)

    @property
    def is_running(self) -> bool:
        """Whether any action may have an effect now."""
        return any(run.stage is Stage.RUNNING for run in self.runs.values())

    def running_ids(self) -> list[str]:
        """The actions the executor answers for: accepted, running, or not reported yet."""
        return [run.order.id for run in self.runs.values() if not run.is_direct]

    def is_kept(self, run: Run) -> bool:
        """Whether a run that has not begun is still to be run."""
        return self._is_open and run.key in self.runs

    # orders

    def accept(self, orders: Iterable[ActionOrder]) -> Steps:
        """Take note of new orders; repeated ones, and what is too much, are dropped."""
        if not self._is_open:
            return Steps()
        room = max(0, self._options.accepted_runs - len(self.runs))
        fresh = {
            order.key: Run(order)
            for order in orders
            if order.key not in self.runs and order.key not in self._begun
        }
        accepted = list(fresh.values())[:room]
        if len(fresh) > room:
            LOG.warning("%s orders are too many now, they come again", len(fresh) - room)
        self.runs.update((run.key, run) for run in accepted)
        return self._admit(self.bytes.add(accepted))

    def accept_direct(self, run: Run) -> None:
        """Take note of a run whose caller waits.

        :raises UnavailableException: the executor stops, or too many callers wait already.
        """
        if not self._is_open:
            raise exc.UnavailableException(STOPPING)
        if sum(other.is_direct for other in self.runs.values()) >= self._options.direct_runs:
            raise exc.UnavailableException("The executor runs enough for others, try again.")
        self.runs[run.key] = run

    # claims

    def claiming(self, run: Run) -> None:
        """A claim is asked for once more: it has become too old to be relied upon."""
        run.stage = Stage.CLAIMING

    def granted(self, runs: Sequence[Run], ids: Collection[str], asked_at: float) -> Granted:
        """Engines have answered to claims.

        :param ids: of the actions that are granted.
        :param asked_at: the age of a claim counts from the question: the answer may have been on
            its way for long.
        """
        allowed = set(ids)
        # one that was given back while its claim was on the way is not ours any more
        kept = {run for run in runs if run.order.id in allowed and run.key in self.runs}
        # and one that has begun was claimed in a batch that is only repeated for others
        mine = [run for run in runs if run in kept and run.stage in NOT_BEGUN]
        for run in mine:
            run.stage, run.claimed_at = Stage.QUEUED, asked_at
        unwanted = [run for run in runs if run.order.id in allowed and run not in kept]
        steps = self.forget([run for run in runs if run.order.id not in allowed])
        return Granted(mine, unwanted, steps)

    def is_confirmed(self, run: Run, now: float) -> bool:
        """Whether a run may begin without another question to the engines.

        A process that slept may have lost its claims meanwhile: one that was not confirmed within
        the last seconds is asked for again.
        """
        return (
            not run.order.needs_claim or now - run.claimed_at <= self._options.claim_confirmed_for
        )

    # running

    def has_room(self, run: Run) -> bool:
        """Whether a run may begin although there are results of others; else it waits."""
        return run.is_direct or self.bytes.begin(run)

    def begin(self, run: Run) -> bool:
        """Whether a run is still the executor's to begin; if so, it has begun.

        It may have been given back, because the executor stops.
        """
        if run.key not in self.runs or run.stage is not Stage.QUEUED:
            return False
        run.stage = Stage.RUNNING
        if run.order.needs_claim:
            self._begun[run.key] = None
            if len(self._begun) > self._options.remembered_runs:
                self._begun.popitem(last=False)
        return True

    def end(self, ended: Iterable[tuple[Run, Report]]) -> Steps:
        """Record how runs ended, unless that is known already.

        Those that callers wait for are forgotten at once, the others when a report is stored.
        """
        new = []
        for run, report in ended:
            if run.answer is None:
                run.answer = report
                run.stage = Stage.ENDED
                new.append(run)
                if run.is_direct:
                    self.runs.pop(run.key, None)
                else:
                    self.bytes.ended(run, run.result_size)
        claims = self._window.let_go(new)
        steps = self._go_on()
        return Steps(
            answer=[run for run in new if run.is_direct],
            report=[run for run in new if not run.is_direct],
            claim=[*_claiming(claims), *steps.claim],
            run=steps.run,
        )

    def forget(self, runs: Sequence[Run]) -> Steps:
        """These are stored, refused or given back."""
        for run in runs:
            self.runs.pop(run.key, None)
        self.bytes.let_go(runs)
        claims = self._window.let_go(runs)
        steps = self._go_on()
        return Steps(claim=[*_claiming(claims), *steps.claim], run=steps.run)

    def _go_on(self) -> Steps:
        """Those for which there is room now."""
        admitted = self._admit(self.bytes.admitted())
        released = self.bytes.released(self._options.thread_pool_size)
        return Steps(claim=admitted.claim, run=[*released, *admitted.run])

    def _admit(self, runs: Sequence[Run]) -> Steps:
        """Runs that have room for their inputs are claimed where they must be, else run."""
        claims = self._window.add(run for run in runs if run.order.needs_claim)
        return Steps(
            claim=_claiming(claims), run=[run for run in runs if not run.order.needs_claim]
        )


def _claiming(runs: Sequence[Run]) -> Sequence[Run]:
    for run in runs:
        run.stage = Stage.CLAIMING
    return runs
