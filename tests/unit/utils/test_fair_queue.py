"""Owners take turns."""

from __future__ import annotations

import pytest

from mistral.utils.fair_queue import FairQueue


def test_owners_take_turns() -> None:
    queue = FairQueue[str](lambda job: job[0])
    for job in ("a1", "a2", "a3", "b1", "a4", "c1", "c2"):
        queue.append(job)
    queue.appendleft("z1")
    assert (len(queue), sorted(queue)) == (8, ["a1", "a2", "a3", "a4", "b1", "c1", "c2", "z1"])
    taken = [queue.popleft() for _ in range(4)]
    queue.append("b2")
    taken += [queue.popleft() for _ in range(5)]
    assert taken == ["z1", "a1", "b1", "c1", "a2", "c2", "b2", "a3", "a4"]
    assert not queue
    with pytest.raises(IndexError):
        queue.popleft()


def test_forgotten_jobs() -> None:
    queue = FairQueue[int](lambda job: job % 2)
    queue.append(1)
    queue.appendleft(2)
    queue.clear()
    assert (len(queue), list(queue)) == (0, [])
