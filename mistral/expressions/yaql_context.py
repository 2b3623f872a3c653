"""YAQL's view of our data and functions.

YAQL wants its input immutable and hashable. Converting a whole context costs more than most
expressions do, so the views here convert a value when it is touched, and give back the original
when it comes out unchanged.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaql
from yaql.language import contexts, conventions, specs, utils, yaqltypes
from yaql.standard_library import regex

from mistral.expressions import yaql_regex
from mistral.expressions.budget import Evaluation
from mistral.expressions.functions import Function, answers_json
from mistral.expressions.plain import SCALARS, Converted, to_plain
from mistral.expressions.yaql_guards import GuardedContext

_CONTEXT_PARAMETER = "evaluation_context"


class FrozenView(utils.FrozenDict, Converted):
    """A mapping as YAQL's frozen dictionary, converted value by value."""

    def __init__(self, source: Mapping[Any, Any]) -> None:
        self.source = source
        self._hash = None
        self._converted: dict[Any, Any] = {}

    def __iter__(self) -> Iterator[Any]:
        return iter(self.source)

    def __len__(self) -> int:
        return len(self.source)

    def __contains__(self, key: object) -> bool:
        return key in self.source

    def __getitem__(self, key: Any) -> Any:
        if key not in self._converted:
            self._converted[key] = convert(self.source[key])
        return self._converted[key]

    def __eq__(self, other: object) -> bool:
        """What was converted is equal when its sources are; nothing has to be converted for it."""
        if isinstance(other, Converted):
            return bool(self.source == other.source)
        if isinstance(other, Mapping) and len(self) != len(other):
            return False
        return super().__eq__(other)

    __hash__ = utils.FrozenDict.__hash__

    def get(self, key: Any, default: Any = None) -> Any:
        """The value or a default."""
        return self[key] if key in self.source else default

    def __repr__(self) -> str:
        return repr(dict(self.items()))


class FrozenList(tuple[Any, ...], Converted):
    """A list as a tuple that remembers the list."""

    source: Sequence[Any]


def convert(value: Any) -> Any:
    """What ``yaql.language.utils.convert_input_data`` gives, lazily."""
    if type(value) in SCALARS or isinstance(value, (Converted, str)):
        return value
    if isinstance(value, Mapping):
        return FrozenView(value)
    if isinstance(value, Sequence):
        result = FrozenList(convert(item) for item in value)
        result.source = value
        return result
    return utils.convert_input_data(value)


class EvaluationContext(contexts.Context):
    """A context that knows its evaluation and looks at the clock with every call."""

    def __init__(self, parent: Any, evaluation: Evaluation | None = None) -> None:
        super().__init__(parent)
        self.evaluation: Evaluation = evaluation or parent.evaluation

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.evaluation.check_time()
        return super().__call__(*args, **kwargs)


def create_context(
    functions: Mapping[str, Function], delegates: bool, convert_data: bool
) -> contexts.Context:
    """The parent of all evaluations' contexts: YAQL's library, our guards, our functions."""
    library = GuardedContext(convention=conventions.CamelCaseConvention())
    guarded = yaql.create_context(
        context=library, finalizer=_finalize, delegates=delegates, regex=False
    )
    yaql_regex.register(guarded)
    guarded.register_function(regex.escape_regex)
    context = contexts.Context(guarded)
    for name, function in functions.items():
        adapter = _adapt(function, convert_data)
        definition = specs.get_function_definition(
            adapter,
            name=name,
            convention=context.convention,
            parameter_type_func=_parameter_type,
        )
        context.register_function(definition, exclusive=True)
    return context


def _adapt(function: Function, convert_data: bool) -> Function:
    """Give a function the shape YAQL wants: plain arguments in, frozen results out."""
    is_json = answers_json(function)

    def adapter(context: EvaluationContext, *args: Any, **kwargs: Any) -> Any:
        evaluation = context.evaluation
        result = function(
            evaluation.context,
            *(to_plain(arg, evaluation) for arg in args),
            **{name: to_plain(arg, evaluation) for name, arg in kwargs.items()},
        )
        if not is_json:
            result = to_plain(result, evaluation)
        return convert(result) if convert_data else result

    signature = inspect.signature(function)
    first, *rest = signature.parameters.values()
    adapter.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[first.replace(name=_CONTEXT_PARAMETER), *rest]
    )
    return adapter


def _parameter_type(name: str) -> Any:
    return yaqltypes.Context() if name == _CONTEXT_PARAMETER else None


@specs.name("#finalize")
def _finalize(obj: Any) -> Any:
    """The evaluator makes results plain itself, within its budget."""
    return obj
