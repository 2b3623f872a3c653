"""JSON texts as they are shown."""

from __future__ import annotations

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
