"""The hardened YAML reader."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mistral.utils import safe_yaml


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x 1\nb: *x", {"a": "&x 1", "b": "*x"}),
        ("- &a [1]", ["&a [1]"]),
        ("[&a, *b]", ["&a", "*b"]),
        ("&a: 1", {"&a": 1}),
        ("at: @home", {"at": "@home"}),
        ("a: 1\na: 2", {"a": 2}),
        ("a: 5 * 3", {"a": "5 * 3"}),
        ("", None),
        ("k: v\nl:\n- 1\n- 2\n", {"k": "v", "l": [1, 2]}),
        ("<<: {a: 1}\nb: 2", {"a": 1, "b": 2}),
    ],
)
def test_load(text: str, expected: Any) -> None:
    assert safe_yaml.load(text) == expected


@pytest.mark.parametrize("extra", ["", "*"])
@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000 + "]" * 100_000,
        "\n".join(" " * n + "a:" for n in range(150)),
        "- " * 150 + "x",
        "a: [",
        "!!python/object/apply:os.system [ls]",
    ],
)
def test_refused(text: str, extra: str) -> None:
    with pytest.raises(yaml.YAMLError):
        safe_yaml.load(text + (f"\n# {extra}" if extra else ""))


def test_length_is_limited() -> None:
    with pytest.raises(yaml.YAMLError):
        safe_yaml.load("a" * 20, max_characters=10)


def test_wide_documents_pass() -> None:
    wide = [{"a": [1, {"b": []}]}] * 500
    assert safe_yaml.load(safe_yaml.dump(wide)) == wide
    assert safe_yaml.load(safe_yaml.dump([*wide, "*"])) == [*wide, "*"]
