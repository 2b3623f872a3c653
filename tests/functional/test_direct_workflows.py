"""Tasks one after another, side by side and together again; conditions and engine commands."""

from __future__ import annotations

import pytest

from tests.lib.flows import Flows

CHAIN = """
main:
  input: [n]
  output: {last: <% $.c %>}
  tasks:
    a: {action: std.echo output=<% $.n %>, publish: {a: <% task().result + 1 %>}, on-success: b}
    b: {action: std.echo output=<% $.a %>, publish: {b: "{{ _.a + 1 }}"}, on-success: [c]}
    c: {action: std.echo output=<% $.b %>, publish: {c: <% task(b).published.b + $.a %>}}
"""


def test_a_chain_publishes(flows: Flows) -> None:
    run = flows.run(CHAIN, {"n": 1})
    assert run.output == {"last": 5}
    assert run.states() == dict.fromkeys("abc", "SUCCESS")
    b = run.task("b")
    assert (b["result"], b["published"], b["processed"]) == (2, {"b": 3}, True)
    a = run.task("a")
    assert b["runtime_context"]["triggered_by"] == [{"task_id": a["id"], "event": "on-success"}]


def test_an_execution_sees_its_definition_and_its_globals(flows: Flows) -> None:
    run = flows.run("""
    main:
      vars: {v: 1, g: 0}
      output: {v: <% $.v %>, g: <% $.g %>, other: <% global(other) %>, none: <% global(none) %>}
      tasks:
        a:
          on-success:
            publish: {global: {g: 7, other: {x: 1}}, branch: {mine: 1}}
            next: b
        b: {action: std.echo output=<% $.g + $.v %>}
    """)
    assert run.output == {"v": 1, "g": 7, "other": {"x": 1}, "none": None}
    assert run.task("b")["result"] == 8
    assert run.row["published_global"] == {"other": {"x": 1}}
    assert run.task("a")["published_global"] == {"g": 7, "other": {"x": 1}}


def test_branches_do_not_see_each_other(flows: Flows) -> None:
    run = flows.run(
        """
    main:
      vars: {x: none}
      tasks:
        start: {on-success: [left, right]}
        left: {publish: {x: left}, on-success: after_left}
        right: {action: std.echo output=<% $.x %>}
        after_left: {action: std.echo output=<% $.x %>}
    """
    )
    assert run.task("right")["result"] == "none"
    assert run.task("after_left")["result"] == "left"


@pytest.mark.parametrize(
    ("n", "names"), [(1, ["a", "always", "small"]), (9, ["a", "always", "big"])]
)
def test_conditions_choose(flows: Flows, n: int, names: list[str]) -> None:
    text = """
    main:
      input: [n]
      tasks:
        a:
          on-success:
            - small: <% $.n < 5 %>
            - big: "{{ _.n >= 5 }}"
          on-complete: always
        small: {action: std.noop}
        big: {action: std.noop}
        always: {action: std.noop}
    """
    assert flows.run(text, {"n": n}).names() == names


def test_an_error_that_is_handled(flows: Flows) -> None:
    run = flows.run("""
    main:
      output: {cause: <% $.cause %>}
      tasks:
        a:
          action: std.fail
          input: {error_data: {code: 7}}
          publish: {cause: never}
          publish-on-error: {cause: <% task().result.code %>}
          on-error: b
          on-success: c
          on-complete: d
        b: {action: std.noop}
        c: {action: std.noop}
        d: {action: std.noop}
    """)
    assert run.states() == {"a": "ERROR", "b": "SUCCESS", "d": "SUCCESS"}
    assert run.output == {"cause": 7}


def test_an_error_that_nobody_handles(flows: Flows) -> None:
    run = flows.run(
        """
    main:
      output: {x: 1}
      output-on-error: {y: <% $.y %>}
      vars: {y: 2}
      tasks:
        a: {action: std.fail, on-complete: c}
        b: {action: std.noop, on-success: d}
        c: {action: std.noop}
        d: {action: std.noop}
    """,
        ends="ERROR",
    )
    assert run.names() == ["a", "b", "c", "d"]
    assert run.output["y"] == 2
    assert run.output["result"] == run.info
    assert run.info.splitlines()[2] == "Failure caused by error in tasks: a"


def test_a_loop_makes_a_task_for_each_pass(flows: Flows) -> None:
    run = flows.run("""
    main:
      output: {n: <% $.n %>}
      tasks:
        start: {publish: {n: 0}, on-success: more}
        more:
          publish: {n: <% $.n + 1 %>}
          on-success: [{more: <% $.n < 4 %>}]
    """)
    assert run.output["n"] == 4
    assert run.names() == ["more"] * 4 + ["start"]


@pytest.mark.parametrize(
    ("command", "ends", "info"),
    [
        ("fail", "ERROR", ""),
        ('fail(msg="no <% $.x %>")', "ERROR", "no 5"),
        ("fail msg=<% dict(x => [$.x, null]) %>", "ERROR", '{"x": [5, null]}'),
        ("fail msg=<% [$.x] %>", "ERROR", "[5]"),
        ("succeed", "SUCCESS", ""),
        ('succeed(msg="well")', "SUCCESS", "well"),
    ],
)
def test_commands_that_end(flows: Flows, command: str, ends: str, info: str) -> None:
    run = flows.run(
        f"""
    main:
      vars: {{x: 5}}
      tasks:
        a:
          on-success:
            - before
            - '{command}'
            - behind
        before: {{action: std.noop}}
        behind: {{action: std.noop}}
    """,
        ends=ends,
    )
    assert "behind" not in run.names()
    assert run.info.startswith(info)
    assert run.put(state="PAUSED")[0] == 400


