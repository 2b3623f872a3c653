"""How an executor works."""

from __future__ import annotations

import dataclasses

from mistral.engine.executor.claim_window import CONFIRMED_FOR


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
