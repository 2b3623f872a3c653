"""Expressions of both languages made by their grammars, with literals that hurt.

One number gives one expression, always the same. :class:`Watch` tells what an evaluation cost:
time, memory, and how long no other thread could run.
"""

from __future__ import annotations

import dataclasses
import random
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

_BEAT = 0.005

NUMBERS = (
    "0",
    "1",
    "-1",
    "2",
    "3",
    "7",
    "64",
    "1000",
    "65536",
    "1000000",
    "1000000000",
    "9223372036854775808",
    "1" + "0" * 300,
    "0.5",
    "-0.0",
    "1.5",
    "9" * 308 + ".0",
    "9" * 400 + ".0",
)
TEXTS = (
    "''",
    "'a'",
    "'b'",
    "' '",
    "'%s'",
    "'{0}'",
    "'%99999999d'",
    "'{0:9999999}'",
    "'a,b,c'",
    "'<b>'",
    "'-'",
    "'é'",
    "'ß'",
    "'9'",
    "'inf'",
    "'nan'",
    "'0x1f'",
    "'[1, {}]'",
    "'- a: [b]'",
    "'\\u0000'",
    "'\\ud800'",
    "'http://a.b/c?d=e'",
    "'" + "x" * 500 + "'",
)
PATTERNS = (
    "'(a+)+$'",
    "'a*'",
    "'(a|a)*b'",
    "''",
    "'(.*)(.*)(.*)x'",
    "'(?:a?){200}b'",
    "'b.*c|b'",
    "'(?=a)'",
    "'[[a'",
    "'\\\\w+$'",
    "'((a*)*)*'",
)

