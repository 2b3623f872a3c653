"""Regular expressions that take linear time: Python's notation, RE2's machine.

RE2 knows no look-around and no references back to a group, which is why it never tries anything
twice. The rest of Python's notation is translated where RE2 means something else by it. Two
differences remain: ``\\b`` knows letters of ASCII only, and a pattern that ends with ``$`` is
tried on a text without its last line break first.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import re2

from mistral.expressions.budget import Evaluation
from mistral.expressions.options import ExpressionOptions

_MAX_MEMORY = 4 * 1024 * 1024
_COMPILED = 256

_NEW_LINE = "\n"
_UNKNOWN = (
    "this regular expression can't be used (there are no look-around, no atomic or possessive "
    "parts and no references to groups)"
)
#: outside of brackets, and inside of them
_CLASSES = {
    "d": (r"\p{Nd}", r"\p{Nd}"),
    "D": (r"\P{Nd}", r"\P{Nd}"),
    "w": (r"[\p{L}\p{N}_]", r"\p{L}\p{N}_"),
    "W": (r"[^\p{L}\p{N}_]", r"\W"),
    "s": (r"[\s\v\x1c-\x1f\x{85}\p{Z}]", r"\s\v\x1c-\x1f\x{85}\p{Z}"),
    "S": (r"[^\s\v\x1c-\x1f\x{85}\p{Z}]", r"\S"),
}
_SAME = frozenset("AbBafnrtvpPx0")
_CODES = {"u": 4, "U": 8}
_OPEN_COUNT = re.compile(r"\{,(\d+)\}")


class PatternError(ValueError):
    """A pattern that can't be used; ``part`` is what of it was refused, and may be data."""

    def __init__(self, problem: str, part: str = "") -> None:
        super().__init__(problem)
        self.part = part


@dataclasses.dataclass(frozen=True)
class Flags:
    """How a pattern is read."""

    ignore_case: bool = False
    multi_line: bool = False
    dot_all: bool = False


class Pattern:
    """A compiled pattern with the methods of Python's that expressions use."""

    def __init__(self, source: str, options: ExpressionOptions, flags: Flags = Flags()) -> None:
        limit = options.max_pattern_length
        if 0 <= limit < len(source):
            raise PatternError(
                "a regular expression has at most [expressions] max_pattern_length = "
                f"{limit} characters"
            )
        self.source = source
        self._regexp, self._ends_at_line = _compiled(source, flags)

    def search(self, evaluation: Evaluation, text: str) -> Any:
        """The first match or None."""
        subject, _ = self._subject(evaluation, text)
        return self._regexp.search(subject)

    def matches(self, evaluation: Evaluation, text: str) -> Iterator[Any]:
        """All matches, one after the other."""
        subject, _ = self._subject(evaluation, text)
        return self._first(evaluation, subject, 0)

    def split(self, evaluation: Evaluation, text: str, count: int) -> list[str | None]:
        """The pieces between the first matches, and the groups of these."""
        pieces: list[str | None] = []
        subject, rest = self._subject(evaluation, text)
        end = 0
        for match in self._first(evaluation, subject, count):
            pieces += [subject[end : match.start()], *match.groups()]
            end = match.end()
        return [*pieces, subject[end:] + rest]

    def replace(
        self, evaluation: Evaluation, text: str, put: Callable[[Any], str], count: int
    ) -> str:
        """The text with something else in place of the first matches."""
        pieces: list[str] = []
        subject, rest = self._subject(evaluation, text)
        size = end = 0
        for match in self._first(evaluation, subject, count):
            pieces += [subject[end : match.start()], put(match)]
            size += evaluation.size_of(pieces[-1]) + match.start() - end
            evaluation.check_bytes(size)
            end = match.end()
        return "".join([*pieces, subject[end:], rest])

    def _first(self, evaluation: Evaluation, subject: str, count: int) -> Iterator[Any]:
        """The first ``count`` matches; all for 0, none for less, as Python has it."""
        if count < 0:
            return
        for number, match in enumerate(self._regexp.finditer(subject), 1):
            evaluation.check_time()
            evaluation.check_elements(number)
            yield match
            if number == count:
                return

    def _subject(self, evaluation: Evaluation, text: str) -> tuple[str, str]:
        """What is searched, and what is left of the text after it."""
        evaluation.check_time()
        try:
            length = len(text.encode())
        except UnicodeEncodeError:
            raise PatternError("a text with half a character can't be searched") from None
        limit = evaluation.options.max_pattern_steps
        if 0 <= limit < length * self._regexp.programsize:
            raise PatternError(
                "the text is too long for this regular expression: its bytes times the size of "
                f"the machine are more than [expressions] max_pattern_steps = {limit}"
            )
        if self._ends_at_line and text.endswith(_NEW_LINE) and self._regexp.search(text[:-1]):
            return text[:-1], _NEW_LINE
        return text, ""


@functools.lru_cache(_COMPILED)
def _compiled(source: str, flags: Flags) -> tuple[Any, bool]:
    translated, ends_at_line = _translated(source)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    options.case_sensitive = not flags.ignore_case
    options.dot_nl = flags.dot_all
    if flags.multi_line:
        translated, ends_at_line = f"(?m){translated}", False
    try:
        return re2._Regexp(translated, options), ends_at_line
    except re2.error as error:
        raise _refused(error) from None
    except UnicodeEncodeError:
        raise PatternError("half a character can't be searched for") from None


def _refused(error: Exception) -> PatternError:
    text = error.args[0] if error.args else "invalid"
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    reason, _, part = text.partition(": ")
    return PatternError(f"{_UNKNOWN}: {reason}", part)


def _translated(source: str) -> tuple[str, bool]:
    """The same pattern in RE2's notation, and whether it has a ``$``."""
    pieces: list[str] = []
    in_brackets = ends_at_line = False
    at = 0
    while at < len(source):
        char = source[at]
        if char == "\\":
            piece, at = _escape(source, at + 1, in_brackets)
            pieces.append(piece)
            continue
        if in_brackets:
            in_brackets = char != "]"
        elif char == "[":
            in_brackets = True
            start = at
            at += source.startswith("[^", start)
            if source.startswith("]", at + 1):
                at += 1
            pieces.append(source[start : at + 1].replace("]", r"\]"))
            at += 1
            continue
        elif char == "$":
            ends_at_line = True
        elif found := _OPEN_COUNT.match(source, at):
            pieces.append(f"{{0,{found.group(1)}}}")
            at = found.end()
            continue
        pieces.append(r"\[" if in_brackets and char == "[" else char)
        at += 1
    return "".join(pieces), ends_at_line


def _escape(source: str, at: int, in_brackets: bool) -> tuple[str, int]:
    """What stands for an escape, and where the pattern goes on."""
    char = source[at : at + 1]
    if char in _CLASSES and char:
        return _CLASSES[char][in_brackets], at + 1
    if char == "Z" and not in_brackets:
        return r"\z", at + 1
    if char in _CODES and char:
        end = at + 1 + _CODES[char]
        return f"\\x{{{source[at + 1 : end]}}}", end
    if char == "b" and in_brackets:
        return r"\x08", at + 1
    if char.isalnum() and char.isascii() and char not in _SAME:
        what = "a reference to a group" if char.isdigit() else "an unknown escape"
        raise PatternError(f"{_UNKNOWN}: {what}", "\\" + char)
    if char and not char.isascii():
        return char, at + 1
    return "\\" + char, at + 1
