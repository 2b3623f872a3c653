"""Secrets of inputs: stored encrypted, shown masked, and whole in every message to an executor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from mistral.actions.vault import Vault
from mistral.context import system_context
from mistral.db.core import tables
from mistral.rpc.messages import Report

if TYPE_CHECKING:
    from conftest import Site

SECRET = "quite-secret-4711"
ONE = """
main:
  tasks:
    t:
      action: std.http
      input:
        url: http://127.0.0.1:1/
        headers: {Authorization: "<% 'quite-sec' + 'ret-4711' %>", Accept: x/y}
"""
_A = tables.action_executions


def stored(site: Site) -> str:
    """All that the database holds, as text."""

    def read(conn: sa.Connection) -> str:
        return repr([conn.execute(sa.select(t)).all() for t in tables.metadata.sorted_tables])

    return site.database.read(read)


def inputs(site: Site) -> list[Any]:
    """The inputs that executors were sent."""
    return [order.input["headers"]["Authorization"] for order in site.orders.sent]


def test_a_message_has_what_the_row_does_not(site: Site) -> None:
    engine = site.engine()
    execution_id = site.start(engine, ONE)
    site.until(lambda: site.orders.sent)
    assert inputs(site) == [SECRET]
    action_ex = site.action(execution_id)
    assert action_ex.input.inline["headers"] == {"Authorization": "***", "Accept": "x/y"}
    assert SECRET not in stored(site)
    assert SECRET not in repr(action_ex)


def test_what_is_sent_again_has_it_too(site: Site) -> None:
    site.start(site.engine(is_deaf=True), ONE)
    other = site.engine()
    site.look(other)
    site.until(lambda: site.orders.sent)
    site.look(other)
    site.until(lambda: len(site.orders.sent) == 2)
    assert inputs(site) == [SECRET, SECRET]


def test_a_row_of_the_version_before_is_sent_as_it_is(site: Site) -> None:
    execution_id = site.start(site.engine(is_deaf=True), ONE)
    action_ex = site.action(execution_id)
    headers = {"headers": {"Authorization": "as before"}}
    changed = sa.update(_A).where(_A.c.id == action_ex.id)
    bag = action_ex.input.updated(type(action_ex.input)(headers))
    site.database.write(lambda conn: conn.execute(changed.values(secrets=None, input=bag)))
    site.look(site.engine())
    site.until(lambda: site.orders.sent)
    assert inputs(site) == ["as before"]


def test_an_engine_without_the_key_ends_the_task_and_says_so(site: Site) -> None:
    execution_id = site.start(site.engine(is_deaf=True), ONE)
    site.catalog.vault = Vault.generated()
    site.look(site.engine())
    site.until(lambda: site.task(execution_id, "t").state == "ERROR")
    assert not site.orders.sent
    assert "[secrets] encryption_keys" in str(site.task(execution_id, "t").state_info)


@pytest.mark.parametrize("kind", ["result", "signalled"])
def test_secrets_are_deleted_when_nothing_is_sent_any_more(site: Site, kind: str) -> None:
    engine = site.engine()
    execution_id = site.start(engine, ONE)
    site.until(lambda: site.orders.sent)
    action_ex = site.action(execution_id)
    assert action_ex.secrets is not None
    state = "SUCCESS" if kind == "result" else "RUNNING"
    report = Report(action_ex.id, execution_id, 0, kind, state)
    engine.on_actions_complete("executor", [report])
    site.until(lambda: site.action(execution_id).secrets is None)


def test_secrets_are_deleted_when_a_result_is_delivered(site: Site) -> None:
    execution_id = site.start(site.engine(), ONE)
    site.deliver(execution_id)
    assert site.action(execution_id).secrets is None


def test_equal_secrets_look_different(site: Site) -> None:
    text = ONE.replace("    t:\n", "    t:\n      with-items: i in [1, 2]\n")
    execution_id = site.start(site.engine(), text)
    one, two = (action_ex.secrets for action_ex in site.actions(execution_id))
    assert one != two


def test_a_large_secret_is_not_stored_by_its_hash(site: Site) -> None:
    text = ONE.replace("'quite-sec' + 'ret-4711'", "'quite-sec' + 'ret-4711' * 300")
    site.start(site.engine(), text)
    site.until(lambda: site.orders.sent)
    assert inputs(site) == ["quite-sec" + "ret-4711" * 300]
    rows = sa.select(sa.func.count()).select_from(tables.execution_values)
    assert site.database.read(lambda conn: conn.scalar(rows)) == 0


def test_the_limit_of_an_input_counts_its_secrets(site: Site) -> None:
    text = ONE.replace("'quite-sec' + 'ret-4711'", "'quite-sec' + 'ret-4711' * 200000")
    execution_id = site.start(site.engine(), text)
    site.until(lambda: site.execution(execution_id).state == "ERROR")
    assert "Field size limit exceeded" in str(site.task(execution_id, "t").state_info)


@pytest.mark.parametrize("save", [True, False])
def test_a_single_action(site: Site, save: bool) -> None:
    engine = site.engine()
    params = {"save_result": True} if save else {}
    answer = engine.start_action(
        "std.http",
        {"url": "http://127.0.0.1:1/", "auth": f"ann:{SECRET}"},
        ctx=system_context(),
        **params,
    )
    assert SECRET not in repr(answer.action)
    assert answer.action["input"]["auth"] == "***"
    assert SECRET not in stored(site)
    if save:
        site.until(lambda: site.orders.sent)
        assert site.orders.sent[0].input["auth"] == f"ann:{SECRET}"
    else:
        assert answer.order.input["auth"] == f"ann:{SECRET}"
