"""The limit of memory: a process of its own each time, for a limit can't be taken back."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from mistral.exceptions import ConfigurationError, EvaluationException
from mistral.expressions import ExpressionOptions, Expressions
from mistral.service import memory

class Facts: pass
from mistral.expressions import DataContext
expressions = Expressions.from_plugins(ExpressionOptions(memory_quota=-1, limit_iterators=-1))
if sys.argv[1] == "refused":
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
try:
    memory.limit(int(sys.argv[2]))
    value = expressions.evaluate(sys.argv[3], DataContext(data={}, facts=Facts()))
    print("value", len(value))
    print("after", expressions.evaluate("<% 1 + 1 %>", DataContext(data={}, facts=Facts())))
except ConfigurationError as error:
    print("configuration", error)
except EvaluationException as error:
    print("evaluation", error)
    print("after", expressions.evaluate("<% 1 + 1 %>", DataContext(data={}, facts=Facts())))
"""


def _run(kind: str, megabytes: int, expression: str = "<% 'x' * 700000000 %>") -> str:
    command = [sys.executable, "-c", PROGRAM, kind, str(megabytes), expression]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()


@pytest.mark.parametrize("expression", ["<% 'x' * 700000000 %>", "{{ 'x' * 700000000 }}"])
def test_an_expression_that_takes_too_much_is_an_evaluation_error(expression: str) -> None:
    told = _run("limited", 500, expression)
    assert told.startswith("evaluation Can not evaluate")
    assert "needs too much memory" in told
    assert told.endswith("after 2")


def test_what_fits_is_not_affected() -> None:
    assert _run("limited", 500, "<% 'x' * 1000 %>") == "value 1000\nafter 2"
    assert _run("unlimited", 0, "<% 'x' * 1000 %>") == "value 1000\nafter 2"


def test_a_limit_beyond_that_of_the_system_is_refused() -> None:
    told = _run("refused", 2000)
    assert told == "configuration [engine] memory_limit_mb = 2000: the system allows at most 1024."
