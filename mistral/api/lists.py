"""Items and lists of any resource: from query parameters to rows to documents (doc:rest/lists)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from mistral import exceptions as exc
from mistral.api.requests import ApiRequest, parse_number, refuse_unknown, require_uuid, word_list
from mistral.api.resources.base import Resource
from mistral.context import RequestContext
from mistral.db.core.database import Connection, Database
from mistral.db.reading.filters import Condition, Kind, parse, parse_flag
from mistral.db.reading.queries import PageQuery, Reader, is_sortable, not_found
from mistral.utils.ids import looks_like_uuid

_PLANS: Final = 128
"""Combinations of attributes of which it is remembered how they are shown."""

COMMON: Final = ("limit", "marker", "sort_keys", "sort_dirs", "fields", "all_projects")


@dataclasses.dataclass(frozen=True)
class Within:
    """The object whose parts a list below its path holds, and the attribute that names it."""

    name: str
    identifier: str


@dataclasses.dataclass(frozen=True)
class ListRequest:
    """What the query of a list asks for."""

    names: tuple[str, ...]
    sort: tuple[tuple[str, bool], ...]
    limit: int
    marker: str | None
    conditions: tuple[Condition, ...]
    nulls: tuple[str, ...]
    fields_given: bool
    with_output: bool = False

    @property
    def page_query(self) -> PageQuery:
        """The same for the database."""
        return PageQuery(
            self.names, self.sort, self.limit, self.conditions, self.nulls, self.marker
        )

    def link_query(self, last_id: str, within: Within | None = None) -> str:
        """The query of the ``next`` link, in the order that clients know.

        :param within: a further filter.
        """
        parts = [
            ("sort_keys", ",".join(name for name, _ in self.sort)),
            ("sort_dirs", ",".join("desc" if desc else "asc" for _, desc in self.sort)),
        ]
        if within is not None:
            parts.append((within.name, f"eq:{within.identifier}"))
        parts += [(condition.name, condition.text) for condition in self.conditions]
        if self.nulls:
            parts.append(("nulls", ",".join(self.nulls)))
        if self.with_output:
            parts.append(("include_output", "true"))
        parts += [("limit", str(self.limit)), ("marker", last_id)]
        if self.fields_given:
            parts.append(("fields", ",".join(self.names)))
        return "&".join(f"{key}={quote(value, safe=',:')}" for key, value in parts)


def read_list_request(
    resource: Resource,
    query: Mapping[str, str],
    max_limit: int,
    kinds: Mapping[str, Kind],
    *,
    extra: Collection[str] = (),
    excluded: Collection[str] = (),
) -> ListRequest:
    """The query of a list, checked.

    :param kinds: what the sortable and filterable columns hold.
    :param extra: further parameters that the caller reads itself.
    :param excluded: attributes that this list is not filtered by.
    :raises InputException: something in it is wrong.
    """
    filtered = {
        name
        for name, attribute in resource.attributes.items()
        if attribute.filtered and name not in excluded
    }
    refuse_unknown(query, filtered.union(COMMON, extra))
    asked = word_list(query.get("fields", ""))
    with_output = "include_output" in extra and parse_flag(
        "include_output", query.get("include_output", "")
    )
    names = resource.fields(asked) if asked else _default_names(resource, with_output)
    return ListRequest(
        names=names,
        sort=_sort(resource, query, kinds),
        limit=_limit(query, max_limit),
        marker=query.get("marker") or None,
        conditions=tuple(
            parse(name, kinds[name], value) for name, value in query.items() if name in filtered
        ),
        nulls=tuple(word_list(query.get("nulls", ""))) if "nulls" in extra else (),
        fields_given=bool(asked),
        with_output=with_output,
    )


def _default_names(resource: Resource, with_output: bool) -> tuple[str, ...]:
    return tuple(
        n for n in resource.shown if n in resource.listed or (with_output and n == "output")
    )


def _limit(query: Mapping[str, str], max_limit: int) -> int:
    text = query.get("limit")
    if not text:
        return max_limit
    limit = parse_number("limit", text)
    if limit <= 0:
        raise exc.InputException("Limit must be positive.")
    return min(limit, max_limit)


def _sort(
    resource: Resource, query: Mapping[str, str], kinds: Mapping[str, Kind]
) -> tuple[tuple[str, bool], ...]:
    keys = word_list(query.get("sort_keys", "")) or [resource.default_sort]
    for key in keys:
        if key not in resource.attributes or key not in kinds:
            raise exc.InputException(f"Unknown sort key: {key!r}.")
    dirs = [word.strip().lower() for word in query.get("sort_dirs", "").split(",")]
    dirs = [word for word in dirs if word]
    for word in dirs:
        if word not in ("asc", "desc"):
            raise exc.InputException(f"Unknown sort direction {word!r}, must be 'desc' or 'asc'.")
    if len(dirs) > len(keys):
        raise exc.InputException("Length of sort_keys must be equal or greater than sort_dirs.")
    dirs += ["asc"] * (len(keys) - len(dirs))
    if "id" not in keys:
        keys, dirs = [*keys, "id"], [*dirs, "asc"]
    return tuple((key, word == "desc") for key, word in zip(keys, dirs, strict=True))


class Lists:
    """Items and lists of one resource that lies in a table."""

    def __init__(self, database: Database, resource: Resource, max_limit: int) -> None:
        self._database = database
        self._max_limit = max_limit
        self.resource = resource
        self.reader = Reader(resource.listing)
        self._plan = functools.lru_cache(maxsize=_PLANS)(resource.plan)
        columns = resource.listing.columns
        self._kinds = {name: columns[name].kind for name in resource.attributes if name in columns}
        self._nullable = {name for name, column in columns.items() if column.nullable}

    def answer(
        self,
        request: ApiRequest,
        *,
        within: Within | None = None,
        extra: Collection[str] = (),
        excluded: Collection[str] = (),
    ) -> dict[str, Any]:
        """The document of a list: of all objects, or of those ``within`` one."""
        query = request.query
        if within is not None:
            excluded = (within.name, *excluded)
        wanted = read_list_request(
            self.resource, query, self._max_limit, self._kinds, extra=extra, excluded=excluded
        )
        self._check_columns(wanted)
        if request.flag("all_projects") or "project_id" in query:
            require_admin(request, f"{self.resource.collection}:list:all_projects")
        plan = self._plan(wanted.names)
        page_query = dataclasses.replace(wanted.page_query, names=plan.columns)
        rows = self._database.read(lambda conn: self._page(conn, page_query, request, within))
        items = [plan.render(row) for row in rows]
        return document(request, self.resource, wanted, items, within)

    def _page(
        self,
        conn: Connection,
        page_query: PageQuery,
        request: ApiRequest,
        within: Within | None,
    ) -> list[list[Any]]:
        column = None if within is None else (within.name, within.identifier)
        try:
            return self.reader.page(conn, page_query, request.caller, column)
        except exc.NotFoundException:
            # there are ids that clients have chosen; what is neither is no marker at all
            require_uuid(page_query.marker or "")
            raise

    def _check_columns(self, wanted: ListRequest) -> None:
        columns = self.resource.listing.columns
        for name, _ in wanted.sort:
            if not is_sortable(columns[name]):
                raise exc.InputException(f"A list can't be sorted by {name!r}.")
        for name in wanted.nulls:
            if name not in self._nullable or name not in self.resource.attributes:
                raise exc.InputException(
                    f"Invalid value for 'nulls': {name!r} is not a nullable column."
                )

    def item(
        self, conn: Connection, identifier: str, names: tuple[str, ...], request: ApiRequest
    ) -> dict[str, Any]:
        """One object by id, with some of its stored attributes.

        :raises NotFoundException: it does not exist or is invisible.
        """
        plan = self._plan(names)
        values = self.reader.item(conn, identifier, plan.columns, request.caller)
        return plan.render(values)

    def items(
        self, conn: Connection, ids: Sequence[str], names: tuple[str, ...], request: ApiRequest
    ) -> list[dict[str, Any]]:
        """The visible ones of several objects, in the order of their ids."""
        plan = self._plan(names)
        rows = self.reader.items(conn, ids, plan.columns, request.caller)
        return [plan.render(row) for row in rows]

    def values(
        self, conn: Connection, identifier: str, names: tuple[str, ...], ctx: RequestContext
    ) -> dict[str, Any]:
        """Some columns of one object as they are stored, also such that nobody is shown.

        :raises NotFoundException: it does not exist or is invisible.
        """
        row = self.reader.item(conn, identifier, names, ctx)
        return dict(zip(names, row, strict=True))

    def not_found(self, identifier: str) -> exc.NotFoundException:
        """The error for an identifier that names nothing visible."""
        return not_found(self.resource.listing, identifier)

    def require(self, conn: Connection, identifier: str, request: ApiRequest) -> None:
        """Refuse an identifier that names nothing, and tell what can't name anything.

        :raises NotFoundException: it does not exist or is invisible.
        :raises InputException: nor is it a UUID.
        """
        try:
            self.item(conn, identifier, ("id",), request)
        except exc.NotFoundException:
            require_uuid(identifier)
            raise

    def asked_fields(self, request: ApiRequest) -> tuple[str, ...] | None:
        """The parameter ``fields`` of an item, None when it is not given."""
        asked = request.fields()
        return self.resource.fields(asked) if asked else None


def document(
    request: ApiRequest,
    resource: Resource,
    wanted: ListRequest,
    items: Sequence[dict[str, Any]],
    within: Within | None = None,
) -> dict[str, Any]:
    """A page with its link to the next one, if there may be one."""
    result: dict[str, Any] = {resource.collection: items}
    if items and len(items) == wanted.limit:
        result["next"] = _link(request, resource, wanted, str(items[-1]["id"]), within)
    return result


def _link(
    request: ApiRequest,
    resource: Resource,
    wanted: ListRequest,
    last_id: str,
    within: Within | None,
) -> str:
    # links name the collection itself; but only UUIDs can be filtered by
    if within is None or looks_like_uuid(within.identifier):
        path = f"/v2/{resource.collection}"
        return f"{request.service_url}{path}?{wanted.link_query(last_id, within)}"
    return f"{request.service_url}{request.path}?{wanted.link_query(last_id)}"


def require_admin(request: ApiRequest, rule: str) -> None:
    """Refuse what only admins may do."""
    if not request.caller.is_admin:
        raise exc.NotAllowedException(f"{rule} is disallowed by policy")
