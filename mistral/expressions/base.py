"""What every expression language has to offer (group ``mistral.expression.evaluators``)."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar

from mistral.expressions.context import DataContext
from mistral.expressions.scan import Bracket, Scan, scan

#: a compiled text: gives its value in a context
Compiled = Callable[[DataContext], Any]


class Evaluator(abc.ABC):
    """One language. Constructed with ``(options, functions)``; used by many threads.

    A plug-in that is not derived from it is used through
    :class:`mistral.expressions.pattern_evaluator.PatternEvaluator`.
    """

    #: the word by which the operator allows it
    language: str
    #: what its expressions stand between; they are searched for with these
    brackets: ClassVar[tuple[Bracket, ...]]

    def scan(self, text: str) -> Scan:
        """Where expressions of this language stand in a text."""
        return scan(text, self.brackets)

    def has_marks(self, text: str) -> bool:
        """Whether an opening mark stands in a text; without one there is no expression."""
        return any(opener in text for opener, _ in self.brackets)

    def is_expression(self, text: Any) -> bool:
        """Whether a text contains an expression of this language."""
        return isinstance(text, str) and self.has_marks(text) and bool(self.scan(text).spans)

    def unclosed(self, text: str) -> tuple[tuple[int, str], ...]:
        """Opening marks that nothing closes, with their places."""
        return self.scan(text).unclosed

    @abc.abstractmethod
    def is_whole(self, text: str) -> bool:
        """Whether a text is exactly one expression with nothing around it."""

    @abc.abstractmethod
    def validate(self, text: str) -> None:
        """Raise :class:`ExpressionGrammarException` for a syntax error."""

    @abc.abstractmethod
    def compile(self, text: str) -> Compiled:
        """Prepare a text that contains expressions of this language."""

    def evaluate(self, text: str, context: DataContext) -> Any:
        """The value of a text in a context; raises :class:`EvaluationException`."""
        return self.compile(text)(context)
