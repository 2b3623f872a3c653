"""Whether somebody still works on an action, judged by what its row and its executor's row say.

What has not been started is dispatched again, freely. What was claimed may have had its effect:
it is given up, or dispatched again where that is safe, but only on the evidence of silence.
Two times matter: ``PROCESS_SILENCE`` is enough where a mistake does no harm, the operator's
heartbeat options decide where an action would end in ERROR.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

from mistral.workflow.entities import CALLER, ActionExecution
from mistral.workflow.look_times import LONGEST_WAIT, LOOK_AGAIN, PROCESS_SILENCE, pause_after

HEARTBEAT_LOST = "Heartbeat wasn't received."
UNCERTAIN_SIGNAL = (
    "The executor was lost while it ran the action: "
    "it is not known whether the third party was told."
)
KILLER = "Executors were lost again and again while they ran the action."
CALLER_GONE = "The caller that ran the action and waited for its result is gone."
TAKEN_BACK = "lost:"
"""What stands before the executor's name once its claim was taken back: it gets it no more."""

MAX_LOSSES = 4
"""So many claims of an action that is safe to repeat may be lost with their executors. It was run
before without a claim, so five processes may have died of it."""

_REMEMBERED = dt.timedelta(days=1)
_SOONEST = dt.timedelta(seconds=1)
_NAME_SIZE = 255


@dataclasses.dataclass(frozen=True)
class HeartbeatOptions:
    """The operator's heartbeat options, in seconds.

    :param silence: a claimed action of which nothing is heard for so long is lost; 0 = never.
    :param refresh: how old the last sign of life in an action's row may become.
    :param first: how long a synchronous action may wait for an executor to take notice of it.
    :param batch: how many are found lost at a time; 0 = as many as there are.
    :param caller: how long a caller may wait for an action that it runs itself.
    """

    silence: float = 300.0
    refresh: float = 20.0
    first: float = 3600.0
    caller: float = 60.0
    batch: int = 0

    @property
    def claimed_look(self) -> dt.timedelta:
        """When a claimed action that was heard of is to be looked at."""
        return dt.timedelta(seconds=self.silence) if self.silence > 0 else LONGEST_WAIT


@dataclasses.dataclass(frozen=True)
class Heard:
    """What is known of an executor: when it was last seen, and since when anybody listens."""

    last_seen: dt.datetime | None = None
    listening_since: dt.datetime | None = None


@dataclasses.dataclass(frozen=True)
class Wait:
    """Somebody works on it; look again later."""

    until: dt.datetime


@dataclasses.dataclass(frozen=True)
class Send:
    """Nobody has it, or running it twice does no harm: dispatch it."""


@dataclasses.dataclass(frozen=True)
class Lost:
    """It may have been run, or nobody wants it: it ends in ERROR for this reason."""

    reason: str


def listening_since(
    looked: dt.datetime | None, since: dt.datetime | None, now: dt.datetime
) -> dt.datetime:
    """Since when there has been an engine to note who lives: silence before that tells nothing.

    Counted over all engines, for each of them may be younger than the silence that is tolerated.

    :param looked: when an engine looked last.
    :param since: what this function said when there had been none; forgotten after a day.
    """
    if looked is None or now - looked > PROCESS_SILENCE:
        return now
    return since or now - _REMEMBERED


def judge(
    action_ex: ActionExecution, heard: Heard, options: HeartbeatOptions, now: dt.datetime
) -> Wait | Send | Lost:
    """What is to become of a due action without result whose third party was not told."""
    if action_ex.started_by is None:
        return Lost(HEARTBEAT_LOST) if _never_noticed(action_ex, options) else Send()
    if action_ex.started_by == CALLER:
        # its mark lies after the time for which the caller waits
        return Lost(CALLER_GONE)
    if action_ex.started_by.startswith(TAKEN_BACK):
        return Lost(_reason(action_ex))
    started = action_ex.started_at or now
    named = max(started, action_ex.last_heartbeat or started)
    since = heard.listening_since or started
    # a claim that was confirmed is a sign of life, too
    seen = max(named, heard.last_seen or started, since)
    if action_ex.safe_rerun:
        if now - seen <= PROCESS_SILENCE:
            return Wait(now + LOOK_AGAIN)
        return Send() if action_ex.runtime.losses + 1 < MAX_LOSSES else Lost(KILLER)
    if options.silence <= 0:
        return Wait(now + LONGEST_WAIT)
    silent = seen + dt.timedelta(seconds=options.silence)
    forgotten = max(named, since) + dt.timedelta(seconds=options.silence + options.refresh)
    if now > min(silent, forgotten):
        return Lost(_reason(action_ex))
    return Wait(max(min(silent, forgotten), now + _SOONEST))


def send_again(action_ex: ActionExecution) -> None:
    """Whoever had it, if anybody, has it no more."""
    if action_ex.started_by is not None:
        action_ex.apply(action_ex.runtime.lost_again().change)
        action_ex.started_by = action_ex.started_at = None


def take_back(action_ex: ActionExecution) -> None:
    """Nobody is granted the claim of a lost action any more, its executor least of all."""
    holder = action_ex.started_by or ""
    if not holder.startswith(TAKEN_BACK):
        action_ex.started_by = (TAKEN_BACK + holder)[:_NAME_SIZE]


def _reason(action_ex: ActionExecution) -> str:
    return HEARTBEAT_LOST if action_ex.is_sync else UNCERTAIN_SIGNAL


def _never_noticed(action_ex: ActionExecution, options: HeartbeatOptions) -> bool:
    """Whether a synchronous action was dispatched again and again and no executor named it.

    Counted by the looks of relays, not by the age of the row: what was nobody's business for an
    hour (no engine ran, the execution had ended) is not held against it.
    """
    if options.silence <= 0 or not action_ex.is_sync or action_ex.last_heartbeat is not None:
        return False
    waited = sum((pause_after(n) for n in range(1, action_ex.tries)), dt.timedelta())
    return waited > dt.timedelta(seconds=options.first + options.silence)
