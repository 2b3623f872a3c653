"""The one door to expressions: finds the language, compiles once, evaluates."""

from __future__ import annotations

import bisect
import functools
import time
from collections.abc import Iterable, Mapping
from typing import Any

from stevedore import ExtensionManager

from mistral.exceptions import (
    ConfigurationError,
    EvaluationException,
    ExpressionGrammarException,
)
from mistral.expressions.base import Compiled, Evaluator
from mistral.expressions.budget import or_infinite
from mistral.expressions.causes import quote
from mistral.expressions.context import DataContext
from mistral.expressions.options import LANGUAGES, ExpressionOptions
from mistral.expressions.pattern_evaluator import PatternEvaluator
from mistral.expressions.sizes import Sizes

EVALUATORS_GROUP = "mistral.expression.evaluators"
FUNCTIONS_GROUP = "mistral.expression.functions"

_MAX_DEPTH = 200
#: all that the expressions of one value may give, as a multiple of one value's limit
_GIVEN_FACTOR = 4


class _Given:
    """What the expressions within one value have given: the same part may come very often."""

    def __init__(self, limit: float, seconds: float) -> None:
        self._limit = limit * _GIVEN_FACTOR
        self._seconds = seconds
        self._until = time.thread_time() + seconds
        self._sizes = Sizes(self._check)
        self._total = 0

    def count(self, value: Any) -> Any:
        """Raise when all of it, written as a text, would be too large, or took too long."""
        if time.thread_time() > self._until:
            raise EvaluationException(
                "The expressions take longer together than [expressions] time_limit = "
                f"{self._seconds:g} seconds."
            )
        self._total += self._sizes.of(value)
        self._check(self._total)
        return value

    def _check(self, size: float) -> None:
        if size > self._limit:
            raise EvaluationException(
                "The values that expressions give are larger together than "
                f"{_GIVEN_FACTOR} x [yaql] memory_quota = {self._limit / _GIVEN_FACTOR:.0f} bytes."
            )


