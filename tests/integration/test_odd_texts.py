"""Characters that PostgreSQL can't keep in its texts, on their way through a workflow."""

from __future__ import annotations

import pytest

from tests.lib.flows import Flows

NUL = "a\0b"


def test_values_keep_them_and_texts_for_people_show_a_substitute(flows: Flows) -> None:
    flows.define("""
    main:
      input: [text]
      output-on-error: {seen: <% $.seen %>}
      tasks:
        first:
          action: std.echo output=<% $.text %>
          publish: {seen: <% task().result %>}
          on-success: second
        second:
          action: std.fail error_data=<% $.text %>
    """)
    run = flows.start("main", {"text": NUL}).wait("ERROR")
    assert run.output["seen"] == NUL
    assert run.task("second")["state_info"] is not None
    assert "\0" not in run.info


@pytest.mark.parametrize(
    "task",
    [
        "{action: <% $.text %>}",
        "{workflow: <% $.text %>}",
        "{action: std.noop, target: <% $.text %>}",
    ],
)
def test_names_with_them_are_nobodys(flows: Flows, task: str) -> None:
    flows.define(f"""
    main:
      input: [text]
      tasks:
        t: {task}
    """)
    run = flows.start("main", {"text": NUL}).wait("ERROR")
    assert run.states() == {"t": "ERROR"}
    assert "\0" not in run.info
