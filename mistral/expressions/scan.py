"""Where the expressions of a language stand within a text: one pass, whatever the text is.

A pattern such as ``<%.*?%>`` looks for the end anew after each opening mark; a text of nothing
but opening marks then takes quadratic time.
"""

from __future__ import annotations

import dataclasses
import re

#: an opening mark and its closing one
Bracket = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Scan:
    """What was found: where expressions begin and end, and where opening marks are alone."""

    spans: tuple[tuple[int, int], ...]
    unclosed: tuple[tuple[int, str], ...]


class _Cursor:
    """Where something comes next, asked for by positions that never go back."""

    def __init__(self, text: str, what: str) -> None:
        self._text = text
        self._what = what
        self._at = -1

    def after(self, start: int) -> int:
        """The first place at or after ``start``; the length of the text when there is none."""
        if self._at < start:
            found = self._text.find(self._what, start)
            self._at = found if found >= 0 else len(self._text)
        return self._at

    def rest(self, start: int) -> list[int]:
        """All places from ``start`` on; there are no more then."""
        self._at = len(self._text)
        return [found.start() for found in re.finditer(re.escape(self._what), self._text[start:])]


def scan(text: str, brackets: tuple[Bracket, ...]) -> Scan:
    """Each expression ends at the next closing mark of its line (doc:language/expressions)."""
    openers = [(_Cursor(text, opener), _Cursor(text, closer)) for opener, closer in brackets]
    lines = _Cursor(text, "\n")
    spans: list[tuple[int, int]] = []
    unclosed: list[tuple[int, str]] = []
    start = 0
    while True:
        number = min(range(len(brackets)), key=lambda i: openers[i][0].after(start))
        at = openers[number][0].after(start)
        if at >= len(text):
            return Scan(tuple(spans), tuple(unclosed))
        opener, closer = brackets[number]
        inside = at + len(opener)
        end = openers[number][1].after(inside)
        if end >= len(text):
            unclosed += [(at + more, opener) for more in openers[number][0].rest(at)]
        elif end < lines.after(inside):
            start = end + len(closer)
            spans.append((at, start))
        else:
            unclosed.append((at, opener))
            start = at + 1
