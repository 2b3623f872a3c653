"""An expression that fails tells where it stands: workflow, task, attribute."""

from __future__ import annotations

import pytest

from tests.lib.flows import Flows

BAD = "<% $.s.status %>"
ACTIONS = f"""
in_x: {{base: std.echo, base-input: {{output: {BAD}}}}}
out_x: {{base: std.noop, output: {{a: [{BAD}]}}}}
"""


@pytest.mark.parametrize(
    ("task", "attribute"),
    [
        (f"{{action: std.echo, input: {{output: [{{x: {BAD}}}]}}}}", "input.output[0].x"),
        (f"{{action: std.echo output={BAD}}}", "input.output"),
        (f"{{action: std.noop, publish: {{p: {BAD}}}}}", "publish.p"),
        (f"{{on-success: {{publish: {{global: {{p: {BAD}}}}}}}}}", "publish.global.p"),
        (f"{{on-success: [fail: {BAD}]}}", "condition of fail"),
        (f"{{on-success: ['fail msg={BAD}']}}", "fail.msg"),
        (f"{{with-items: 'i in {BAD}'}}", "with-items.i"),
        (f"{{action: {BAD}}}", "action"),
        (f"{{workflow: {BAD}}}", "workflow"),
        (f"{{target: {BAD}}}", "target"),
        (f"{{wait-before: {BAD}}}", "wait-before"),
        (f"{{fail-on: {BAD}}}", "fail-on"),
        (f"{{pause-before: {BAD}}}", "pause-before"),
        (f"{{action: std.fail, retry: {{count: 1, delay: 0, break-on: {BAD}}}}}", "retry.break-on"),
        (f"{{action: std.fail, retry: {{count: {BAD}, delay: 0}}}}", "count"),
        ("{action: in_x}", "base-input of in_x.output"),
        ("{action: out_x}", "output of out_x.a[0]"),
    ],
)
def test_of_a_task(flows: Flows, task: str, attribute: str) -> None:
    flows.define(ACTIONS, "actions")
    execution = flows.launch(f"main: {{vars: {{s: text}}, tasks: {{job: {task}}}}}")
    info = execution.wait("ERROR").info
    assert "has no attribute" in info
    assert f"(attribute '{attribute}')" in info
    assert "wf=main, task=job" in info


def test_of_a_workflow(flows: Flows) -> None:
    execution = flows.launch(
        f"main: {{vars: {{s: text}}, output: {{a: {BAD}}}, tasks: {{job: {{action: std.noop}}}}}}"
    )
    info = execution.wait("ERROR").info
    assert "a text has no attribute 'status'" in info
    assert "(attribute 'output.a')" in info
    assert "wf=main" in info
