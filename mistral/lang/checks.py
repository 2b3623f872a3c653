"""Checks of single values: shapes, numbers, texts, expressions.

Each takes the value (and the rules that are in force) and raises a violation or returns nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from mistral import exceptions as exc
from mistral.lang import inline, spelling
from mistral.lang.specs import LONGEST_SECONDS
from mistral.lang.violations import Violation
from mistral.utils import json

MAX_NAME = 255


class ExpressionSyntax(Protocol):
    """What the language asks of expressions (see :class:`mistral.expressions.Expressions`)."""

    def validate(self, text: str) -> None:
        """Raise ExpressionGrammarException for a syntax error."""

    def is_expression(self, text: Any) -> bool:
        """Whether a text contains an expression."""

    def is_whole(self, text: str) -> bool:
        """Whether a text is one expression and nothing else."""

    def check_closed(self, text: str) -> None:
        """Raise ExpressionGrammarException for an opening mark without its closing one."""


class Rules:
    """What holds for one document; remembers expressions that were found correct."""

    def __init__(self, expressions: ExpressionSyntax, syntax: bool) -> None:
        self._expressions = expressions
        self._syntax = syntax
        self._known: set[str] = set()

    def is_whole(self, text: Any) -> bool:
        """Whether a value is one complete expression."""
        try:
            return isinstance(text, str) and self._expressions.is_whole(text)
        except exc.InvalidModelException as error:
            raise Violation(str(error), error=type(error)) from None

    def closed(self, text: str) -> None:
        """Refuse an inline parameter that has no end: it would be left out."""
        if not self._syntax:
            return
        try:
            self._expressions.check_closed(text)
        except exc.InvalidModelException as error:
            raise Violation(str(error), error=type(error)) from None

    def syntax(self, value: Any) -> None:
        """Check the expressions in a text, or in the texts at any depth of a value."""
        if isinstance(value, str):
            self._text(value)
            return
        items: Iterable[tuple[Any, Any]] = ()
        if isinstance(value, dict):
            items = value.items()
        elif isinstance(value, list):
            items = enumerate(value)
        for key, item in items:
            try:
                self.syntax(item)
            except Violation as fault:
                raise fault.under(key if isinstance(key, int) else str(key)) from None

    def _text(self, text: str) -> None:
        if not self._syntax or text in self._known:
            return
        try:
            self._expressions.validate(text)
        except exc.InvalidModelException as error:
            raise Violation(str(error), error=type(error)) from None
        self._known.add(text)


Check = Callable[[Any, Rules], None]


def attributes(
    body: Mapping[Any, Any], table: Mapping[str, Check], rules: Rules, what: str
) -> None:
    """Check each attribute by its entry in a table; others are violations."""
    for key, value in body.items():
        check = table.get(key)
        if check is None:
            hint = spelling.hint(str(key)) or spelling.question(str(key), table)
            raise Violation(f"{what} has no attribute '{key}'{hint}", str(key))
        try:
            check(value, rules)
        except Violation as fault:
            raise fault.under(key) from None


def anything(value: Any, rules: Rules) -> None:
    """No rule at all."""


def mapping(value: Any, rules: Rules | None = None) -> None:
    """A mapping with at least one entry."""
    if not isinstance(value, dict) or not value:
        raise Violation("must be a mapping with at least one entry")


def named_entries(value: Any) -> None:
    """A mapping with at least one entry whose keys are texts."""
    mapping(value)
    for key in value:
        if not isinstance(key, str) or not key:
            raise Violation(f"a name must be a text, not {key!r}", str(key))


def text(value: Any, rules: Rules | None = None) -> None:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise Violation("must be a text that is not empty")
    if "\0" in value:
        raise Violation("contains the character NUL")


def free_text(value: Any, rules: Rules | None = None) -> None:
    """A text that only people read; there may be none."""
    if value is not None and not isinstance(value, str):
        raise Violation("must be a text")
    if value:
        text(value)


def unique_texts(value: Any, rules: Rules | None = None) -> None:
    """A list of different texts, at least one."""
    if not isinstance(value, list) or not value:
        raise Violation("must be a list with at least one text")
    for index, item in enumerate(value):
        if not isinstance(item, str) or not item:
            raise Violation("must be a text that is not empty", index)
    unique(value)


def unique(values: list[Any]) -> None:
    """A list without two equal elements."""
    seen = set()
    for index, item in enumerate(values):
        known = item if isinstance(item, str) else json.canonical(item)
        if known in seen:
            raise Violation(f"repeats {item!r}", index)
        seen.add(known)


def number(value: Any, rules: Rules) -> None:
    """A whole number that is not negative, or a complete expression."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return
    if not rules.is_whole(value):
        raise Violation("must be a whole number >= 0 or an expression")
    rules.syntax(value)


def seconds(value: Any, rules: Rules) -> None:
    """A time in whole seconds that a clock can still add to today, or a complete expression."""
    number(value, rules)
    if isinstance(value, int) and value > LONGEST_SECONDS:
        raise Violation(f"must be at most {LONGEST_SECONDS} seconds (ten years)")


def boolean(value: Any, rules: Rules) -> None:
    """True or false, or a complete expression."""
    if isinstance(value, bool):
        return
    if not rules.is_whole(value):
        raise Violation("must be true, false or an expression")
    rules.syntax(value)


def condition(value: Any, rules: Rules) -> None:
    """A complete expression."""
    if not rules.is_whole(value):
        raise Violation("must be one complete expression")
    rules.syntax(value)


def template(value: Any, rules: Rules) -> None:
    """A text that may contain expressions."""
    text(value)
    rules.syntax(value)


def variables(value: Any, rules: Rules) -> None:
    """A mapping of names to values that may contain expressions."""
    mapping(value)
    rules.syntax(value)


def task_input(value: Any, rules: Rules) -> None:
    """A mapping, or a text that gives one."""
    if isinstance(value, str) and value:
        rules.syntax(value)
        return
    if not isinstance(value, dict) or not value:
        raise Violation("must be a mapping with at least one entry, or an expression")
    rules.syntax(value)


def call(value: Any, rules: Rules) -> None:
    """A name with inline parameters."""
    text(value)
    parsed = inline.parse(value)
    if parsed is None:
        raise Violation(f"no name can be recognised in {value!r}")
    for part in parsed:
        rules.syntax(part)
    rules.closed(value)


def parameters(value: Any, rules: Rules) -> None:
    """A list of declared inputs: names, or ``name: default``."""
    if not isinstance(value, list):
        raise Violation("must be a list")
    seen = set()
    for index, item in enumerate(value):
        name = item
        if isinstance(item, dict) and len(item) == 1:
            name = next(iter(item))
        if not isinstance(name, str) or not name:
            raise Violation("must be a name or one 'name: default'", index)
        if name in seen:
            raise Violation(f"repeats the name '{name}'", index)
        seen.add(name)


def definition_name(name: Any) -> None:
    """A name under which something is stored."""
    if not isinstance(name, str):
        raise Violation(f"a name must be a text, not {name!r}")
    text(name)
    if any(char.isspace() for char in name):
        raise Violation(f"the name '{name}' must not contain a space")
    if len(name) > MAX_NAME:
        raise Violation(f"the name is longer than {MAX_NAME} characters")
