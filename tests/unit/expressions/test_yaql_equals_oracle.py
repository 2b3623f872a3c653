"""The closures of the common subset give exactly YAQL's answers."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaql
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yaql.language import utils

from mistral.exceptions import EvaluationException
from mistral.expressions import BUILTIN, DataContext, ExpressionOptions, YaqlEvaluator
from mistral.expressions.yaql_fast import compile_fast

ENGINE = yaql.YaqlFactory().create(options={"yaql.convertSetsToLists": True})
LIBRARY = yaql.create_context()
FAILED = "<failed>"
ADDRESS = re.compile("0x[0-9a-f]+")


@pytest.fixture(scope="module")
def evaluator() -> YaqlEvaluator:
    return YaqlEvaluator(ExpressionOptions(), BUILTIN)


@pytest.fixture(scope="module")
def slow_evaluator() -> YaqlEvaluator:
    return YaqlEvaluator(ExpressionOptions(), BUILTIN, use_fast_path=False)


def oracle(source: str, data: Any) -> Any:
    """What the library alone answers."""
    context = LIBRARY.create_child_context()
    context["$__env"] = utils.convert_input_data({"a": 1})
    try:
        return json_form(ENGINE(source).evaluate(data=data, context=context))
    except Exception:  # noqa: BLE001 - any failure is an answer here
        return FAILED


def json_form(value: Any) -> Any:
    """JSON knows text keys only: the one difference that we make."""
    if isinstance(value, list):
        return [json_form(item) for item in value]
    if not isinstance(value, dict):
        return value
    names = {True: "true", False: "false", None: "null"}
    result = {}
    for key, item in value.items():
        if isinstance(key, (tuple, dict)):
            raise TypeError(key)
        is_word = key is None or isinstance(key, bool)
        result[names[key] if is_word else str(key)] = json_form(item)
    return result


def ours(evaluator: YaqlEvaluator, source: str, data: Any) -> Any:
    context = DataContext(data, None, {"__env": {"a": 1}})
    try:
        return evaluator.evaluate(f"<% {source} %>", context)
    except EvaluationException:
        return FAILED


def same(left: Any, right: Any) -> bool:
    """Equal in value and in type, all the way down; addresses of objects don't count."""
    if isinstance(left, str) and isinstance(right, str):
        return ADDRESS.sub("", left) == ADDRESS.sub("", right)
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


