"""The one-line syntax."""

from __future__ import annotations

import time
from typing import Any

import pytest

from mistral.lang import inline


@pytest.mark.parametrize(
    ("text", "name", "params"),
    [
        ("std.noop", "std.noop", {}),
        ("std.noop ", "std.noop", {}),
        ("my-act", "my-act", {}),
        ("wb.my-act a=1", "wb.my-act", {"a": 1}),
        ("a x=1 y=true z=null w=false", "a", {"x": 1, "y": True, "z": None, "w": False}),
        ("a x='42' y=\"42\" z=42", "a", {"x": "42", "y": "42", "z": 42}),
        ('a x=\'say "hi"\' y="it\'s"', "a", {"x": 'say "hi"', "y": "it's"}),
        ("a x=<% $.a + 1 %> y={{ _.b }}", "a", {"x": "<% $.a + 1 %>", "y": "{{ _.b }}"}),
        ('a x="b <% $.c %> d"', "a", {"x": "b <% $.c %> d"}),
        ('a x=[1, [2], {"b": 3}] y=4', "a", {"x": [1, [2], {"b": 3}], "y": 4}),
        ("a x=[one] y=4", "a", {"x": "[one]", "y": 4}),
        ('a x=-1 y=1.5 z={"a": 1} w=word k=2', "a", {"y": 1, "k": 2}),
        ("a x=007", "a", {"x": "007"}),
        (
            "a x=http://my.web-service.com:80/b?c=d&e=1 y=2",
            "a",
            {
                "x": "http://my.web-service.com:80/b?c=d&e=1",
                "y": 2,
            },
        ),
        ("a x=http://h/<% $.a %> y=2", "a", {"y": 2}),
        ("a x=", "a", {}),
        ("a key-with-dash=1 größe=2", "a", {"key-with-dash": 1, "größe": 2}),
        ('a x="<% $.get("k") %>"', "a", {"x": "<% $.get("}),
        ("a x=1\n  y=2", "a", {"x": 1, "y": 2}),
        ("a x=<% 1 y=2", "a", {"y": 2}),
        ("a x='1 y=2", "a", {"y": 2}),
        ("a x={% if 1 %}b{% endif %}", "a", {"x": "{% if 1 %}b{% endif %}"}),
        ("<% $.name %>", "<% $.name %>", {}),
        ("<% $.get(a) %> x=1", "<% $.get(a) %>", {"x": 1}),
        ("{{ _.name }} x=1", "{{ _.name }}", {"x": 1}),
        ("std.<% $.which %> x=1", "std.<% $.which %>", {"x": 1}),
        ('send"x" y=1', "send", {"y": 1}),
    ],
)
def test_parse(text: str, name: str, params: dict[str, Any]) -> None:
    assert inline.parse(text) == (name, params)


@pytest.mark.parametrize("text", ["", "   ", '"x" y=1', "= a", "(x) y", "<% x y=1"])
def test_no_name(text: str) -> None:
    assert inline.parse(text) is None


@pytest.mark.parametrize(
    ("text", "name", "params"),
    [
        ("fail", "fail", {}),
        ('fail(msg="x")', "fail", {"msg": "x"}),
        ('fail (msg="x y")', "fail", {"msg": "x y"}),
        ('fail msg="x"', "fail", {"msg": "x"}),
        ("fail msg=<% $.m %>", "fail", {"msg": "<% $.m %>"}),
        ("task(1)", "task(1)", {}),
        ("my task", "my", {}),
    ],
)
def test_targets(text: str, name: str, params: dict[str, Any]) -> None:
    assert inline.parse_target(text) == (name, params)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 300_000,
        "a=" * 150_000,
        "a=<%" * 80_000,
        "a=[" * 80_000,
        "a=[x]" * 60_000,
        "a={%" * 80_000,
    ],
)
def test_linear(text: str) -> None:
    started = time.process_time()
    inline.parse("x " + text)
    assert time.process_time() - started < 2
