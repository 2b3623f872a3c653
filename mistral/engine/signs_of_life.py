"""Who is alive, noted in rows: executors as engines hear of them, and that engines look at all."""

from __future__ import annotations

import datetime as dt

from mistral.db.storage import ENGINES, EXECUTOR, LISTENING, LOOKED, SignOfLife, Transaction
from mistral.engine.liveness import HeartbeatOptions, listening_since
from mistral.rpc.messages import Heartbeat
from mistral.workflow.look_times import PROCESS_SILENCE


def note_executor(
    tx: Transaction,
    heartbeat: Heartbeat,
    now: dt.datetime,
    options: HeartbeatOptions,
) -> None:
    """An executor is alive and answers for these actions."""
    tx.heartbeats.seen(heartbeat.executor_id, EXECUTOR, heartbeat.host, now)
    sign = SignOfLife(
        now,
        refresh=dt.timedelta(seconds=options.refresh),
        waiting_look=PROCESS_SILENCE,
        claimed_look=options.claimed_look,
    )
    tx.actions.heard_of(heartbeat.running, sign)


def note_look(tx: Transaction, now: dt.datetime) -> dt.datetime:
    """Note that an engine looks; since when there has always been one."""
    found = tx.heartbeats.last_seen((LOOKED, LISTENING))
    looked = found.get(LOOKED)
    since = listening_since(looked, found.get(LISTENING), now)
    if since == now:
        tx.heartbeats.seen(LISTENING, ENGINES, "", now)
    if looked is None or now - looked > PROCESS_SILENCE / 6:
        tx.heartbeats.seen(LOOKED, ENGINES, "", now)
    return since
