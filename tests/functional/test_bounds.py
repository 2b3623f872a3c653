"""What one root execution may use, with all below it; beyond that it ends and names the option."""

from __future__ import annotations

from collections.abc import Iterator

import cluster
import processes
import pytest

from tests.lib.flows import Flows

LIMITS = {
    "items_limit": 20,
    "depth_limit": 4,
    "executions_limit": 30,
    "tasks_limit": 50,
    "actions_limit": 100,
    "values_limit_mb": 1,
}


@pytest.fixture(scope="module")
def bounded_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that allows little."""
    run_dir = tmp_path_factory.mktemp("bounded")
    url = f"sqlite:///{run_dir / 'mistral.sqlite'}"
    sections = cluster.embedded_sections(processes.free_port(), url) | {"engine": {**LIMITS}}
    with cluster.Cluster(run_dir, sections) as installation:
        installation.prepare_database()
        installation.start("mistral", "all")
        installation.wait_ready()
        yield installation.url


@pytest.fixture
def bounded(bounded_url: str) -> Flows:
    """A client of it."""
    return Flows(bounded_url)


@pytest.mark.parametrize("items", ["range(21)", "range(900000)", "'x' * 21"])
def test_too_many_items_are_refused(bounded: Flows, items: str) -> None:
    run = bounded.run(
        f"""
    main:
      tasks:
        t: {{with-items: "i in <% {items} %>", action: std.noop, on-error: noop}}
    """,
        ends="ERROR",
    )
    assert "more than 20 items" in run.info and "[engine] items_limit" in run.info
    assert "more than 20 items" in run.task("t")["state_info"]
    assert run.actions("t") == []


def test_as_many_items_as_are_allowed(bounded: Flows) -> None:
    run = bounded.run("main: {tasks: {t: {with-items: 'i in <% range(20) %>', action: std.noop}}}")
    assert len(run.actions("t")) == 20


def test_endless_recursion_ends(bounded: Flows) -> None:
    run = bounded.run("main: {tasks: {again: {workflow: main}}}", ends="ERROR")
    assert "deeper than 4 levels, [engine] depth_limit" in run.info
    depth = 0
    while below := run.children("again"):
        (run,) = below
        depth += 1
    assert depth == 4


def test_recursion_that_grows_ends(bounded: Flows) -> None:
    run = bounded.run(
        """
    main:
      tasks:
        a: {workflow: main}
        b: {workflow: main}
        c: {workflow: main}
    """,
        ends="ERROR",
    )
    assert "more than 30 workflow executions, [engine] executions_limit" in run.info
    found = bounded.ok("GET", f"/executions/{run.id}/executions")["executions"]
    # those that are decided at the same moment do not see each other
    assert len(found) <= 60


ENDLESS = {
    "of tasks": """
main:
  tasks:
    begin: {on-success: again}
    again: {action: std.noop, on-success: again}
""",
    "of joins": """
main:
  tasks:
    begin: {on-success: one}
    one: {join: 1, action: std.noop, on-success: two}
    two: {join: 1, action: std.noop, on-success: one}
""",
    "of tasks that run nothing": """
main:
  tasks:
    begin: {on-success: again}
    again: {with-items: "i in []", on-success: again}
""",
    "of joins that run nothing": """
main:
  tasks:
    begin: {on-success: one}
    one: {join: 1, with-items: "i in []", on-success: two}
    two: {join: 1, with-items: "i in []", on-success: one}
""",
    "of tasks that can't run": """
main:
  tasks:
    begin: {on-success: again}
    again: {workflow: there.is.none, on-error: again}
""",
    "of attempts": """
main:
  tasks:
    t: {action: std.fail, retry: {count: 1000000, delay: 0}}
""",
    "of sub-workflows": """
child:
  tasks:
    one: {action: std.noop, on-success: two}
    two: {action: std.noop}
main:
  tasks:
    begin: {on-success: again}
    again: {workflow: child, on-success: again}
