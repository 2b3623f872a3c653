"""How expressions are evaluated: what the operator may set (doc:configuration#expressions)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from mistral.exceptions import ExpressionGrammarException

LANGUAGES = ("yaql", "jinja")

FILTER_LENGTHS: Mapping[str, int] = MappingProxyType(
    {
        "pprint": 65536,
        "striptags": 65536,
        "title": 1_000_000,
        "truncate": 1_000_000,
        "urlencode": 1_000_000,
        "urlize": 16384,
        "wordcount": 1_000_000,
        "wordwrap": 16384,
    }
)
"""What takes quadratic time, or much for each character."""


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
    #: characters that one search may compare; less than half a second
    max_compared: int = 200_000_000
    #: characters of a regular expression
    max_pattern_length: int = 5000
    #: bytes of a text times the size of the machine that searches it; at the very worst two seconds
    max_pattern_steps: int = 250_000_000
    #: characters that ``json_parse`` reads, and ``json_dump`` and ``tojson`` write
    max_json_length: int = 4 * 1024 * 1024
    #: commas and brackets of a text that ``json_parse`` reads
    max_json_parts: int = 250_000
    #: characters that ``yaml_parse`` reads; of what ``yaml_dump`` writes, as JSON
    max_yaml_length: int = 64 * 1024
    #: elements of a set, or keys, that Python's hash does not tell apart
    max_equal_hashes: int = 1000
    #: parts of an attribute by which a filter of Jinja sorts, groups, selects, sums
    max_attribute_parts: int = 16
    #: characters that filters of Jinja take, by name
    max_filter_length: Mapping[str, int] = dataclasses.field(default_factory=lambda: FILTER_LENGTHS)
    #: characters of a time, or of its format, in YAQL
    max_time_length: int = 200
    #: elements that YAQL's ``unpack`` takes
    max_unpacked: int = 1000
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
