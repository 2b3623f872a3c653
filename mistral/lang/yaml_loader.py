"""Text to data: the hardened YAML reader of definitions (contract language §1.7-1.9).

A definition is JSON data, written as YAML: no anchors, no aliases, no tags but those of JSON.
libyaml reads such texts ten times faster than the pure Python parser, but it can't be told that
``&x 1`` is a text, and differs in a few corners. So the pure Python parser is the law, and
libyaml reads only the texts in which nothing can be found that the two read differently.
Whatever libyaml refuses is read again by the Python parser, so that the errors are its own, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

from mistral import exceptions as exc
from mistral.utils import safe_yaml

MAX_DEPTH = 100
MAX_CHARACTERS = 4 * 1024 * 1024
#: the pure Python parser takes some five seconds for that
MAX_CHARACTERS_OF_PYTHON = 1024 * 1024
MAX_DIGITS = 400

_TAG = "tag:yaml.org,2002:"
_SIMPLE = ("null", "str", "seq", "map")
_NOT_IMPLICIT = (_TAG + "timestamp", _TAG + "value")
# Tabs, byte order marks within the text, "!" alone and "#" right after a block scalar's header
# are read by both, but differently.
_DIFFERENT = re.compile("[\t\ufeff]|!(?=[\\s\x85\u2028\u2029]|$)|[|>][-+0-9]*#")
_STARTS = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_ENDS = (yaml.SequenceEndEvent, yaml.MappingEndEvent)


def _scalar(name: str) -> Any:
    """A constructor that answers bad numbers (``!!int x``) as an error of the text."""
    construct = yaml.SafeLoader.yaml_constructors[_TAG + name]

    def constructor(loader: Any, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode) and len(node.value) > MAX_DIGITS:
            raise yaml.constructor.ConstructorError(
                None, None, f"a number has more than {MAX_DIGITS} digits", node.start_mark
            )
        try:
            return construct(loader, node)
        except (ValueError, LookupError, OverflowError) as error:
            raise yaml.constructor.ConstructorError(
                None, None, f"this is not a value of type {name}", node.start_mark
            ) from error

    return constructor


_JSON_CONSTRUCTORS: dict[str | None, Any] = {
    None: yaml.SafeLoader.yaml_constructors[None],
    **{_TAG + name: yaml.SafeLoader.yaml_constructors[_TAG + name] for name in _SIMPLE},
    **{_TAG + name: _scalar(name) for name in ("bool", "int", "float")},
}


class _JsonData:
    """What both parsers make of scalars and tags: JSON's types, nothing else."""

    yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in resolvers if tag not in _NOT_IMPLICIT]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors = _JSON_CONSTRUCTORS


class _PythonLoader(_JsonData, safe_yaml.HardenedLoader):
    """The law."""


class _FastLoader(_JsonData, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml's reader, for texts that it reads as the other one."""


def load(text: str) -> Any:
    """The data of one document; the keys of its mappings may be numbers and the like.

    :raises DSLParsingException: when the text is no well-formed YAML, too large or too deep.
    """
    return _read(text, "get_single_data")


def compose(text: str) -> yaml.Node | None:
    """The nodes of one document: they know their places in the text."""
    node: yaml.Node | None = _read(text, "get_single_node")
    return node


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


def _read(text: str, what: str) -> Any:
    if len(text) > MAX_CHARACTERS:
        raise _refusal(f"the text is longer than {MAX_CHARACTERS} characters")
    if reads_alike(text):
        try:
            return _ask(_FastLoader, text, what)
        except yaml.YAMLError:
            pass  # the Python parser says it in its own words
    if len(text) > MAX_CHARACTERS_OF_PYTHON:
        raise _refusal(
            "the text is not well-formed, or it contains '&', '*', '@' or tabs in places where "
            f"only texts of up to {MAX_CHARACTERS_OF_PYTHON} characters may have them"
        )
    try:
        return _ask(_PythonLoader, text, what)
    except yaml.MarkedYAMLError as error:
        raise _refusal(_describe(error)) from error
    except yaml.YAMLError as error:
        raise _refusal(str(error).strip()) from error


def _ask(loader_class: Any, text: str, what: str) -> Any:
    loader = loader_class(text)
    try:
        return getattr(loader, what)()
    finally:
        loader.dispose()


def reads_alike(text: str) -> bool:
    """Whether libyaml reads a text exactly as the Python parser does.

    A walk over the events also finds what is nested too deep, before a recursive reader meets it.
    """
    if not yaml.__with_libyaml__ or _DIFFERENT.search(text):
        return False
    depth = flow = 0
    try:
        for event in yaml.parse(text, Loader=_FastLoader):
            if isinstance(event, yaml.ScalarEvent):
                # within brackets the Python parser ends a plain scalar at "?"
                if event.anchor or (flow and not event.style and "?" in event.value):
                    return False
            elif isinstance(event, _STARTS):
                depth += 1
                flow += bool(flow or event.flow_style)
                if event.anchor or depth > MAX_DEPTH:
                    return False
            elif isinstance(event, _ENDS):
                depth -= 1
                flow -= bool(flow)
            elif isinstance(event, yaml.AliasEvent):
                return False
    except (yaml.YAMLError, UnicodeEncodeError):
        return False
    return True


def _describe(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.context, error.problem) if part]
    mark = error.problem_mark or error.context_mark
    where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
    return f"{', '.join(parts)}{where}"


def _refusal(problem: str) -> exc.DSLParsingException:
    return exc.DSLParsingException(f"Invalid DSL: the YAML text can't be read: {problem}")
