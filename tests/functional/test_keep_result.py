"""``keep-result: false``: a result lives as long as its task publishes, and no longer."""

from __future__ import annotations

import pytest

from tests.lib.flows import Flows

GONE = {"p": "big", "seen": "gone"}

AFTER_PUBLISHING = """
main:
  output: {p: <% $.p %>, seen: <% $.seen %>, later: <% task(a).result %>}
  tasks:
    a:
      action: std.echo output="big"
      keep-result: false
      publish: {p: <% task().result %>}
      on-success:
        - kept: <% task().result != null %>
        - gone: <% task(a).result = null %>
        - not_listed: <% tasks(execution().id).where($.name = a).result.any($ != null) %>
    kept: {action: std.noop, publish: {seen: "kept"}}
    not_listed: {action: std.noop, publish: {seen: "listed"}}
    gone: {action: std.noop, publish: {seen: "gone"}}
"""


def test_conditions_do_not_see_a_result_that_is_not_kept(flows: Flows) -> None:
    run = flows.run(AFTER_PUBLISHING)
    assert run.output == {**GONE, "later": None}
    assert run.names() == ["a", "gone"]
    (action,) = run.actions("a")
    assert (action["state"], action["accepted"], action["output"]) == ("SUCCESS", True, {})


def test_a_command_does_not_see_it(flows: Flows) -> None:
    run = flows.launch(
        """
        main:
          tasks:
            a:
              action: std.echo output="secret"
              keep-result: false
              on-success: fail(msg="<% task().result %>")
        """
    ).wait("ERROR")
    assert run.row["state_info"] is None


@pytest.mark.parametrize(
    ("policy", "state"),
    [
        ("fail-on: <% task().result = null %>", "ERROR"),
        ("fail-on: <% task().result = 'x' %>", "SUCCESS"),
        ("wait-after: <% switch(task().result = null => 0, true => 3600) %>", "SUCCESS"),
    ],
)
def test_policies_after_the_end_do_not_see_it(flows: Flows, policy: str, state: str) -> None:
    run = flows.launch(
        f"""
        main:
          tasks:
            a:
              action: std.echo output="x"
              keep-result: false
              publish: {{p: <% task().result %>}}
              {policy}
        """
    ).wait(state)
    assert run.task("a")["published"] == {"p": "x"}


def test_an_attempt_that_is_made_again_has_a_result_of_its_own(flows: Flows) -> None:
    run = flows.run(
        """
        main:
          output: {p: <% $.p %>, r: <% task(a).result %>}
          tasks:
            a:
              action: std.echo output="x"
              keep-result: false
              publish: {p: <% task().result %>}
              retry: {count: 2, delay: 0, continue-on: <% task().result = null %>}
        """
    )
    assert run.output == {"p": "x", "r": None}
    assert [a["accepted"] for a in run.actions("a")].count(True) == 1
    assert len(run.actions("a")) == 3


def test_a_task_that_is_run_again_publishes_its_new_result(flows: Flows) -> None:
    run = flows.launch(
        """
        main:
          output: {p: <% $.p %>}
          tasks:
            a:
              action: std.async_noop
              keep-result: false
              publish: {p: <% task().result %>}
              publish-on-error: {p: <% task().result %>}
        """
    )
    run.finish("a", "first", "ERROR")
    run.wait("ERROR")
    assert run.task("a")["published"] == {"p": "first"}
    assert run.put_task("a", state="RUNNING", reset=True)[0] == 200
    run.finish("a", "second")
    assert run.wait().output == {"p": "second"}
    assert all(a["output"] == {} for a in run.actions("a") if a["accepted"])


def test_results_of_items_are_not_kept_either(flows: Flows) -> None:
    run = flows.run(
        """
        main:
          output: {p: <% $.p %>}
          tasks:
            a:
              with-items: i in [1, 2]
              action: std.echo output=<% $.i %>
              keep-result: <% false %>
              publish: {p: <% task().result %>}
              on-success:
                - b: <% task().result.all($ = null) %>
            b: {action: std.noop}
        """
    )
    assert run.output == {"p": [1, 2]}
    assert run.names() == ["a", "b"]
    assert [a["output"] for a in run.actions("a")] == [{}, {}]


def test_sub_workflows_are_not_affected(flows: Flows) -> None:
    run = flows.run(
        """
        child:
          output: {v: 1}
          tasks: {t: {action: std.noop}}
        main:
          output: {v: <% task(a).result.v %>}
          tasks:
            a: {workflow: child, keep-result: false}
        """
    )
    assert run.output == {"v": 1}
