"""Definitions as YAML: how what can't be read is told, and where in a text something stands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from mistral import exceptions as exc
from mistral.utils import safe_yaml


def load(text: str) -> Any:
    """The data of one document; the keys of its mappings may be numbers and the like.

    :raises DSLParsingException: when the text is no well-formed YAML, too large or too deep.
    """
    try:
        return safe_yaml.load(text)
    except safe_yaml.UnreadableYaml as error:
        raise _refusal(error) from error


def compose(text: str) -> yaml.Node | None:
    """The nodes of one document: they know their places in the text.

    :raises DSLParsingException: as :func:`load`.
    """
    try:
        return safe_yaml.compose(text)
    except safe_yaml.UnreadableYaml as error:
        raise _refusal(error) from error


def line_of(text: str, path: Iterable[str | int]) -> int | None:
    """The line (from 1) of what a path of keys and indexes leads to, or of its last known part."""
    try:
        node = compose(text)
    except exc.DSLParsingException:
        return None
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


def _refusal(error: safe_yaml.UnreadableYaml) -> exc.DSLParsingException:
    return exc.DSLParsingException(f"Invalid DSL: the YAML text can't be read: {error}")
