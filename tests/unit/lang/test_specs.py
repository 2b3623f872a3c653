"""What specifications say: effective tasks, graphs, texts for the outside."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from mistral.expressions import Expressions
from mistral.lang import (
    Clause,
    InputParam,
    PoliciesSpec,
    PublishSpec,
    RetrySpec,
    Target,
    WorkflowSpec,
    action_spec_from_raw,
    interface,
    parse_action_list,
    parse_workbook,
    parse_workflow_list,
    render_input,
    spec_from_raw,
)

Parse = Callable[[str], WorkflowSpec]


def _targets(*names: str) -> Clause:
    return Clause(tuple(Target(name) for name in names))


def test_a_workflow(workflow: Parse) -> None:
    spec = workflow(
        """
        description: d
        tags: [x, y]
        input: [a, b: 1, c: null]
        vars: {v: 1}
        output: {o: <% $.v %>}
        output-on-error: {e: 2}
        tasks: {t: {tags: [z]}}
        """
    )
    assert (spec.name, spec.type, spec.description, spec.tags) == ("wf", "direct", "d", ("x", "y"))
    assert spec.input == (
        InputParam("a"),
        InputParam("b", True, 1),
        InputParam("c", True, None),
    )
    assert (spec.vars, spec.output, spec.output_on_error) == (
        {"v": 1},
        {"o": "<% $.v %>"},
        {"e": 2},
    )
    task = spec.tasks["t"]
    assert (task.action, task.workflow, task.input, task.join) == (None, None, None, None)
    assert (task.keep_result, task.safe_rerun, task.policies) == (True, False, PoliciesSpec())
    assert task.raw == {"tags": ["z"], "name": "t", "type": "direct"}
    assert (spec.raw["name"], spec.raw["version"]) == ("wf", "2.0")


def test_a_task(tasks: Parse) -> None:
    task = tasks(
        """
        t:
          name: ignored
          workflow: sub x=1 y="<% $.y %>"
          input: {z: 2}
          with-items: [i in <% $.is %>, 'j in [1, "b"]']
          target: group
          keep-result: false
          safe-rerun: <% true %>
          retry: count=3 delay=<% 1 %> break-on=<% $.b %>
          timeout: 5
          pause-before: false
          rollback: undo what="<% $.x %>"
          on-success: b
        b: {join: one}
        """
    ).tasks["t"]
    assert (task.name, task.workflow, task.action) == ("t", "sub", None)
    assert (task.params, task.input) == ({"x": 1, "y": "<% $.y %>"}, {"z": 2})
    assert task.with_items == (("i", "<% $.is %>"), ("j", [1, "b"]))
    assert (task.target, task.keep_result, task.safe_rerun) == ("group", False, "<% true %>")
    assert task.policies == PoliciesSpec(
        retry=RetrySpec(3, "<% 1 %>", "<% $.b %>", None), timeout=5
    )
    assert (task.rollback, task.rollback_params) == ("undo", {"what": "<% $.x %>"})


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("b", _targets("b")),
        ("[b, fail]", _targets("b", "fail")),
        ("{b: <% 1 %>}", Clause((Target("b", "<% 1 %>"),))),
        ("[noop, b: <% 1 %>]", Clause((Target("noop"), Target("b", "<% 1 %>")))),
        ("fail msg=<% $.m %>", Clause((Target("fail", None, {"msg": "<% $.m %>"}),))),
        ("[fail(msg='x'): <% 1 %>]", Clause((Target("fail", "<% 1 %>", {"msg": "x"}),))),
        ("{next: b}", _targets("b")),
        ("{next: {b: <% 1 %>}}", Clause((Target("b", "<% 1 %>"),))),
        ("{next: [b, noop]}", _targets("b", "noop")),
        ("{publish: {branch: {x: 1}}}", Clause((), PublishSpec({"x": 1}))),
        (
            "{publish: {global: {y: 2}, atomic: {z: 3}}, next: b}",
            Clause((Target("b"),), PublishSpec({}, {"y": 2}, {"z": 3})),
        ),
    ],
)
@pytest.mark.parametrize("event", ["on-success", "on-error", "on-complete", "on-skip"])
def test_clauses(event: str, clause: str, expected: Clause, tasks: Parse) -> None:
    task = tasks(f"a: {{{event}: {clause}}}\nb: {{tags: [x]}}").tasks["a"]
    assert getattr(task, event.replace("-", "_")) == expected
    assert task.clauses == (expected,)


@pytest.mark.parametrize(("join", "expected"), [("all", "all"), ("one", 1), (1, 1), (0, None)])
def test_joins(join: object, expected: object, tasks: Parse) -> None:
    assert tasks(f"a: {{on-success: b}}\nb: {{join: {join}}}").tasks["b"].join == expected


def test_task_defaults(workflow: Parse) -> None:
    spec = workflow(
        """
        task-defaults:
          retry: {count: 1, delay: 2}
          wait-before: 3
          timeout: 4
          safe-rerun: true
          fail-on: <% $.f %>
          on-error: [handler, fail]
          on-success: {next: last, publish: {branch: {x: 1}}}
        tasks:
          plain: {action: a}
          own:
            wait-before: 5
            timeout: 0
            fail-on: false
            safe-rerun: false
            on-error: {publish: {branch: {y: 1}}}
            on-success: noop
          handler: {action: a}
          last: {action: a}
        """
    )
    plain, own = spec.tasks["plain"], spec.tasks["own"]
    retry = RetrySpec(1, 2)
    assert plain.policies == PoliciesSpec(retry, wait_before=3, timeout=4, fail_on="<% $.f %>")
    assert own.policies == PoliciesSpec(retry, wait_before=5, timeout=4, fail_on="<% $.f %>")
    assert (plain.safe_rerun, own.safe_rerun) == (True, False)
    assert plain.on_error == _targets("handler", "fail")
    assert plain.on_success == _targets("last")  # without what the default publishes
    assert own.on_error == Clause((), PublishSpec({"y": 1}))
    assert own.on_success == _targets("noop")
    assert spec.tasks["handler"].on_error == _targets("fail")
    assert spec.tasks["last"].on_success is None
    assert spec.start_tasks == ("plain", "own")
    assert spec.inbound("handler") == ("plain", "last")
    assert spec.inbound("last") == ("plain", "handler")


def test_a_zero_policy_without_default_is_none(tasks: Parse) -> None:
    text = "a: {wait-before: 0, concurrency: 0, pause-before: false, timeout: 0}"
    assert tasks(text).tasks["a"].policies == PoliciesSpec()


def test_graph(tasks: Parse) -> None:
    spec = tasks(
        """
        a: {on-success: [b, c, fail], on-error: b}
        b: {on-complete: j}
        c: {on-success: {next: [j: <% $.x %>]}, on-skip: c}
        j: {join: all, on-success: k}
        k: {join: 1, on-success: d}
        d: {tags: [x]}
        e: {tags: [x]}
        """
    )
    assert spec.start_tasks == ("a", "e")
    assert spec.outbound("a") == ("b", "c")
    assert spec.inbound("b") == ("a",)
    assert spec.inbound("j") == ("b", "c")
    assert spec.inbound("c") == ("a", "c")
    assert spec.outbound("d") == spec.outbound("unknown") == ()
    assert spec.joins_reachable_from("a") == ("j", "k")
    assert spec.joins_reachable_from("j") == ("k",)
    assert spec.joins_reachable_from("k") == spec.joins_reachable_from("e") == ()


def test_a_join_in_a_loop_reaches_itself(tasks: Parse) -> None:
    spec = tasks("a: {on-success: j}\nj: {join: one, on-success: b}\nb: {on-success: j}")
    assert spec.joins_reachable_from("j") == ("j",)


def test_a_reverse_workflow(workflow: Parse) -> None:
    spec = workflow(
        """
        type: reverse
        task-defaults: {requires: [p], on-error: fail}
        tasks:
          p: {action: x}
          a: {action: x, requires: p}
          b: {action: x, requires: [a, p]}
        """
    )
    assert [spec.tasks[name].requires for name in "pab"] == [(), ("p",), ("a", "p")]
    assert spec.tasks["a"].on_error is None
    assert spec.start_tasks == ("p",)
    assert spec.inbound("b") == ("a", "p")
    assert spec.outbound("p") == ("a", "b")


def test_raw_gives_the_same_again(workflow: Parse) -> None:
    spec = workflow(
        """
        input: [a: {1: x, true: y}]
        task-defaults: {on-error: fail, requires: t}
        vars: {2: [{null: z}], day: 2020-01-01}
        tasks:
          t: {action: x a=1, with-items: 'i in [1]', retry: count=1 delay=2, on-success: b}
          b: {join: one}
        """
    )
    assert spec.vars == {"2": [{"null": "z"}], "day": "2020-01-01"}
    stored = json.loads(json.dumps(spec.raw))
    again = spec_from_raw(spec.name, stored)
    assert again.raw == spec.raw
    assert again.tasks == spec.tasks
    assert (again.input, again.vars) == (spec.input, spec.vars)
    assert spec_from_raw("wf", {"tasks": {"a": {"action": "b"}}}).start_tasks == ("a",)


ACTIONS = """version: 2.0
one:
  description: d
  tags: [t]
  base: std.echo output="<% $.x %>"
  base-input: {a: 1}
  input: [x, y: 5, z: "ü", w: {k: [null]}]
  output: {r: <% $ %>}
