"""The functions of the language (doc:language/functions; group ``mistral.expression.functions``).

Each is ``callable(context, ...)`` with the :class:`DataContext` first; arguments and results are
plain JSON data. YAQL shows parameter names in camelCase, Jinja as they are.
"""

from __future__ import annotations

import datetime as dt
import functools
import inspect
import json as python_json
import uuid as uuids
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from mistral.exceptions import EvaluationException
from mistral.expressions.context import DataContext
from mistral.expressions.facts import Facts
from mistral.expressions.options import ExpressionOptions
from mistral.utils import json, safe_yaml
from mistral.utils.texts import is_storable

Function = Callable[..., Any]

_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
_DEFAULT = ExpressionOptions()
_ENCODER = python_json.JSONEncoder(indent=4)


def _facts(context: DataContext, function: str) -> Facts:
    if context.facts is None:
        raise EvaluationException(f"{function}() can't be used here: there is no execution")
    return context.facts


def task(context: DataContext, name: str | None = None) -> Any:
    """Record of the named task, or of the current one."""
    if name is not None and not isinstance(name, str):
        raise EvaluationException("task() takes the name of a task")
    if name is not None and not is_storable(name):
        return None
    record = _facts(context, "task").task(name)
    if record is None and name is None:
        raise EvaluationException("task() without a name can only be used inside a task")
    return record


def tasks(
    context: DataContext,
    workflow_execution_id: str | None = None,
    recursive: bool = False,
    state: str | None = None,
    flat: bool = False,
) -> Any:
    """Records of tasks, filtered."""
    if _find_nothing(workflow_execution_id, state):
        return []
    return _facts(context, "tasks").tasks(
        workflow_execution_id=workflow_execution_id, recursive=recursive, state=state, flat=flat
    )


def execution(context: DataContext) -> Any:
    """Record of the current workflow execution."""
    return _facts(context, "execution").execution()


def executions(
    context: DataContext,
    id: str | None = None,
    root_execution_id: str | None = None,
    state: str | None = None,
    from_time: str | None = None,
    to_time: str | None = None,
) -> Any:
    """Records of workflow executions, filtered."""
    _check_time("from_time", from_time)
    _check_time("to_time", to_time)
    if _find_nothing(id, root_execution_id, state):
        return []
    return _facts(context, "executions").executions(
        id=id,
        root_execution_id=root_execution_id,
        state=state,
        from_time=from_time,
        to_time=to_time,
    )


def _check_time(parameter: str, value: Any) -> None:
    if value is None:
        return
    try:
        dt.datetime.strptime(value, _TIME_FORMAT)
    except (TypeError, ValueError):
        raise EvaluationException(
            f"{parameter} of executions() must have the form YYYY-MM-DD hh:mm:ss"
        ) from None


def _find_nothing(*filters: Any) -> bool:
    """Whether one of some filters is a value that no stored text can equal."""
    return any(
        value is not None and not (isinstance(value, str) and is_storable(value))
        for value in filters
    )


def env(context: DataContext) -> Any:
    """Environment of the root execution."""
    return _facts(context, "env").env() or {}


def global_(context: DataContext, name: str) -> Any:
    """A variable of the workflow context, or null."""
    return _facts(context, "global").global_(name)


def _refuse_beyond(size: int, limit: int, function: str, what: str) -> None:
    """What the parsers and writers of texts do in one go can't be interrupted."""
    if 0 <= limit < size:
        raise EvaluationException(f"{function}() {what.format(limit)}")


def json_parse(context: DataContext, text: str, *, limits: ExpressionOptions = _DEFAULT) -> Any:
    """The value that a JSON text stands for."""
    if not isinstance(text, (str, bytes)):
        raise EvaluationException("json_parse() takes a text")
    _refuse_beyond(
        len(text),
        limits.max_json_length,
        "json_parse",
        "reads at most [expressions] max_json_length = {} characters",
    )
    _refuse_beyond(
        _parts(text),
        limits.max_json_parts,
        "json_parse",
        "reads at most [expressions] max_json_parts = {} commas and brackets",
    )
    try:
        return json.parse(text, json.NO_CONTAINER_LIMIT)
    except ValueError as error:
        # other words than the decoder's may quote the text
        reason = getattr(error, "msg", "a value can't be kept as JSON")
        raise EvaluationException(f"the text is not JSON: {reason}") from None


