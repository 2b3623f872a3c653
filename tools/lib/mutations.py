"""Mutants of a module: each is one small change of its source at a known place.

Comparisons, ``and``/``or``, ``not``, conditions, constants, returned values and deleted statements.
What can only change texts for people (logs, docstrings, messages of exceptions, f-strings, texts of
several words) or type annotations is left alone, and so are assignments whose loss is a NameError.
"""

from __future__ import annotations

import ast
import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

_LOGS = {"LOG", "log", "_log", "logging", "logger"}
_TEXT_KEYWORDS = {"repr", "doc", "help", "description"}
_NO_CODE = {"__repr__", "__str__"}
_NO_VALUES = {"__all__", "__slots__"}
_SHOWN = 160

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
#: What a function returns instead, by the name of the type that it declares.
_RETURNS = {
    **dict.fromkeys(("list", "Sequence", "Iterable", "Collection"), "[]"),
    **dict.fromkeys(("dict", "Mapping"), "{}"),
    **dict.fromkeys(("set", "frozenset"), "set()"),
    "tuple": "()",
}


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change of one module.

    ``source`` is the line that changes, ``number`` tells equal changes of equal lines apart; with
    ``module`` and ``change`` they name the mutant, whatever moves around it.
    """

    module: str
    line: int
    source: str
    change: str
    number: int
    start: int
    end: int
    replacement: str

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Its name."""
        return (self.module, self.source, self.change, self.number)

    def applied(self, text: str) -> str:
        """The module's source with the change."""
        data = text.encode()
        return (data[: self.start] + self.replacement.encode() + data[self.end :]).decode()


@dataclasses.dataclass(frozen=True)
class _Change:
    node: ast.expr | ast.stmt
    replacement: str
    is_deletion: bool = False


def mutants(module: str, text: str, text_calls: Collection[str] = ()) -> list[Mutant]:
    """All mutants of a module's source, in the order of its lines.

    :param module: how the module is named in them.
    :param text_calls: names of functions to which a literal text only tells what messages name.
    """
    data = text.encode()
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    lines = text.splitlines()
    found: list[Mutant] = []
    seen: set[tuple[int, int, str]] = set()
    numbers: Counter[tuple[str, str]] = Counter()
    changes = _Walker(text_calls).module(ast.parse(text))
    for change in sorted(changes, key=lambda c: (c.node.lineno, c.node.col_offset)):
        node = change.node
        assert node.end_lineno is not None and node.end_col_offset is not None
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        old = data[start:end].decode()
        if (start, end, change.replacement) in seen or change.replacement in (old, f"({old})"):
            continue
        seen.add((start, end, change.replacement))
        told = "deleted" if change.is_deletion else _shown(change.replacement)
        text_of_change = f"{_shown(old)} -> {told}"
        source = lines[node.lineno - 1].strip()
        numbers[source, text_of_change] += 1
        found.append(
            Mutant(
                module,
                node.lineno,
                source,
                text_of_change,
                numbers[source, text_of_change],
                start,
                end,
                change.replacement,
            )
        )
    return found


