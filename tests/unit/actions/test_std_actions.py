"""Standard actions without effects outside."""

from __future__ import annotations

from typing import Any

import pytest

from mistral.actions import std_actions
from mistral_lib.actions import ActionContext, ActionException, Result

CONTEXT = ActionContext()


def test_noop_returns_null() -> None:
    assert std_actions.NoOpAction().run(CONTEXT) is None
    assert std_actions.NoOpAction().is_sync()


def test_async_noop_waits_for_the_outside() -> None:
    assert std_actions.AsyncNoOpAction().run(CONTEXT) is None
    assert not std_actions.AsyncNoOpAction().is_sync()


@pytest.mark.parametrize("output", [None, 0, "", "text", [1], {"a": {"b": [None]}}])
def test_echo_returns_its_output_unchanged(output: Any) -> None:
    assert std_actions.EchoAction(output).run(CONTEXT) == output


@pytest.mark.parametrize("delay", [0, -5, "x", None, "", [], float("nan"), float("inf")])
def test_a_delay_that_is_none_counts_as_zero(delay: Any) -> None:
    action = std_actions.EchoAction("o", delay=delay)
    assert action.is_instant()
    assert action.run(CONTEXT) == "o"


def test_a_delayed_echo_is_not_instant() -> None:
    action = std_actions.EchoAction("o", delay="0.01")
    assert not action.is_instant()
    assert action.run(CONTEXT) == "o"
    assert action.test(CONTEXT) == "o"


@pytest.mark.parametrize("data", ["plain words", [1, 2], {"x": 1}])
def test_fail_gives_its_error_data(data: Any) -> None:
    assert std_actions.FailAction(data).run(CONTEXT) == Result(error=data)


@pytest.mark.parametrize("data", [None, "", 0, {}])
def test_fail_raises_without_error_data(data: Any) -> None:
    with pytest.raises(ActionException, match=r"^Fail action expected exception\.$"):
        std_actions.FailAction(data).run(CONTEXT)


@pytest.mark.parametrize(("seconds", "instant"), [(0.01, False), (0, True), ("abc", True)])
def test_sleep_returns_null(seconds: Any, instant: bool) -> None:
    action = std_actions.SleepAction(seconds)
    assert action.is_instant() is instant
    assert action.run(CONTEXT) is None
    assert std_actions.SleepAction().seconds == 1


def test_test_dict_makes_a_mapping() -> None:
    made = std_actions.TestDictAction(size=3, key_prefix="k", val="v").run(CONTEXT)
    assert made == {"k0": "v", "k1": "v", "k2": "v"}
    assert std_actions.TestDictAction().run(CONTEXT) == {}