YAQL_ATOMS = (
    "$",
    "$.text",
    "$.rows",
    "$.numbers",
    "$.deep",
    "$.map",
    "$.names",
    "$.long",
    "$.none",
    "$.words",
    "$__env",
    "null",
    "true",
    "[]",
    "{}",
    "sequence()",
    "task(t1).result",
)
YAQL_FORMS = (
    "({0} + {1})",
    "({0} - {1})",
    "({0} * {1})",
    "({0} / {1})",
    "({0} mod {1})",
    "({0} = {1})",
    "({0} < {1})",
    "({0} >= {1})",
    "({0} in {1})",
    "({0} and {1})",
    "({0} or {1})",
    "(not {0})",
    "(-{0})",
    "[{0}, {1}]",
    "[{0}] * {1}",
    "{{a => {0}, b => {1}}}",
    "dict([[{0}, {1}]])",
    "pow({0}, {1})",
    "pow({0}, {1}, {2})",
    "shiftBitsLeft({0}, {1})",
    "shiftBitsRight({0}, {1})",
    "bitwiseXor({0}, {1})",
    "abs({0})",
    "round({0}, {1})",
    "int({0})",
    "float({0})",
    "str({0})",
    "bool({0})",
    "hex({0})",
    "random({0}, {1})",
    "max({0}, {1})",
    "range({0})",
    "range({0}, {1}, {2})",
    "range(1000000)",
    "repeat({0})",
    "repeat({0}, {1})",
    "{0}.cycle()",
    "{0}.join({1})",
    "{0}.join({1}, $1 = $2, [$1, $2])",
    "{0}.join({1}, false, 1)",
    "{0}.len()",
    "len({0})",
    "{0}.toList()",
    "{0}.toSet()",
    "set({0}, {1})",
    "list({0}, {1})",
    "{0}.flatten()",
    "{0}.sum()",
    "{0}.sum({1})",
    "{0}.max()",
    "{0}.min()",
    "{0}.first()",
    "{0}.last()",
    "{0}.single()",
    "{0}.select({1})",
    "{0}.select([$, $])",
    "{0}.select($ * {1})",
    "{0}.where({1})",
    "{0}.where($ > {1})",
    "{0}.selectMany({1})",
    "{0}.orderBy({1})",
    "{0}.orderByDescending($)",
    "{0}.groupBy({1})",
    "{0}.groupBy($, [$, $])",
    "{0}.toDict($)",
    "{0}.toDict({1}, {2})",
    "{0}.zip({1})",
    "{0}.zipLongest({1})",
    "{0}.distinct()",
    "{0}.enumerate()",
    "{0}.reverse()",
    "{0}.aggregate($1 + $2)",
    "{0}.aggregate($1 * $2, {1})",
    "{0}.aggregate([$1, $1], {1})",
    "{0}.accumulate($1 + $2)",
    "{0}.takeWhile({1})",
    "{0}.skipWhile({1})",
    "{0}.skip({1})",
    "{0}.limit({1})",
    "{0}.slice({1})",
    "{0}.splitWhere({1})",
    "{0}.sliceWhere({1})",
    "{0}.splitAt({1})",
    "{0}.indexOf({1})",
    "{0}.lastIndexOf({1})",
    "{0}.any({1})",
    "{0}.all({1})",
    "{0}.append({1}, {2})",
    "{0}.concat({1})",
    "{0}.memorize()",
    "{0}.defaultIfEmpty({1})",
    "{0}.insert({1}, {2})",
    "{0}.insertMany({1}, {2})",
    "{0}.delete({1}, {2})",
    "{0}.replace({1}, {2})",
    "{0}.replaceMany({1}, {2})",
    "{0}.mergeWith({1})",
    "{0}.set({1}, {2})",
    "{0}.keys()",
    "{0}.values()",
    "{0}.items()",
    "{0}.get({1}, {2})",
    "{0}.containsKey({1})",
    "{0}.containsValue({1})",
    "{0}.contains({1})",
    "{0}.union({1})",
    "{0}.toUpper()",
    "{0}.toLower()",
    "{0}.trim({1})",
    "{0}.trimLeft({1})",
    "{0}.norm({1})",
    "{0}.isEmpty({1})",
    "{0}.split({1})",
    "{0}.rightSplit({1})",
    "{0}.split({1}, {2})",
    "{0}.substring({1}, {2})",
    "{0}.toCharArray()",
    "{0}.startsWith({1})",
    "{0}.replace({{a => {1}}})",
    "concat({0}, {1}, {2})",
    "{0}.unpack() -> $1",
    "let({0}, a => {1}) -> [$1, $a, $a, $a]",
    "let(a => {0}) -> $a + $a + $a",
    "let(a => {0}) -> let(a => [$a, $a]) -> let(a => [$a, $a]) -> str($a)",
    "with({0}) -> $1",
    "def(f, [f($)]) -> f({0})",
    "def(f, f($) + f($)) -> f({0})",
    "switch({0} => {1}, true => {2})",
    "coalesce({0}, {1})",
    "{0}.switchCase({1}, {2})",
    "selectCase({0}, {1})",
    "examine({0}, {1})",
    "generate({0}, true, $ + {1})",
    "generateMany({0}, [$, $])",
    "generate({0}, true, [$, $])",
    "{0}?.a",
    "{0}.a",
    "{0}[{1}]",
    "call('#operator_*', [{0}, {1}], {{}})",
    "datetime({0})",
    "datetime({0}, {1})",
    "timespan(days => {0})",
    "timespan(days => {0}) * {1}",
    "json_parse({0})",
    "json_dump({0})",
    "yaml_parse({0})",
    "yaml_dump({0})",
    "regex({p}).matches({0})",
    "regex({p}).search({0}, {1})",
    "regex({p}).searchAll({0}).len()",
    "regex({p}).split({0}).len()",
    "regex({p}).replace({0}, {1})",
    "regex({p}).replaceBy({0}, {1})",
    "{0} =~ {p}",
    "{0} !~ {p}",
    "{0}.matches({p})",
    "{0}.assert({1})",
    "isList({0})",
    "range(100000).select({0})",
    "range(1000).select(range(1000).toList())",
    "({0}) * 1000000",
    "'x' * {0}",
)
JINJA_ATOMS = (
    "_",
    "_.text",
    "_.rows",
    "_.numbers",
    "_.deep",
    "_.map",
    "_.names",
    "_.long",
    "_.none",
    "_.words",
    "__env",
    "none",
    "true",
    "[]",
    "{}",
    "range(100000)",
    "1e308",
    "1e400",
)
JINJA_FILTERS = (
    "abs",
    "batch({1})",
    "batch({1}, {2})",
    "capitalize",
    "center({1})",
    "count",
    "default({1})",
    "dictsort",
    "dictsort(by='value')",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "format({1}, {2})",
    "groupby({1})",
    "groupby('x')",
    "indent({1})",
    "indent({1}, true)",
    "int",
    "int(0, {1})",
    "items",
    "join({1})",
    "join({1}, 'x')",
    "last",
    "length",
    "list",
    "lower",
    "map('upper')",
    "map('list') | list",
    "map(attribute='x')",
    "max",
    "min",
    "pprint",
    "random",
    "reject('odd') | list",
    "replace({1}, {2})",
    "reverse",
    "round({1})",
    "round({1}, 'ceil')",
    "safe",
    "select",
    "selectattr('x', 'gt', {1})",
    "slice({1})",
    "slice({1}, {2}) | list",
    "sort",
    "sort(attribute='x')",
    "string",
    "striptags",
    "sum",
    "sum(start={1})",
    "title",
    "tojson",
    "tojson({1})",
    "trim({1})",
    "truncate({1})",
    "unique | list",
    "upper",
    "urlencode",
    "urlize",
    "wordcount",
    "wordwrap({1})",
    "wordwrap({1}, true, {2})",
    "xmlattr",
    "json_parse",
    "attr('x')",
)
JINJA_FORMS = (
    "({0} + {1})",
    "({0} - {1})",
    "({0} * {1})",
    "({0} / {1})",
    "({0} // {1})",
    "({0} % {1})",
    "({0} ** {1})",
    "({0} ~ {1} ~ {2})",
    "({0} == {1})",
    "({0} < {1})",
    "({0} in {1})",
    "({0} and {1})",
    "({0} or {1})",
    "(not {0})",
    "(-{0})",
    "[{0}, {1}]",
    "({0}, {1})",
    "{{'a': {0}, 'b': {1}}}",
    "({0} if {1} else {2})",
    "{0}[{1}]",
    "{0}[{1}:{2}]",
    "{0}.x",
    "{0}.upper()",
    "{0}.center({1})",
    "{0}.replace({1}, {2})",
    "{0}.join({1})",
    "{0}.split({1})",
    "{0}.rsplit({1})",
    "{0}.format({1}, {2})",
    "{0}.strip({1})",
    "{0}.rfind({1})",
    "{0}.zfill({1})",
    "{0}.expandtabs({1})",
    "{0}.encode({1})",
    "{0}.translate({1})",
    "{0}.items()",
    "{0}.get({1})",
    "{0}.index({1})",
    "{0}.bit_length()",
    "{0}.to_bytes({1})",
    "{0}.fromkeys({1})",
    "dict(a={0})",
    "range({0}, {1})",
    "namespace(a={0}).a",
    "cycler({0}, {1}).next()",
    "json_dump({0})",
    "json_parse({0})",
    "yaml_dump({0})",
    "yaml_parse({0})",
    "({0} is divisibleby {1})",
    "({0} is sameas {1})",
    "({0} * 1000000)",
    "([{0}] * 100000)",
)
JINJA_TEXTS = (
    "{{{{ {0} }}}}",
    "{{{{ {0} }}}}",
    "{{{{ {0} }}}}",
    "x {{{{ {0} }}}} {{{{ {1} }}}}",
    "{{% for x in {0} %}}{{{{ x }}}}{{% endfor %}}",
    "{{% for x in {0} %}}{{% for y in {1} %}}{{{{ x ~ y }}}}{{% endfor %}}{{% endfor %}}",
    "{{% set a = {0} %}}{{% set a = [a, a] %}}{{% set a = [a, a] %}}{{{{ a ~ {1} }}}}",
    "{{% set ns = namespace(a={0}) %}}{{% for i in range(100) %}}{{% set ns.a = ns.a + ns.a %}}"
    "{{% endfor %}}{{{{ ns.a }}}}",
    "{{% set ns = namespace(a={0}) %}}{{% for i in range(100) %}}{{% set ns.a = [ns.a, ns.a] %}}"
    "{{% endfor %}}{{{{ ns.a }}}}",
    "{{% macro m(n) %}}{{{{ {0} }}}}{{{{ m(n) }}}}{{% endmacro %}}{{{{ m({1}) }}}}",
    "{{% set b %}}{{% for i in range(1000) %}}{{{{ {0} }}}}{{% endfor %}}{{% endset %}}{{{{ b }}}}",
    "{{% filter upper %}}{{{{ {0} }}}}{{% endfilter %}}",
    "{{% if {0} %}}{{{{ {1} }}}}{{% endif %}}",
)
_PLACE = re.compile(r"\{([012p])\}")


