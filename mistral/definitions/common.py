"""Rules that hold for every kind of definition."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from typing import Any, Protocol, TypeVar

from mistral import exceptions as exc
from mistral.actions.descriptors import ActionDescriptor
from mistral.context import RequestContext
from mistral.db.core.database import Connection, Database
from mistral.db.core.named_objects import Repository, Row
from mistral.db.execution import idempotency_keys
from mistral.expressions import Expressions
from mistral.lang import USUAL_LIMITS, DocumentLimits
from mistral.utils import clock, ids

T = TypeVar("T")

SCOPES = ("private", "public")
MAX_NAME = 255


class ActionFinder(Protocol):
    """What definitions ask of the registry of actions."""

    def find(self, action_name: str, namespace: str | None = None) -> object | None:
        """The descriptor of an action, or None."""

    def find_all(self) -> Sequence[ActionDescriptor]:
        """The descriptors of all actions."""


class DefinitionService:
    """What the services of all kinds work with.

    :param action_registry: knows the actions that are not ad-hoc ones; nothing stored may take
        their names.
    """

    def __init__(
        self,
        database: Database,
        expressions: Expressions,
        action_registry: ActionFinder,
        now: Callable[[], dt.datetime] = clock.utc_now,
        limits: DocumentLimits = USUAL_LIMITS,
    ) -> None:
        self._database = database
        self._expressions = expressions
        self._action_registry = action_registry
        self._now = now
        self._limits = limits

    def _create(
        self,
        repository: Repository,
        rows: Sequence[Row],
        more: Callable[[Connection], None] = lambda conn: None,
    ) -> None:
        """Insert rows and what belongs to them in one transaction."""

        def work(conn: Connection) -> None:
            repository.insert(conn, rows)
            more(conn)

        self._write(work)

    def _delete(self, repository: Repository, find: Callable[[Connection], Row]) -> None:
        """Delete the row that a function finds."""
        self._write(lambda conn: repository.delete(conn, find(conn)))

    def _write(self, work: Callable[[Connection], T]) -> T:
        """The one transaction of a request: done twice, it would meet what it has done itself."""
        return self._database.write(idempotency_keys.once(work))


def new_row(name: str, ctx: RequestContext, scope: str, now: dt.datetime) -> Row:
    """The columns that all definitions have."""
    return {
        "id": ids.new_id(),
        "name": name,
        "scope": scope,
        "project_id": ctx.project_id,
        "created_at": now,
        "updated_at": None,
    }


def check_scope(scope: str) -> None:
    """Refuse unknown words."""
    if scope not in SCOPES:
        raise exc.InvalidModelException(
            f"Scope must be one of the following: {', '.join(SCOPES)}; actual: {scope}"
        )


def check_text(what: str, text: str, limit: int | None = MAX_NAME) -> None:
    """Refuse what no database can keep."""
    if limit is not None and len(text) > limit:
        raise exc.InvalidModelException(f"{what} is longer than {limit} characters")
    if "\0" in text:
        raise exc.InvalidModelException(f"{what} contains the character NUL")


def check_target(scope: str, namespace: str) -> None:
    """Refuse a scope or a namespace in which nothing can be stored."""
    check_scope(scope)
    check_text("Namespace", namespace)


def check_rows(rows: Iterable[Row]) -> None:
    """Refuse what a document may say but no database can keep."""
    for row in rows:
        for column, value in row.items():
            if isinstance(value, str):
                check_text(f"'{column}' of '{row['name']}'", value, limit=None)


def check_one(kind: str, specs: Sized, identifier: str | None) -> None:
    """Refuse a document of several definitions where one of them is meant by its identifier."""
    if identifier is not None and len(specs) > 1:
        raise exc.InvalidModelException(
            f"More than one {kind} is not supported for update by identifier "
            f"[identifier={identifier}]"
        )


def check_may_change(kind: str, row: Row, ctx: RequestContext) -> None:
    """Refuse to change what belongs to another project or to the service itself."""
    if ctx.is_admin:
        return
    if row.get("is_system"):
        raise exc.InvalidModelException(
            f"Attempt to modify or delete a system {kind}: {row['name']}"
        )
    if row["project_id"] != ctx.project_id:
        raise exc.NotAllowedException(
            f"Can not modify a {kind} of another project [name={row['name']}]"
        )


def is_valid(parse: Callable[[str], object], text: str) -> tuple[bool, str | None]:
    """Whether a document can be parsed, and what is wrong with it."""
    try:
        parse(text)
    except exc.InvalidModelException as error:
        return False, str(error)
    return True, None


def without(row: Mapping[str, Any], *names: str) -> Row:
    """A copy of a row less some columns."""
    return {name: value for name, value in row.items() if name not in names}
