"""The mutants that ``tools/mutate`` makes of a source: each kind, and what is left alone."""

from __future__ import annotations

import ast
import textwrap

import pytest
from mutations import Mutant, mutants


def of(source: str) -> list[Mutant]:
    """The mutants of a source."""
    return mutants("m.py", textwrap.dedent(source))


def changes(body: str, head: str = "def f(a, b):") -> set[str]:
    """The changes of a function's statements."""
    return {m.change for m in of(f"{head}\n{textwrap.indent(textwrap.dedent(body), '    ')}")}


@pytest.mark.parametrize(
    ("source", "others"),
    [
        ("a == b", ["!="]),
        ("a != b", ["=="]),
        ("a < b", ["<=", ">="]),
        ("a <= b", ["<", ">"]),
        ("a > b", [">=", "<="]),
        ("a >= b", [">", "<"]),
        ("a is b", ["is not"]),
        ("a is not b", ["is"]),
        ("a in b", ["not in"]),
        ("a not in b", ["in"]),
    ],
)
def test_comparisons(source: str, others: list[str]) -> None:
    assert changes(f"c = {source}") == {f"{source} -> (a {other} b)" for other in others}


def test_each_of_several_comparisons() -> None:
    assert {"0 <= a < b -> (0 < a < b)", "0 <= a < b -> (0 <= a <= b)"} <= changes("c = 0 <= a < b")


def test_boolean_operators() -> None:
    assert changes("c = a and b") == {"a and b -> (a or b)"}
    assert changes("c = a or b") == {"a or b -> (a and b)"}
    assert changes("c = not a") == {"not a -> (a)"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("if a: b()", {"a -> True", "a -> False", "a -> (not (a))"}),
        ("while a: b()", {"a -> False", "a -> (not (a))"}),
        ("c = b if a else d", {"a -> True", "a -> False", "a -> (not (a))"}),
        ("c = [b for b in d if a]", {"a -> True", "a -> False", "a -> (not (a))"}),
        # what the operators of a condition do already
        ("if not a: b()", {"not a -> True", "not a -> False", "not a -> (a)"}),
        ("if a is b: b()", {"a is b -> True", "a is b -> False", "a is b -> (a is not b)"}),
    ],
)
def test_conditions(source: str, found: set[str]) -> None:
    assert {c for c in changes(source) if not c.endswith("deleted")} >= found
    assert "while a -> True" not in changes(source)
    assert not [c for c in changes(source) if "not (not" in c or "not (a is" in c]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("1", {"1 -> 2", "1 -> 0"}),
        ("0", {"0 -> 1", "0 -> (-1)"}),
        ("True", {"True -> False"}),
        ("0.5", {"0.5 -> 1.5"}),
        ("''", {"'' -> \"x\""}),
        ("'word'", {"'word' -> \"\""}),
        ("[a]", {"[a] -> []"}),
        ("[]", {"[] -> [None]"}),
        ("{a: b}", {"{a: b} -> {}"}),
        ("{}", {"{} -> {None: None}"}),
        ("{a}", {"{a} -> set()"}),
        ("(a, b)", {"(a, b) -> ()"}),
        ("()", {"() -> (None,)"}),
        ("None", set()),
    ],
)
def test_constants(source: str, found: set[str]) -> None:
    assert changes(f"c = {source}") == found


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ("bool", "a.b -> (not (a.b))"),
        ("list[int]", "a.b -> []"),
        ("Mapping[str, int]", "a.b -> {}"),
        ("int | None", "a.b -> None"),
    ],
)
def test_returned_values(declared: str, found: str) -> None:
    assert changes("return a.b", f"def f(a) -> {declared}:") == {found}


@pytest.mark.parametrize(
    "statement",
    [
        "b()",
        "a.b = c",
        "a[b] = c",
        "a = c",
        "a += b",
        "del a.b",
        "return",
        "raise b",
        "a, b = b, a",
    ],
)
def test_deleted_statements(statement: str) -> None:
    assert f"{statement} -> deleted" in changes(f"if a:\n    {statement}\nb.c()")


@pytest.mark.parametrize("word", ["continue", "break"])
def test_deleted_steps_of_loops(word: str) -> None:
    assert f"{word} -> deleted" in changes(f"for c in a:\n    {word}")


def test_a_generator_stays_one() -> None:
    (mutant,) = of("def f():\n    yield f\n")
    assert mutant.applied("def f():\n    yield f\n") == "def f():\n    yield from ()\n"


@pytest.mark.parametrize(
    "source",
    [
        '"""What is told."""',
        "class C:\n    'What is told.'\n    x: list[Literal[1]]",
        "LOG = logging.getLogger('name')",
        "def f(a: int | 1 = None) -> tuple[1]: ...",
        "def f():\n    LOG.info('of', 1, not f)",
        "def f():\n    self._log.info('of', 1)",
        "def f(a):\n    c = a('several words', f'{a + 1}')",
        "def f(a):\n    c = ValueError('one', 1)",
        "def __repr__(self):\n    return 1",
        "class C:\n    @abc.abstractmethod\n    def f(self, a=1): ...",
        "__all__ = ['f']",
        "Kind = Callable[[int], bool]",
        "from m import f",
        "if TYPE_CHECKING:\n    a = 1",
        # lost, it would only be a NameError
        "def f():\n    c = d",
    ],
)
def test_what_only_people_and_checkers_read_is_left_alone(source: str) -> None:
    assert of(source) == []


def test_what_an_exception_tells_is_left_alone() -> None:
    assert changes("raise ValueError('word', 1, not a)") == {
        "raise ValueError('word', 1, not a) -> deleted"
    }


def test_texts_that_only_name_things_in_messages_are_left_alone() -> None:
    source = "def f(a):\n    c = a.check('word', not a)\n"
    assert [m.change for m in mutants("m.py", source, ["check"])] == ["not a -> (a)"]


EXAMPLE = '''\
"""Ümlauts before."""

LIMIT = 3


def f(a, b):
    """Whether."""
    if a == "ü" and (
        b
        and len(a) < LIMIT
    ):
        return [x for x in a if x]
    return not b
'''


def test_each_mutant_is_one_change_that_compiles() -> None:
    original = ast.dump(ast.parse(EXAMPLE))
    found = mutants("m.py", EXAMPLE)
    dumps = {ast.dump(ast.parse(m.applied(EXAMPLE))) for m in found}
    assert original not in dumps
    assert len(dumps) == len({m.key for m in found}) == len(found) > 15
    assert {m.line for m in found} == {3, 8, 9, 10, 12, 13}
    assert all(m.source == EXAMPLE.splitlines()[m.line - 1].strip() for m in found)


def test_a_name_does_not_depend_on_what_comes_before() -> None:
    source = "def f(a):\n    return a(1, 1)\n"
    keys = [m.key for m in mutants("m.py", source)]
    assert [m.key for m in mutants("m.py", "import x\n\n" + source)] == keys
    assert [key[2:] for key in keys if "1 -> 2" in key] == [("1 -> 2", 1), ("1 -> 2", 2)]
