"""Threads that run jobs."""

from __future__ import annotations

import queue
import threading

import pytest

from mistral.utils.worker_pool import WorkerPool


def test_a_thread_that_cannot_be_started_costs_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    done: queue.SimpleQueue[int] = queue.SimpleQueue()
    pool = WorkerPool[int]("t", 1, done.put)
    start = threading.Thread.start
    refusals = iter([RuntimeError("can't start new thread")])

    def start_later(thread: threading.Thread) -> None:
        for error in refusals:
            raise error
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_later)
    pool.submit(1)
    pool.submit(2)
    assert [done.get(timeout=10), done.get(timeout=10)] == [1, 2]
    pool.stop()
