"""The hardened YAML reader and writer: JSON data, written as YAML.

No anchors, no aliases, no tags but those of JSON: no text can expand into more than it says, so
``&x 1`` and ``*x`` are plain texts, and a plain scalar may start with ``@``. Definitions and the
function ``yaml_parse()`` are read by it.

libyaml reads ten times faster than the pure Python parser, but it can't be told any of that, and
differs in a few corners. So the pure Python parser is the law, and libyaml reads only the texts in
which nothing can be found that the two read differently. Whatever libyaml refuses is read again by
the Python parser, so that the errors are its own, too. Nesting is capped because both recurse.
"""

from __future__ import annotations

import math
import re
from typing import Any, ClassVar, NamedTuple

import yaml

MAX_DEPTH = 100
MAX_DIGITS = 400
_LONG_KEY = 16
_NO_FOLDING = 1_000_000

_TAG = "tag:yaml.org,2002:"
_SIMPLE = ("null", "str", "seq")
_NOT_IMPLICIT = (_TAG + "timestamp", _TAG + "value")
# Tabs, byte order marks within the text, "!" alone and "#" right after a block scalar's header
# are read by both, but differently.
_DIFFERENT = re.compile("[\t\ufeff]|!(?=[\\s\x85\u2028\u2029]|$)|[|>][-+0-9]*#")
_STARTS = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_ENDS = (yaml.SequenceEndEvent, yaml.MappingEndEvent)


class YamlLimits(NamedTuple):
    """How much is read; a negative number lifts a limit. The names are those of the options.

    ``max_length_of_odd_yaml`` is for what only the pure Python parser can read: of as many
    characters as there are by default in some five seconds.
    """

    max_length: int = 4 * 1024 * 1024
    max_length_of_odd_yaml: int = 1024 * 1024
    max_long_keys: int = 1000


_USUAL = YamlLimits()
_ALL = YamlLimits(-1, -1, -1)


def _scalar(name: str) -> Any:
    """A constructor that answers bad numbers (``!!int x``) as an error of the text."""
    construct = yaml.SafeLoader.yaml_constructors[_TAG + name]

    def constructor(loader: Any, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode) and len(node.value) > MAX_DIGITS:
            raise yaml.constructor.ConstructorError(
                None, None, f"a number has more than {MAX_DIGITS} digits", node.start_mark
            )
        try:
            value = construct(loader, node)
        except (ValueError, LookupError, OverflowError) as error:
            raise yaml.constructor.ConstructorError(
                None, None, f"this is not a value of type {name}", node.start_mark
            ) from error
        if isinstance(value, float) and not math.isfinite(value):
            # JSON would make null of it
            raise yaml.constructor.ConstructorError(
                None, None, "a number is not finite", node.start_mark
            )
        return value

    return constructor


def _mapping(loader: Any, node: yaml.Node) -> Any:
    """Long numbers can be chosen so that each has to be compared with all the others."""
    if isinstance(node, yaml.MappingNode):
        long = sum(key.tag == _TAG + "int" and len(key.value) >= _LONG_KEY for key, _ in node.value)
        limit = loader.limits.max_long_keys
        if 0 <= limit < long:
            raise yaml.constructor.ConstructorError(
                None,
                None,
                f"more than [definitions] max_long_keys = {limit} keys of a mapping are long "
                "numbers",
                node.start_mark,
            )
    return yaml.SafeLoader.yaml_constructors[_TAG + "map"](loader, node)


_JSON_CONSTRUCTORS: dict[str | None, Any] = {
    None: yaml.SafeLoader.yaml_constructors[None],
    **{_TAG + name: yaml.SafeLoader.yaml_constructors[_TAG + name] for name in _SIMPLE},
    **{_TAG + name: _scalar(name) for name in ("bool", "int", "float")},
    _TAG + "map": _mapping,
}


class _JsonData:
    """What both parsers make of scalars and tags: JSON's types, nothing else."""

    yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in resolvers if tag not in _NOT_IMPLICIT]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors: ClassVar[dict[str | None, Any]] = _JSON_CONSTRUCTORS


