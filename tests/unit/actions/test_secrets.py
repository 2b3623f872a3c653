"""What error texts must not contain."""

from __future__ import annotations

from typing import Any

import pytest

from mistral.actions import secrets


@pytest.mark.parametrize(
    "parameters",
    [
        {"password": "hunter2"},
        {"auth": "user:hunter2"},
        {"headers": {"X-Auth-Token": "hunter2"}},
        {"cookies": {"session": "hunter2"}},
        {"private_key": "hunter2"},
        {"nested": [{"api_key": ["hunter2"]}]},
        {"body": {"anything": "hunter2"}},
    ],
)
def test_values_of_secret_parameters_are_masked(parameters: dict[str, Any]) -> None:
    assert secrets.mask("said hunter2, twice: hunter2", parameters) == "said ***, twice: ***"


def test_other_values_stay() -> None:
    parameters = {"url": "http://here", "password": "", "token": None, "auth": "a"}
    assert secrets.mask("http://here is a place", parameters) == "http://here is a place"


def test_all_values_can_be_masked() -> None:
    assert (
        secrets.mask_all("bad value 42 of abc", {"n": 42, "t": ["abc"]}) == "bad value *** of ***"
    )


def test_short_values_are_masked_where_they_stand_alone() -> None:
    text = "Unknown mode 'a': use a mode of at most 1 letter; 11 were given, -1 is not allowed"
    assert secrets.mask_all(text, {"mode": "a", "n": 1, "u": "-1"}) == (
        "Unknown mode '***': use *** mode of at most *** letter; 11 were given, *** is not allowed"
    )
