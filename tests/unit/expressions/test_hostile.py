"""Ways around the budget and the sandbox."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable

import pytest

from mistral.exceptions import EvaluationException, JinjaEvaluationException
from mistral.expressions import DataContext, Expressions
from tests.lib import expression_fuzz as fuzz

#: Python takes multiples of this number for equal at first glance
SAME_HASH = 2**61 - 1
MEMORY = 150 * 1024 * 1024


@pytest.fixture(scope="module")
def hasty(assemble: Callable[..., Expressions]) -> Expressions:
    return assemble(time_limit=0.3)


def loop(body: str, times: int = 10_000) -> str:
    """Something done again and again, with two variables that stay."""
    start = "{% set ns = namespace(a=1, b=1) %}"
    return f"{start}{{% for i in range({times}) %}}{body}{{% endfor %}}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{% for x in ['a b'] %}{{ x.upper() }}{{ x.split(' ') }}{% endfor %}", "A B['a', 'b']"),
        ("{% for x in _.l %}{{ '{}-'.format(x) }}{% endfor %}", "1-2-3-"),
        ("{% for k, v in _.m.items() %}{{ k ~ v }}{% endfor %}", "a1kv"),
        ("{% block b %}{{ 'a,b'.split(',') }}{% endblock %}", "['a', 'b']"),
        ("{% for x in _.l %}{{ json_dump(x) }}{{ loop.cycle('a', 'b') }}{% endfor %}", "1a2b3a"),
        ("{% set c = cycler(1, 2) %}{{ c.next() }}{{ c.next() }}{{ c.reset() }}", "12None"),
        ("{% set j = joiner() %}{{ j() }}a{{ j() }}b", "a, b"),
        ("{{ dict(a=1) }}", {"a": 1}),
        ("{{ dict([['a', 1]], b=2) }}", {"a": 1, "b": 2}),
        ("{{ dict(_.m, b=2) }}", {"a": 1, "k": "v", "b": 2}),
        ("{% macro m(x) %}{{ x }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, a=3) }}",
         "1(2,){'a': 3}"),
        ("{% for x in [[1, [2]]] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}",
         "12"),
        ("{% macro m() %}{{ caller(2) }}{% endmacro %}{% call(x) m() %}{{ x }}{% endcall %}", "2"),
        ("{{ _.l[1:] }}", [2, 3]),
        ("{{ _.s[::-1] }}", "txet"),
        ("{{ 'ab'.encode() }}", "ab"),
        ("{{ ('ab'.encode() + 'c'.encode()) * 2 }}", "abcabc"),
        ("{{ '{0:>5}|{1:.2f}'.format('a', 1.239) }}", "    a|1.24"),
        ("{{ '%5s|%-3d|%%|%.2f' % ('a', 1, 1.239) }}", "    a|1  |%|1.24"),
        ("{{ _.rows | sort(attribute='x,x', reverse=true) | map(attribute='x') | list }}", [2, 1]),
    ],
)  # fmt: skip
def test_what_templates_may_do(
    expressions: Expressions, ctx: DataContext, text: str, value: object
) -> None:
    assert expressions.evaluate(text, ctx) == value


@pytest.mark.parametrize(
    "text",
    [
        "{{ dict.update(_.m, {'evil': 1}) }}",
        "{{ dict.clear(_.m) }}",
        "{{ dict.pop(_.m, 'a') }}",
        "{{ dict.setdefault(_, 'evil', 1) }}",
        "{% set f = dict.update %}{{ f(_, {'evil': 1}) }}",
        "{{ cycler.reset(namespace(a=1)) }}",
        "{{ cycler.next(_) }}",
    ],
)
def test_nothing_changes_the_data(expressions: Expressions, ctx: DataContext, text: str) -> None:
    before = copy.deepcopy(ctx.data)
    with pytest.raises(JinjaEvaluationException):
        expressions.evaluate(text, ctx)
    assert ctx.data == before


@pytest.mark.parametrize(
    "text",
    [
        "{{ _.text.encode() * 4000 | length }}",
        loop("{% set ns.a = _.text.encode() if i == 0 else ns.a + ns.a %}", 14),
        loop("{% set ns.a = cycler(ns.a, _.text[i:]) %}"),
        loop("{% set ns.a = namespace(a=ns.a, b=_.text[i:]) %}"),
        loop("{% set ns.a = cycler(ns.a, _.numbers[i:]) %}"),
        loop("{% set ns.a = cycler(ns.a, _.text.encode()) %}"),
        loop("{% set ns.a = cycler(ns.a, i) %}", 100_000),
        "{{ ('{0:>999999}' * 3000).format(1) | length }}",
        "{{ ('{0:.999999f}' * 300).format(1.5) | length }}",
        "{{ (('%(a)999999d' * 3000) % {'a': 1}) | length }}",
        "{{ (('%(a).999999f' * 300) % {'a': 1}) | length }}",
        "{{ ('%(a)999999d' * 3000) | format(a=1) | length }}",
    ],
)
def test_memory_has_no_holes(expressions: Expressions, text: str) -> None:
    data = fuzz.data()
    with fuzz.Watch() as watch, contextlib.suppress(EvaluationException):
        expressions.evaluate(text, DataContext(data))
    assert watch.cost.memory < MEMORY


GROWN = (
    "{% macro grow(n) %}{% if n > 0 %}{{ grow(n - 1, varargs, varargs) }}{% else %}"
    "{{ end(40, varargs) }}{% endif %}{% endmacro %}"
    "{% macro end(n, x) %}{% if n > 0 %}{{ end(n - 1, x, varargs, varargs) }}{% else %}"
)
COLLIDING = f"range(100000).select($ * {SAME_HASH})"


@pytest.mark.parametrize(
    "text",
    [
        GROWN + "{{ x == varargs }}{% endif %}{% endmacro %}{{ grow(40) }}",
        GROWN + "{{ {varargs: 1} }}{% endif %}{% endmacro %}{{ grow(40) }}",
        GROWN + "{{ varargs in [1, 2] }}{% endif %}{% endmacro %}{{ grow(40) }}",
        loop("{% set ns.a = cycler(ns.a, ns.a).items %}{% set ns.b = cycler(ns.b, ns.b).items %}")
        + "{{ ns.a == ns.b }}",
        "{{ dict(_.pairs) | length }}",
        "{{ _.numbers | unique | list | length }}",
        "<% $.numbers.toSet().len() %>",
        "<% $.single.toSet().len() %>",
        "<% dict($.pairs).len() %>",
        "<% $.numbers.toDict($).len() %>",
        "<% $.numbers.distinct().len() %>",
        f"<% {COLLIDING}.toSet().len() %>",
        "<% let($.numbers.limit(3000).toSet()) -> $1.union($1).len() %>",
        "{{ _.rows | sort(attribute='x,' * 5000) | length }}",
        "{{ _.rows | sort(attribute='x,' * 30000 ~ 'x') | length }}",
        "{{ _.rows | sum(attribute='x.' * 30000 ~ 'x') }}",
        "{{ _.rows | min(attribute='x.' * 30000 ~ 'x') }}",
        "{{ _.rows | groupby('x.' * 30000 ~ 'x') }}",
        "{{ _.rows | map(attribute='x.' * 30000 ~ 'x') | list }}",
    ],
)
def test_no_single_step_takes_long(hasty: Expressions, text: str) -> None:
    numbers = [n * SAME_HASH for n in range(1, 40_001)]
    data = {
        "numbers": numbers,
        "pairs": [[n, 0] for n in numbers],
        "single": [[n] for n in numbers],
        "rows": [{"x": {"x": n}} for n in range(5000)],
    }
    started = time.thread_time()
    with fuzz.Watch() as watch, pytest.raises(EvaluationException):
        hasty.evaluate(text, DataContext(data))
    assert watch.cost.stall < 2
    assert time.thread_time() - started < 3


def test_many_equal_numbers_are_no_attack(expressions: Expressions) -> None:
    context = DataContext({"same": [2**62] * 50_000, "all": list(range(50_000))})
    assert expressions.evaluate("<% $.same.toSet() %>", context) == [2**62]
    assert expressions.evaluate("<% $.all.toSet().len() %>", context) == 50_000


@pytest.mark.parametrize(
    "value",
    [
        ["<% $.text %>"] * 10_000,
        {f"k{n}": ["<% $.numbers %>"] for n in range(10_000)},
        ["{{ _.numbers }}"] * 10_000,
        ["<% [" + ", ".join(["$.numbers"] * 60) + "] %>"] * 100,
        "<% $.text %> " * 5000,
        "<% $.numbers %> " * 5000,
    ],
)
def test_all_expressions_of_a_value_share_a_budget_of_memory(
    expressions: Expressions, value: object
) -> None:
    data = fuzz.data()
    with fuzz.Watch() as watch, pytest.raises(EvaluationException, match="memory_quota"):
        expressions.evaluate_recursively(value, DataContext(data))
    assert watch.cost.memory < MEMORY


@pytest.mark.parametrize(
    "value", [["<% range(20000).len() %>"] * 1000, "<% range(20000).len() %>" * 1000]
)
def test_all_expressions_of_a_value_share_a_budget_of_time(
    hasty: Expressions, value: object
) -> None:
    started = time.thread_time()
    with pytest.raises(EvaluationException, match="time_limit"):
        hasty.evaluate_recursively(value, DataContext({}))
    assert time.thread_time() - started < 3


def test_values_do_not_grow_from_evaluation_to_evaluation(expressions: Expressions) -> None:
    """As the input of ad-hoc actions does, whose bases are others."""
    value: object = [1]
    with pytest.raises(EvaluationException, match="memory_quota"):
        for _ in range(60):
            value = expressions.evaluate_recursively("<% [$.x, $.x] %>", DataContext({"x": value}))
