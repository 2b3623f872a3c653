"""Starts that are repeated, values that are large: each is stored once."""

from __future__ import annotations

import concurrent.futures
import secrets

import sqlalchemy as sa

from mistral.db.core import tables
from mistral.db.core.database import Database
from mistral.utils import ids
from tests.lib.flows import Execution, Flows

_V = tables.execution_values.c


def test_a_large_value_is_stored_once(flows: Flows, embedded_database: Database) -> None:
    """It is input, published by each task, result of each task and the output."""
    names = [f"t{n}" for n in range(20)]
    chain = "\n".join(
        f"    {name}: {{action: std.echo output=<% $.big %>, "
        f"publish: {{big: <% task().result %>, {name}: <% $.big %>}}, on-success: {after}}}"
        for name, after in zip(names, [*names[1:], "end"], strict=True)
    )
    big = secrets.token_hex(100_000)
    run = flows.run(
        "main:\n  input: [big]\n  output: {big: <% $.big %>}\n  tasks:\n"
        f"{chain}\n    end: {{workflow: sub, input: {{big: <% $.big %>}}}}\n"
        "sub:\n  input: [big]\n  output: {big: <% $.big %>}\n  tasks:\n    t: {action: std.noop}\n",
        {"big": big},
    )
    assert run.output == {"big": big}
    assert run.task("t19")["result"] == big

    def count(conn: sa.Connection) -> list[int]:
        of_run = sa.select(sa.func.length(_V.content)).where(_V.root_execution_id == run.id)
        return list(conn.scalars(of_run))

    stored = embedded_database.read(count)
    # the value itself, and at most small mappings that hold references
    assert sum(stored) < 2 * len(big)
    assert len([length for length in stored if length >= len(big)]) == 1
    assert flows.request("DELETE", f"/executions/{run.id}")[0] == 204
    assert embedded_database.read(count) == []


def test_a_repeated_start_starts_nothing(flows: Flows) -> None:
    flows.define("""
    main:
      tasks: {t: {action: std.async_noop}}
    """)
    execution_id = ids.new_id()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        started = list(
            pool.map(lambda _: flows.start("main", execution_id=execution_id), range(12))
        )
    assert {run.id for run in started} == {execution_id}
    run = Execution(flows, execution_id)
    run.finish("t")
    run.wait()
    assert len(run.actions("t")) == 1
    assert flows.start("main", execution_id=execution_id).state == "SUCCESS"


def test_large_values_of_other_executions_are_read_from_where_they_are(flows: Flows) -> None:
    big = secrets.token_hex(5000)
    other = flows.run(
        "main: {input: [big], tasks: {t: {action: std.noop, publish: {x: <% $.big %>}}}}",
        {"big": big},
    )
    asks = Flows(flows.url)
    run = asks.run(
        """
    main:
      input: [id]
      tasks:
        a:
          publish:
            published: <% tasks($.id).first().published.x %>
            input: <% executions($.id).first().input.big %>
            count: "{% for i in [1] %}{{ tasks(_.id) | length }}{% endfor %}"
    """,
        {"id": other.id},
    )
    assert run.task("a")["published"] == {"published": big, "input": big, "count": "1"}
