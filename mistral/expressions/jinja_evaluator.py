"""Jinja: ``{{ ... }}`` and ``{% ... %}`` (doc:language/expressions#jinja)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jinja2
from jinja2 import nodes

from mistral.exceptions import JinjaEvaluationException, JinjaGrammarException
from mistral.expressions.base import Compiled, Evaluator
from mistral.expressions.budget import Evaluation
from mistral.expressions.causes import EXPRESSION_ERRORS, cause, passes_through, quote
from mistral.expressions.context import DataContext
from mistral.expressions.functions import Function, answers_json, limited
from mistral.expressions.jinja_filters import EVALUATION
from mistral.expressions.jinja_sandbox import Sandbox
from mistral.expressions.options import ExpressionOptions, check_length
from mistral.expressions.plain import JSON_TYPES, json_shallow, to_plain

_RESULT = "result"


class JinjaEvaluator(Evaluator):
    """Texts are compiled into templates, a whole expression into one that keeps the value."""

    language = "jinja"
    brackets = (("{{", "}}"), ("{%", "%}"))

    def __init__(self, options: ExpressionOptions, functions: Mapping[str, Function]) -> None:
        self._options = options
        functions = limited(functions, options)
        self._sandbox = Sandbox(functions, options)
        self._json_functions = frozenset(
            name for name, function in functions.items() if answers_json(function)
        )

    def is_whole(self, text: str) -> bool:
        """One ``{{ }}`` from the first character to the last."""
        return text.startswith("{{") and _whole(text, self._parse(text)) is not None

    def unclosed(self, text: str) -> tuple[tuple[int, str], ...]:
        """Where there is an expression, the parser knows best: marks may stand in comments."""
        found = self.scan(text)
        return () if found.spans else found.unclosed

    def validate(self, text: str) -> None:
        """Parse a text; names are looked up only when it runs."""
        self._parse(text)

    def compile(self, text: str) -> Compiled:
        """A closure for the whole expression, or one that renders the text."""
        tree = self._parse(text)
        expression = _whole(text, tree)
        if expression is None:
            return self._guarded(text, tree, self._render)
        is_path = self._is_path(expression)
        target = nodes.Name(_RESULT, "store", lineno=1)
        body = [nodes.Assign(target, expression, lineno=1)]
        extract = self._extract_path if is_path else self._extract
        return self._guarded(text, nodes.Template(body, lineno=1), extract)

    def _parse(self, text: str) -> nodes.Template:
        check_length(text, self._options)
        try:
            return self._sandbox.parse(text)
        except jinja2.TemplateSyntaxError as error:
            reason = error.message or "invalid"
        except (RecursionError, ValueError):
            reason = "the expression can't be read"
        raise JinjaGrammarException(
            f"Syntax error in Jinja expression [expression={quote(text)}, error={reason}]"
        )

    def _guarded(
        self,
        text: str,
        tree: nodes.Template,
        run_template: Callable[[jinja2.Template, Any, Evaluation], Any],
    ) -> Compiled:
        """Compile and run with errors that tell the expression and the cause."""
        try:
            template = self._sandbox.from_string(self._sandbox.budgeted(tree))
        except (*EXPRESSION_ERRORS, SyntaxError) as error:
            raise _failure(text, error) from None

        def run(context: DataContext) -> Any:
            evaluation = Evaluation(context, self._options)
            names = {**context.variables, "_": context.data, EVALUATION: evaluation}
            try:
                return run_template(template, template.new_context(names), evaluation)
            except EXPRESSION_ERRORS as error:
                if passes_through(error):
                    raise
                failure = _failure(text, error)
            raise failure

        return run

    @staticmethod
    def _render(template: jinja2.Template, scope: Any, evaluation: Evaluation) -> str:
        pieces = []
        size = 0
        for piece in template.root_render_func(scope):
            size += len(piece)
            evaluation.check_bytes(size)
            evaluation.check_time()
            pieces.append(piece)
        return "".join(pieces)

    @staticmethod
    def _extract(template: jinja2.Template, scope: Any, evaluation: Evaluation) -> Any:
        for _ in template.root_render_func(scope):
            pass
        return to_plain(scope.vars[_RESULT], evaluation)

    @classmethod
    def _extract_path(cls, template: jinja2.Template, scope: Any, evaluation: Evaluation) -> Any:
        """A part of the input needs no conversion, whatever its size."""
        for _ in template.root_render_func(scope):
            pass
        value = scope.vars[_RESULT]
        if type(value) in JSON_TYPES or isinstance(value, Mapping):
            return json_shallow(value)
        return to_plain(value, evaluation)

    def _is_path(self, node: nodes.Node) -> bool:
        """Whether the value can only be a part of the input."""
        while True:
            if isinstance(node, nodes.Getattr) or (
                isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const)
            ):
                node = node.node
            elif isinstance(node, nodes.Call):
                return isinstance(node.node, nodes.Name) and (
                    node.node.name in self._json_functions
                )
            else:
                return isinstance(node, nodes.Name)


def _whole(text: str, tree: nodes.Template) -> nodes.Expr | None:
    """The expression when a text is nothing else."""
    if not (text.startswith("{{") and text.endswith("}}")) or len(tree.body) != 1:
        return None
    output = tree.body[0]
    if not isinstance(output, nodes.Output) or len(output.nodes) != 1:
        return None
    only = output.nodes[0]
    return None if isinstance(only, nodes.TemplateData) else only


def _failure(text: str, error: BaseException) -> JinjaEvaluationException:
    return JinjaEvaluationException(
        f"Can not evaluate Jinja expression [expression={quote(text)}, error={cause(error, text)}]"
    )
