"""What users define: workflows, workbooks, ad-hoc actions, environments.

The upper half serves requests of users, who see what they may see. The lower half serves the
engine, which looks a name up on behalf of a project while it handles an execution: one
statement each, no locks.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.context import RequestContext
from mistral.db.core import fast_statements, tables, visibility
from mistral.db.core.insert_absent import insert_absent
from mistral.db.core.named_objects import Repository, Row
from mistral.utils import json
from mistral.utils.ids import looks_like_uuid
from mistral.utils.texts import is_storable

workflows: Final = Repository(tables.workflow_definitions, "Workflow")
workbooks: Final = Repository(tables.workbooks, "Workbook")
actions: Final = Repository(tables.action_definitions, "Action")
environments: Final = Repository(tables.environments, "Environment")

_S: Final = tables.workflow_specs


@dataclasses.dataclass(frozen=True)
class StoredSpec:
    """A parsed workflow as text, addressed by its hash."""

    hash: str
    content: str

    @classmethod
    def of(cls, name: str, raw: Mapping[str, Any]) -> StoredSpec:
        """The text of a parsed workflow.

        The order of keys is kept, because tasks start in the order in which they are written;
        the hash covers it for the same reason.
        """
        content = json.dumps({**raw, "name": name})
        return cls(hashlib.sha256(content.encode()).hexdigest(), content)


def store_specs(conn: sa.Connection, specs: Iterable[StoredSpec]) -> None:
    """Store parsed workflows unless they are stored already."""
    contents = {spec.hash: spec.content for spec in specs}
    rows = [{"hash": digest, "content": contents[digest]} for digest in sorted(contents)]
    insert_absent(conn, _S, rows)


_SPEC = sa.select(_S.c.content).where(_S.c.hash == sa.bindparam("hash"))


def load_spec(conn: sa.Connection, spec_hash: str) -> dict[str, Any]:
    """A parsed workflow (its body with its ``name``).

    :raises DBEntityNotFoundError: no such specification is stored.
    """
    content = conn.execute(_SPEC, {"hash": spec_hash}).scalar()
    if content is None:
        raise exc.DBEntityNotFoundError(f"Workflow specification not found [hash={spec_hash}]")
    raw: dict[str, Any] = json.loads(content)
    return raw


# For the engine --------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class FoundWorkflow:
    """What starting a workflow needs to know of its definition."""

    id: str
    name: str
    namespace: str
    project_id: str
    spec_hash: str
    workbook_name: str | None


@dataclasses.dataclass(frozen=True)
class FoundAction:
    """An ad-hoc action; ``id`` with ``updated_at`` changes whenever the definition does."""

    id: str
    name: str
    namespace: str
    project_id: str
    spec: dict[str, Any]
    definition: str
    description: str | None
    tags: list[str] | None
    scope: str
    workbook_name: str | None
    created_at: dt.datetime
    updated_at: dt.datetime | None


def _finder(table: sa.Table, kind: type[Any]) -> sa.Select[Any]:
    project_id: sa.BindParameter[str] = sa.bindparam("project_id")
    return (
        sa.select(*[table.c[field.name] for field in dataclasses.fields(kind)])
        .where(
            table.c.name.in_(sa.bindparam("names", expanding=True)),
            table.c.namespace.in_(sa.bindparam("namespaces", expanding=True)),
            visibility.to_project(table, project_id),
        )
        .order_by(*visibility.nearest_first(table, project_id))
    )


_FIND_WORKFLOW = _finder(tables.workflow_definitions, FoundWorkflow)
_FIND_ACTION = _finder(tables.action_definitions, FoundAction)
_FIND_ENVIRONMENT = (
    sa.select(tables.environments.c.variables)
    .where(
        tables.environments.c.name == sa.bindparam("name"),
        visibility.to_project(tables.environments, sa.bindparam("project_id")),
    )
    .order_by(*visibility.nearest_first(tables.environments, sa.bindparam("project_id")))
    .limit(1)
)


def find_workflow_spec(
    conn: sa.Connection, names: Sequence[str], namespaces: Sequence[str], project_id: str
) -> FoundWorkflow | None:
    """The workflow of the first of the names that exists in one of the namespaces.

    An earlier name wins over an earlier namespace (doc:language/sub_workflows), the project's own
    workflow over a public one of somebody else.
    """
    row = _look_up(conn, _FIND_WORKFLOW, names, namespaces, project_id)
    return FoundWorkflow(**row) if row else None


def find_action_definition(
    conn: sa.Connection, names: Sequence[str], namespaces: Sequence[str], project_id: str
) -> FoundAction | None:
    """As :func:`find_workflow_spec`, for ad-hoc actions."""
    row = _look_up(conn, _FIND_ACTION, names, namespaces, project_id)
    return FoundAction(**row) if row else None


def list_action_definitions(
    conn: sa.Connection, namespace: str | None, project_id: str
) -> list[FoundAction]:
    """The ad-hoc actions that a project may use, of one namespace or of all."""
    table = tables.action_definitions
    statement = (
        sa.select(*[table.c[field.name] for field in dataclasses.fields(FoundAction)])
        .where(visibility.to_project(table, project_id))
        .order_by(table.c.name, table.c.id)
    )
    if namespace is not None:
        statement = statement.where(table.c.namespace == namespace)
    return [FoundAction(**row) for row in conn.execute(statement).mappings()]


def _look_up(
    conn: sa.Connection,
    statement: sa.Select[Any],
    names: Sequence[str],
    namespaces: Sequence[str],
    project_id: str,
) -> dict[str, Any] | None:
    if not all(is_storable(text) for text in (*names, *namespaces)):
        return None
    params = {"names": list(names), "namespaces": list(namespaces), "project_id": project_id}
    columns = statement.selected_columns.keys()
    found = [
        dict(zip(columns, row, strict=True))
        for row in fast_statements.select(conn, statement, params)
    ]
    # min keeps the first of equals, which is the nearest one
    return min(
        found,
        key=lambda row: (names.index(row["name"]), namespaces.index(row["namespace"])),
        default=None,
    )


_NAMES_PER_LOOK = 500


def named(
    conn: sa.Connection,
    repository: Repository,
    names: Iterable[str],
    ctx: RequestContext,
    namespace: str,
) -> dict[str, Row]:
    """Visible rows by their names: of the namespace, else of the default one, else of any."""
    wanted = sorted(name for name in names if is_storable(name))
    table = repository.table
    found: dict[str, Row] = {}
    for start in range(0, len(wanted), _NAMES_PER_LOOK):
        batch = wanted[start : start + _NAMES_PER_LOOK]
        statement = sa.select(table).where(
            table.c.name.in_(batch), visibility.to_caller(table, ctx)
        )
        rows = [dict(row) for row in conn.execute(statement).mappings()]
        rows.sort(key=lambda row: (row["namespace"] == namespace, row["namespace"] == ""))
        found |= {row["name"]: row for row in rows}
    return found


def find_environment(conn: sa.Connection, name: str, project_id: str) -> dict[str, Any] | None:
    """The variables of an environment that a project may use."""
    if not is_storable(name):
        return None
    row = conn.execute(_FIND_ENVIRONMENT, {"name": name, "project_id": project_id}).first()
    return None if row is None else row[0]


_TO_START = (
    sa.select(
        *[tables.workflow_definitions.c[field.name] for field in dataclasses.fields(FoundWorkflow)]
    )
    .where(
        tables.workflow_definitions.c.id == sa.bindparam("id"),
        visibility.to_project(tables.workflow_definitions, sa.bindparam("project_id")),
    )
    .limit(1)
)


def find_workflow_to_start(
    conn: sa.Connection, identifier: str, namespace: str, project_id: str
) -> FoundWorkflow | None:
    """A workflow by its id, whatever its namespace, or by its name in exactly this namespace."""
    if looks_like_uuid(identifier):
        params = {"id": identifier, "project_id": project_id}
        row = conn.execute(_TO_START, params).mappings().first()
        if row is not None:
            return FoundWorkflow(**row)
    return find_workflow_spec(conn, [identifier], [namespace], project_id)
