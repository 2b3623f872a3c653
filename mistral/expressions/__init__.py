"""Expressions: what a definition computes at run time, in YAQL or Jinja.

:class:`Expressions` is assembled once at start and handed to whoever needs it. What an
expression sees is a :class:`DataContext`; what it may ask the service goes through
:class:`Facts`.
"""

from mistral.expressions.base import Evaluator
from mistral.expressions.context import DataContext, LayeredData, LazyLayer
from mistral.expressions.facade import Expressions
from mistral.expressions.facts import Facts
from mistral.expressions.functions import BUILTIN
from mistral.expressions.jinja_evaluator import JinjaEvaluator
from mistral.expressions.options import ExpressionOptions
from mistral.expressions.yaql_evaluator import YaqlEvaluator

__all__ = [
    "BUILTIN",
    "DataContext",
    "Evaluator",
    "ExpressionOptions",
    "Expressions",
    "Facts",
    "JinjaEvaluator",
    "LayeredData",
    "LazyLayer",
    "YaqlEvaluator",
]