def _shown(source: str) -> str:
    line = " ".join(source.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


class _Walker:
    """Goes through a module and yields changes."""

    def __init__(self, text_calls: Collection[str]) -> None:
        self._text_calls = text_calls

    def module(self, tree: ast.Module) -> Iterator[_Change]:
        """The changes of all statements."""
        yield from self._block(tree.body, None)

    # statements

    def _block(
        self, body: list[ast.stmt], function: ast.FunctionDef | ast.AsyncFunctionDef | None
    ) -> Iterator[_Change]:
        for statement in body:
            yield from self._statement(statement, function)

    def _statement(
        self, node: ast.stmt, function: ast.FunctionDef | ast.AsyncFunctionDef | None
    ) -> Iterator[_Change]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name not in _NO_CODE and not _is_abstract(node):
                defaults = [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]
                yield from self._expressions(defaults)
                yield from self._block(node.body, node)
            return
        if isinstance(node, ast.ClassDef):
            yield from self._block(node.body, None)
            return
        if _is_text(node) or isinstance(node, ast.Import | ast.ImportFrom):
            return
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            return
        if function is not None:
            yield from self._deleted(node, function)
        if isinstance(node, ast.Return):
            yield from self._returned(node, function)
        elif isinstance(node, ast.AnnAssign):
            yield from self._expressions([node.value] if node.value else [])
        elif isinstance(node, ast.Assign):
            if not _declares(node, function is None):
                yield from self._expressions([*node.targets, node.value])
        elif isinstance(node, ast.If | ast.While):
            yield from self._condition(node.test, isinstance(node, ast.While))
            yield from self._block([*node.body, *node.orelse], function)
        elif not isinstance(node, ast.Raise | ast.Assert):
            for child in ast.iter_child_nodes(node):
                yield from self._child(child, function)

    def _child(
        self, node: ast.AST, function: ast.FunctionDef | ast.AsyncFunctionDef | None
    ) -> Iterator[_Change]:
        if isinstance(node, ast.stmt):
            yield from self._statement(node, function)
        elif isinstance(node, ast.expr):
            yield from self._expression(node)
        elif isinstance(node, ast.ExceptHandler | ast.match_case):
            yield from self._block(node.body, function)
        elif isinstance(node, ast.withitem):
            yield from self._expression(node.context_expr)

    def _deleted(
        self, node: ast.stmt, function: ast.FunctionDef | ast.AsyncFunctionDef
    ) -> Iterator[_Change]:
        if isinstance(node, ast.Expr):
            is_yielded = isinstance(node.value, ast.Yield | ast.YieldFrom)
            # the function stays a generator
            yield _Change(node, "yield from ()" if is_yielded else "pass", True)
        elif isinstance(node, ast.Assign):
            if all(_is_set_before(target, node, function) for target in node.targets):
                yield _Change(node, "pass", True)
        elif isinstance(node, ast.Return):
            if node is not function.body[-1]:
                yield _Change(node, "pass", True)
        elif isinstance(node, ast.AugAssign | ast.Delete | ast.Continue | ast.Break | ast.Raise):
            yield _Change(node, "pass", True)

    def _returned(
        self, node: ast.Return, function: ast.FunctionDef | ast.AsyncFunctionDef | None
    ) -> Iterator[_Change]:
        value = node.value
        if value is None or isinstance(value, ast.JoinedStr):
            return
        kind = _declared_type(function)
        if kind == "bool":
            if not isinstance(value, ast.Constant | ast.Compare) and not _is_not(value):
                yield _Change(value, f"(not ({ast.unparse(value)}))")
        elif not isinstance(value, ast.Constant):
            yield _Change(value, _RETURNS.get(kind, "None"))
        yield from self._expression(value)

    # expressions

    def _expressions(self, nodes: Iterable[ast.expr]) -> Iterator[_Change]:
        for node in nodes:
            yield from self._expression(node)

    def _condition(self, node: ast.expr, is_loop: bool = False) -> Iterator[_Change]:
        if not isinstance(node, ast.Constant):
            if not is_loop:
                yield _Change(node, "True")
            yield _Change(node, "False")
            single = isinstance(node, ast.Compare) and len(node.ops) == 1
            if not single and not _is_not(node):
                yield _Change(node, f"(not ({ast.unparse(node)}))")
        yield from self._expression(node)

    def _expression(self, node: ast.expr) -> Iterator[_Change]:
        if isinstance(node, ast.JoinedStr):
            return
        if isinstance(node, ast.Constant):
            yield from _constants(node)
        elif isinstance(node, ast.Call):
            yield from self._call(node)
        elif isinstance(node, ast.IfExp):
            yield from self._condition(node.test)
            yield from self._expressions([node.body, node.orelse])
        else:
            yield from _operators(node)
            yield from _displays(node)
            yield from self._parts(node)

    def _parts(self, node: ast.AST) -> Iterator[_Change]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.comprehension):
                yield from self._expression(child.iter)
                for condition in child.ifs:
                    yield from self._condition(condition)
            elif isinstance(child, ast.expr):
                yield from self._expression(child)

    def _call(self, node: ast.Call) -> Iterator[_Change]:
        name = ast.unparse(node.func).rpartition(".")[2]
        if name.endswith(("Error", "Exception")) or _is_log(node):
            return
        yield from self._expression(node.func)
        arguments = node.args[1:] if name in ("cast", "TypeVar") else node.args
        if name in self._text_calls:
            arguments = [each for each in arguments if not isinstance(each, ast.Constant)]
        yield from self._expressions(arguments)
        for keyword in node.keywords:
            if keyword.arg not in _TEXT_KEYWORDS:
                yield from self._expression(keyword.value)


