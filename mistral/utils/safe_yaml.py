"""The hardened YAML reader and writer (contract language §1.8).

Anchors and aliases are switched off, so that no text can expand into more than it says: ``&x 1``
and ``*x`` are plain texts, and a plain scalar may start with ``@``. libyaml can't be told that,
so it reads only the texts in which these characters don't occur; the rest is read by the pure
Python parser. Nesting is capped because both readers recurse (libyaml's binding would crash).
"""

from __future__ import annotations

import re
from typing import Any

import yaml

MAX_DEPTH = 100
MAX_CHARACTERS = 8 * 1024 * 1024

_NEEDS_PYTHON = re.compile("[&*`@]")
_DEEP_INDENT = re.compile(rf"^[ ]{{{MAX_DEPTH}}}", re.M)
_OPENERS = re.compile(r"[\[{]|[-?][ \t]")

_FastLoader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_START = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_END = (yaml.SequenceEndEvent, yaml.MappingEndEvent)


class HardenedLoader(yaml.SafeLoader):
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
            raise _too_deep()
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Writes shared values twice: the reader above knows no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def load(text: str, max_characters: int = MAX_CHARACTERS) -> Any:
    """Read one document; raises :class:`yaml.YAMLError`."""
    if len(text) > max_characters:
        raise yaml.YAMLError(f"The text is longer than {max_characters} characters.")
    if _NEEDS_PYTHON.search(text):
        return yaml.load(text, Loader=HardenedLoader)
    if len(_OPENERS.findall(text)) > MAX_DEPTH or _DEEP_INDENT.search(text):
        _check_depth(text)
    return yaml.load(text, Loader=_FastLoader)


def dump(value: Any) -> str:
    """Block style, ends with a newline."""
    return str(yaml.dump(value, Dumper=_Dumper, default_flow_style=False))


def _check_depth(text: str) -> None:
    """Walk the events, which does not recurse, before the loader that does."""
    depth = 0
    for event in yaml.parse(text, Loader=_FastLoader):
        if isinstance(event, _START):
            depth += 1
            if depth > MAX_DEPTH:
                raise _too_deep()
        elif isinstance(event, _END):
            depth -= 1


def _too_deep() -> yaml.YAMLError:
    return yaml.YAMLError(f"The text is nested deeper than {MAX_DEPTH} levels.")