""",
    "of sub-workflows that fail": """
child:
  tasks:
    begin: {on-success: again}
    again: {action: std.noop, on-success: again}
main:
  tasks:
    begin: {on-success: again}
    again: {workflow: child, on-error: again}
""",
}


@pytest.mark.parametrize("loop", ENDLESS)
def test_an_endless_loop_ends(bounded: Flows, loop: str) -> None:
    run = bounded.run(ENDLESS[loop], ends="ERROR")
    assert "more than 50 tasks, [engine] tasks_limit allows no more" in run.info
    found = [run, *run.children("again")] if "sub-workflows" in loop else [run]
    # one transaction makes up to 500 rows before it looks
    most = 600 if "nothing" in loop or "can't" in loop else 60
    assert sum(len(each.tasks()) for each in found) <= most


def test_the_bound_of_actions(bounded: Flows) -> None:
    run = bounded.run(
        """
    main:
      tasks:
        t:
          with-items: i in <% range(20) %>
          action: std.fail
          retry: {count: 100, delay: 0}
    """,
        ends="ERROR",
    )
    assert "more than 100 actions, [engine] actions_limit allows no more" in run.info
    assert len(run.actions("t")) <= 120


@pytest.mark.parametrize(
    ("text", "ends"), [("'abcde'", "SUCCESS"), ("$.get(n, 0) + 10000", "ERROR")]
)
def test_the_bound_of_values(bounded: Flows, text: str, ends: str) -> None:
    """A value that is stored again does not count again."""
    run = bounded.run(
        f"""
    main:
      tasks:
        begin: {{on-success: again}}
        again:
          action: std.echo
          input: {{output: "<% str({text}) * 20000 %>"}}
          publish: {{n: "<% $.get(n, 0) + 1 %>"}}
          on-success:
            - again: <% $.n < 20 %>
    """,
        ends=ends,
    )
    if ends == "ERROR":
        assert (
            "more than 1 MiB of large values, [engine] values_limit_mb allows no more" in run.info
        )


@pytest.mark.parametrize("are_same", [True, False])
def test_the_bound_counts_what_is_delivered(bounded: Flows, are_same: bool) -> None:
    run = bounded.launch(
        "main: {tasks: {t: {with-items: 'i in <% range(5) %>', action: std.async_noop}}}"
    )
    for number, action_id in enumerate(run.wait_actions("t", 5)):
        bounded.complete(action_id, f"{0 if are_same else number}" * 300_000)
    run.wait("SUCCESS" if are_same else "ERROR")
    if not are_same:
        assert (
            "more than 1 MiB of large values, [engine] values_limit_mb allows no more" in run.info
        )


def test_an_execution_goes_on_when_it_is_allowed_more(bounded: Flows) -> None:
    """Nothing of it is lost: what failed can be run again. Beyond the bound it fails again."""
    run = bounded.run("main: {tasks: {again: {workflow: main}}}", ends="ERROR")
    assert run.put_task("again", state="RUNNING", reset=True)[0] == 200
    run.wait("ERROR")
    assert "[engine] depth_limit" in run.info


@pytest.mark.parametrize(
    "grows",
    [
        "base-input: {output: '<% [$.output, $.output] %>'}",
        "base-input: {output: '<% $.output %>'}, output: '<% [$, $] %>'",
    ],
)
def test_ad_hoc_actions_that_double_their_data_are_refused(bounded: Flows, grows: str) -> None:
    text = "act0: {base: std.echo, input: [output], base-input: {output: '<% $.output %>'}}\n"
    for n in range(1, 40):
        text += f"act{n}: {{base: act{n - 1}, input: [output], {grows}}}\n"
    bounded.define(text, "actions")
    run = bounded.run(
        "main: {tasks: {t: {action: act39, input: {output: 1}}}}",
        ends="ERROR",
    )
    assert "memory_quota" in run.info and "act" in run.info
