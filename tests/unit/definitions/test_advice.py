"""What is doubtful in a definition: told when it is stored or validated, never refused."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest

from mistral import exceptions as exc
from mistral.context import RequestContext
from mistral.definitions import Definitions

ME = RequestContext(project_id="mine")
HEAD = "version: '2.0'\n"


def advised(
    definitions: Definitions, tasks: str, extra: str = "", namespace: str = ""
) -> list[str]:
    """What is told of a workflow ``w`` with some tasks."""
    body = textwrap.indent(textwrap.dedent(tasks), "    ")
    return definitions.advise("workflow", f"{HEAD}w:\n{extra}  tasks:\n{body}", ME, namespace)


@pytest.mark.parametrize(
    ("tasks", "told"),
    [
        ("a: {action: std.ehco output=1}", ["no action 'std.ehco' now; did you mean 'std.echo'?"]),
        ("a: {action: other.thing}", ["'a', attribute 'action': there is no action 'other.thing'"]),
        ("a: {action: std.echo}", ["'std.echo' needs 'output', not given here"]),
        (
            "a: {action: std.echo, input: {outptu: 1}}",
            ["no parameter 'outptu'; did you mean 'output'?", "needs 'output'"],
        ),
        ("a: {action: std.echo output=1 far=1}", ["'std.echo' has no parameter 'far'"]),
        ("a: {rollback: std.echo}", ["attribute 'rollback': 'std.echo' needs 'output'"]),
        ("a: {workflow: sub}", ["there is no workflow 'sub' now"]),
        ("a: {action: std.echo output=1 delay=2}", []),
        ("a: {action: std.echo, input: {output: 1}}", []),
        ("a: {action: std.echo, input: <% $ %>}", []),
        ("a: {action: std.echo far=1, input: <% $ %>}", ["no parameter 'far'"]),
        ("a: {action: <% $.x %> far=1}", []),
        ("a: {action: '{{ _.x }}'}", []),
        ("a: {description: does nothing}", []),
        ("a: {workflow: w}", []),
        (
            "a: {on-success: b}\nb: {description: x}\nc: {on-success: d}\nd: {on-error: c}",
            ["task 'c': no way leads here from a start task", "task 'd': no way"],
        ),
        ("a: {on-complete: b}\nb: {on-error: c}\nc: {on-skip: b}", []),
        ('a:\n  action: std.echo output="x #y"', ["has no end", "needs 'output'"]),
    ],
)
def test_tasks(definitions: Definitions, tasks: str, told: list[str]) -> None:
    found = advised(definitions, tasks)
    assert len(found) == len(told), found
    for text, fragment in zip(found, told, strict=True):
        assert fragment in text
        assert text.startswith("workflow 'w', task '")
        assert "(line " in text


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("ouput", "output"),
        ("Output", "output"),
        ("task_defaults", "task-defaults"),
        ("inputs", "input"),
        ("output-on-errors", "output-on-error"),
        ("my-own-notes", None),
        ("output", None),
    ],
)
def test_keys_of_workflows(definitions: Definitions, key: str, meant: str | None) -> None:
    found = advised(definitions, "a: {description: x}", f"  {key}: {{x: 1}}\n")
    if meant is None:
        assert found == []
    else:
        (text,) = found
        assert f"'{key}'" in text
        assert f"did you mean '{meant}'? (line 3)" in text


def test_what_is_stored_counts(definitions: Definitions) -> None:
    definitions.create_actions(
        HEAD + "act: {base: std.echo, input: [x, {y: 1}]}", ME, "private", "n"
    )
    workflow = "sub: {input: [x, {y: 1}], tasks: {t: {description: d}}}"
    definitions.create_workflows(HEAD + workflow, ME)
    for tasks, told in {
        "a: {action: act x=1}": [],
        "a: {action: act y=1}": ["'act' needs 'x'"],
        "a: {action: act x=1 z=1}": ["'act' has no parameter 'z'"],
        "a: {workflow: sub x=1 anything=2}": [],
        "a: {workflow: sub y=1}": ["'sub' needs 'x'"],
    }.items():
        for namespace in ("", "n", "m"):
            found = advised(definitions, tasks, namespace=namespace)
            assert len(found) == len(told), (tasks, found)
            assert all(fragment in text for text, fragment in zip(found, told, strict=True))
    stranger = RequestContext(project_id="other")
    text = f"{HEAD}w: {{tasks: {{a: {{action: act x=1}}}}}}"
    assert "no action 'act'" in definitions.advise("workflow", text, stranger)[0]


def test_members_of_a_workbook_know_each_other(definitions: Definitions) -> None:
    book = """
        version: '2.0'
        name: book
        actions:
          act: {base: std.echo, input: [x], base-input: {outptu: 1}}
        workflows:
          one: {tasks: {a: {action: act}, b: {workflow: two}}}
          two: {tasks: {a: {action: book.act x=1}}}
    """
    assert definitions.advise("workbook", textwrap.dedent(book), ME) == [
        "workbook, action 'act', attribute 'base': 'std.echo' has no parameter 'outptu'; "
        "did you mean 'output'? (line 5)",
        "workbook, action 'act', attribute 'base': 'std.echo' needs 'output', not given here "
        "(line 5)",
        "workbook, workflow 'one', task 'a', attribute 'action': 'act' needs 'x', not given here "
        "(line 7)",
    ]


def test_what_can_not_be_stored_is_not_advised_on(definitions: Definitions) -> None:
    assert definitions.advise("workflow", "w: 1", ME) == []
    assert definitions.advise("action", "::", ME) == []


def test_there_is_a_bound(definitions: Definitions) -> None:
    tasks = "\n".join(f"t{n}: {{action: nothing{n}}}" for n in range(53))
    found = advised(definitions, tasks)
    assert len(found) == 51
    assert found[-1] == "3 more of this kind ([definitions] max_warnings = 50)"


@pytest.mark.parametrize(("most", "count"), [(2, 3), (0, 1), (4, 4), (-1, 4)])
def test_the_bound_is_an_option(
    make_definitions: Callable[..., Definitions], most: int, count: int
) -> None:
    tasks = "\n".join(f"t{n}: {{action: nothing{n}}}" for n in range(4))
    found = advised(make_definitions(max_warnings=most), tasks)
    assert len(found) == count


@pytest.mark.parametrize(("most", "count"), [(2, 2), (0, 0), (9, 4), (-1, 4)])
def test_so_is_how_often_it_asks_what_was_meant(
    make_definitions: Callable[..., Definitions], most: int, count: int
) -> None:
    tasks = "\n".join(f"t{n}: {{action: std.ehco}}" for n in range(4))
    found = advised(make_definitions(max_suggestions=most), tasks)
    assert sum("did you mean" in each for each in found) == count


@pytest.mark.parametrize(
    ("tasks", "fragment"),
    [
        ('a:\n  action: std.echo output="a: b"', "quote the whole value"),
        ('a: {action: std.echo output="a: b"}', "quote the whole value"),
        ('a: {action: std.echo output="a, b"}', "quote the whole value"),
        ('a:\n  on-success:\n    - fail msg="a: b"', "quote the whole value"),
        ("a: {acton: std.noop}", "did you mean 'action'?"),
        ("a: {on_success: b}", "did you mean 'on-success'?"),
        ("a: {retry: {cuont: 1, count: 1, delay: 1}}", "did you mean 'count'?"),
        ("a: {on-success: bert}\nberta: {join: all}", "did you mean 'berta'?"),
        ("a: {on-success: suceed}", "did you mean 'succeed'?"),
    ],
)
def test_refusals_say_what_may_be_meant(
    definitions: Definitions, tasks: str, fragment: str
) -> None:
    body = textwrap.indent(tasks, "    ")
    with pytest.raises(exc.DSLParsingException if "quote" in fragment else Exception) as caught:
        definitions.create_workflows(f"{HEAD}w:\n  tasks:\n{body}", ME)
    assert fragment in str(caught.value)