def _parts(text: Any) -> int:
    marks = ",[{" if isinstance(text, str) else (b",", b"[", b"{")
    return sum(text.count(mark) for mark in marks)


def json_dump(context: DataContext, value: Any, *, limits: ExpressionOptions = _DEFAULT) -> str:
    """JSON text, indented by 4."""
    return write_json(_ENCODER, value, "json_dump", limits)


def write_json(
    encoder: python_json.JSONEncoder, value: Any, name: str, limits: ExpressionOptions
) -> str:
    """A JSON text of limited length; indentation makes much of little."""
    if encoder.indent is None:
        return encoder.encode(value)
    size = 0
    pieces = []
    for piece in encoder.iterencode(value):
        size += len(piece)
        _refuse_beyond(
            size,
            limits.max_json_length,
            name,
            "writes at most [expressions] max_json_length = {} characters",
        )
        pieces.append(piece)
    return "".join(pieces)


def yaml_parse(context: DataContext, text: str, *, limits: ExpressionOptions = _DEFAULT) -> Any:
    """The value that a YAML text stands for; anchors are off."""
    if not isinstance(text, str):
        raise EvaluationException("yaml_parse() takes a text")
    _refuse_beyond(
        len(text),
        limits.max_yaml_length,
        "yaml_parse",
        "reads at most [expressions] max_yaml_length = {} characters",
    )
    try:
        return safe_yaml.load(text, safe_yaml.YamlLimits(-1, -1, limits.max_equal_hashes))
    except safe_yaml.UnreadableYaml as error:
        # the problem's own words may quote the text
        if error.place is None:
            what = "the text is not YAML, too long or nested too deeply"
        else:
            what = "the text is not YAML of JSON's values in line {}, column {}".format(
                *error.place
            )
        raise EvaluationException(what) from None


def yaml_dump(context: DataContext, value: Any, *, limits: ExpressionOptions = _DEFAULT) -> str:
    """YAML text in block style."""
    _refuse_beyond(
        len(json.dump_bytes(value)),
        limits.max_yaml_length,
        "yaml_dump",
        "takes at most [expressions] max_yaml_length = {} characters as JSON",
    )
    return safe_yaml.dump(value)


def uuid(context: DataContext) -> str:
    """A random UUID."""
    return str(uuids.uuid4())


#: what the entry points of this package register
BUILTIN: Mapping[str, Function] = MappingProxyType(
    {
        "task": task,
        "tasks": tasks,
        "execution": execution,
        "executions": executions,
        "env": env,
        "global": global_,
        "json_parse": json_parse,
        "json_dump": json_dump,
        "yaml_parse": yaml_parse,
        "yaml_dump": yaml_dump,
        "uuid": uuid,
    }
)

#: functions whose results are JSON data by their nature and need no conversion
ANSWERS_JSON = frozenset(
    {
        task,
        tasks,
        execution,
        executions,
        env,
        global_,
        json_parse,
        json_dump,
        yaml_dump,
        uuid,
    }
)

#: functions whose results are read from the database where an expression touches them
ANSWERS_LAZILY = frozenset({task, tasks, execution, executions})

_LIMITED = frozenset({json_parse, json_dump, yaml_parse, yaml_dump})


def limited(functions: Mapping[str, Function], options: ExpressionOptions) -> dict[str, Function]:
    """The same functions, of which ours keep to these limits; no expression can give others."""
    return {
        name: _with_limits(function, options) if function in _LIMITED else function
        for name, function in functions.items()
    }


def _with_limits(function: Function, options: ExpressionOptions) -> Function:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs, limits=options)

    signature = inspect.signature(function)
    shown = [each for each in signature.parameters.values() if each.name != "limits"]
    call.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    return call


def answers_json(function: Function) -> bool:
    """Whether results of a function need no conversion."""
    return inspect.unwrap(function) in ANSWERS_JSON
