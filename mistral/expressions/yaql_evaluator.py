"""YAQL: ``<% ... %>`` (doc:language/expressions#yaql)."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

import yaql
from yaql.language import exceptions as yaql_exceptions
from yaql.language import utils

from mistral.exceptions import YaqlEvaluationException, YaqlGrammarException
from mistral.expressions.base import Compiled, Evaluator
from mistral.expressions.budget import BudgetExceededError, Evaluation
from mistral.expressions.causes import EXPRESSION_ERRORS, cause, passes_through, quote
from mistral.expressions.context import DataContext
from mistral.expressions.functions import Function, limited
from mistral.expressions.options import ExpressionOptions, check_length
from mistral.expressions.patterns import PatternError
from mistral.expressions.plain import to_plain
from mistral.expressions.yaql_context import EvaluationContext, convert, create_context
from mistral.expressions.yaql_fast import compile_fast
from mistral.expressions.yaql_regex import check_literals

_MEMO = "yaql"
#: the pattern by which YAQL's lexer reads numbers takes quadratic time
_LONG_NUMBER = re.compile(r"\d{2500}")


class YaqlEvaluator(Evaluator):
    """Common expressions run as compiled closures, all others in YAQL itself."""

    language = "yaql"
    brackets = (("<%", "%>"),)

    def __init__(
        self,
        options: ExpressionOptions,
        functions: Mapping[str, Function],
        use_fast_path: bool = True,
    ) -> None:
        self._options = options
        self._functions = limited(functions, options)
        self._lock = threading.Lock()
        # the closures know only the usual rules of conversion
        self._fast = use_fast_path and options.convert_input_data and not options.iterable_dicts
        self._engine = yaql.YaqlFactory(
            keyword_operator=options.keyword_operator, allow_delegates=options.allow_delegates
        ).create(
            options={
                "yaql.limitIterators": options.limit_iterators,
                "yaql.memoryQuota": options.memory_quota,
                "yaql.convertInputData": options.convert_input_data,
                "yaql.iterableDicts": options.iterable_dicts,
            }
        )
        self._base = create_context(
            self._functions, options.allow_delegates, options.convert_input_data
        )

    def is_whole(self, text: str) -> bool:
        """One expression from the first character to the last."""
        return text.startswith("<%") and self.scan(text).spans == ((0, len(text)),)

    def validate(self, text: str) -> None:
        """Parse every expression in a text; patterns that stand in it have to be good, too."""
        for start, end in self.scan(text).spans:
            source = text[start + 2 : end - 2].strip()
            try:
                check_literals(self._parse(source).expression, self._options)
            except PatternError as error:
                raise _grammar_error(source, cause(error, source)) from None

    def compile(self, text: str) -> Compiled:
        """A closure for the whole expression, or one that pastes several into the text."""
        if self.is_whole(text):
            return self._compile_expression(text[2:-2].strip())
        return self._compile_mixed(text)

    def _compile_mixed(self, text: str) -> Compiled:
        pieces: list[str | Compiled] = []
        done = 0
        for start, end in self.scan(text).spans:
            pieces.append(text[done:start])
            pieces.append(self._compile_expression(text[start + 2 : end - 2].strip()))
            done = end
        pieces.append(text[done:])

        def run(context: DataContext) -> str:
            try:
                return self._pasted(pieces, context)
            except BudgetExceededError as error:
                problem = str(error)
            raise _evaluation_error(text, problem)

        return run

    def _pasted(self, pieces: list[str | Compiled], context: DataContext) -> str:
        """All expressions of a text have the budget of one."""
        evaluation = Evaluation(context, self._options)
        size = 0
        texts = []
        for piece in pieces:
            found = piece if isinstance(piece, str) else str(piece(context))
            size += len(found)
            evaluation.check_bytes(size)
            evaluation.check_time()
            texts.append(found)
        return "".join(texts)

    def _compile_expression(self, source: str) -> Compiled:
        statement = self._parse(source)
        fast = None
        if self._fast:
            fast = compile_fast(statement.expression, self._functions, self._options)

        def run_full(context: DataContext) -> Any:
            return self._run_full(statement, source, context)

        if fast is None:
            return run_full
        run_fast = fast

        def run(context: DataContext) -> Any:
            try:
                return run_fast(context)
            except EXPRESSION_ERRORS as error:
                if passes_through(error):
                    raise
            # outside the handler: the closure's error is not the cause of YAQL's own
            return run_full(context)

        return run

    def _parse(self, source: str) -> Any:
        check_length(source, self._options)
        if _LONG_NUMBER.search(source):
            raise _grammar_error(source, "a number has too many digits")
        try:
            with self._lock:
                return self._engine(source)
        except (yaql_exceptions.YaqlParsingException, RecursionError, ValueError) as error:
            text = str(error) if isinstance(error, yaql_exceptions.YaqlException) else "invalid"
        raise _grammar_error(source, text)

    def _run_full(self, statement: Any, source: str, data_context: DataContext) -> Any:
        evaluation = Evaluation(data_context, self._options)
        context = EvaluationContext(self._base, evaluation)
        context["$"] = self._converted(data_context)
        for name, value in data_context.variables.items():
            context["$" + name] = convert(value) if self._options.convert_input_data else value
        try:
            return to_plain(statement(utils.NO_VALUE, context, self._engine), evaluation)
        except EXPRESSION_ERRORS as error:
            if passes_through(error):
                raise
            text = cause(error, source)
        raise _evaluation_error(source, text)

    def _converted(self, context: DataContext) -> Any:
        """The context's data in YAQL's form, made once per context."""
        if not self._options.convert_input_data:
            return context.data
        if _MEMO not in context.memo:
            context.memo[_MEMO] = convert(context.data)
        return context.memo[_MEMO]


def _evaluation_error(source: str, problem: str) -> YaqlEvaluationException:
    return YaqlEvaluationException(
        f"Can not evaluate YAQL expression [expression={quote(source)}, error={problem}]"
    )


def _grammar_error(source: str, problem: str) -> YaqlGrammarException:
    return YaqlGrammarException(
        f"Syntax error in YAQL expression [expression={quote(source)}, error={problem}]"
    )