def _constants(node: ast.Constant) -> Iterator[_Change]:
    value = node.value
    if isinstance(value, bool):
        yield _Change(node, str(not value))
    elif isinstance(value, int):
        yield _Change(node, str(value + 1))
        yield _Change(node, str(value - 1) if value else "(-1)")
    elif isinstance(value, float):
        yield _Change(node, str(value + 1))
    elif isinstance(value, str) and " " not in value:
        yield _Change(node, '""' if value else '"x"')


def _operators(node: ast.expr) -> Iterator[_Change]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in _COMPARISONS[type(operator)]:
                ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
                changed = ast.Compare(node.left, ops, node.comparators)
                yield _Change(node, f"({ast.unparse(changed)})")
    elif isinstance(node, ast.BoolOp):
        swapped = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield _Change(node, f"({ast.unparse(ast.BoolOp(swapped, node.values))})")
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield _Change(node, f"({ast.unparse(node.operand)})")


def _displays(node: ast.expr) -> Iterator[_Change]:
    if isinstance(node, ast.List):
        yield _Change(node, "[]" if node.elts else "[None]")
    elif isinstance(node, ast.Dict):
        yield _Change(node, "{}" if node.keys else "{None: None}")
    elif isinstance(node, ast.Set):
        yield _Change(node, "set()")
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load):
        yield _Change(node, "()" if node.elts else "(None,)")


def _is_abstract(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(ast.unparse(each).endswith("abstractmethod") for each in node.decorator_list)


def _is_not(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _is_log(node: ast.Call) -> bool:
    return any(isinstance(n, ast.Name) and n.id in _LOGS for n in ast.walk(node.func)) or any(
        isinstance(n, ast.Attribute) and n.attr in _LOGS for n in ast.walk(node.func)
    )


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is a docstring or only logs."""
    if not isinstance(node, ast.Expr):
        return False
    return isinstance(node.value, ast.Constant) or (
        isinstance(node.value, ast.Call) and _is_log(node.value)
    )


def _declares(node: ast.Assign, at_top: bool) -> bool:
    """Whether an assignment names a type or what a module exports."""
    names = {target.id for target in node.targets if isinstance(target, ast.Name)}
    return at_top and (bool(names & _NO_VALUES) or isinstance(node.value, ast.Subscript))


def _declared_type(function: ast.FunctionDef | ast.AsyncFunctionDef | None) -> str:
    declared = function.returns if function else None
    if isinstance(declared, ast.Subscript):
        declared = declared.value
    return ast.unparse(declared) if declared else ""


def _is_set_before(
    target: ast.expr, node: ast.stmt, function: ast.FunctionDef | ast.AsyncFunctionDef
) -> bool:
    """Whether the loss of an assignment leaves something behind that can still be read."""
    if isinstance(target, ast.Tuple):
        return all(_is_set_before(each, node, function) for each in target.elts)
    if not isinstance(target, ast.Name):
        return True
    arguments = function.args
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return any(argument.arg == target.id for argument in given) or any(
        isinstance(each, ast.Name)
        and isinstance(each.ctx, ast.Store)
        and each.id == target.id
        and each.lineno < node.lineno
        for each in ast.walk(function)
    )
