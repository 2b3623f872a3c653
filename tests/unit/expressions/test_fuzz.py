"""No expression of the grammars takes long, much, or the interpreter for itself."""

from __future__ import annotations

import gc

import pytest

from mistral.exceptions import MistralException
from mistral.expressions import DataContext, Expressions
from mistral.utils import json
from tests.lib import expression_fuzz as fuzz

MAX_SECONDS = 3.0
MAX_MEMORY = 300 * 1024 * 1024
MAX_STALL = 1.0


@pytest.mark.parametrize("count", [300, pytest.param(20_000, marks=pytest.mark.long)])
def test_budget_holds(expressions: Expressions, facts: object, count: int) -> None:
    data = fuzz.data()
    bad = []
    for number in range(count):
        text = fuzz.expression(number)
        with fuzz.Watch() as watch:
            try:
                expressions.validate(text)
                json.dump_bytes(
                    expressions.evaluate(text, DataContext(data, facts, {"__env": {"a": 1}}))
                )
            except MistralException:
                pass
        cost = watch.cost
        if cost.seconds > MAX_SECONDS or cost.memory > MAX_MEMORY or cost.stall > MAX_STALL:
            bad.append((number, text[:300], cost))
        if number % 100 == 0:
            gc.collect()
    assert not bad
