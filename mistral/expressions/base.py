"""What every expression language has to offer (group ``mistral.expression.evaluators``)."""

from __future__ import annotations

import abc
import re
from collections.abc import Callable
from typing import Any, ClassVar

from mistral.expressions.context import DataContext

#: a compiled text: gives its value in a context
Compiled = Callable[[DataContext], Any]


class Evaluator(abc.ABC):
    """One language. Constructed with ``(options, functions)``; used by many threads."""

    #: the word by which the operator allows it
    language: ClassVar[str]
    #: finds the expressions of this language within a text
    pattern: ClassVar[re.Pattern[str]]
    #: texts without any of these contain no expression
    marks: ClassVar[tuple[str, ...]]

    def is_expression(self, text: Any) -> bool:
        """Whether a text contains an expression of this language."""
        return (
            isinstance(text, str)
            and any(mark in text for mark in self.marks)
            and self.pattern.search(text) is not None
        )

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
