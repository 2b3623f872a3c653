"""The one-line syntax ``name key=value key=value`` (doc:language/inline).

Scanned by hand: a pattern over hostile texts takes quadratic time.
"""

from __future__ import annotations

import json
import re
from typing import Any

from mistral.lang.specs import ENGINE_COMMANDS

_NAME = re.compile(r"""(?:<%.*?%>|\{\{.*?\}\}|\{%.*%\}|[^\s=("<{])+""")
_COMMAND = re.compile(r"(\w+)\s*\(")
_LITERAL = re.compile(r"true|false|null|[0-9]+")
# the documented example writes url=http://my.webservice.com
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s<{]+")
_BLANK = re.compile(r"\s")
_DECODER = json.JSONDecoder()
_MAX_BAD_LISTS = 100
_BRACKETS = (("<%", "%>"), ("{{", "}}"))


def parse(text: str) -> tuple[str, dict[str, Any]] | None:
    """Name and parameters; None when there is no recognisable name."""
    text = text.strip()
    if not _BLANK.search(text):
        return (text, {}) if text else None
    found = _NAME.match(text)
    if not found or not (text[0].isalnum() or text[0] in "_<{"):
        return None
    return found.group(), parse_params(text[found.end() :])


def parse_target(text: str) -> tuple[str, dict[str, Any]] | None:
    """The same for a transition's target, where ``fail(msg="x")`` is allowed, too."""
    text = text.strip()
    command = _COMMAND.match(text)
    if command and command.group(1) in ENGINE_COMMANDS:
        return command.group(1), parse_params(text[command.end() :])
    return parse(text)


def parse_params(text: str) -> dict[str, Any]:
    """All ``key=value`` of a text; what has no value of a known form is left out."""
    return _Scanner(text).params()


class _Scanner:
    """Finds parameters; remembers in vain searches, so that the whole takes linear time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._missing: dict[str, int] = {}
        self._bad_lists = 0
        self._no_url_before = 0

    def params(self) -> dict[str, Any]:
        """All parameters, the last of a name wins."""
        text = self._text
        found: dict[str, Any] = {}
        start = 0
        while (equals := text.find("=", start)) >= 0:
            key_start = equals
            while key_start > start and (
                text[key_start - 1].isalnum() or text[key_start - 1] in "_-"
            ):
                key_start -= 1
            start = equals + 1
            if key_start < equals and (value := self._value(start)) is not None:
                end, found[text[key_start:equals]] = value
                start = end
        return found

    def _value(self, start: int) -> tuple[int, Any] | None:
        """End and value of what begins here."""
        text = self._text
        first = text[start : start + 1]
        if first and first in "\"'":
            end = self._find(first, start + 1)
            return (end + 1, text[start + 1 : end]) if end >= 0 else None
        if first == "[":
            return self._list(start)
        for opener, closer in _BRACKETS:
            if text.startswith(opener, start):
                return self._until(closer, start, self._find("\n", start))
        if text.startswith("{%", start):
            if self._find("%}", start) < 0:
                return None
            end = text.rfind("%}") + 2
            return end, text[start:end]
        if (url := self._url(start)) is not None:
            return url
        literal = _LITERAL.match(text, start)
        return (literal.end(), _decoded(literal.group())) if literal else None

    def _url(self, start: int) -> tuple[int, str] | None:
        """A whole address; one that an expression ends is no value."""
        if start < self._no_url_before:
            return None
        found = _URL.match(self._text, start)
        if found is None:
            return None
        end = found.end()
        if end < len(self._text) and not self._text[end].isspace():
            self._no_url_before = end
            return None
        return end, found.group()

    def _list(self, start: int) -> tuple[int, Any] | None:
        if self._find("]", start) < 0:
            return None
        if self._bad_lists < _MAX_BAD_LISTS:
            try:
                value, end = _DECODER.raw_decode(self._text, start)
                return end, value
            except (ValueError, RecursionError):
                self._bad_lists += 1  # each error costs a walk over the text
        return self._until("]", start)

    def _until(self, closer: str, start: int, limit: int = -1) -> tuple[int, str] | None:
        end = self._find(closer, start, limit)
        return (end + len(closer), self._text[start : end + len(closer)]) if end >= 0 else None

    def _find(self, closer: str, start: int, limit: int = -1) -> int:
        limit = len(self._text) if limit < 0 else limit
        if self._missing.get(closer, -1) >= limit:
            return -1
        end = self._text.find(closer, start, limit)
        if end < 0:
            self._missing[closer] = limit
        return end


def _decoded(literal: str) -> Any:
    """JSON where possible: ``007`` and numbers without end stay texts."""
    try:
        return json.loads(literal)
    except ValueError:
        return literal
