"""Work that is repeated whatever became of it."""

from __future__ import annotations

import logging
import threading

import pytest

from mistral import exceptions as exc
from mistral.service.repetition import Repetition


def test_it_goes_on_after_failures(caplog: pytest.LogCaptureFixture) -> None:
    outcomes: list[Exception | None] = [exc.UnavailableException("away"), ValueError("bug"), None]
    done = threading.Event()

    def work() -> None:
        outcome = outcomes.pop(0) if outcomes else None
        if outcome is not None:
            raise outcome
        done.set()

    repetition = Repetition("tidying", 0.01, work)
    with caplog.at_level(logging.WARNING):
        repetition.start()
        assert done.wait(10)
    repetition.stop()
    levels = [(record.levelname, record.getMessage().split()[1]) for record in caplog.records]
    assert levels == [("WARNING", "waits:"), ("ERROR", "failed,")]


def test_work_can_see_that_it_should_end() -> None:
    begun = threading.Event()

    def work() -> None:
        begun.set()
        while not repetition.is_stopping:
            continue

    repetition = Repetition("tidying", 0.01, work)
    repetition.start()
    assert begun.wait(10)
    repetition.stop()
    assert repetition.is_stopping
    assert not any(thread.name == "tidying" for thread in threading.enumerate())


def test_what_was_never_started_can_be_stopped() -> None:
    Repetition("tidying", 1.0, print).stop()
