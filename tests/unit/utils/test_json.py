"""JSON texts as they are shown."""

from __future__ import annotations

import time
from typing import Any

import pytest

from mistral.utils import json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{}", "{}"),
        ("3", "3"),
        ('{"result":"Hi"}', '{"result": "Hi"}'),
        ('{"a":[1,null,true],"b":"x,y:z ä"}', '{"a": [1, null, true], "b": "x,y:z ä"}'),
        ('{"a":123456789012345678901234567890}', '{"a": 123456789012345678901234567890}'),
        ('{"a":"\\ud800"}', '{"a": "\\ud800"}'),
    ],
)
def test_spaced(text: str, shown: str) -> None:
    assert json.spaced(text) == shown
    assert json.loads(shown) == json.loads(text)


def nested(levels: int, innermost: Any = 1) -> Any:
    for number in range(levels):
        innermost = {"a": innermost} if number % 2 else [innermost]
    return innermost


@pytest.mark.parametrize("innermost", [1, 2**70, "\ud800", [], {}])
def test_what_is_kept_is_not_nested_too_deeply(innermost: Any) -> None:
    levels = json.MAX_DEPTH - isinstance(innermost, (list, dict))
    value = nested(levels, innermost)
    assert json.dump_value(value) == json.dump_bytes(value)
    with pytest.raises(ValueError, match="deeper than 200"):
        json.dump_value([value])


@pytest.mark.parametrize("container", ["{},", "[],"])
def test_containers_are_counted_before_they_are_made(container: str) -> None:
    text = "[" + container * 1_500_000 + "1]"
    for spelling in (text, text.encode()):
        with pytest.raises(ValueError, match="more than 1000000 lists and mappings"):
            json.parse(spelling)
    assert len(json.parse("[" + container * 1000 + "1]")) == 1001


def test_the_beginning_of_a_value() -> None:
    assert json.beginning({"é": [1, None]}, 80) == '{"é":[1,null]}'
    many = [int("9" * 4000)] * 50_000
    began = time.process_time()
    assert json.beginning(many, 10) == "[999999999..."
    assert time.process_time() - began < 0.2


def test_an_integer_too_long_is_told_in_words() -> None:
    with pytest.raises(ValueError, match=r"^the number 9{40}\.\.\. has too many digits: 5000$"):
        json.parse("[" + "9" * 5000 + "]")
    assert json.parse("[" + "9" * 4000 + "]") == [int("9" * 4000)]


def test_an_integer_too_long_is_no_value() -> None:
    with pytest.raises(ValueError, match="digits"):
        json.dump_value([10**5000])
