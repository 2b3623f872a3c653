"""Facts about tasks and executions that lie in several rows, as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from mistral.db.core import tables
from mistral.db.definitions import load_spec
from mistral.db.reading.filters import raw_text
from mistral.db.reading.queries import bag_value, expand_bags
from mistral.workflow.results import countable
from mistral.workflow.runtime import TaskRuntime
from mistral.workflow.values import Bag

_WF = tables.workflow_executions
_TASK = tables.task_executions
_ACTION = tables.action_executions

_GLOBALS: Final = sa.select(
    raw_text(_WF.c.context),
    _WF.c.spec_hash,
    sa.func.coalesce(_WF.c.root_execution_id, _WF.c.id),
).where(_WF.c.id == sa.bindparam("id"))

_TASK_FACTS: Final = (
    sa.select(
        _TASK.c.type,
        _TASK.c.runtime_context,
        raw_text(_TASK.c.published_global),
        sa.func.coalesce(_WF.c.root_execution_id, _WF.c.id),
    )
    .select_from(_TASK.outerjoin(_WF, _WF.c.id == _TASK.c.workflow_execution_id))
    .where(_TASK.c.id == sa.bindparam("id"))
)

_ACTION_OUTPUTS: Final = (
    sa.select(raw_text(_ACTION.c.output))
    .where(_ACTION.c.task_execution_id == sa.bindparam("id"), _ACTION.c.accepted == sa.true())
    .order_by(_ACTION.c.idx, _ACTION.c.id)
)
_CHILD_OUTPUTS: Final = (
    sa.select(raw_text(_WF.c.output).label("output"), _WF.c.state, _WF.c.idx, _WF.c.task_attempt)
    .where(_WF.c.task_execution_id == sa.bindparam("id"))
    .order_by(_WF.c.idx, _WF.c.id)
)


def published_global(conn: sa.Connection, execution_id: str) -> str:
    """The global variables as JSON text (doc:language/publishing#publishing-from-a-transition)."""
    row = conn.execute(_GLOBALS, {"id": execution_id}).first()
    if row is None or not row[0] or row[0] == "{}":
        return "{}"
    bag = Bag.decode(row[0])
    shown = bag.without(_declared_vars(conn, row[1]) | {n for n in bag if n.startswith("__")})
    values: list[Any] = [shown.encode()]
    expand_bags(conn, [(row[2], values, (0,))])
    return str(values[0])


def _declared_vars(conn: sa.Connection, spec_hash: str) -> set[str]:
    declared = load_spec(conn, spec_hash).get("vars")
    return set(declared) if isinstance(declared, Mapping) else set()


def task_facts(conn: sa.Connection, task_id: str) -> tuple[str, str | None]:
    """The result of a task and the global variables that it published, as JSON texts.

    The latter are null when it published none.
    """
    row = conn.execute(_TASK_FACTS, {"id": task_id}).first()
    if row is None:
        return "[]", None
    kind, runtime_context, text, root_id = row
    globals_: list[Any] = [text]
    expand_bags(conn, [(root_id, globals_, (0,))])
    runtime = TaskRuntime(runtime_context)
    several = runtime.has_items
    shown = globals_[0] if globals_[0] not in (None, "", "{}") else None
    if kind == "WORKFLOW":
        children = conn.execute(_CHILD_OUTPUTS, {"id": task_id}).all()
        texts = [child.output for child in countable(runtime, children)]
        found = [text or "{}" for text in _expanded(conn, root_id, texts)]
    else:
        texts = list(conn.execute(_ACTION_OUTPUTS, {"id": task_id}).scalars())
        outputs = _expanded(conn, root_id, texts)
        found = [bag_value(text, "result") or "null" for text in outputs]
    return _joined(found, several), shown


def _expanded(
    conn: sa.Connection, root_id: str | None, texts: list[str | None]
) -> list[str | None]:
    values: list[list[Any]] = [[text] for text in texts]
    expand_bags(conn, [(root_id, value, (0,)) for value in values])
    return [value[0] for value in values]


def _joined(texts: list[str], several: bool) -> str:
    """One result that counts, or a list (doc:language/publishing#results)."""
    if len(texts) == 1 and not several:
        return texts[0]
    return "[" + ",".join(texts) + "]"