class Expressions:
    """Assembled once, handed to whoever evaluates; safe to share between threads.

    Results are plain JSON data. They may share parts with the context's data, so both are to be
    treated as immutable.
    """

    def __init__(
        self, evaluators: Iterable[Evaluator], options: ExpressionOptions | None = None
    ) -> None:
        options = options or ExpressionOptions()
        self._evaluators = tuple(evaluators)
        self._allowed = _allowed(options, self._evaluators)
        self._marks = tuple(opener for e in self._evaluators for opener, _ in e.brackets)
        self._without_marks = tuple(e for e in self._evaluators if not e.brackets)
        self._quota = or_infinite(options.memory_quota)
        self._seconds = or_infinite(options.time_limit)
        self._compiled = functools.lru_cache(options.cache_size)(self._compile)

    @classmethod
    def from_plugins(cls, options: ExpressionOptions) -> Expressions:
        """Load languages and functions from their entry points."""
        functions = _load(FUNCTIONS_GROUP)
        evaluators = [
            _evaluator(name, plugin, options, functions)
            for name, plugin in _load(EVALUATORS_GROUP).items()
        ]
        missing = set(options.allowed_languages or ()) - {e.language for e in evaluators}
        if missing or not evaluators:
            names = ", ".join(sorted(missing)) or "any"
            raise ConfigurationError(
                f"No evaluator is installed for expression languages: {names}."
            )
        return cls(evaluators, options)

    def is_expression(self, text: Any) -> bool:
        """Whether a text contains an expression of any language."""
        return isinstance(text, str) and bool(self._speakers(text))

    def is_whole(self, text: Any) -> bool:
        """Whether a text is exactly one expression; its value keeps its type then."""
        if not isinstance(text, str):
            return False
        speakers = self._speakers(text)
        return len(speakers) == 1 and speakers[0].is_whole(text)

    def validate(self, text: Any) -> None:
        """Check the grammar; raises :class:`ExpressionGrammarException`."""
        if not isinstance(text, str) or not self._has_marks(text):
            return
        evaluator = self._speaker(text)
        self.check_closed(text)
        if evaluator is None:
            return
        if evaluator.language not in self._allowed:
            raise ExpressionGrammarException(_disabled(evaluator, text))
        evaluator.validate(text)

    def evaluate(self, text: str, ctx: DataContext) -> Any:
        """The value of a text; a text without expressions is its own value.

        A whole expression keeps its JSON type; otherwise Python's text forms are pasted in.
        """
        if not self._has_marks(text):
            return text
        compiled = self._compiled(text)
        return text if compiled is None else compiled(ctx)

    def evaluate_recursively(self, value: Any, ctx: DataContext, attribute: str = "") -> Any:
        """Evaluate every text inside lists and mappings, never the keys of mappings.

        :param attribute: where the value stands; an error tells it, with the keys below.
        """
        try:
            return self._recurse(value, ctx, 0, _Given(self._quota, self._seconds))
        except EvaluationException as error:
            raise (error.within(attribute) if attribute else error) from None

    def _recurse(self, value: Any, ctx: DataContext, depth: int, given: _Given) -> Any:
        if isinstance(value, str):
            result = self.evaluate(value, ctx)
            return result if result is value else given.count(result)
        if depth > _MAX_DEPTH:
            raise EvaluationException(
                f"Can not evaluate expressions nested deeper than {_MAX_DEPTH} levels."
            )
        if isinstance(value, Mapping):
            return {key: self._part(key, item, ctx, depth, given) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._part(index, item, ctx, depth, given) for index, item in enumerate(value)]
        return value

    def _part(self, key: str | int, value: Any, ctx: DataContext, depth: int, given: _Given) -> Any:
        try:
            return self._recurse(value, ctx, depth + 1, given)
        except EvaluationException as error:
            raise error.within(key) from None

    def _compile(self, text: str) -> Compiled | None:
        evaluator = self._speaker(text)
        if evaluator is None:
            return None
        if evaluator.language not in self._allowed:
            raise EvaluationException(_disabled(evaluator, text))
        return evaluator.compile(text)

    def check_closed(self, text: str) -> None:
        """No opening mark may stand alone, unless within another language's expression."""
        for evaluator in self._evaluators:
            found = evaluator.unclosed(text) if evaluator.has_marks(text) else ()
            others = sorted(
                span for e in self._evaluators if e is not evaluator for span in e.scan(text).spans
            )
            for at, opener in found:
                before = bisect.bisect(others, (at,)) - 1
                if before < 0 or others[before][1] <= at:
                    raise ExpressionGrammarException(_unclosed(evaluator, text, at, opener))

    def _has_marks(self, text: str) -> bool:
        return any(mark in text for mark in self._marks) or any(
            evaluator.has_marks(text) for evaluator in self._without_marks
        )

    def _speakers(self, text: str) -> list[Evaluator]:
        return [evaluator for evaluator in self._evaluators if evaluator.is_expression(text)]

    def _speaker(self, text: str) -> Evaluator | None:
        speakers = self._speakers(text)
        if len(speakers) > 1:
            names = ", ".join(evaluator.language for evaluator in speakers)
            raise ExpressionGrammarException(
                f"Mixing expression types is not allowed [text={quote(text)}, types={names}]"
            )
        return speakers[0] if speakers else None


def _evaluator(
    name: str, plugin: Any, options: ExpressionOptions, functions: dict[str, Any]
) -> Evaluator:
    is_ours = isinstance(plugin, type) and issubclass(plugin, Evaluator)
    made: Evaluator = (
        plugin(options, functions) if is_ours else PatternEvaluator(name, plugin, options)
    )
    return made


def _allowed(options: ExpressionOptions, evaluators: Iterable[Evaluator]) -> frozenset[str]:
    known = frozenset(evaluator.language for evaluator in evaluators)
    if options.allowed_languages is None:
        return known
    unknown = sorted(set(options.allowed_languages) - known - set(LANGUAGES))
    if unknown:
        raise ConfigurationError(f"Unknown expression languages: {', '.join(unknown)}.")
    return frozenset(options.allowed_languages)


def _disabled(evaluator: Evaluator, text: str) -> str:
    return (
        f"The expression language '{evaluator.language}' is not allowed here "
        f"[expression={quote(text)}]"
    )


def _unclosed(evaluator: Evaluator, text: str, at: int, opener: str) -> str:
    closer = dict(evaluator.brackets)[opener]
    return (
        f"Unclosed expression: no '{closer}' follows '{opener}' in the same line "
        f"[text={quote(text[at:])}]. If YAML cut the text off, at a comma between {{ }} or [ ], "
        "at ': ' or at ' #', then put it in quotes"
    )


def _load(group: str) -> dict[str, Any]:
    """Everything registered in a group, by name; one that can't be loaded stops the start."""

    def fail(manager: Any, entry_point: Any, error: BaseException) -> None:
        raise ConfigurationError(
            f"Can not load the plug-in '{entry_point.name}' of '{group}': {error}"
        ) from error

    manager = ExtensionManager(group, on_load_failure_callback=fail)
    return {extension.name: extension.plugin for extension in manager}
