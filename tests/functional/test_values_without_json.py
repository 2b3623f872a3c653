"""What an expression yields and JSON can't hold is an error of that expression, at once."""

from __future__ import annotations

import json
import time

import pytest

from tests.lib.flows import FINISHED, Execution, Flows

NINES = "9" * 400

#: an infinity, no number, an integer too long, too deep, no JSON at all; half a character and NUL
VALUES = {
    "yaql infinity": f"{NINES}.0",
    "yaql no number": f"{NINES}.0 - {NINES}.0",
    "yaql long": "pow(10, 5000)",
    "yaql deep": "range(300).aggregate([$1], [])",
    "yaql deep dict": "range(300).aggregate({a => $1}, {})",
    "yaql key": "{[1] => 2}",
    "yaql object": "regex(a)",
    "yaql in list": f"[1, {{a => {NINES}.0}}]",
    "yaql surrogate": "'\\ud800'",
    "yaql nul": "'a\\u0000b'",
    "jinja infinity": "1e400",
    "jinja infinite product": "1e308 * 10",
    "jinja no number": "1e308 * 10 - 1e308 * 10",
    "jinja long": "10 ** 5000",
    "jinja key": "{(1, 2): 3}",
    "jinja object": "range",
    "jinja in list": "[1, {'a': 1e308 * 10}]",
    "jinja surrogate": "'\\ud800'",
    "jinja nul": "'a\\u0000b'",
}
STORABLE = ("surrogate", "nul")

#: an error there leaves the cause of the failure that came before
ON_ERROR = ("output-on-error",)
PLACES = {
    "vars": "main: {vars: {x: X}, tasks: {a: {action: std.noop}}}",
    "input": "main: {tasks: {a: {action: std.echo, input: {output: X}}}}",
    "nested input": "main: {tasks: {a: {action: std.echo, input: {output: [{a: X}]}}}}",
    "with-items": "main: {tasks: {a: {with-items: i in X, action: std.noop}}}",
    "item": "main: {tasks: {a: {with-items: 'i in [1]', action: std.echo, input: {output: X}}}}",
    "publish": "main: {tasks: {a: {action: std.noop, publish: {x: X}}}}",
    "global": "main: {tasks: {a: {on-success: {publish: {global: {x: X}}}}}}",
    "publish-on-error": "main: {tasks: {a: {action: std.fail, publish-on-error: {x: X}}}}",
    "condition": "main: {tasks: {a: {on-success: [b: X]}, b: {action: std.noop}}}",
    "wait": "main: {tasks: {a: {wait-before: X}}}",
    "timeout": "main: {tasks: {a: {timeout: X}}}",
    "concurrency": "main: {tasks: {a: {concurrency: X, with-items: 'i in [1]'}}}",
    "retry": "main: {tasks: {a: {action: std.fail, retry: {count: X, delay: 1}}}}",
    "break-on": "main: {tasks: {a: {action: std.fail, retry: {count: 1, delay: 1, break-on: X}}}}",
    "fail-on": "main: {tasks: {a: {fail-on: X}}}",
    "pause-before": "main: {tasks: {a: {pause-before: X}}}",
    "output": "main: {output: {x: X}, tasks: {a: {action: std.noop}}}",
    "output-on-error": "main: {output-on-error: {x: X}, tasks: {a: {action: std.fail}}}",
    "action": "main: {tasks: {a: {action: X}}}",
    "workflow": "main: {tasks: {a: {workflow: X}}}",
    "target": "main: {tasks: {a: {action: std.noop, target: X}}}",
    "message": "main: {tasks: {a: {on-success: [fail msg=X]}}}",
    "later": "main: {tasks: {a: {on-success: b}, b: {action: std.echo, input: {output: X}}}}",
    "sub-workflow": """
      main: {tasks: {a: {workflow: sub, input: {v: X}}}}
      sub: {input: [v], tasks: {b: {action: std.noop}}}""",
    "vars of a sub-workflow": """
      main: {tasks: {a: {workflow: sub}}}
      sub: {vars: {x: X}, tasks: {b: {action: std.noop}}}""",
    "ad-hoc input": "main: {tasks: {a: {action: in_x}}}",
    "ad-hoc output": "main: {tasks: {a: {action: out_x}}}",
}
ACTIONS = """
in_x: {base: std.echo, base-input: {output: X}}
out_x: {base: std.noop, output: X}
"""
#: what works for the time being ends at once; a failed event was tried again for a minute
PATIENCE = 10


def _filled(text: str, name: str) -> str:
    language, source = name.split(" ")[0], VALUES[name]
    expression = f"<% {source} %>" if language == "yaql" else f"{{{{ {source} }}}}"
    for before in ("i in ", "fail msg=", ""):
        text = text.replace(f"{before}X", json.dumps(before + expression))
    return text


@pytest.mark.parametrize("name", VALUES)
def test_in_every_place(flows: Flows, name: str) -> None:
    flows.define(_filled(ACTIONS, name), "actions")
    running = {}
    for number, (place, text) in enumerate(PLACES.items()):
        named = text.replace("main:", f"main{number}:").replace("sub", f"sub{number}")
        flows.define(_filled(named, name))
        body = {"workflow_name": f"main{number}", "workflow_namespace": flows.namespace}
        status, answer = flows.request("POST", "/executions", body)
        assert status in (201, 400), (place, answer)
        if status == 201:
            running[place] = Execution(flows, answer["id"])
        else:
            assert place == "vars", answer
            assert "evaluate" in answer["faultstring"], answer
    deadline = time.monotonic() + PATIENCE
    for place, execution in running.items():
        left = max(deadline - time.monotonic(), 1)
        execution.until(lambda e=execution: e.state in FINISHED, f"{place} has ended", left)
        if not name.endswith(STORABLE):
            assert (place, execution.state) == (place, "ERROR")
            wanted = "expression" if place not in ON_ERROR else ""
            assert wanted in execution.info, (place, execution.info)


@pytest.mark.parametrize("deeper", ["'<% [$.x] %>'", "'{{ [_.x] }}'", "[[[[[[<% $.x %>]]]]]]"])
def test_a_variable_that_each_pass_of_a_loop_nests_deeper(flows: Flows, deeper: str) -> None:
    """The structure may stand around the expression as well as in it."""
    execution = flows.launch(
        f"""
        main:
          vars: {{x: 1, n: 0}}
          tasks:
            start: {{on-success: a}}
            a:
              publish: {{x: {deeper}, n: <% $.n + 1 %>}}
              on-success: [b: <% $.n < 250 %>]
            b: {{on-success: a}}
        """
    )
    execution.wait("ERROR", 60)
    assert "nested deeper than 200 levels" in execution.info
    assert "task=a" in execution.info
