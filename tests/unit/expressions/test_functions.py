"""The functions of the language, in both kinds of expressions (doc:language/functions)."""

from __future__ import annotations

from typing import Any

import pytest

from mistral.exceptions import EvaluationException
from mistral.expressions import DataContext, Expressions


@pytest.mark.parametrize(
    ("yaql", "jinja", "expected"),
    [
        ("task().name", "task().name", "t1"),
        ("task(t1).result.a", "task('t1').result.a", [1, 2]),
        ("task(ghost)", "task('ghost')", None),
        ("tasks(state => ERROR).name", "tasks(state='ERROR') | map(attribute='name')", ["t2"]),
        ("execution().id", "execution().id", "e1"),
        ("env().get(zip, 9)", "env().get('zip', 9)", 9),
        ("global(g)", "global('g')", 7),
        ("global(x)", "global('x')", None),
        ("json_parse($.json).a", "json_parse(_.json).a", [1, None]),
        ("json_parse($.json).a", "(_.json | json_parse).a", [1, None]),
        ("json_dump({k => 1})", "json_dump({'k': 1})", '{\n    "k": 1\n}'),
        ("yaml_dump({k => 1})", "yaml_dump({'k': 1})", "k: 1\n"),
        ("yaml_parse('k: [1, v]')", "yaml_parse('k: [1, v]')", {"k": [1, "v"]}),
        ("yaml_parse('a: &x 1')", "yaml_parse('a: &x 1')", {"a": "&x 1"}),
        ("yaml_parse('2020-01-02')", "yaml_parse('2020-01-02')", "2020-01-02"),
        ("yaml_parse('2020-99-99')", "yaml_parse('2020-99-99')", "2020-99-99"),
        ("yaml_parse('{1: a}')", "yaml_parse('{1: a}')", {"1": "a"}),
    ],
)
def test_results(
    expressions: Expressions, ctx: DataContext, yaql: str, jinja: str, expected: Any
) -> None:
    assert expressions.evaluate(f"<% {yaql} %>", ctx) == expected
    assert expressions.evaluate("{{ " + jinja + " }}", ctx) == expected


@pytest.mark.parametrize(
    "source",
    [
        "json_parse('{')",
        "yaml_parse('a: [')",
        "yaml_parse('!!int x')",
        "yaml_parse('!!bool x')",
        f"yaml_parse('{'9' * 5000}')",
        f"json_parse('{'9' * 5000}')",
        f"json_parse('{'[' * 50_000}')",
        "json_parse(1)",
        "yaml_parse(1)",
        "json_pp(1)",
        "executions(from_time='yesterday')",
        "executions(fromTime => yesterday)",
    ],
)
def test_bad_arguments(expressions: Expressions, ctx: DataContext, source: str) -> None:
    text = f"<% {source} %>" if "=>" in source else "{{ " + source + " }}"
    with pytest.raises(EvaluationException):
        expressions.evaluate(text, ctx)


def test_keywords(expressions: Expressions, ctx: DataContext, facts: Any) -> None:
    expressions.evaluate("<% executions(rootExecutionId => r, id => i) %>", ctx)
    expressions.evaluate("{{ executions(root_execution_id='r', id='i') }}", ctx)
    assert facts.asked[0] == facts.asked[1]
    assert facts.asked[0]["root_execution_id"] == "r"


@pytest.mark.parametrize("text", ["<% task().name %>", "{{ task().name }}"])
def test_task_outside_a_task(
    expressions: Expressions, ctx: DataContext, facts: Any, text: str
) -> None:
    facts.current = None
    facts.records.clear()
    with pytest.raises(EvaluationException, match="inside a task"):
        expressions.evaluate(text, ctx)


@pytest.mark.parametrize("text", ["<% env().x %>", "{{ env().x }}"])
def test_no_execution(expressions: Expressions, text: str) -> None:
    with pytest.raises(EvaluationException, match="no execution"):
        expressions.evaluate(text, DataContext({}))


@pytest.mark.parametrize("text", ["<% uuid() %>", "{{ uuid() }}"])
def test_uuid_is_new_each_time(expressions: Expressions, ctx: DataContext, text: str) -> None:
    assert expressions.evaluate(text, ctx) != expressions.evaluate(text, ctx)


def test_dump_writes_no_aliases(expressions: Expressions) -> None:
    shared = [1]
    text = expressions.evaluate("<% yaml_dump($) %>", DataContext({"a": shared, "b": shared}))
    assert expressions.evaluate("<% yaml_parse($) %>", DataContext(text)) == {
        "a": [1],
        "b": [1],
    }


class DatabaseIsGone(Exception):
    """Not the expression's fault."""


@pytest.mark.parametrize("text", ["<% env().x %>", "<% env().keys() %>", "{{ env().x }}"])
def test_failures_of_the_service_pass_through(
    expressions: Expressions, facts: Any, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Any:
        raise DatabaseIsGone

    monkeypatch.setattr(facts, "env", fail)
    with pytest.raises(DatabaseIsGone):
        expressions.evaluate(text, DataContext({}, facts))
