"""One time for all processes, whatever the hosts' clocks say."""

from __future__ import annotations

import time
from unittest.mock import MagicMock

import pytest

from mistral import exceptions as exc
from mistral.rpc.base import Dispatcher, RPCClient
from mistral.rpc.clients import EngineClient
from mistral.service.engine_clock import EngineClock
from mistral.utils import clock
from mistral.utils.clock import Clock, host_clock

WRONG = 5000.0
CLOSE = 1.0


@pytest.fixture
def known() -> Clock:
    return Clock(lambda: WRONG)


def test_it_is_the_hosts_clock_until_another_is_known(known: Clock) -> None:
    assert known.seconds() == WRONG
    assert known.age() == float("inf")


def test_a_measured_time_goes_on_by_itself(known: Clock) -> None:
    known.measured(1000.0, clock.steady() - 0.5, by_database=True)
    assert known.seconds() == pytest.approx(1000.25, abs=CLOSE)
    assert known.age() < CLOSE
    known.measured(2000.0, clock.steady(), by_database=True)
    assert known.seconds() == pytest.approx(2000.0, abs=CLOSE)


def test_nobody_corrects_the_database(known: Clock) -> None:
    known.measured(3000.0, clock.steady(), by_database=False)
    assert known.seconds() == pytest.approx(3000.0, abs=CLOSE)
    known.measured(1000.0, clock.steady(), by_database=True)
    known.measured(3000.0, clock.steady(), by_database=False)
    assert known.seconds() == pytest.approx(1000.0, abs=CLOSE)


def test_small_differences_are_no_news(known: Clock) -> None:
    """Otherwise each measurement would move the time a little, forth and back."""
    known.measured(1000.0, clock.steady(), by_database=True)
    before = known._known
    known.measured(known.seconds() + clock.TOLERANCE / 2, clock.steady(), by_database=True)
    assert known._known == before


def test_a_slow_answer_says_little(known: Clock) -> None:
    known.measured(1000.0, clock.steady() - 60, by_database=True)
    first = known.seconds()
    known.measured(9000.0, clock.steady() - 60, by_database=True)
    assert known.seconds() == pytest.approx(first, abs=CLOSE)


def test_a_test_can_make_the_hosts_clock_wrong() -> None:
    assert host_clock({}) is time.time
    variable = clock.ENVIRONMENT_VARIABLE
    assert host_clock({variable: "-3600"})() == pytest.approx(time.time() - 3600, abs=CLOSE)
    assert host_clock({variable: "3600@900"})() == pytest.approx(time.time(), abs=CLOSE)


def test_an_executor_goes_by_the_engines(known: Clock) -> None:
    engines = MagicMock(spec=RPCClient)
    engines.call.return_value = {"engine": "e", "now": 7000.0}
    assert EngineClock(EngineClient(engines), known).ask()
    assert known.seconds() == pytest.approx(7000.0, abs=CLOSE)


def test_engines_of_the_version_before_tell_no_time(known: Clock) -> None:
    engines = MagicMock(spec=RPCClient)
    engines.call.return_value = {"engine": "e"}
    assert EngineClock(EngineClient(engines), known).ask()
    assert known.seconds() == WRONG


def test_without_engines_the_executor_asks_again(known: Clock) -> None:
    engines = MagicMock(spec=RPCClient)
    engines.call.side_effect = exc.RPCException()
    assert not EngineClock(EngineClient(engines), known).ask()


def test_who_has_no_time_yet_can_ask_for_it() -> None:
    """Its request looks as if it had expired long ago."""

    class Endpoint:
        def ping(self, rpc_ctx: object) -> str:
            return "pong"

        def other(self, rpc_ctx: object) -> str:
            return "done"

    dispatcher = Dispatcher(Endpoint())
    assert dispatcher.answer("ping", {"deadline": 1.0}, {}, dict) == {"result": "pong"}
    assert dispatcher.answer("other", {"deadline": 1.0}, {}, dict) is None
