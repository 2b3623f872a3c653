"""What an environment brings into an execution."""

from __future__ import annotations

from tests.lib.flows import Flows


def test_defaults_of_actions_go_by_the_name_in_the_task(flows: Flows) -> None:
    text = """
    name: book
    actions:
      say: {input: [text], base: std.echo output=<% $.text %>}
    workflows:
      main:
        tasks:
          by default: {action: say, publish: {default: <% task().result %>}}
          by itself: {action: say text="own", publish: {own: <% task().result %>}}
    """
    flows.define(text, "workbooks")
    actions = {"say": {"text": "short"}, "book.say": {"text": "long"}}
    run = flows.start("book.main", env={"__actions": actions}).wait()
    assert run.output == {"default": "short", "own": "own"}


def test_the_variables_of_the_service_are_found_in_the_data_as_well(flows: Flows) -> None:
    run = flows.run(
        """
    main:
      vars: {v: <% $.get('__env').x %>}
      output:
        env: ["<% $.get('__env').x %>", "<% $['__env'].x %>", "{{ _.__env.x }}", "<% $.v %>"]
        execution: ["<% $['__execution'].id %>", "{{ _.__execution.id }}"]
        outside of a task: <% $.get('__task_execution') %>
      tasks:
        a:
          with-items: i in [1]
          action: std.echo output=<% [$['__task_execution'].name, $['__env'].x, $.i] %>
          publish:
            seen: ["<% $['__task_execution'].name %>", "{{ _.__task_execution.name }}"]
          on-success:
            - next: <% $['__task_execution'].name = a and $['__env'].x = 1 %>
        next: {action: std.noop}
    """,
        env={"x": 1},
    )
    assert run.output == {
        "env": [1, 1, 1, 1],
        "execution": [run.id, run.id],
        "outside of a task": None,
    }
    assert run.task("a")["result"] == [["a", 1, 1]]
    assert run.task("a")["published"] == {"seen": ["a", "a"]}
    assert run.names() == ["a", "next"]
