"""How many bytes the runs of one executor hold, and who waits for room."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from mistral.engine.executor.byte_window import COUNTED_FROM, SHARE, ByteWindow

LIMIT = 1000 * COUNTED_FROM
PART = LIMIT // SHARE


class Order(NamedTuple):
    owner: str
    number: int = 0
    size: int = 0


def window(limit: int = LIMIT) -> ByteWindow[Order]:
    return ByteWindow(limit, lambda order: order.owner, lambda order: order.size)


def orders(owner: str, count: int, size: int = 0) -> list[Order]:
    return [Order(owner, number, size) for number in range(count)]


def test_what_brings_its_input_does_not_wait() -> None:
    some, bytes_of = orders("a", 100), window()
    bytes_of.add(orders("b", 50, PART))
    assert bytes_of.add(some) == some


def test_one_execution_gets_a_part_of_the_whole() -> None:
    bytes_of, wide = window(), orders("wide", 9000, PART // 10)
    assert bytes_of.add(wide) == wide[:10]
    assert bytes_of.held == PART
    other = orders("other", 1, PART // 2)
    assert bytes_of.add(other) == other


def test_all_together_get_the_whole_and_take_turns() -> None:
    bytes_of = window()
    first = [order for n in range(SHARE) for order in bytes_of.add(orders(f"a{n}", 9, PART))]
    assert len(first) == SHARE and bytes_of.held == LIMIT
    assert bytes_of.add(orders("b", 3, PART // 2)) == []
    assert bytes_of.add(orders("c", 3, PART // 2)) == []
    served = []
    for _ in range(SHARE + 1):
        bytes_of.let_go([first.pop(0)])
        now = bytes_of.admitted()
        first += now
        served += [order.owner for order in now]
        assert bytes_of.held <= LIMIT
    assert {"b", "c"} <= set(served)


@pytest.mark.parametrize("limit", [0, 1, LIMIT])
def test_what_is_larger_than_everything_goes_alone(limit: int) -> None:
    bytes_of, huge = window(limit), orders("a", 2, 10 * LIMIT)
    assert bytes_of.add(huge) == huge[:1]
    bytes_of.ended(huge[0], 0)
    assert bytes_of.admitted() == huge[1:]


def test_an_input_is_held_until_the_run_has_ended() -> None:
    bytes_of, (first, second) = window(), orders("a", 2, PART)
    assert bytes_of.add([first, second]) == [first]
    assert bytes_of.admitted() == []
    bytes_of.ended(first, 0)
    assert bytes_of.admitted() == [second]
    bytes_of.ended(second, 0)
    bytes_of.let_go([first, second])
    assert bytes_of.held == 0


def test_results_that_nobody_has_stored_keep_the_same_execution_from_beginning() -> None:
    bytes_of, (first, second, third) = window(), orders("a", 3)
    assert bytes_of.begin(first)
    bytes_of.ended(first, PART)
    assert not bytes_of.begin(second) and not bytes_of.begin(third)
    assert bytes_of.begin(Order("b"))
    assert bytes_of.released(9) == []
    bytes_of.let_go([first])
    assert bytes_of.released(1) == [second]
    # its turn has come, although the other one still waits
    assert bytes_of.begin(second) and not bytes_of.begin(Order("a", 9))
    assert bytes_of.released(9) == [third, Order("a", 9)]


def test_very_many_results_keep_everybody_from_beginning() -> None:
    bytes_of = window()
    held = [Order(f"a{number}") for number in range(SHARE)]
    for order in held:
        assert bytes_of.begin(order)
        bytes_of.ended(order, PART)
    assert not bytes_of.begin(Order("b"))
    bytes_of.let_go(held[:1])
    assert bytes_of.released(9) == [Order("b")]


def test_small_results_are_not_counted() -> None:
    bytes_of = window()
    for order in orders("a", 10_000):
        assert bytes_of.begin(order)
        bytes_of.ended(order, COUNTED_FROM - 1)
    assert bytes_of.held == 0


def test_without_a_limit_nobody_waits() -> None:
    bytes_of, huge = window(-1), orders("a", 100, LIMIT)
    assert bytes_of.add(huge) == huge
    for order in huge:
        assert bytes_of.begin(order)
        bytes_of.ended(order, LIMIT)
    assert bytes_of.waiting == 0


def test_after_the_end_nobody_waits() -> None:
    bytes_of: Any = window()
    bytes_of.add(orders("a", 3, PART))
    assert bytes_of.waiting == 2
    bytes_of.clear()
    assert bytes_of.waiting == 0
