"""What error texts must not contain, and what they must keep."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest

from mistral.actions import secrets


@pytest.mark.parametrize(
    "parameters",
    [
        {"password": "hunter2"},
        {"auth": "user:hunter2"},
        {"auth": ["user", "hunter2"]},
        {"headers": {"X-Auth-Token": "hunter2"}},
        {"cookies": {"session": "hunter2"}},
        {"private_key": "hunter2"},
        {"nested": [{"api_key": ["hunter2"]}]},
        {"body": {"anything": "hunter2"}},
        {"smtp_password": "hunter2"},
        {"accessToken": "hunter2"},
    ],
)
def test_values_of_secret_parameters_are_masked(parameters: dict[str, Any]) -> None:
    assert secrets.mask("said hunter2, twice: hunter2", parameters) == "said ***, twice: ***"


@pytest.mark.parametrize(
    "parameters",
    [
        {"size": "medium"},
        {"password": "a"},
        {"auth": "on", "pin": 7, "token": 10},
        {"token_type": "medium", "secret_name": "large", "author": "small"},
        {"body": {"size": "medium"}, "json": ["large"], "key": "size"},
        {"size": "medium", "password": "medium"},
        {"password": "med", "max_tokens": 10},
        {"password": "", "token": None, "is_private": True},
        {"pin": 10, "password": 17},
    ],
)
def test_other_words_stay(parameters: dict[str, Any]) -> None:
    text = "size must be small or large, not medium; at most 10 of 17"
    assert secrets.mask(text, parameters) == text


def test_a_word_that_is_a_password_is_masked_where_it_stands_alone() -> None:
    text = "login with 'dragon' failed at dragonfly.example"
    assert secrets.mask(text, {"password": "dragon"}) == (
        "login with '***' failed at dragonfly.example"
    )


def test_a_short_number_is_masked_where_it_is_no_other_value() -> None:
    assert secrets.mask("bad pin 2718 of 27180", {"password": 2718}) == "bad pin *** of 27180"
    assert secrets.mask("port 2718", {"password": "2718", "port": 2718}) == "port 2718"


def test_short_values_are_masked_where_they_stand_alone() -> None:
    assert secrets.mask("a1b2 and xa1b2x", {"password": "a1b2"}) == "*** and xa1b2x"
    assert secrets.mask("token=abc12345xyz", {"token": "abc12345"}) == "token=***xyz"


@pytest.mark.parametrize(
    "value", ["p@ss w/ord", 'quo"ted\\one', "zwölf:boxkämpfer", "two\nlines-x"]
)
def test_other_spellings_are_masked(value: str) -> None:
    encoded = base64.b64encode(f"me:{value}".encode()).decode()
    text = f"{value!r} Basic {encoded} {value}"
    left = secrets.mask(text, {"auth": f"me:{value}", "password": value})
    assert left == "'***' Basic *** ***"
    assert secrets.mask("?p=p%40ss+w%2Ford", {"password": "p@ss w/ord"}) == "?p=***"


def test_lines_of_a_key_are_masked() -> None:
    key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA7\n-----END KEY-----\n"
    text = "line 2: bad base64 MIIEpAIBAAKCAQEA7"
    assert secrets.mask(text, {"private_key": key}) == "line 2: bad base64 ***"


def test_large_bodies_take_no_time() -> None:
    body = [f"value-{number:09}" for number in range(20_000)]
    begun = time.thread_time()
    assert secrets.mask("x" * 130_000 + " value-000019999", {"body": body}).endswith("x ***")
    assert time.thread_time() - begun < 2