def expression(number: int) -> str:
    """The text with one or more expressions that belongs to a number."""
    chance = random.Random(number)
    if chance.random() < 0.5:
        return f"<% {_yaql(chance, chance.randint(1, 4))} %>"
    text = chance.choice(JINJA_TEXTS)
    return text.format(*(_jinja(chance, chance.randint(0, 3)) for _ in range(2)))


def _filled(form: str, chance: random.Random, part: Callable[[], str]) -> str:
    def put(found: re.Match[str]) -> str:
        return chance.choice(PATTERNS) if found.group(1) == "p" else part()

    return _PLACE.sub(put, form).replace("{{", "{").replace("}}", "}")


def _leaf(chance: random.Random, atoms: tuple[str, ...]) -> str:
    return chance.choice(chance.choice((atoms, atoms, NUMBERS, TEXTS)))


def _yaql(chance: random.Random, depth: int) -> str:
    if depth == 0 or chance.random() < 0.1:
        return _leaf(chance, YAQL_ATOMS)
    form = chance.choice(YAQL_FORMS)
    return _filled(form, chance, lambda: _yaql(chance, depth - 1))


def _jinja(chance: random.Random, depth: int) -> str:
    if depth == 0 or chance.random() < 0.1:
        return _leaf(chance, JINJA_ATOMS)
    if chance.random() < 0.5:
        form = f"({{0}} | {chance.choice(JINJA_FILTERS)})"
    else:
        form = chance.choice(JINJA_FORMS)
    return _filled(form, chance, lambda: _jinja(chance, depth - 1))


