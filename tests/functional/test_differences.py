"""What doc/source/language/differences.rst promises and no other test holds."""

from __future__ import annotations

import pytest

from tests.lib.flows import Flows


def test_what_requires_a_skipped_task_runs(flows: Flows) -> None:
    run = flows.launch(
        """
main:
  type: reverse
  tasks:
    a: {action: std.fail, publish-on-skip: {a: 1}}
    b: {requires: [a], action: std.echo output=<% $.a %>}
    c: {requires: [b], action: std.noop}
""",
        task_name="c",
    ).wait("ERROR")
    assert run.names() == ["a"]
    assert run.put_task("a", state="SKIPPED")[0] == 200
    run.wait()
    assert run.states() == {"a": "SKIPPED", "b": "SUCCESS", "c": "SUCCESS"}
    assert run.task("b")["result"] == 1


@pytest.mark.parametrize("targets", ["[succeed, b]", "[b, succeed]", "[b, fail]"])
def test_who_ends_the_workflow_has_its_variables_in_the_output(flows: Flows, targets: str) -> None:
    run = flows.run(
        f"""
main:
  tasks:
    a: {{action: std.noop, publish: {{a: 1}}, on-success: {targets}}}
    b: {{action: std.noop}}
""",
        ends="ERROR" if "fail" in targets else "SUCCESS",
    )
    assert run.output["a"] == 1


def test_a_list_without_elements_may_be_written_down(flows: Flows) -> None:
    run = flows.run("""
main:
  tasks:
    a:
      with-items: i in []
      action: std.echo output=<% $.i %>
      publish: {found: <% task().result %>}
      on-success: b
    b: {action: std.noop}
""")
    assert run.task("a")["result"] == run.output["found"] == []
    assert run.states() == {"a": "SUCCESS", "b": "SUCCESS"}