NAMES = st.sampled_from(["a", "b", "c", "len", "keys"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, -1.0, 2.0]),
    st.sampled_from(["", "a", "b", "xyz"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)
DATA = st.one_of(st.dictionaries(NAMES, VALUES, max_size=5), VALUES)

LITERALS = st.sampled_from(
    ["0", "1", "2", "1.5", "true", "false", "null", "'a'", '"xyz"', "b", "[]", "{}"]
)
ROOTS = st.one_of(st.sampled_from(["$", "$__env", "$nothing", "$1"]), LITERALS)
PATHS = st.lists(NAMES, max_size=2).map(lambda names: "".join(["$", *("." + n for n in names)]))
OPERATORS = ["+", "-", "*", "/", "mod", "=", "!=", "<", "<=", ">", ">=", "and", "or", "in"]


FORMS = [
    *(f"({{0}} {operator} {{1}})" for operator in OPERATORS),
    *(f"{{0}} {operator} {{1}}" for operator in OPERATORS),
    "not {0}",
    "-{0}",
    "+{0}",
    "{0}.a",
    "{0}?.b",
    "{0}.len",
    "{0}[{1}]",
    "{0}[{1}, {2}]",
    "[{0}, {1}]",
    "{{a => {0}}}",
    "{{{0} => {1}, b => {2}}}",
    "{0}.get({1})",
    "{0}?.get({1})",
    "{0}.get({1}, {2})",
    "{0}.containsKey({1})",
    "{0}.len()",
    "{0}.select({1})",
    "{0}.where({1})",
    "{0}.orderBy({1})",
    "{0}.select($.a)",
    "$.a.where($.b = {1})",
    "$.a.select($ + {1})",
    "{0}.toList()",
    "{0}.first()",
    "len({0})",
    "str({0})",
    "({0})",
]


@st.composite
def sources(draw: st.DrawFn, depth: int = 3) -> str:
    """An expression of some depth; many of them fail, as they should in both."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.one_of(PATHS, PATHS, ROOTS))
    form = draw(st.sampled_from(FORMS))
    parts = [
        draw(sources(depth=depth - 1)) if f"{{{number}}}" in form else "" for number in range(3)
    ]
    return form.format(*parts)


MODERATE = settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@MODERATE
@given(source=sources(), data=DATA)
def test_generated(evaluator: YaqlEvaluator, source: str, data: Any) -> None:
    expected = oracle(source, data)
    actual = ours(evaluator, source, data)
    assert same(expected, actual), (source, data, expected, actual)


OPERANDS = [
    "0",
    "2",
    "-1",
    "1.5",
    "true",
    "null",
    "'a'",
    "'b'",
    "''",
    "[]",
    "[1]",
    "{}",
    "{a => 1}",
]


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_pair_of_types(evaluator: YaqlEvaluator, operator: str) -> None:
    for left in OPERANDS:
        for right in OPERANDS:
            source = f"{left} {operator} {right}"
            assert same(oracle(source, {}), ours(evaluator, source, {})), source


ITERATORS = {"rows": [{"a": 1}, {"a": [2]}], "empty": [], "deep": [{"a": {"a": 3}}]}


@pytest.mark.parametrize(
    "source",
    [
        "$.rows.a",
        "$.empty.a",
        "$.deep.a.a",
        "$.rows.a.a",
        "$.rows.a.len()",
        "$.rows.a[0]",
        "$.rows.a = [1, [2]]",
        "$.empty.a = []",
        "not $.empty.a",
        "$.empty.a or 5",
        "$.empty.a and 5",
        "5 and $.rows.a",
        "$.rows.a + [7]",
        "[$.rows.a, 1]",
        "{x => $.rows.a}",
        "1 in $.rows.a",
        "$.rows?.a",
        "len($.rows.a)",
        "str($.empty)",
        "$.rows.b",
        "$.rows.get(a)",
        "$.rows[0].a",
        "$.rows[-1].a",
        "$.rows[true]",
        "$.rows[5]",
        "$.(a)",
        "$.get(a => 1)",
        "$.rows.select($.a)",
        "$.rows.where($.a = 1)",
        "$.rows.where($.a = $.b)",
        "$.rows.select($.a).toList()",
        "$.rows.select($.a).toList()[0]",
        "$.rows.select($.a)[0]",
        "$.rows.select($.a).len()",
        "$.rows.select($.a).first()",
        "$.rows.select({v => $.a, w => $1.a}).v",
        "$.rows.select(a)",
        "$.rows.select($.b)",
        "$.rows.select($.b).first()",
        "$.rows.select([$.a].select($))",
        "$.rows.select([$.a].select($)).toList() = [[1], [[2]]]",
        "$.rows.orderBy($.a)",
        "$.rows.orderBy(1)",
        "$.rows.orderBy(1).len()",
        "$.rows.orderBy(-len($)).toList().len()",
        "$.rows.orderBy(1).first().a",
        "$.empty.first()",
        "$.empty.select($.x)",
        "$.empty.orderBy($.x)",
        "not $.rows.where(false)",
        "[3, 1, 2].orderBy($)",
        "[3, 1, null].orderBy($)",
        "[b, a].orderBy($)",
        "[1, true].orderBy($)",
        "[0, 1, ''].where($)",
        "$.rows.select($, 1)",
        "$.select($)",
        "'abc'.select($)",
        "dict(a => 1).a",
        "$.keys().toList()",
        "$.deep.a.toList().a",
        "$.deep[0].set(b, 1)",
        "set($.deep[0], $.deep[0]).len()",
        "{a => {a => 3}} in $.deep",
        "$.deep.groupBy($.a)",
        "$.rows + $.deep",
        "let($.rows) -> $1.len()",
        "$ -> 1",
    ],
)
def test_iterators_and_others(evaluator: YaqlEvaluator, source: str) -> None:
    assert same(oracle(source, ITERATORS), ours(evaluator, source, ITERATORS))


@pytest.mark.parametrize(
    "source",
    [
        "$",
        "$.a.b.c",
        "$.get(k)",
        "$.get(k, 1)",
        "task().result",
        "task(x).result.a",
        "env().x",
        "global(x)",
        "execution().id",
        "execution().params.get(extra)",
        "$.a + 1 > 2 and not $.b",
        "$.acc + [$.acc.len()]",
        "$.names[1]",
        "$.l.where($.x = 1).select($.y)",
        "$.l.orderBy($.x).toList()",
        '$.m["a"]',
        "[$.a, $.b]",
        "tasks(execution().id, false, ERROR).name",
    ],
)
def test_common_forms_are_compiled(source: str) -> None:
    assert compile_fast(ENGINE(source).expression, BUILTIN, ExpressionOptions()) is not None


@pytest.mark.parametrize(
    "source",
    [
        "task().result.a",
        "task(t1).result.a[1]",
        "task(ghost) = null",
        "task(ghost).result",
        "task(null).name",
        "task(1)",
        "task(t1, t2)",
        "task(t1).result",
        "tasks().name",
        "tasks(null, 1)",
        "tasks(null, true).state",
        "tasks(null, false, ERROR).name.len()",
        "env().b.c + env().a",
        "env(1)",
        "execution().params.get(x)",
        "executions()[0].id",
        "global(g) + 1",
        "global()",
        "json_parse('[1]')[0]",
        "json_dump({a => [1, null]})",
        "json_parse(5)",
        "yaml_dump([1]) + yaml_dump({a => 1})",
        "tasks().name + 1",
        "json_dump(tasks().name)",
    ],
)
def test_functions_in_closures_and_in_yaql(
    evaluator: YaqlEvaluator, slow_evaluator: YaqlEvaluator, source: str, ctx: DataContext
) -> None:
    """The same functions, reached by both ways, and the same errors."""
    answers = []
    for either in (evaluator, slow_evaluator):
        try:
            answers.append(either.evaluate(f"<% {source} %>", ctx))
        except EvaluationException as error:
            answers.append(str(error))
    assert same(*answers)


@pytest.mark.parametrize("source", ["$.selectMany($)", "$.a.foo()", "f(1)", "regex(a).matches(b)"])
def test_other_forms_are_left_to_yaql(source: str) -> None:
    assert compile_fast(ENGINE(source).expression, BUILTIN, ExpressionOptions()) is None


def test_plugin_overrides_library_function() -> None:
    evaluator = YaqlEvaluator(ExpressionOptions(), {"len": lambda context, value: "mine"})
    context = DataContext({"l": [1]})
    assert evaluator.evaluate("<% len($.l) %>", context) == "mine"
    assert evaluator.evaluate("<% $.l.len() %>", context) == 1
