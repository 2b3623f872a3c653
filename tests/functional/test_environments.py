"""What an environment brings into an execution."""

from __future__ import annotations

from flows import Flows


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
