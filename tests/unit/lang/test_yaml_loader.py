"""Definitions as YAML: refusals, and lines in texts."""

from __future__ import annotations

import pytest

from mistral.exceptions import DSLParsingException
from mistral.lang import yaml_loader
from mistral.utils.safe_yaml import YamlLimits


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1", "line"),
        ("a: b: c", "(line 1, column 5)"),
        ("a: !!int x", "not a value of type int"),
        ("[" * 101 + "]" * 101, "nested deeper"),
    ],
)
def test_refuses(text: str, problem: str) -> None:
    with pytest.raises(DSLParsingException, match="Invalid DSL") as caught:
        yaml_loader.load(text, YamlLimits())
    assert problem in str(caught.value)


def test_refuses_to_look_for_places() -> None:
    with pytest.raises(DSLParsingException, match="Invalid DSL"):
        yaml_loader.compose("a: [1")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a",), 1),
        (("a", "b"), 2),
        (("a", "b", 1), 4),
        (("a", "b", 1, "x"), 4),
        (("a", "b", 9), 2),
        (("nothing",), None),
    ],
)
@pytest.mark.parametrize("last", ["c: 1", "c: &x"])
def test_lines(path: tuple[str | int, ...], line: int | None, last: str) -> None:
    assert yaml_loader.line_of(f"a:\n  b:\n  - 1\n  - x: 2\n{last}", path) == line
