"""How expressions are evaluated: what the operator may set (doc:configuration#expressions)."""

from __future__ import annotations

import dataclasses

from mistral.exceptions import ExpressionGrammarException

LANGUAGES = ("yaql", "jinja")


@dataclasses.dataclass(frozen=True)
class ExpressionOptions:
    """Languages and limits; a negative limit lifts it.

    Results always become plain JSON data, so the options that switch YAQL's output conversion
    off have no counterpart here.
    """

    allowed_languages: tuple[str, ...] | None = LANGUAGES
    #: elements that one collection of a running expression may have
    limit_iterators: int = 1_000_000
    #: bytes that one value of an expression may take; all that it builds may take four times that
    memory_quota: int = 16 * 1024 * 1024
    #: seconds that one expression may take
    time_limit: float = 2.0
    #: characters of one YAQL expression, or of one text with Jinja
    max_length: int = 65536
    #: bits of an integer that is computed
    max_integer_bits: int = 10240
    convert_input_data: bool = True
    iterable_dicts: bool = False
    keyword_operator: str = "=>"
    allow_delegates: bool = False
    #: compiled texts and expressions that are kept
    cache_size: int = 4096


def check_length(text: str, options: ExpressionOptions) -> None:
    """Refuse an expression that would take long only to read."""
    if 0 <= options.max_length < len(text):
        raise ExpressionGrammarException(
            f"An expression of {len(text)} characters is longer than "
            f"[expressions] max_length = {options.max_length} [expression={text[:100]}...]"
        )