@pytest.mark.parametrize(("command", "ends"), [("succeed", "SUCCESS"), ("fail", "ERROR")])
@pytest.mark.parametrize("order", ["[b, {}]", "[{}, b]", "[b, pause, {}]"])
def test_the_output_knows_what_the_task_published_that_ended_the_workflow(
    flows: Flows, order: str, command: str, ends: str
) -> None:
    run = flows.launch(f"""
    main:
      output: {{found: <% $.x %>}}
      output-on-error: {{found: <% $.x %>}}
      tasks:
        a: {{publish: {{x: 7}}, on-success: {order.format(command)}}}
        b: {{action: std.async_noop}}
    """)
    if "pause" in order:
        assert run.wait("PAUSED").put(state="RUNNING")[0] == 200
    assert run.wait(ends).output["found"] == 7


@pytest.mark.parametrize("command", ["noop", "succeed"])
def test_commands_that_handle_an_error(flows: Flows, command: str) -> None:
    run = flows.run(f"""
    main:
      tasks:
        a: {{action: std.fail, on-error: {command}}}
    """)
    assert run.states() == {"a": "ERROR"}


def test_the_command_pause_keeps_the_rest_for_later(flows: Flows) -> None:
    run = flows.launch("""
    main:
      tasks:
        a: {on-success: [b, pause, c]}
        b: {action: std.noop, on-success: d}
        c: {action: std.noop}
        d: {action: std.noop}
    """).wait("PAUSED")
    run.wait_task("b", "SUCCESS")
    assert run.names() == ["a", "b"]
    assert run.put(state="RUNNING")[0] == 200
    assert run.wait().names() == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ("{action: std.echo output=<% $.no.no %>}", "Failed to run task"),
        ("{action: std.echo, publish: {x: 1}}", "Invalid input"),
        ("{action: std.noop, publish: {x: <% 1 / 0 %>}}", "Failed to handle action completion"),
        ("{action: std.noop, on-success: [{b: <% $.no.no %>}]}", "Failed to handle"),
        ("{action: no.such}", "no.such"),
    ],
)
def test_mistakes_end_the_workflow_and_are_not_handled(
    flows: Flows, broken: str, text: str
) -> None:
    run = flows.run(
        f"""
    main:
      tasks:
        a: {broken}
        b: {{action: std.noop}}
      task-defaults:
        on-error: b
    """,
        ends="ERROR",
    )
    assert run.names() == ["a"]
    assert text in run.info


def test_environments_and_inputs(flows: Flows) -> None:
    run = flows.run(
        """
    main:
      input: [must, may: 2]
      output:
        all: <% [$.must, $.may, env().e, env().sum] %>
      tasks:
        a: {action: std.noop}
    """,
        {"must": 1},
        env={"e": 3, "sum": "<% 1 + 3 %>"},
    )
    assert run.output == {"all": [1, 2, 3, 4]}
    assert run.row["input"] == {"must": 1, "may": 2}
    for wrong in ({}, {"must": 1, "not": 2}):
        body = {"workflow_name": "main", "workflow_namespace": flows.namespace, "input": wrong}
        assert flows.request("POST", "/executions", body)[0] == 400


def test_a_condition_sees_the_globals_that_its_task_publishes(flows: Flows) -> None:
    run = flows.run("""
    main:
      tasks:
        begin: {action: std.noop, on-success: {publish: {global: {n: 0}}, next: turn}}
        turn:
          action: std.noop
          on-success:
            publish: {global: {n: <% global(n) + 1 %>}}
            next:
              - turn: <% global(n) < 3 %>
    """)
    assert run.row["published_global"] == {"n": 3}
    assert len(run.tasks("turn")) == 3


@pytest.mark.parametrize("name", [r"\ud83d", r"a\0b"])
@pytest.mark.parametrize(("attribute", "ends"), [("action", "ERROR"), ("workflow", "SUCCESS")])
def test_a_computed_name_that_no_database_can_keep_is_unknown(
    flows: Flows, attribute: str, ends: str, name: str
) -> None:
    run = flows.run(
        f"""
    main:
      tasks:
        a: {{{attribute}: '{{{{ "{name}" }}}}', on-error: noop}}
    """,
        ends=ends,
    )
    assert "Failed to find" in run.task("a")["state_info"]


@pytest.mark.parametrize("name", [r"\ud83d", r"a\0b"])
def test_an_environment_that_no_database_can_keep_is_unknown(flows: Flows, name: str) -> None:
    flows.define("main: {tasks: {a: {action: std.noop}}}")
    body = {"workflow_name": "main", "workflow_namespace": flows.namespace}
    params = {"env": name.encode().decode("unicode_escape")}
    assert flows.request("POST", "/executions", {**body, "params": params})[0] == 400


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ("task({})", None),
        ("tasks({})", []),
        ("tasks(state={})", []),
        ("executions({})", []),
        ("executions(root_execution_id={})", []),
        ("executions(state={})", []),
    ],
)
@pytest.mark.parametrize("name", [r"'\ud83d'", r"'a\0b'"])
def test_functions_find_nothing_by_a_text_that_no_database_can_keep(
    flows: Flows, call: str, answer: object, name: str
) -> None:
    run = flows.run(f"""
    main:
      output: {{found: "{{{{ {call.format(name).replace(chr(92), chr(92) * 2)} }}}}"}}
      tasks:
        a: {{action: std.noop}}
    """)
    assert run.output == {"found": answer}