class _HardenedLoader(yaml.SafeLoader):
    """The pure Python loader without anchors, aliases and endless nesting."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._depth = 0

    def fetch_alias(self) -> None:
        """``*x`` is a text."""
        self.fetch_plain()

    def fetch_anchor(self) -> None:
        """``&x`` is a text."""
        self.fetch_plain()

    def check_plain(self) -> bool:
        """A plain scalar may start with ``@``."""
        return self.peek() == "@" or bool(super().check_plain())

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose one node, counting how deep it lies."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.YAMLError(f"it is nested deeper than {MAX_DEPTH} levels")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _whole_text(loader: Any, node: Any) -> str:
    """A text; JSON writes characters beyond 16 bits as two escapes, which are one character."""
    text = str(loader.construct_scalar(node))
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise yaml.constructor.ConstructorError(
                None, None, "half of a surrogate pair is no character", node.start_mark
            ) from None
    return text


class _PythonLoader(_JsonData, _HardenedLoader):
    """The law."""

    # libyaml refuses all escapes of surrogates
    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        **_JSON_CONSTRUCTORS,
        _TAG + "str": _whole_text,
    }


class _FastLoader(_JsonData, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml's reader, for texts that it reads as the other one."""


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes shared values twice: the reader above knows no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class UnreadableYaml(ValueError):
    """A text is no well-formed YAML, too large or too deep.

    :param problem: what and where; it may quote the text.
    :param place: line and column, from 1.
    """

    def __init__(self, problem: str, place: tuple[int, int] | None = None) -> None:
        super().__init__(problem)
        self.place = place


def load(text: str, limits: YamlLimits = _USUAL) -> Any:
    """The data of one document; the keys of its mappings may be numbers and the like.

    :raises UnreadableYaml:
    """
    return _read(text, "get_single_data", limits)


def compose(text: str) -> yaml.Node | None:
    """The nodes of a document that could be loaded: they know their places in the text.

    :raises UnreadableYaml:
    """
    node: yaml.Node | None = _read(text, "get_single_node", _ALL)
    return node


def dump(value: Any, *, as_written: bool = False) -> str:
    """Block style, ends with a newline.

    :param as_written: keep the order of keys, all characters and long lines, as people do.
    """
    options: dict[str, Any] = {}
    if as_written:
        options = {"allow_unicode": True, "sort_keys": False, "width": _NO_FOLDING}
    return str(yaml.dump(value, Dumper=_Dumper, default_flow_style=False, **options))


def _read(text: str, what: str, limits: YamlLimits) -> Any:
    if 0 <= limits.max_length < len(text):
        raise UnreadableYaml(
            f"it is longer than [definitions] max_length = {limits.max_length} characters"
        )
    if reads_alike(text):
        try:
            return _ask(_FastLoader, text, what, limits)
        except yaml.YAMLError:
            pass  # the Python parser says it in its own words
    if 0 <= limits.max_length_of_odd_yaml < len(text):
        raise UnreadableYaml(
            "it is not well-formed, or it contains '&', '*', '@' or tabs in places where "
            f"only texts of up to [definitions] max_length_of_odd_yaml = "
            f"{limits.max_length_of_odd_yaml} characters may have them"
        )
    try:
        return _ask(_PythonLoader, text, what, limits)
    except yaml.MarkedYAMLError as error:
        raise _unreadable(error) from error
    except yaml.YAMLError as error:
        raise UnreadableYaml(str(error).strip()) from error


def _ask(loader_class: Any, text: str, what: str, limits: YamlLimits) -> Any:
    loader = loader_class(text)
    loader.limits = limits
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


def _unreadable(error: yaml.MarkedYAMLError) -> UnreadableYaml:
    problem = ", ".join(part for part in (error.context, error.problem) if part)
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return UnreadableYaml(problem)
    line, column = mark.line + 1, mark.column + 1
    return UnreadableYaml(f"{problem} (line {line}, column {column})", (line, column))
