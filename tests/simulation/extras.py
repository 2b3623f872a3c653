"""What some of the random workflows have besides: ad-hoc actions and compensations.

They come from a source of randomness of their own, so that the other workflows, and the seeds that
are kept for what they once showed, stay as they are.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

EVERY = 4
"""Each so many-th seed has extras."""

ADHOC = """
version: '2.0'

{actions}
"""
_ACTION = """
{name}:
  base: {base}
  input: [key, {{fails: 0}}, {{end: null}}, {{item: null}}, {{data: null}}, {{big: false}}]
  base-input:
    key: <% $.key %>
    fails: <% $.fails %>
    end: <% $.end %>
    item: <% $.item %>
    data: <% $.data %>
    big: <% $.big %>
  output:
    {level}: <% $ %>
"""
KINDS = ("safe", "once", "safe_async", "async")


def adhoc_text() -> str:
    """The ad-hoc actions: one on top of each simulated action, and one on top of that."""
    actions = []
    for kind in KINDS:
        actions.append(_ACTION.format(name=f"adhoc.{kind}", base=f"sim.{kind}", level="inner"))
        actions.append(_ACTION.format(name=f"nested.{kind}", base=f"adhoc.{kind}", level="outer"))
    return ADHOC.format(actions="".join(actions))


def source_of(seed: int) -> random.Random | None:
    """The randomness of a seed's extras, where it has any."""
    return random.Random(f"extras-{seed}") if seed % EVERY == 0 else None


def decorate(source: random.Random, bodies: Mapping[str, dict[str, Any]]) -> None:
    """Let some tasks use ad-hoc actions, and let some say how they are undone."""
    for body in bodies.values():
        for name, task in body["tasks"].items():
            action = task.get("action", "")
            if action.startswith("sim.") and source.random() < 0.3:
                task["action"] = action.replace("sim.", source.choice(["adhoc.", "nested."]))
            if source.random() < 0.4:
                task["rollback"] = _compensation(source, name, task)


def _compensation(source: random.Random, name: str, task: Mapping[str, Any]) -> str:
    room = source.choice(["sim", "sim", "adhoc", "nested"])
    text = f'{room}.{source.choice(KINDS)} key="undo {name}"'
    if "with-items" in task:
        text += " item=<% $.i %>"
    if source.random() < 0.5:
        text += " data=<% task().result %>"
    if source.random() < 0.15:
        # the first try fails, the next one succeeds
        text += " fails=1"
    if source.random() < 0.03:
        text += " data=<% $.nobody_knows %>"
    return text
