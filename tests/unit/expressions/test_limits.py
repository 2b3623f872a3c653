"""Each limit of expressions is an option: what is refused by a small one is not by another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mistral.exceptions import EvaluationException, MistralException
from mistral.expressions import DataContext, Expressions

Assemble = Callable[..., Expressions]

SAME_HASH = [i * (2**61 - 1) for i in range(20)]
DATA: dict[str, Any] = {
    "text": "a" * 100,
    "json": "[1,2,3,[4,5,6]]",
    "time": "2026-01-01 10:00:00",
    "list": [1, 2, 3],
    "records": [{"a": {"b": 2}}, {"a": {"b": 1}}],
    "same": SAME_HASH,
}

CASES = [
    ("max_compared", 50, "{{ _.text.rsplit('ab') }}"),
    ("max_pattern_length", 3, "<% $.text.matches('aaaa') %>"),
    ("max_pattern_length", 3, "<% regex('aaaa').matches($.text) %>"),
    ("max_pattern_length", 3, "<% $.text =~ 'aaaa' %>"),
    ("max_pattern_steps", 200, "<% $.text.matches('aaaa') %>"),
    ("max_json_length", 14, "<% json_parse($.json) %>"),
    ("max_json_length", 14, "{{ json_parse(_.json) }}"),
    ("max_json_length", 14, "<% json_dump($.list) %>"),
    ("max_json_length", 14, "{{ _.list | tojson(indent=4) }}"),
    ("max_json_parts", 6, "<% json_parse($.json) %>"),
    ("max_yaml_length", 14, "<% yaml_parse($.json) %>"),
    ("max_yaml_length", 6, "{{ yaml_dump(_.list) }}"),
    ("max_equal_hashes", 10, "<% $.same.toSet() %>"),
    ("max_attribute_parts", 1, "{{ _.records | map(attribute='a.b') | sort }}"),
    ("max_attribute_parts", 1, "{{ _.records | sort(attribute='a.b') }}"),
    ("max_filter_length", {"wordwrap": 40}, "{{ _.text | wordwrap(10) }}"),
    ("max_filter_length", {"pprint": 40}, "{{ _.text | pprint }}"),
    ("max_time_length", 10, "<% datetime($.time).year %>"),
    ("max_unpacked", 2, "<% $.list.unpack(a, b, c) -> $a %>"),
]


@pytest.mark.parametrize(("option", "small", "expression"), CASES)
def test_an_option_changes_a_limit(
    assemble: Assemble, option: str, small: Any, expression: str
) -> None:
    context = DataContext(DATA)
    with pytest.raises(MistralException, match=rf"\[expressions\] {option}"):
        assemble(**{option: small}).evaluate(expression, context)
    assert assemble().evaluate(expression, context) is not None
    lifted = dict.fromkeys(small, -1) if isinstance(small, dict) else -1
    assert assemble(**{option: lifted}).evaluate(expression, context) is not None


def test_a_definition_with_a_long_pattern_is_refused(assemble: Assemble) -> None:
    with pytest.raises(MistralException, match="max_pattern_length = 3"):
        assemble(max_pattern_length=3).validate("<% $.text.matches('aaaa') %>")


def test_no_expression_sets_a_limit(assemble: Assemble) -> None:
    for expression in ("<% json_parse('1', limits => 1) %>", "<% json_parse('1', 1) %>"):
        with pytest.raises(EvaluationException):
            assemble().evaluate(expression, DataContext({}))
