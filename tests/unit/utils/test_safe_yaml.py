"""The reader: what is text, what is refused, and that libyaml changes nothing."""

from __future__ import annotations

import random
import time

import pytest
import yaml

from mistral.utils import safe_yaml

SAMPLES = [
    (
        '{"a": "\\ud83d\\ude00", "\\ud83d\\ude00": "\\u00e9"}',
        {"a": "\U0001f600", "\U0001f600": "é"},
    ),
    ("a: &x 1\nb: *x\nc: @home", {"a": "&x 1", "b": "*x", "c": "@home"}),
    ("[*x, &y]", ["*x", "&y"]),
    ("a: <% $.a * 2 & 3 %>", {"a": "<% $.a * 2 & 3 %>"}),
    ("a: 1\na: 2", {"a": 2}),
    ("yes: 1", {True: 1}),
    ("a: 2020-01-01", {"a": "2020-01-01"}),
    ("a: 2020-99-99", {"a": "2020-99-99"}),
    ("a: =", {"a": "="}),
    ("a: 2.0\nb: 0x1f\nc: ~", {"a": 2.0, "b": 31, "c": None}),
    ("---\na: ü \U0001f600", {"a": "ü \U0001f600"}),
    ("a: !!str 1", {"a": "1"}),
    ("<<: {a: 1}\nb: 2", {"a": 1, "b": 2}),
    ("a: '&x'", {"a": "&x"}),
    ("a: |\n  *x\n  @y\n", {"a": "*x\n@y\n"}),
    ("", None),
    ("# only a comment", None),
]


@pytest.mark.parametrize(("text", "data"), SAMPLES)
def test_reads(text: str, data: object) -> None:
    assert safe_yaml.load(text) == data


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1", "line"),
        ("a: b: c", "(line 1, column 5)"),
        ("a: 1\n---\nb: 2", "single document"),
        ("a: !!python/object/apply:os.system [ls]", "tag"),
        ("a: !!int x", "not a value of type int"),
        ("a: !!bool x", "not a value of type bool"),
        ("a: " + "9" * 5000, "digits"),
        ("a: 1" + ":1" * 5000, "digits"),
        ("a: .inf", "not finite (line 1, column 4)"),
        ("a: [1, -.Inf]", "not finite (line 1, column 8)"),
        ("a: .NaN", "not finite (line 1, column 4)"),
        ("a: 1.0e+999", "not finite (line 1, column 4)"),
        ("a: {" + "".join(f"{n * (2**61 - 1)}: 1, " for n in range(1, 2000)) + "}", "long numbers"),
        ("? [a]\n: 1", "unhashable"),
        ("a: \x00", "not allowed"),
        ("a: \ud800", "not allowed"),
        ('a: "\\ud800"', "(line 1, column 4)"),
        ('{"a": ["\\ude00\\ud83d"]}', "surrogate"),
        ('"\\ud800": 1', "surrogate"),
        ("a: x\t", "line 1"),
        ("[" * 101 + "]" * 101, "nested deeper"),
        ("[" * 5000, "nested deeper"),
        ("\n".join(" " * n + "a:" for n in range(120)), "nested deeper"),
        ("- " * 500 + "a", "nested deeper"),
        ("a" * (4 * 1024 * 1024 + 1), "longer than"),
        ("*" + "a" * 1024 * 1024, "only texts of up to"),
    ],
)
def test_refuses(text: str, problem: str) -> None:
    with pytest.raises(safe_yaml.UnreadableYaml) as caught:
        safe_yaml.load(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        ("max_length", "a: 1234567"),
        ("max_length_of_odd_yaml", "a: *234567"),
        ("max_long_keys", "".join(f"{10**17 + n}: 1\n" for n in range(9))),
    ],
)
def test_its_limits_are_options(limit: str, text: str) -> None:
    refusing = safe_yaml.YamlLimits()._replace(**{limit: 8})
    with pytest.raises(safe_yaml.UnreadableYaml, match=rf"\[definitions\] {limit} = 8"):
        safe_yaml.load(text, refusing)
    for number in (9 + len(text), -1):
        assert safe_yaml.load(text, safe_yaml.YamlLimits()._replace(**{limit: number}))


def test_nothing_expands() -> None:
    text = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]"
    assert safe_yaml.load(text) == {"a": "&a [x, x]", "b": "&b [*a, *a]", "c": ["*b", "*b"]}


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ("a: 1", True),
        ("a: x * y", True),
        ("a: '*x'", True),
        ("a: why?", True),
        ("{a: why?}", False),
        ("[a, why?]", False),
        ("a: *x", False),
        ("a: &x 1", False),
        ("&x a: 1", False),
        ("a: &x [1]", False),
        ("a: @x", False),
        ("a:\t1", False),
        ("a: !", False),
        ("a: |#\n b", False),
    ],
)
def test_the_fast_reader_gets_only_what_it_reads_alike(text: str, alike: bool) -> None:
    assert safe_yaml.reads_alike(text) is alike


PIECES = [
    *("a", "b: ", "- ", "-", "? ", "?", ": ", ":", "\n", "\n  ", "\n    ", "{", "}", "[", "]"),
    *(", ", ",", "'", '"', "#", " #c", "|", "|-", ">", "|2", "!", "!!str ", "!!int ", "!x ", "%"),
    *("---", "...", "\n---\n", " ", "  ", "1", "true", "~", "<%", "%>", "{{", "}}", "=", "<<: "),
    *("\\", "é", "\u2028", "\x85", "\ufeff", "\U0001f600", "\t", "\r", "\r\n", "http://x", "a?b"),
    *("&x ", "*x", "@h", "&", "*", "@", "`", "2020-01-01", "{a: b?c}", "[x? y]", "012", "1:30"),
]


def _read(loader: object, text: str) -> object:
    try:
        return repr(safe_yaml._ask(loader, text, "get_single_data", safe_yaml.YamlLimits()))
    except yaml.YAMLError:
        return "error"


@pytest.mark.parametrize("seed", range(4))
def test_both_readers_give_the_same(seed: int) -> None:
    rng = random.Random(seed)
    compared = 0
    for _ in range(1500):
        text = "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 10)))
        slow = _read(safe_yaml._PythonLoader, text)
        if safe_yaml.reads_alike(text):
            fast = _read(safe_yaml._FastLoader, text)
            assert fast in (slow, "error"), text  # errors are read again
            compared += fast != "error"
    assert compared > 100


@pytest.mark.parametrize(("text", "data"), SAMPLES)
def test_samples_are_the_same_for_the_python_reader(text: str, data: object) -> None:
    assert (
        safe_yaml._ask(safe_yaml._PythonLoader, text, "get_single_data", safe_yaml.YamlLimits())
        == data
    )


def test_hostile_texts_take_no_time() -> None:
    started = time.process_time()
    for text in ("[" * 900_000, "{a: " * 200_000, "- " * 400_000, "a: " + "1:" * 400_000):
        with pytest.raises(safe_yaml.UnreadableYaml):
            safe_yaml.load(text)
    assert time.process_time() - started < 5


def test_what_is_written_can_be_read() -> None:
    wide = [{"a": [1, {"b": []}]}] * 500
    assert safe_yaml.load(safe_yaml.dump(wide)) == wide
    assert safe_yaml.load(safe_yaml.dump([*wide, "*"])) == [*wide, "*"]
    assert safe_yaml.dump({"k": ["v"]}) == "k:\n- v\n"


def test_a_problem_knows_its_place() -> None:
    with pytest.raises(safe_yaml.UnreadableYaml) as caught:
        safe_yaml.load("a: 1\nb: c: d")
    assert caught.value.place == (2, 5)
