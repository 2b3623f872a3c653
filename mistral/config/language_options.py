"""The options of definitions and expressions."""

from __future__ import annotations

from oslo_config import cfg
from oslo_config import types as cfg_types

from mistral.config.option_kinds import ignored, limit

_PLAIN = "Results are always plain JSON: tuples and sets become lists."

YAQL_OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        "limit_iterators",
        default=1_000_000,
        min=-1,
        help="Elements per iterator of one expression; -1 lifts the limit.",
    ),
    cfg.IntOpt(
        "memory_quota",
        default=16 * 1024 * 1024,
        min=-1,
        help="Bytes that one value of an expression may take, in both languages, and a quarter of "
        "what it may build altogether; -1 lifts the limit.",
    ),
    cfg.BoolOpt("convert_input_data", default=True, help="Make inputs immutable for YAQL."),
    ignored(cfg.BoolOpt, "convert_output_data", True, _PLAIN),
    ignored(cfg.BoolOpt, "convert_tuples_to_lists", True, _PLAIN),
    ignored(cfg.BoolOpt, "convert_sets_to_lists", False, _PLAIN),
    cfg.BoolOpt("iterable_dicts", default=False, help="Whether dicts iterate over their keys."),
    cfg.StrOpt("keyword_operator", default="=>", help="Operator of mappings."),
    cfg.BoolOpt("allow_delegates", default=False, help="Allow delegate expressions."),
]

_FILTER_LENGTHS = {
    "pprint": 65536,
    "striptags": 65536,
    "title": 1_000_000,
    "truncate": 1_000_000,
    "urlencode": 1_000_000,
    "urlize": 16384,
    "wordcount": 1_000_000,
    "wordwrap": 16384,
}

EXPRESSIONS_OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        "allowed_languages",
        default=["yaql", "jinja"],
        help="Languages of expressions that definitions may use: yaql, jinja, and the names of "
        "those that installed packages bring.",
    ),
    cfg.FloatOpt(
        "time_limit",
        default=2.0,
        min=-1,
        help="Seconds that the evaluation of one expression may take; -1 lifts the limit.",
    ),
    cfg.IntOpt(
        "max_length",
        default=65536,
        min=-1,
        help="Characters of one YAQL expression, or of a text with Jinja; -1 lifts the limit.",
    ),
    cfg.IntOpt(
        "max_integer_bits",
        default=10240,
        min=-1,
        help="Bits of an integer that an expression computes; -1 lifts the limit.",
    ),
    limit(
        "max_compared",
        200_000_000,
        "Characters that one search from the end of a text, or one trim, compares",
    ),
    limit("max_pattern_length", 5000, "Characters of a regular expression"),
    limit(
        "max_pattern_steps",
        250_000_000,
        "Bytes of a text times the size of the machine of the regular expression that searches it",
    ),
    limit(
        "max_json_length",
        4 * 1024 * 1024,
        "Characters that json_parse reads, and json_dump and tojson write",
    ),
    limit("max_json_parts", 250_000, "Commas and brackets of a text that json_parse reads"),
    limit(
        "max_yaml_length",
        64 * 1024,
        "Characters that yaml_parse reads, and of the JSON of what yaml_dump writes",
    ),
    limit(
        "max_equal_hashes",
        1000,
        "Elements of a set, or keys, that Python's hash does not tell apart",
    ),
    limit(
        "max_attribute_parts",
        16,
        "Parts of an attribute by which a filter of Jinja sorts, groups, selects, sums",
    ),
    cfg.Opt(
        "max_filter_length",
        type=cfg_types.Dict(cfg_types.Integer(min=-1)),
        default=_FILTER_LENGTHS,
        help="Characters that filters of Jinja take that compute long for each: filter:number,...; "
        "those left out keep their defaults, -1 lifts a limit.",
    ),
    limit("max_time_length", 200, "Characters of a time, or of its format, in YAQL"),
    limit("max_unpacked", 1000, "Elements that YAQL's unpack takes"),
]

CONTEXT_VERSIONING_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt(
        "enabled",
        default=True,
        help="Publications of a variable are counted; at joins the most often updated value wins.",
    ),
    cfg.BoolOpt(
        "hash_version_keys",
        default=True,
        help="Count under hashes of the variables' names; false shows the names in the database.",
    ),
    cfg.IntOpt(
        "max_known_publications",
        default=32,
        min=0,
        help="Older publications of a variable that a branch remembers; values of still older "
        "ones merge as if they were unrelated.",
    ),
    cfg.IntOpt(
        "max_merged_publications",
        default=8,
        min=1,
        help="Publications of a merged value that are told apart; of more, all or none is "
        "replaced.",
    ),
]

DEFINITIONS_OPTS: list[cfg.Opt] = [
    limit("max_length", 4 * 1024 * 1024, "Characters of a document"),
    limit(
        "max_length_of_odd_yaml",
        1024 * 1024,
        "Characters of a document that only the slow parser reads: one with '&', '*', '@' or tabs",
    ),
    limit("max_long_keys", 1000, "Keys of one mapping that are long numbers"),
    limit(
        "max_copied_length",
        32 * 1024 * 1024,
        "Characters of a document with several ad-hoc actions, times their number: each is stored "
        "with the whole",
    ),
    limit("max_warnings", 50, "Warnings that are told of one document"),
    limit(
        "max_suggestions",
        20,
        "Warnings of one document beyond which they don't ask 'did you mean' any more",
    ),
]


GROUPS: dict[str, list[cfg.Opt]] = {
    "yaql": YAQL_OPTS,
    "expressions": EXPRESSIONS_OPTS,
    "definitions": DEFINITIONS_OPTS,
    "context_versioning": CONTEXT_VERSIONING_OPTS,
}
