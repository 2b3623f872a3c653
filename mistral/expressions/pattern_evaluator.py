"""Languages of plug-ins that know nothing of this service: three functions and a search pattern.

The texts come from strangers, so the pattern is run by RE2 (:mod:`mistral.expressions.patterns`):
in linear time, whatever the text is.
"""

from __future__ import annotations

import re
from typing import Any

from mistral.exceptions import (
    ConfigurationError,
    EvaluationException,
    ExpressionGrammarException,
    MistralException,
)
from mistral.expressions.base import Compiled, Evaluator
from mistral.expressions.budget import BudgetExceededError, Evaluation
from mistral.expressions.causes import EXPRESSION_ERRORS, cause, passes_through, quote
from mistral.expressions.context import DataContext
from mistral.expressions.options import ExpressionOptions, check_length
from mistral.expressions.patterns import Flags, Pattern, PatternError
from mistral.expressions.plain import to_plain
from mistral.expressions.scan import Scan

_OFFERED = ("validate", "evaluate", "is_expression")
_KNOWN_FLAGS = re.UNICODE | re.IGNORECASE | re.MULTILINE | re.DOTALL


class PatternEvaluator(Evaluator):
    """What a plug-in offers, as an evaluator.

    :param plugin: an object, or a class that is made without arguments, with ``validate(text)``,
        ``evaluate(text, context)``, ``is_expression(text)`` and ``search_pattern``, which is a
        text or a compiled pattern of Python.
    :raises ConfigurationError: something of it is missing, or RE2 does not know the pattern.
    """

    brackets = ()

    def __init__(self, language: str, plugin: Any, options: ExpressionOptions) -> None:
        self.language = language
        self._plugin = plugin() if isinstance(plugin, type) else plugin
        self._options = options
        missing = [name for name in _OFFERED if not callable(getattr(self._plugin, name, None))]
        if missing:
            raise self._unusable(f"it has no {', '.join(missing)}")
        self._pattern = self._compiled(getattr(self._plugin, "search_pattern", None))

    def _compiled(self, pattern: Any) -> Pattern:
        flags = 0
        if isinstance(pattern, re.Pattern):
            pattern, flags = pattern.pattern, pattern.flags
        if not isinstance(pattern, str):
            raise self._unusable("its search_pattern is neither a text nor a pattern of texts")
        if flags & ~_KNOWN_FLAGS:
            raise self._unusable("of the flags of its search_pattern only I, M, S and U are known")
        ignore_case, multi_line, dot_all = (
            bool(flags & flag) for flag in (re.IGNORECASE, re.MULTILINE, re.DOTALL)
        )
        try:
            compiled = Pattern(pattern, self._options, Flags(ignore_case, multi_line, dot_all))
            is_empty = compiled.search(self._evaluation(), "") is not None
        except PatternError as error:
            raise self._unusable(f"its search_pattern: {cause(error, pattern)}") from error
        if is_empty:
            raise self._unusable("its search_pattern finds expressions in an empty text")
        return compiled

    def _unusable(self, problem: str) -> ConfigurationError:
        return ConfigurationError(
            f"The evaluator of the expression language '{self.language}' can't be used: {problem}."
        )

    def _evaluation(self, context: DataContext | None = None) -> Evaluation:
        return Evaluation(context or DataContext({}), self._options)

    def scan(self, text: str) -> Scan:
        """Where the pattern is found, within the time that an expression has."""
        try:
            found = self._pattern.matches(self._evaluation(), text)
            return Scan(tuple(match.span() for match in found if match.group()), ())
        except (BudgetExceededError, PatternError) as error:
            raise _wrong_grammar(self.language, text, error) from None

    def has_marks(self, text: str) -> bool:
        """Whether there may be an expression."""
        try:
            return self._pattern.search(self._evaluation(), text) is not None
        except (BudgetExceededError, PatternError) as error:
            raise _wrong_grammar(self.language, text, error) from None

    def is_expression(self, text: Any) -> bool:
        """Whether the pattern is found, and the plug-in takes it for an expression, too."""
        if not isinstance(text, str) or not self.has_marks(text):
            return False
        return bool(self._plugin.is_expression(text))

    def is_whole(self, text: str) -> bool:
        """One match from the first character to the last."""
        return self.scan(text).spans == ((0, len(text)),)

    def validate(self, text: str) -> None:
        """What the plug-in says."""
        check_length(text, self._options)
        try:
            self._plugin.validate(text)
        except MistralException:
            raise
        except EXPRESSION_ERRORS as error:
            raise _wrong_grammar(self.language, text, error) from None

    def compile(self, text: str) -> Compiled:
        """The plug-in gets the whole text at each evaluation."""
        check_length(text, self._options)

        def run(context: DataContext) -> Any:
            evaluation = self._evaluation(context)
            try:
                return to_plain(self._plugin.evaluate(text, context), evaluation)
            except EXPRESSION_ERRORS as error:
                if passes_through(error):
                    raise
                problem = cause(error, text)
            raise EvaluationException(
                f"Can not evaluate {self.language} expression [expression={quote(text)}, "
                f"error={problem}]"
            )

        return run


def _wrong_grammar(language: str, text: str, error: Exception) -> ExpressionGrammarException:
    return ExpressionGrammarException(
        f"Syntax error in {language} expression [expression={quote(text)}, "
        f"error={cause(error, text)}]"
    )
