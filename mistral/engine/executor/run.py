"""One order of an executor on its way from arrival to answer."""

from __future__ import annotations

import dataclasses
import enum
import threading

from mistral.rpc.messages import ActionOrder, Report, RunKey
from mistral.utils import ids


class Stage(enum.Enum):
    """Where a run is; from ``RUNNING`` on its action may have had an effect."""

    WAITING = "waiting"
    CLAIMING = "claiming"
    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"


NOT_BEGUN = frozenset({Stage.WAITING, Stage.CLAIMING, Stage.QUEUED})


class Run:
    """One order; the first report about it wins. Its executor has to lock.

    :param is_direct: a caller waits for the answer; nothing is claimed or reported.
    :param expires_at: when nobody waits any more, in seconds of the executor's own clock.
    """

    def __init__(
        self, order: ActionOrder, is_direct: bool = False, expires_at: float | None = None
    ) -> None:
        self.order = order
        self.is_direct = is_direct
        self.expires_at = expires_at
        self.key = RunKey(ids.new_id(), 0) if is_direct else order.key
        self.stage = Stage.WAITING if order.needs_claim else Stage.QUEUED
        self.claimed_at = 0.0
        self.thread: threading.Thread | None = None
        self.answer: Report | None = None
        self.result_size = 0
        self.answered = threading.Event()
        self.sent = 0

    @property
    def owner(self) -> str:
        """On whose account it is: of a wide execution many wait, and others shall have a turn."""
        return self.order.root_ex_id or self.order.wf_ex_id or self.order.id

    def to_send(self) -> Report:
        """The answer as an engine gets it, who is told when it was sent before."""
        if self.answer is None:
            raise ValueError(f"The run has not ended [action_ex_id={self.order.id}]")
        self.sent += 1
        return self.answer if self.sent == 1 else dataclasses.replace(self.answer, sent=self.sent)
