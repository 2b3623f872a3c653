"""Who is alive, noted in rows: executors as engines hear of them, and that engines look at all."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from mistral.db.execution import action_executions, heartbeats
from mistral.engine.liveness import HeartbeatOptions, listening_since
from mistral.rpc.messages import Heartbeat
from mistral.workflow.look_times import PROCESS_SILENCE


def note_executor(
    conn: sa.Connection,
    heartbeat: Heartbeat,
    now: dt.datetime,
    patience: HeartbeatOptions,
) -> None:
    """An executor is alive and answers for these actions."""
    heartbeats.seen(conn, heartbeat.executor_id, heartbeats.EXECUTOR, heartbeat.host, now)
    sign = action_executions.SignOfLife(
        now,
        refresh=dt.timedelta(seconds=patience.refresh),
        waiting_look=PROCESS_SILENCE,
        claimed_look=patience.claimed_look,
    )
    action_executions.heard_of(conn, heartbeat.running, sign)


def note_look(conn: sa.Connection, now: dt.datetime) -> dt.datetime:
    """Note that an engine looks; since when there has always been one."""
    found = heartbeats.last_seen(conn, (heartbeats.LOOKED, heartbeats.LISTENING))
    looked = found.get(heartbeats.LOOKED)
    since = listening_since(looked, found.get(heartbeats.LISTENING), now)
    if since == now:
        heartbeats.seen(conn, heartbeats.LISTENING, heartbeats.ENGINES, "", now)
    if looked is None or now - looked > PROCESS_SILENCE / 6:
        heartbeats.seen(conn, heartbeats.LOOKED, heartbeats.ENGINES, "", now)
    return since
