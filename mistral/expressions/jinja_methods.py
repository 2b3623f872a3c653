"""The methods that Jinja templates may call, and what is measured before.

Only these: other methods of Python's types build as much as they are told to, or show what is
behind the data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from jinja2.exceptions import SecurityError

from mistral.expressions import measures
from mistral.expressions.budget import Evaluation

Before = Callable[..., None]

#: widths and precisions; all patterns take linear time
_FIELD = re.compile(r"\{([^{}]*)")
_NUMBER = re.compile(r"\d+")
_NESTED = re.compile(r"\{[^{}]*\{")
_PERCENT = re.compile(r"%(?:\([^()]*\))?[-+ #0]*(\d*)(?:\.(\d*))?")
_PERCENT_FROM_ELSEWHERE = re.compile(r"%(?:\([^()]*\))?[-+ #0]*\d*\.?\*")
#: no width that is short enough has more digits
_MAX_DIGITS = 9
_ENCODINGS = frozenset({"utf-8", "utf8", "ascii", "latin-1"})


def check(evaluation: Evaluation, owner: Any, name: str, args: Any, kwargs: Any) -> None:
    """Raise when a method can't be called, or not with these arguments."""
    for kind, methods in _METHODS.items():
        if isinstance(owner, kind):
            if name in methods:
                methods[name](evaluation, owner, *args, **kwargs)
                return
            break
    raise SecurityError(f"the method '{name}' can't be called here")


def formatted(evaluation: Evaluation, text: str, *args: Any, **kwargs: Any) -> None:
    """A text into which values are pasted."""
    fields = text.replace("{{", "")
    if _NESTED.search(fields):
        evaluation.check_bytes(math.inf)
    widths = (number for field in _FIELD.findall(fields) for number in _NUMBER.findall(field))
    _filled(evaluation, text, widths, args, kwargs)


def formatted_by_percent(evaluation: Evaluation, text: str, *args: Any, **kwargs: Any) -> None:
    """The same in the older notation."""
    if _PERCENT_FROM_ELSEWHERE.search(text):
        evaluation.check_bytes(math.inf)
    widths = (number for pair in _PERCENT.findall(text) for number in pair)
    _filled(evaluation, text, widths, args, kwargs)


def _filled(
    evaluation: Evaluation, text: str, widths: Iterable[str], args: Any, kwargs: Any
) -> None:
    largest = max((evaluation.size_of(arg) for arg in (*args, *kwargs.values())), default=0)
    pasted = (text.count("{") + text.count("%")) * largest
    evaluation.check_bytes(len(text) + pasted + sum(map(_width, widths)))


def _width(digits: str) -> float:
    if len(digits) > _MAX_DIGITS:
        return math.inf
    return int(digits or 0)


def _free(evaluation: Evaluation, owner: Any, *args: Any, **kwargs: Any) -> None:
    """Takes no longer than the value is large, and builds nothing larger."""


def _wide(evaluation: Evaluation, text: str, width: int = 0, *fill: Any) -> None:
    evaluation.check_bytes(4 * width)


def _tabs(evaluation: Evaluation, text: str, tabsize: int = 8) -> None:
    evaluation.check_bytes(len(text) + text.count("\t") * tabsize)


def _encoded(evaluation: Evaluation, text: Any, encoding: str = "utf-8") -> None:
    if encoding.lower() not in _ENCODINGS:
        raise ValueError("an unknown encoding")


def _joined(evaluation: Evaluation, separator: str, items: Any) -> None:
    if not isinstance(items, (list, tuple, str)):
        raise TypeError("join() takes a list")
    evaluation.check_bytes(evaluation.size_of(items) + len(separator) * len(items))


def _lines(evaluation: Evaluation, text: str, *keepends: Any) -> None:
    measures.pieces(evaluation, text, "\n")


_TEXT: Mapping[str, Before] = MappingProxyType(
    {
        **dict.fromkeys(
            ("capitalize", "casefold", "lower", "swapcase", "title", "upper"),
            measures.change_of_case,
        ),
        **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _wide),
        **dict.fromkeys(("lstrip", "rstrip", "strip"), measures.trimmed),
        **dict.fromkeys(("rfind", "rindex", "rpartition"), measures.search_from_the_end),
        **dict.fromkeys(("format", "format_map"), formatted),
        **dict.fromkeys(
            (
                "count",
                "endswith",
                "find",
                "index",
                "isalnum",
                "isalpha",
                "isascii",
                "isdecimal",
                "isdigit",
                "isidentifier",
                "islower",
                "isnumeric",
                "isprintable",
                "isspace",
                "istitle",
                "isupper",
                "partition",
                "removeprefix",
                "removesuffix",
                "startswith",
            ),
            _free,
        ),
        "encode": _encoded,
        "expandtabs": _tabs,
        "join": _joined,
        "replace": measures.replaced,
        "rsplit": lambda e, text, sep=None, maxsplit=-1: measures.pieces_from_the_end(
            e, text, sep, maxsplit
        ),
        "split": lambda e, text, sep=None, maxsplit=-1: measures.pieces(e, text, sep, maxsplit),
        "splitlines": _lines,
    }
)
_METHODS: Mapping[type, Mapping[str, Before]] = MappingProxyType(
    {
        str: _TEXT,
        bytes: {"decode": _encoded},
        Mapping: dict.fromkeys(("copy", "get", "items", "keys", "values"), _free),
        list: dict.fromkeys(("copy", "count", "index"), _free),
        tuple: dict.fromkeys(("count", "index"), _free),
        int: {"bit_length": _free},
        float: {"is_integer": _free},
    }
)
