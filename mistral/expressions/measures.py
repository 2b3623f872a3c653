"""What both languages measure before they compute: texts that grow, searches, long numbers.

Each function raises :class:`BudgetExceededError`.
"""

from __future__ import annotations

import sys
from typing import Any

from mistral.expressions.budget import BudgetExceededError, Evaluation

#: no number that is short enough has more characters as a text
_MAX_NUMBER_TEXT = 5000
_MAX_ROUNDED = 400
#: a list's place for a text, and the text
_PIECE = 58
#: three characters of four bytes, which is what a change of case may need
_CASE = 12


def change_of_case(evaluation: Evaluation, text: str, *rest: Any) -> None:
    """Some characters become three."""
    if not text.isascii():
        evaluation.check_bytes(_CASE * len(text))


def pieces(
    evaluation: Evaluation, text: str, separator: str | None = None, max_splits: int = -1
) -> None:
    """A text that is split."""
    count = text.count(separator) + 1 if separator else len(text) // 2 + 1
    count = count if max_splits < 0 else min(count, max_splits + 1)
    evaluation.check_elements(count)
    evaluation.check_bytes(count * _PIECE + len(text))


def pieces_from_the_end(
    evaluation: Evaluation, text: str, separator: str | None = None, max_splits: int = -1
) -> None:
    """A text that is split from its end."""
    search_from_the_end(evaluation, text, separator or "")
    pieces(evaluation, text, separator, max_splits)


def search_from_the_end(evaluation: Evaluation, text: str, part: str, *place: Any) -> None:
    """Python's search from the end compares anew at each place."""
    if len(part) > 1:
        evaluation.check_compared(len(text) * len(part))


def trimmed(evaluation: Evaluation, text: str, chars: str | None = None) -> None:
    """Each character is looked for among those that are taken away."""
    evaluation.check_compared(len(text) * len(chars or ""))


def replaced(
    evaluation: Evaluation, text: str, old: str, new: str, count: int | None = None
) -> None:
    """A text in which another one replaces a third."""
    times = text.count(old)
    if count is not None and count >= 0:
        times = min(count, times)
    # the widest of both decides how many bytes a character takes
    width = 1 if text.isascii() and new.isascii() else 4
    evaluation.check_bytes(width * (len(text) + times * (len(new) - len(old))))


def repeated_text(evaluation: Evaluation, text: str | bytes, times: int) -> None:
    """The same text again and again."""
    evaluation.check_bytes((sys.getsizeof(text) - sys.getsizeof("")) * times)


def repeated_list(evaluation: Evaluation, items: Any, times: int) -> None:
    """The same elements again and again."""
    evaluation.check_elements(len(items) * times)
    evaluation.check_bytes(evaluation.size_of(items) * times)


def characters(evaluation: Evaluation, text: str) -> None:
    """A text that becomes a list."""
    evaluation.check_elements(len(text))


def as_text(evaluation: Evaluation, value: Any) -> None:
    """A value of which Python makes a text at once."""
    if not isinstance(value, (str, int, float)):
        evaluation.size_of(value)


def product(evaluation: Evaluation, left: Any, right: Any) -> None:
    """Two integers."""
    if isinstance(left, int) and isinstance(right, int):
        evaluation.check_bits(left.bit_length() + right.bit_length() - 1)


def power(evaluation: Evaluation, a: Any, b: Any, c: Any = None) -> None:
    """Two integers, or three."""
    if not isinstance(a, int) or not isinstance(b, int):
        return
    if isinstance(c, int):
        # takes the time of a multiplication of the third for each bit of the second
        evaluation.check_bits(max(abs(a), abs(b), abs(c)).bit_length() * 4)
    elif abs(a) > 1:
        evaluation.check_bits((abs(a).bit_length() - 1) * abs(b))


def shifted(evaluation: Evaluation, value: int, bits: int) -> None:
    """An integer and places."""
    evaluation.check_bits(value.bit_length() + bits)


def rounded(evaluation: Evaluation, number: Any, digits: int = 0) -> None:
    """Python computes a power of ten with as many digits."""
    if abs(digits) > _MAX_ROUNDED:
        raise BudgetExceededError(f"a number can be rounded to at most {_MAX_ROUNDED} digits")


def number_text(evaluation: Evaluation, value: Any) -> None:
    """A text that becomes a number."""
    if isinstance(value, str) and len(value) > _MAX_NUMBER_TEXT:
        raise BudgetExceededError("a text is too long for a number")
