"""Why an expression failed, told without telling the data (law 9).

Python's and YAQL's own error texts quote values; only the parts known to be free of data, or
written in the expression itself, are passed on.
"""

from __future__ import annotations

import re
from typing import Any

import jinja2
from yaql.language import exceptions as yaql_exceptions

from mistral import exceptions as exc
from mistral.expressions.budget import BudgetExceededError
from mistral.expressions.patterns import PatternError
from mistral.expressions.plain import NotJsonError

#: What the evaluation of a wrong expression can raise. Anything else (a lost database
#: connection behind a function, say) is not the expression's fault and passes through.
EXPRESSION_ERRORS = (
    exc.MistralException,
    yaql_exceptions.YaqlException,
    jinja2.TemplateError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
    re.error,
)

_RECEIVER = re.compile(r'^((?:Unknown|No|Ambiguous) method "[^"]*") for receiver .*', re.S)
_OPERATOR = re.compile(r'"#(?:unary_)?operator_([^"]+)"')
_SAFE_VALUE_ERROR = re.compile(
    r"invalid literal for \w+\(\) with base \d+|could not convert string to float"
    r"|Cannot unpack \d+ elements into \d+|(too many|not enough) values to unpack"
)
_NO_ATTRIBUTE = "there is no attribute "
_MAX_QUOTED = 1000


def quote(expression: str) -> str:
    """The expression as error texts show it."""
    return expression if len(expression) <= _MAX_QUOTED else expression[:_MAX_QUOTED] + "..."


def passes_through(error: BaseException) -> bool:
    """Whether a typed error says that the service, not the expression, is at fault."""
    return isinstance(error, exc.MistralException) and error.http_code >= 500


def cause(error: BaseException, expression: str) -> str:
    """A sentence about an error that quotes nothing but the expression."""
    if isinstance(error, yaql_exceptions.WrappedException):
        return cause(error.wrapped, expression)
    if isinstance(error, (exc.MistralException, BudgetExceededError, NotJsonError)):
        return str(error)
    if isinstance(error, PatternError):
        shows = error.part and error.part in expression
        return f"{error} [part={error.part}]" if shows else str(error)
    if isinstance(error, yaql_exceptions.YaqlException):
        return _yaql_cause(error)
    if isinstance(error, jinja2.TemplateError):
        return _jinja_cause(error.message or "the template is invalid", expression)
    return _python_cause(error, expression)


def _jinja_cause(text: str, expression: str) -> str:
    if text.endswith("not safely callable"):
        return "a value is not safely callable"
    start, _, name = text.partition(_NO_ATTRIBUTE)
    if not start and name and name.strip("'") not in expression:
        return "there is no such attribute"
    return text


def _yaql_cause(error: Any) -> str:
    text = str(error)
    operator = _OPERATOR.search(text)
    if operator:
        return f"the operator '{operator.group(1)}' does not take values of these types"
    if '"#indexer"' in text:
        return "a value of this type has no elements, or not by such a key"
    found = _RECEIVER.match(text)
    if not found:
        return text or "an argument has a wrong type"
    if text.startswith("No "):
        return found.group(1) + " matches supplied arguments"
    return found.group(1)


def _python_cause(error: BaseException, expression: str) -> str:
    if isinstance(error, KeyError):
        return f"there is no key {_named(error, expression)}"
    if isinstance(error, StopIteration):
        return "the collection has no such element"
    if isinstance(error, (RecursionError, SyntaxError)):
        # Python's parser refuses the code of a template that way
        return "the expression is nested too deeply"
    if isinstance(error, MemoryError):
        return "the expression needs too much memory"
    if isinstance(error, AssertionError):
        return str(error) if str(error) in expression else "an assertion failed"
    if isinstance(error, (ZeroDivisionError, IndexError, OverflowError, TypeError)):
        return str(error)
    if isinstance(error, ValueError):
        found = _SAFE_VALUE_ERROR.search(str(error))
        return found.group(0) if found else "a value is invalid"
    return type(error).__name__


def _named(error: KeyError, expression: str) -> str:
    key = error.args[0] if error.args else None
    return repr(key) if isinstance(key, str) and key in expression else "of that name"
