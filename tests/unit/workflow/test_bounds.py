"""How much one root execution may use."""

from __future__ import annotations

import itertools

import pytest

from mistral import exceptions as exc
from mistral.workflow.bounds import MEBIBYTE, Bounds, Used

SMALL = Bounds(items=2, depth=2, executions=3, tasks=4, actions=5, values_mb=1)
LIFTED = Bounds(*[-1] * 6)


def test_what_fits() -> None:
    assert SMALL.items_of("ab") == ["a", "b"]
    SMALL.check_execution(2, 3)
    assert SMALL.exceeded(Used(3, 4, 5, MEBIBYTE)) is None


@pytest.mark.parametrize(
    ("used", "option"),
    [
        (Used(tasks=5), "tasks_limit"),
        (Used(actions=6), "actions_limit"),
        (Used(stored=MEBIBYTE + 1), "values_limit_mb"),
    ],
)
def test_what_is_too_much(used: Used, option: str) -> None:
    assert f"[engine] {option} allows no more" in str(SMALL.exceeded(used))
    assert LIFTED.exceeded(used) is None


def test_what_is_refused() -> None:
    with pytest.raises(exc.BoundExceededException, match="items_limit"):
        SMALL.items_of(itertools.count())
    with pytest.raises(exc.BoundExceededException, match="depth_limit"):
        SMALL.check_execution(3, 1)
    with pytest.raises(exc.BoundExceededException, match="executions_limit"):
        SMALL.check_execution(1, 4)
    assert LIFTED.items_of({"a": 1, "b": 2, "c": 3}) == ["a", "b", "c"]
    LIFTED.check_execution(10**9, 10**9)


def test_sums() -> None:
    assert Used(1, 2, 3, 4) + Used(5, 6, 7, 8) == Used(6, 8, 10, 12)
    assert not Used()
