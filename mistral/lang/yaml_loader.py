"""Definitions as YAML: how what can't be read is told, and where in a text something stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from mistral import exceptions as exc
from mistral.lang import spelling
from mistral.utils import safe_yaml


def load(text: str, limits: safe_yaml.YamlLimits) -> Any:
    """The data of one document; the keys of its mappings may be numbers and the like.

    :raises DSLParsingException: when the text is no well-formed YAML, too large or too deep.
    """
    try:
        return safe_yaml.load(text, limits)
    except safe_yaml.UnreadableYaml as error:
        raise _refusal(error) from error


def compose(text: str) -> yaml.Node | None:
    """The nodes of a document that could be loaded: they know their places in the text.

    :raises DSLParsingException: as :func:`load`.
    """
    try:
        return safe_yaml.compose(text)
    except safe_yaml.UnreadableYaml as error:
        raise _refusal(error) from error


def line_of(text: str, path: Iterable[str | int]) -> int | None:
    """The line (from 1) of what a path of keys and indexes leads to, or of its last known part."""
    return lines_of(text, [path])[0]


def lines_of(text: str, paths: Sequence[Iterable[str | int]]) -> list[int | None]:
    """The same for several paths."""
    try:
        top = compose(text)
    except exc.DSLParsingException:
        return [None] * len(paths)
    return [_line(top, path) for path in paths]


def _line(node: yaml.Node | None, path: Iterable[str | int]) -> int | None:
    line = None
    for part in path:
        found = _child(node, part)
        if found is None:
            break
        line, node = found
    return line


def _child(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        child = node.value[part]
        return child.start_mark.line + 1, child
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):
            if isinstance(key, yaml.ScalarNode) and key.value == part:
                return key.start_mark.line + 1, value
    return None


_OF_COLONS = ("mapping values are not allowed here", "but got ':'")
"""How the parser calls a colon in the middle of a text."""


def _refusal(error: safe_yaml.UnreadableYaml) -> exc.DSLParsingException:
    advice = f". {spelling.QUOTE}" if any(each in str(error) for each in _OF_COLONS) else ""
    return exc.DSLParsingException(f"Invalid DSL: the YAML text can't be read: {error}{advice}")