def data() -> dict[str, Any]:
    """What the expressions see: as much as an execution may hold."""
    deep: Any = 1
    for _ in range(150):
        deep = [deep]
    return {
        "text": "a" * 500_000 + "b",
        "words": "ab,cd ef-" * 50_000,
        "rows": [{"x": n, "a": "v", "tags": ["p", "q"]} for n in range(5000)],
        "numbers": list(range(50_000)),
        "names": [f"name{n}" for n in range(20_000)],
        "map": {f"k{n}": n for n in range(5000)},
        "deep": deep,
        "long": 7**1500,
        "none": None,
    }


@dataclasses.dataclass
class Cost:
    """What one evaluation took: seconds of computing, bytes, seconds without a heartbeat."""

    seconds: float = 0.0
    memory: int = 0
    stall: float = 0.0


class Watch:
    """Measures what is done within it; ``cost`` stands when it is left."""

    def __init__(self) -> None:
        self.cost = Cost()
        self._over = threading.Event()
        self._beats = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Watch:
        Path("/proc/self/clear_refs").write_text("5")
        self._memory = _status("VmRSS")
        self._beats.start()
        self._start = time.thread_time()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cost.seconds = time.thread_time() - self._start
        self._over.set()
        self._beats.join()
        self.cost.memory = _status("VmHWM") - self._memory

    def _beat(self) -> None:
        """A pause counts as far as this process computed in it: others may keep the processor."""
        last = time.process_time()
        while not self._over.wait(_BEAT):
            now = time.process_time()
            self.cost.stall = max(self.cost.stall, now - last)
            last = now
        self.cost.stall = max(self.cost.stall, time.process_time() - last)


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise LookupError(name)
