"""The workflows of the mixed load, and what one execution of each has to leave behind.

Every action that has an effect tells the third party (:mod:`counting_party`) so, under a key of
its own: the execution's id, the task, the item. Actions below ``/unsafe`` must not be told of
twice, those below ``/safe`` may. Each workflow handles the error of what may end in one when an
executor dies, so every execution has to end in SUCCESS.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Expected:
    """What one execution of a workflow consists of.

    :param tasks: number of actions of each task that always runs; None where a retry may add some.
    :param either: for a task that may fail, the task that follows its success and that of an error.
    :param children: number of sub-workflows of a task.
    """

    tasks: Mapping[str, int | None]
    either: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    children: Mapping[str, int] = dataclasses.field(default_factory=dict)


#: Nothing in it has to be claimed by an executor: what no dead executor held goes on at once.
PLAIN = "load_plain"
#: What clients start, and how often among each other.
MIX: Mapping[str, int] = {
    PLAIN: 4,
    "load_chain": 4,
    "load_fork": 3,
    "load_items": 2,
    "load_retry": 2,
    "load_parent": 2,
    "load_ask": 4,
    "load_asks": 2,
}
EXPECTED: Mapping[str, Expected] = {
    PLAIN: Expected({"a": 1, "b": 1, "c": 1, "d": 1, "e": 0, "f": 1}, children={"e": 1}),
    "load_plain_child": Expected({"x": 1, "y": 1}),
    "load_chain": Expected({"a": 1, "b": 1, "d": 1}, either={"b": ("c", "c_failed")}),
    "load_fork": Expected({"a": 1, "b1": 1, "b2": 1, "b3": 1, "j": 1, "k": 1}),
    "load_items": Expected({"t": 5, "u": 5, "v": 1}),
    "load_retry": Expected({"r": None, "s": 1}),
    "load_parent": Expected({"s": 0, "t": 1}, children={"s": 2}),
    "load_child": Expected({"x": 1, "y": 1}, either={"y": ("z", "z_failed")}),
    "load_ask": Expected({"q": 1}, either={"q": ("r", "r_failed")}),
    "load_asks": Expected({"q": 4, "r": 1}),
}

DEFINITIONS = """
version: '2.0'

load_plain:
  input: [url, key]
  output: {n: <% $.n %>}
  tasks:
    a: {action: std.echo output=1, publish: {n: <% task().result %>}, on-success: [b, c]}
    b: {action: std.echo output=2, on-success: d}
    c: {action: std.noop, on-success: d}
    d: {action: std.noop, join: all, on-success: e}
    e: {workflow: load_plain_child, on-success: f}
    f: {action: std.noop}

load_plain_child:
  tasks:
    x: {action: std.noop, on-success: y}
    y: {action: std.echo output=1}

load_chain:
  input: [url, key]
  tasks:
    a: {action: std.echo output=<% $.key %>, publish: {echoed: <% task().result %>}, on-success: b}
    b:
      action: std.http
      input:
        url: <% $.url + "/unsafe/run/" + $.echoed + ".b?seconds=2" %>
      on-success: c
      on-error: c_failed
    c: {action: std.echo output=1, on-success: d}
    c_failed: {action: std.noop, on-success: d}
    d: {action: std.noop}

load_fork:
  input: [url, key]
  output: {sum: <% $.n1 + $.n2 %>}
  tasks:
    a: {action: std.noop, on-success: [b1, b2, b3]}
    b1: {action: std.echo output=1, publish: {n1: <% task().result %>}, on-success: j}
    b2:
      action: std.http
      input:
        url: <% $.url + "/safe/run/" + $.key + ".b2" %>
      safe-rerun: true
      publish: {n2: 2}
      on-success: j
    b3: {action: std.noop, wait-before: 1, on-success: j}
    j: {action: std.noop, join: all, on-success: k}
    k: {action: std.echo output=<% $.n1 + $.n2 %>}

load_items:
  input: [url, key]
  output: {count: <% len(task(u).result) %>}
  tasks:
    t:
      with-items: i in <% range(5) %>
      concurrency: 2
      action: std.http
      input:
        url: <% $.url + "/safe/run/" + $.key + ".t" + str($.i) + "?seconds=0.2" %>
      safe-rerun: true
      on-success: u
    u: {with-items: i in <% range(5) %>, action: std.echo output=<% $.i %>, on-success: v}
    v: {action: std.noop}

load_retry:
  input: [url, key]
  tasks:
    r:
      action: std.http
      input:
        url: <% $.url + "/safe/flaky/" + $.key + ".r" %>
      safe-rerun: true
      retry: {count: 8, delay: 1}
      on-success: s
    s: {action: std.noop}

load_parent:
  input: [url, key]
  tasks:
    s:
      with-items: i in <% range(2) %>
      workflow: load_child
      input: {url: <% $.url %>, key: <% $.key + ".s" + str($.i) %>}
      on-success: t
    t: {action: std.noop}

load_child:
  input: [url, key]
  tasks:
    x: {action: std.echo output=1, on-success: y}
    y:
      action: std.http
      input:
        url: <% $.url + "/unsafe/run/" + $.key + ".y?seconds=1" %>
      on-success: z
      on-error: z_failed
    z: {action: std.noop}
    z_failed: {action: std.noop}

load_ask:
  input: [url, key]
  tasks:
    q:
      action: std.mistral_http
      input:
        url: <% $.url + "/unsafe/ask/" + $.key + ".q" %>
        method: POST
      on-success: r
      on-error: r_failed
    r: {action: std.echo output=<% task(q).result.answer %>}
    r_failed: {action: std.noop}

load_asks:
  input: [url, key]
  output: {answers: <% task(q).result.select($.answer) %>}
  tasks:
    q:
      with-items: i in <% range(4) %>
      action: std.mistral_http
      input:
        url: <% $.url + "/safe/ask/" + $.key + ".q" + str($.i) %>
        method: POST
      safe-rerun: true
      on-success: r
    r: {action: std.noop}
"""