two: {base: one, output: null}
"""


def test_actions(expressions: Expressions) -> None:
    one, two = parse_action_list(ACTIONS, expressions)
    assert (one.name, one.base, one.base_params) == ("one", "std.echo", {"output": "<% $.x %>"})
    assert (one.base_input, one.output) == ({"a": 1}, {"r": "<% $ %>"})
    assert (one.description, one.tags, one.text) == ("d", ("t",), ACTIONS)
    assert (two.output, two.text) == (None, ACTIONS)
    assert render_input(one) == 'x, y=5, z="ü", w={"k": [null]}'
    assert render_input(two) == ""
    again = action_spec_from_raw("one", json.loads(json.dumps(one.raw)))
    assert (again.base, again.base_params, again.input) == (one.base, one.base_params, one.input)


def test_input_and_interface(workflow: Parse) -> None:
    spec = workflow("input: [a, b: 3, c: null]\noutput: {x: 1, y: 2}\ntasks: {t: {action: a}}")
    assert render_input(spec) == 'a, b="3", c="None"'
    assert interface(spec) == {"input": ["a", {"b": 3}, {"c": None}], "output": ["x", "y"]}
    bare = workflow("tasks: {t: {action: a}}")
    assert (render_input(bare), interface(bare)) == ("", {"input": [], "output": []})


def test_one_workflow_keeps_its_text(expressions: Expressions) -> None:
    text = "# comment\nversion: '2.0'\nwf: {tasks: {a: {action: b}}}\n"
    assert parse_workflow_list(text, expressions)[0].text == text


def test_several_workflows_have_excerpts(expressions: Expressions) -> None:
    text = """version: '2.0'
