"""Which definitions are accepted, and how the others are refused."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable

import pytest

from mistral.exceptions import (
    DSLParsingException,
    ExpressionGrammarException,
    InvalidModelException,
)
from mistral.expressions import Expressions
from mistral.lang import (
    Callee,
    WorkflowSpec,
    advise,
    parse_action_list,
    parse_workbook,
    parse_workflow_list,
)

Parse = Callable[[str], WorkflowSpec]
LONG = "n" * 256


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "empty"),
        ("{}", "empty"),
        ("- a", "must be a mapping"),
        ("just text", "must be a mapping"),
        ("a: [", "YAML"),
        ("wf: {tasks: {a: {action: b}}}", "'version' is required"),
        (
            "version: '3.0'\nwf: {tasks: {a: {action: b}}}",
            "workflow list, attribute 'version': must be '2.0', not '3.0' (line 1)",
        ),
        ("version: true\nwf: {tasks: {a: {action: b}}}", "must be '2.0'"),
        ("version: [2.0]\nwf: {tasks: {a: {action: b}}}", "must be '2.0'"),
        ("version: '2.0'", "At least one item"),
        ("version: 2.0\nw f: {tasks: {a: {action: b}}}", "space"),
        ("version: 2.0\n1: {tasks: {a: {action: b}}}", "a name must be a text, not 1"),
        ("version: 2.0\nyes: {tasks: {a: {action: b}}}", "a name must be a text, not True"),
        ("version: 2.0\n'': {tasks: {a: {action: b}}}", "text"),
        (f"version: 2.0\n{LONG}: {{tasks: {{a: {{action: b}}}}}}", "255"),
        ("version: 2.0\n5a1d4a6e24fb4f539c0e4f1d8e1c6d5b: {tasks: {a: {action: b}}}", "UUID"),
        ("version: 2.0\nwf:", "workflow 'wf': must be a mapping (line 2)"),
        ("version: 2.0\nwf: []", "must be a mapping"),
    ],
)
def test_bad_documents(text: str, fragment: str, expressions: Expressions) -> None:
    with pytest.raises(InvalidModelException) as caught:
        parse_workflow_list(text, expressions)
    assert fragment in str(caught.value)


@pytest.mark.parametrize("version", ["2.0", "'2.0'", "2"])
def test_versions(version: str, expressions: Expressions) -> None:
    assert parse_workflow_list(
        f"version: {version}\nwf: {{tasks: {{a: {{tags: [b]}}}}}}", expressions
    )


@pytest.mark.parametrize(
    ("body", "fragment"),
    [
        ("type: direct", "'tasks' is required"),
        ("tasks:", "attribute 'tasks'"),
        ("tasks: []", "attribute 'tasks'"),
        ("type: other\ntasks: {a: {action: b}}", "'direct' or 'reverse'"),
        ("type: [direct]\ntasks: {a: {action: b}}", "'direct' or 'reverse'"),
        ("description: 1\ntasks: {a: {action: b}}", "attribute 'description'"),
        ("tags: []\ntasks: {a: {action: b}}", "attribute 'tags'"),
        ("tags: [a, a]\ntasks: {a: {action: b}}", "repeats 'a'"),
        ("tags: [1]\ntasks: {a: {action: b}}", "attribute 'tags[0]'"),
        ("input: a\ntasks: {a: {action: b}}", "must be a list"),
        ("input: [a, a]\ntasks: {a: {action: b}}", "repeats the name 'a'"),
        ("input: [a, {a: 1}]\ntasks: {a: {action: b}}", "repeats the name 'a'"),
        ("input: [{a: 1, b: 2}]\ntasks: {a: {action: b}}", "attribute 'input[0]'"),
        ("input: [1]\ntasks: {a: {action: b}}", "attribute 'input[0]'"),
        ("output: <% $ %>\ntasks: {a: {action: b}}", "attribute 'output'"),
        ("output: {}\ntasks: {a: {action: b}}", "attribute 'output'"),
        ("output: {x: <% $.( %>}\ntasks: {a: {action: b}}", "attribute 'output.x'"),
        ("output-on-error: []\ntasks: {a: {action: b}}", "attribute 'output-on-error'"),
        ("vars: []\ntasks: {a: {action: b}}", "attribute 'vars'"),
        ("vars: {x: '<% 1 %> {{ 2 }}'}\ntasks: {a: {action: b}}", "Mixing"),
        ("task-defaults: {}\ntasks: {a: {action: b}}", "attribute 'task-defaults'"),
        ("task-defaults: {publish: {a: 1}}\ntasks: {a: {action: b}}", "'publish'"),
        ("task-defaults: {wait-before: x}\ntasks: {a: {action: b}}", "task-defaults.wait-before"),
        ("task-defaults: {on-error: no}\ntasks: {a: {on-error: fail}}", "task-defaults.on-error"),
        ("task-defaults: {on-error: nope}\ntasks: {a: {on-error: fail}}", "'nope'"),
        ("task-defaults: {on-error: a}\ntasks: {a: {on-error: a}}", "start task"),
    ],
)
def test_bad_workflows(body: str, fragment: str, workflow: Parse) -> None:
    with pytest.raises(InvalidModelException) as caught:
        workflow(body)
    assert fragment in str(caught.value)
    assert "workflow 'wf'" in str(caught.value)


@pytest.mark.parametrize(
    ("attributes", "fragment"),
    [
        ("", "must be a mapping"),
        ("{}", "must be a mapping"),
        ("[a]", "must be a mapping"),
        ("{action: b, workflow: c}", "not both"),
        ("{acton: b}", "no attribute 'acton'"),
        ("{1: b}", "no attribute '1'"),
        ("{requires: b}", "no attribute 'requires'"),
        ("{version: 2.0}", "no attribute 'version'"),
        ("{action: }", "attribute 'action'"),
        ("{action: 1}", "attribute 'action'"),
        ("{action: '= a'}", "no name can be recognised"),
        ("{action: 'b x=<% $. %>'}", "YAQL"),
        ("{action: <% $. %>}", "YAQL"),
        ("{workflow: ''}", "attribute 'workflow'"),
        ("{rollback: 1}", "attribute 'rollback'"),
        ("{rollback: 'b x=<% ( %>'}", "attribute 'rollback.x'"),
        ("{description: ''}", "attribute 'description'"),
        ("{tags: x}", "attribute 'tags'"),
        ("{input: {}}", "attribute 'input'"),
        ("{input: []}", "attribute 'input'"),
        ("{input: 1}", "attribute 'input'"),
        ("{input: {x: '{{ ( }}'}}", "attribute 'input.x'"),
        ("{input: <% ( %>}", "attribute 'input'"),
        ("{input: {x: [1, {y: <% ( %>}]}}", "attribute 'input.x[1].y'"),
        ("{input: {x: {y: {z: '{{ ( }}'}}}}", "attribute 'input.x.y.z'"),
        ("{action: 'b x=[\"<% ( %>\"]'}", "attribute 'action.x[0]'"),
        ("{with-items: 'i in [[\"<% ( %>\"]]'}", "attribute 'with-items[0][0]'"),
        ("{publish: {x: [[<% ( %>]]}}", "attribute 'publish.x[0][0]'"),
        ("{publish: {short: <% $.x.substring(0, 2) %>}}", "quotes"),
        ("{publish: [<% $ %>, <% f(1, 2) %>]}", "must be a mapping"),
        ("{publish: {x: [<% f(1, 2) %>]}}", "attribute 'publish.x[0]': Unclosed expression"),
        ("{action: std.echo output=<% $.x}", "attribute 'action': Unclosed expression"),
        ("{on-error: ['fail(msg=<% $.x)']}", "attribute 'on-error[0]': Unclosed expression"),
        ("{on-error: ['fail(msg={{ _.x)']}", "attribute 'on-error[0]': Unclosed expression"),
        ("{retry: 'count=<% 1 delay=1'}", "attribute 'retry': Unclosed expression"),
        ("{with-items: 'i in {{ {{ }}'}", "attribute 'with-items': Syntax error in Jinja"),
        ("{wait-before: '{{ {{ }}'}", "attribute 'wait-before': Syntax error in Jinja"),
        ("{input: {x: '{{ a'}}", "no '}}' follows '{{'"),
        ("{input: {x: '{% if a }'}}", "no '%}' follows '{%'"),
        ('{input: {x: "<% 1\\n%>"}}', "in the same line"),
        ("{with-items: 1}", "attribute 'with-items'"),
        ("{with-items: []}", "attribute 'with-items'"),
        ("{with-items: i}", "variable in"),
        ("{with-items: i of <% $.x %>}", "variable in"),
        ("{with-items: i in x}", "after 'in'"),
        ("{with-items: 'i in [1, 2'}", "JSON"),
        ("{with-items: 'i in [a]'}", "JSON"),
        ("{with-items: i in <% ( %>}", "YAQL"),
        ("{with-items: i in <% $.x %> and more}", "after 'in'"),
        ("{with-items: [i in <% 1 %>, i in <% 1 %>]}", "repeats"),
        ("{with-items: [i in <% 1 %>, i in <% 2 %>]}", "twice"),
        ("{with-items: [1]}", "attribute 'with-items[0]'"),
        ("{publish: <% $ %>}", "attribute 'publish'"),
        ("{publish: {}}", "attribute 'publish'"),
        ("{publish-on-error: {x: <% ( %>}}", "attribute 'publish-on-error.x'"),
        ("{publish-on-skip: 1}", "attribute 'publish-on-skip'"),
        ("{retry: {}}", "'count' is required"),
        ("{retry: {count: 1}}", "'delay' is required"),
        ("{retry: {delay: 1}}", "'count' is required"),
        ("{retry: {count: -1, delay: 1}}", "attribute 'retry.count'"),
        ("{retry: {count: '3', delay: 1}}", "attribute 'retry.count'"),
        ("{retry: {count: true, delay: 1}}", "attribute 'retry.count'"),
        ("{retry: {count: 3, delay: 1.5}}", "attribute 'retry.delay'"),
        ("{retry: {count: 3, delay: 1, break-on: true}}", "attribute 'retry.break-on'"),
        ("{retry: {count: 3, delay: 1, continue-on: x}}", "attribute 'retry.continue-on'"),
        ("{retry: {count: 3, delay: 1, other: x}}", "no attribute 'other'"),
        ("{retry: count=3}", "'delay' is required"),
        ("{retry: count=-3 delay=1}", "'count' is required"),
        ("{retry: 3}", "attribute 'retry'"),
        ("{wait-before: -1}", "attribute 'wait-before'"),
        ("{wait-after: 315360001}", "ten years"),
        ("{timeout: 1000000000000000}", "ten years"),
        ("{retry: count=1 delay=1000000000000000}", "ten years"),
        ("{wait-after: '1'}", "attribute 'wait-after'"),
        ("{timeout: 1.5}", "attribute 'timeout'"),
        ("{timeout: 'x <% 1 %>'}", "attribute 'timeout'"),
        ("{concurrency: true}", "attribute 'concurrency'"),
        ("{concurrency: <% ( %>}", "YAQL"),
        ("{pause-before: 1}", "attribute 'pause-before'"),
        ("{fail-on: 'true'}", "attribute 'fail-on'"),
        ("{target: ''}", "attribute 'target'"),
        ("{target: <% ( %>}", "attribute 'target'"),
        ("{keep-result: 0}", "attribute 'keep-result'"),
        ("{safe-rerun: x}", "attribute 'safe-rerun'"),
        ("{join: some}", "attribute 'join'"),
        ("{join: '2'}", "attribute 'join'"),
        ("{join: -1}", "attribute 'join'"),
        ("{join: true}", "attribute 'join'"),
        ("{join: all}", "join needs at least 1"),
        ("{join: 2}", "join needs at least 2"),
        ("{on-success: }", "attribute 'on-success'"),
        ("{on-success: 1}", "attribute 'on-success'"),
        ("{on-success: []}", "attribute 'on-success'"),
        ("{on-success: {}}", "attribute 'on-success'"),
        ("{on-success: [fail, fail]}", "repeats"),
        ("{on-success: [{fail: <% 1 %>}, {fail: <% 1 %>}]}", "repeats"),
        ("{on-success: [{fail: <% 1 %>, noop: <% 1 %>}]}", "attribute 'on-success[0]'"),
        ("{on-success: [{fail: true}]}", "complete expression"),
        ("{on-success: [{fail: 'x <% 1 %>'}]}", "complete expression"),
        ("{on-success: {fail: yes}}", "complete expression"),
        ("{on-success: {then: b, also: c}}", "no attribute 'then'"),
        ("{on-success: {next: noop, then: b}}", "no attribute 'then'"),
        ("{on-success: {next: }}", "attribute 'on-success.next'"),
        ("{on-success: {publish: {x: 1}}}", "no attribute 'x'"),
        ("{on-success: {publish: {}}}", "attribute 'on-success.publish'"),
        ("{on-success: {publish: {branch: x}}}", "attribute 'on-success.publish.branch'"),
        ("{on-error: {publish: {global: {x: <% ( %>}}}}", "on-error.publish.global.x"),
        ("{on-skip: nope}", "'nope' is neither"),
        ("{on-complete: [noop, nope]}", "'nope' is neither"),
        ("{on-error: {next: [nope: <% 1 %>]}}", "'nope' is neither"),
        ("{on-error: <% $.next %>}", "is neither"),
        ("{on-error: fail msg=<% ( %>}", "attribute 'on-error.msg'"),
    ],
)
def test_bad_tasks(attributes: str, fragment: str, tasks: Parse) -> None:
    with pytest.raises(InvalidModelException) as caught:
        tasks(f"first: {{tags: [x]}}\na: {attributes}")
    text = str(caught.value)
    assert fragment in text
    assert "workflow 'wf', task 'a'" in text
    assert "(line " in text


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("yes: {action: b}", "True"),
        ("1: {action: b}", "1"),
        ("'': {action: b}", "text"),
        ("fail: {action: b}", "engine command"),
        (f"{LONG}: {{action: b}}", "255"),
        (f"a: {{on-success: {LONG[:209]}}}\n{LONG[:209]}: {{join: all}}", "208"),
        ("a: {on-success: b}\nb: {on-success: a}", "start task"),
        ("a: {on-success: a}", "start task"),
        ("a: {on-success: c, on-error: c}\nc: {join: 2}", "there are 1"),
    ],
)
def test_bad_sets_of_tasks(text: str, fragment: str, tasks: Parse) -> None:
    with pytest.raises(InvalidModelException) as caught:
        tasks(text)
    assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("a: {on-success: noop}", "no attribute 'on-success'"),
        ("a: {join: all}", "no attribute 'join'"),
        ("a: {requires: []}", "attribute 'requires'"),
        ("a: {requires: [b, b]}\nb: {action: c}", "repeats"),
        ("a: {requires: b}", "'b' is not a task"),
        ("a: {requires: [noop]}", "'noop' is not a task"),
        ("a: {requires: a}", "a -> a"),
        ("x: {action: b}\na: {requires: [x, c]}\nb: {requires: a}\nc: {requires: b}", "each other"),
    ],
)
def test_bad_reverse_workflows(text: str, fragment: str, workflow: Parse) -> None:
    with pytest.raises(InvalidModelException) as caught:
        workflow("type: reverse\ntasks:\n" + textwrap.indent(text, "  "))
    assert fragment in str(caught.value)


def test_defaults_of_reverse_workflows_are_checked(workflow: Parse) -> None:
    body = "type: reverse\ntask-defaults: {{requires: {0}}}\ntasks: {{a: {{tags: [x]}}, b: {1}}}"
    with pytest.raises(InvalidModelException, match="'nope' is not a task"):
        workflow(body.format("nope", "{tags: [x]}"))
    with pytest.raises(InvalidModelException, match="each other"):
        workflow(body.format("[a, b]", "{tags: [x]}"))
    assert workflow(body.format("a", "{tags: [x]}")).tasks["b"].requires == ("a",)


@pytest.mark.parametrize(
    "attributes",
    [
        "{description: x, tags: [a, b]}",
        "{action: std.echo output=1, input: {x: [{y: <% 1 %>}]}}",
        "{action: <% $.a %>, input: <% $.b %>}",
        "{workflow: '{{ _.w }}', target: x-<% $.y %>}",
        "{action: 'b x=<% 1 %> y={{ 2 }}'}",
        "{with-items: 'i in []', concurrency: <% 2 %>}",
        "{with-items: [i in <% $.x %>, 'j in {{ _.y }}', 'k in [1, {\"a\": 2}]']}",
        "{retry: count=<% $.n %> delay=0 break-on=<% $.b %>}",
        "{retry: {count: 0, delay: <% 1 %>, continue-on: '{{ _.c }}'}}",
        "{wait-before: 0, wait-after: 1, timeout: <% $.t %>, pause-before: <% true %>}",
        "{keep-result: <% true %>, safe-rerun: true, fail-on: true}",
        "{join: 0}",
        "{name: other, type: reverse}",
        "{rollback: 'std.echo output=<% $.x %>'}",
        "{on-success: {fail: <% 1 %>}}",
        "{on-success: {publish: {branch: {a: 1}, global: {b: 2}, atomic: {c: 3}}}}",
        "{on-success: {next: {fail: <% 1 %>}}, on-skip: noop, on-error: [pause, fail(msg='x')]}",
        "{on-success: [noop, {noop: <% 1 %>}, {noop: <% 2 %>}]}",
    ],
)
def test_good_tasks(attributes: str, tasks: Parse) -> None:
    assert tasks(f"a: {attributes}").tasks["a"].type == "direct"


@pytest.mark.parametrize("name", ["задача", "a-b", "a.b", "with blank", "version", LONG[:255]])
def test_good_task_names(name: str, tasks: Parse) -> None:
    assert list(tasks(f"'{name}': {{action: b}}").tasks) == [name]


@pytest.mark.parametrize("description", ["", "''", "null", "two words"])
def test_a_workflow_needs_no_description(description: str, workflow: Parse) -> None:
    workflow(f"description: {description}\ntasks: {{t: {{action: std.noop}}}}")


def test_unknown_attributes_of_workflows_are_tolerated(workflow: Parse) -> None:
    assert workflow("bogus: 1\ntasks: {a: {action: b}}").raw["bogus"] == 1


def test_errors_have_their_class_and_place(workflow: Parse) -> None:
    body = "vars:\n  ok: 1\n  bad: <% $.a. %>\ntasks: {a: {action: b}}"
    with pytest.raises(ExpressionGrammarException, match=r"'vars.bad'.*\(line 5\)"):
        workflow(body)
    with pytest.raises(DSLParsingException, match=r"task 'a', attribute 'join'.*\(line 6\)"):
        workflow("tasks:\n  a:\n    tags: [x]\n    join: nope")


def test_without_validation_only_shapes_are_checked(expressions: Expressions) -> None:
    text = "version: 2.0\nwf: {{tasks: {{a: {0}}}}}"
    for body in ("{on-success: ghost}", "{join: all}", "{publish: {x: <% ( %>}}"):
        assert parse_workflow_list(text.format(body), expressions, validate=False)
    for body in ("{}", "1", "{action: 1}", "{retry: 1}", "{on-success: 1}"):
        with pytest.raises(DSLParsingException):
            parse_workflow_list(text.format(body), expressions, validate=False)


@pytest.mark.parametrize(
    ("body", "fragment"),
    [
        ("", "must be a mapping"),
        ("{}", "must be a mapping"),
        ("{input: [x]}", "'base' is required"),
        ("{base: }", "attribute 'base'"),
        ("{base: 1}", "attribute 'base'"),
        ("{base: 'b x=<% ( %>'}", "attribute 'base.x'"),
        ("{base: b, base-input: {}}", "attribute 'base-input'"),
        ("{base: b, base-input: {x: <% ( %>}}", "attribute 'base-input.x'"),
        ("{base: b, input: x}", "attribute 'input'"),
        ("{base: b, output: <% ( %>}", "attribute 'output'"),
        ("{base: b, tags: []}", "attribute 'tags'"),
        ("{base: b, other: 1}", "no attribute 'other'"),
    ],
)
def test_bad_actions(body: str, fragment: str, expressions: Expressions) -> None:
    with pytest.raises(InvalidModelException) as caught:
        parse_action_list(f"version: 2.0\nact: {body}", expressions)
    assert fragment in str(caught.value)
    assert "action 'act'" in str(caught.value)


@pytest.mark.parametrize("text", ["version: 2.0", "act: {base: b}", "version: 2.0\na b: {base: c}"])
def test_bad_action_lists(text: str, expressions: Expressions) -> None:
    with pytest.raises(InvalidModelException):
        parse_action_list(text, expressions)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("name: wb", "'version' is required"),
        ("version: 1.0\nname: wb", "must be '2.0'"),
        ("version: 2.0\ndescription: x", "'name' is required"),
        ("version: 2.0\nname: ''", "attribute 'name'"),
        ("version: 2.0\nname: 1", "attribute 'name'"),
        ("version: 2.0\nname: a b", "space"),
        ("version: 2.0\nname: wb\ntriggers: {}", "no attribute 'triggers'"),
        ("version: 2.0\nname: wb\n1: {}", "no attribute '1'"),
        ("version: 2.0\nname: wb\nworkflows: {}", "attribute 'workflows'"),
        ("version: 2.0\nname: wb\nactions: []", "attribute 'actions'"),
        ("version: 2.0\nname: wb\nactions: {a.b: {base: c}}", "letters, digits"),
        ("version: 2.0\nname: wb\nactions: {1: {base: c}}", "a name must be a text"),
        ("version: 2.0\nname: wb\nactions: {a: {}}", "action 'a'"),
        ("version: 2.0\nname: wb\ntags: [a, a]", "repeats"),
        (f"version: 2.0\nname: {LONG[:254]}\nactions: {{a: {{base: c}}}}", "255"),
        (
            "version: 2.0\nname: wb\nworkflows: {w: {tasks: {a: {on-success: nope}}}}",
            "workbook, workflow 'w', task 'a', attribute 'on-success': 'nope'",
        ),
    ],
)
def test_bad_workbooks(text: str, fragment: str, expressions: Expressions) -> None:
    with pytest.raises(InvalidModelException) as caught:
        parse_workbook(text, expressions)
    assert fragment in str(caught.value)


def _chain(length: int) -> str:
    head = "version: '2.0'\nwf:\n  task-defaults:\n    on-error: handler\n  tasks:\n"
    tasks = "".join(
        f"    t{i}:\n      action: std.echo output=<% $.v{i} %>\n"
        f"      publish: {{v{i}: <% task().result %>}}\n"
        f"      on-success:\n      - t{i + 1}: <% $.v{i} > 0 %>\n"
        for i in range(length)
    )
    return f"{head}    handler: {{action: x}}\n{tasks}    t{length}:\n      join: all\n"


def test_a_thousand_tasks_take_less_than_a_second(expressions: Expressions) -> None:
    text = _chain(1000)
    started = time.process_time()
    spec = parse_workflow_list(text, expressions)[0]
    assert time.process_time() - started < 1
    assert len(spec.tasks) == 1002


def test_many_mistakes_take_less_than_a_second(expressions: Expressions) -> None:
    tasks = ", ".join(f"t{n}: {{action: std.no0p_{n}}}" for n in range(2000))
    known = {f"std.noop_{n}": Callee() for n in range(900)}
    started = time.thread_time()
    found = advise(
        "workflow",
        f"version: 2.0\nw: {{tasks: {{{tasks}}}}}",
        expressions,
        lambda actions, workflows: (known, {}),
    )
    assert len(found) == 2000
    assert "did you mean" in found[0] and "did you mean" not in found[-1]
    assert time.thread_time() - started < 3