zwei:
  vars: {a: &x 1, b: *y, c: @z, d: 2020-01-01, e: "ü \U0001f600", f: "1", 7: [yes, ~, 1.5]}
  tasks: {b: {action: x}, a: {action: "y z=<% $.a + LONG1 %>"}}
eins: {tasks: {a: {input: {text: "two\\nlines "}}}}
""".replace("LONG", "1 + " * 60)
    first, second = parse_workflow_list(text, expressions)
    assert first.text.startswith("version: '2.0'\nzwei:\n  vars:\n")
    assert "eins" not in first.text and "zwei" not in second.text
    for spec in (first, second):
        again = parse_workflow_list(spec.text, expressions)[0]
        assert again.raw == spec.raw
        assert list(again.tasks) == list(spec.tasks)


WORKBOOK = """---
version: '2.0'
name: wb
description: all of it
tags: [a]

workflows:
  # before one
  one:   # beside one
    type: reverse
    tasks:
      a:
        action: std.echo output=1
        # inside one
        input: {x: |-
          flow}
      # end of one

  # before two
  two:
    tasks:
      b:
        action: act
        description: |
          text

          # not a comment

  version: '2.0'

actions:
    act:
        base: std.noop
    'quoted': {base: std.noop,
      output: 1}
# the end
"""


def test_a_workbook(expressions: Expressions) -> None:
    text = WORKBOOK.replace("{x: |-\n          flow}", "{x: [1,\n       2]}")
    book = parse_workbook(text, expressions)
    assert (book.name, book.description, book.tags, book.text) == ("wb", "all of it", ("a",), text)
    assert [spec.name for spec in book.workflows] == ["wb.one", "wb.two"]
    assert [spec.name for spec in book.actions] == ["wb.act", "wb.quoted"]
    one, two = book.workflows
    assert one.type == "reverse"
    assert one.text == (
        "one:   # beside one\n  type: reverse\n  tasks:\n    a:\n"
        "      action: std.echo output=1\n      # inside one\n      input: {x: [1,\n     2]}\n"
        "    # end of one\n"
    )
    assert two.text == (
        "two:\n  tasks:\n    b:\n      action: act\n      description: |\n        text\n\n"
        "        # not a comment\n"
    )
    assert [spec.text for spec in book.actions] == [
        "act:\n    base: std.noop\n",
        "'quoted': {base: std.noop,\n  output: 1}\n",
    ]
    for spec in book.workflows:
        again = parse_workflow_list(f"version: '2.0'\n{spec.text}", expressions)[0]
        assert again.tasks == spec.tasks


@pytest.mark.parametrize(
    "text",
    [
        "{version: 2.0, name: wb, workflows: {w: {tasks: {a: {action: b}}}}}",
        "version: 2.0\nname: wb\nworkflows:\n  ? w\n  : tasks: {a: {action: b}}\n",
        "version: 2.0\r\nname: wb\r\nworkflows:\r\n  w:\r\n    tasks: {a: {action: b}}",
        "version: 2.0\nname: wb\ndescription: '\u2028'\nworkflows: \n w: {tasks: {a: {action: b}}}",
        "version: 2.0\nname: wb\ndescription: &x\nworkflows: \n w: {tasks: {a: {action: b}}}",
    ],
)
def test_members_of_unusual_workbooks(text: str, expressions: Expressions) -> None:
    spec = parse_workbook(text, expressions).workflows[0]
    again = parse_workflow_list(f"version: '2.0'\n{spec.text}", expressions)[0]
    assert (again.name, again.tasks) == ("w", spec.tasks)


def test_a_workbook_may_have_no_members(expressions: Expressions) -> None:
    assert parse_workbook("version: 2.0\nname: wb", expressions).workflows == ()
